"""Gaps of offsets, as the warehouse takes them from the lake: found and not yet accepted ones too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from duckdb import DuckDBPyConnection

from tollbook.lake.gaps import GapRecord, load_gaps
from tollbook.lake.manifest import Manifest, newest_commit, read_commit
from tollbook.warehouse.book import OFFSET_GAPS, transaction
from tollbook.warehouse.state import read_progress


def take_gaps(connection: DuckDBPyConnection, lake: Path) -> bool:
    """Take the gaps of the lake, as they stand at the commit that was taken, and return whether any is new or settled.

    If so, the marts are marked as not whole, so that they are made even where no commit came since.

    Args:
        connection: The ledger.
        lake: Folder of the lake.
    """
    connection.register("new_gaps", gaps_table(load_gaps(lake, _taken_manifest(connection, lake))))
    try:
        with transaction(connection):
            (row,) = connection.execute(
                """
                select count(*)
                from (
                    (from new_gaps except all from book.offset_gaps)
                    union all
                    (from book.offset_gaps except all from new_gaps)
                )
                """
            ).fetchall()
            if row[0]:
                connection.execute("delete from book.offset_gaps")
                connection.execute("insert into book.offset_gaps by name from new_gaps")
                connection.execute("update book.progress set whole = false")
    finally:
        connection.unregister("new_gaps")
    return bool(row[0])


def gaps_table(records: Sequence[GapRecord]) -> pa.Table:
    """Return gaps as rows of `OFFSET_GAPS`, shape (n_gaps,)."""
    rows = [
        {
            "gap_number": each.number,
            "topic": each.gap.topic,
            "kafka_partition": each.gap.partition,
            "gap_kind": each.gap.kind,
            "gap_state": each.state,
            "first_offset": each.gap.first_offset,
            "next_offset": each.gap.next_offset,
            "lost_offsets": each.gap.lost_offsets,
            "loss_is_known": each.gap.loss_is_known,
            "offset_base_before": each.gap.base_before,
            "offset_base_after": each.gap.base_after,
            "kafka_first_offset": each.gap.kafka_first_offset,
            "kafka_end_offset": each.gap.kafka_end_offset,
            "topic_id_before": each.gap.topic_id_before,
            "topic_id_after": each.gap.topic_id_after,
            "detected_commit": each.gap.commit,
            "detected_at": each.gap.detected_at,
            "settled_at": each.settled_at,
            "accepted_by": each.author,
            "accepted_reason": each.reason,
            "description": each.gap.words(),
        }
        for each in records
    ]
    return pa.Table.from_pylist(rows, schema=OFFSET_GAPS)


def _taken_manifest(connection: DuckDBPyConnection, lake: Path) -> Manifest | None:
    """Return the commit whose totals the ledger holds: an acceptance after it is not in them."""
    taken = read_progress(connection).taken_commit
    return read_commit(lake, min(taken, newest_commit(lake))) if taken else None
