"""Write: usage, rejects and unparsed bytes into hive-partitioned Parquet. The files do not count until the commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import usage_record_schema
from tollbook.formats.rejected import REJECTED_VERSION
from tollbook.lake.layout import REJECTS, USAGE, chunk_name, data_path
from tollbook.lake.manifest import FileEntry, LiveSums
from tollbook.lake.parquet import write_parquet
from tollbook.stream.parts import REJECTS_PART, UNPARSED_PART, RejectCause, files_part, usage_part
from tollbook.stream.ranges import ChunkOrigin
from tollbook.stream.repeats import TAKEN_BACK_PREFIX

_DAY_MICROSECONDS = 86_400_000_000


class WriteUsageParquet(beam.PTransform):
    """Write rated events, a file for each UTC date of `occurred_at` in the batch.

    Input: the columns of `usage_record/v1`, shape (n_events,), with their ChunkOrigin.
    Output: one encoded CommitPart for each input, empty ones too.
    Retries write the same names again; a file counts only when a manifest names it.
    """

    def __init__(self, lake: Path) -> None:
        super().__init__()
        self._lake = lake

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the parts."""
        return events | "WriteUsage" >> beam.ParDo(_WriteUsage(self._lake)).with_output_types(bytes)


class _WriteUsage(beam.DoFn):
    def __init__(self, lake: Path) -> None:
        self._lake = lake

    def process(self, element: pa.RecordBatch) -> Iterable[bytes]:
        origin = ChunkOrigin.of(element)
        taken_back = [name for name in element.schema.names if name.startswith(TAKEN_BACK_PREFIX)]
        rows = element.select([*usage_record_schema().names, *taken_back])
        name = _name(origin)
        files = [self._write(origin, date, name, part) for date, part in split_by_date(rows)]
        yield usage_part(origin, files, element.num_rows, takes_back=bool(taken_back))

    def _write(self, origin: ChunkOrigin, date: str, name: str, rows: pa.RecordBatch) -> FileEntry:
        path = data_path(USAGE, date, name)
        live = live_sums(rows)
        rows = rows.select(usage_record_schema().names)
        return FileEntry(
            table=USAGE,
            path=path,
            event_date=date,
            rows=rows.num_rows,
            bytes=write_parquet(self._lake, path, rows),
            topic=origin.topic,
            partition=origin.partition,
            first_offset=origin.first_offset,
            next_offset=origin.next_offset,
            input_tokens=_exact_sum(rows.column("input_tokens")),
            output_tokens=_exact_sum(rows.column("output_tokens")),
            list_cost_pico_usd=_pico_sum(rows.column("list_cost")),
            contracted_cost_pico_usd=_pico_sum(rows.column("contracted_cost")),
            unpriced_events=_exact_sum(pc.equal(rows.column("cost_basis"), "unpriced").cast(pa.int64())),
            stream_repeats=_exact_sum(rows.column("stream_repeat").cast(pa.int64())),
            newest_event_at=pc.max(rows.column("occurred_at")).as_py(),
            live=live,
        )


def live_sums(rows: pa.RecordBatch) -> LiveSums:
    """Return what marked rows add to the live minutes: those that count, less what they take back.

    Args:
        rows: `usage_record/v1`, shape (n_events,), with `taken_back_*` where a row takes something back.
    """
    counts = pc.and_(pc.invert(rows.column("stream_repeat")), pc.not_equal(rows.column("action"), "void"))
    counted = rows.select(["input_tokens", "output_tokens", "list_cost"]).filter(counts)
    sums = _live(counted.num_rows, counted, "")
    if f"{TAKEN_BACK_PREFIX}calls" not in rows.schema.names:
        return sums
    return sums + _live(_exact_sum(rows.column(f"{TAKEN_BACK_PREFIX}calls")), rows, TAKEN_BACK_PREFIX)


def _live(calls: int, rows: pa.RecordBatch, prefix: str) -> LiveSums:
    return LiveSums(
        calls=calls,
        input_tokens=_exact_sum(rows.column(f"{prefix}input_tokens")),
        output_tokens=_exact_sum(rows.column(f"{prefix}output_tokens")),
        list_cost_pico_usd=_pico_sum(rows.column(f"{prefix}list_cost")),
    )


class WriteRejects(beam.PTransform):
    """Write rejected records, and apart from them the bytes of those that could not be read as fields.

    Input: `rejected_record/v2` batches (`table` is `rejects`) or pairs of id and bytes (`unparsed`), with ChunkOrigin.
    Output: one encoded CommitPart for each input.
    """

    def __init__(self, lake: Path, table: str) -> None:
        super().__init__()
        self._args = (lake, table)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Return the parts."""
        return batches | "WriteRejected" >> beam.ParDo(_WriteRejects(*self._args)).with_output_types(bytes)


class _WriteRejects(beam.DoFn):
    def __init__(self, lake: Path, table: str) -> None:
        self._lake, self._table = lake, table

    def process(self, element: pa.RecordBatch) -> Iterable[bytes]:
        origin = ChunkOrigin.of(element)
        path = data_path(self._table, origin.stamp.ingest_date, _name(origin))
        entry = FileEntry(
            table=self._table,
            path=path,
            event_date=origin.stamp.ingest_date,
            rows=element.num_rows,
            bytes=write_parquet(self._lake, path, element),
            schema_version=REJECTED_VERSION if self._table == REJECTS else 1,
            topic=origin.topic,
            partition=origin.partition,
            first_offset=origin.first_offset,
            next_offset=origin.next_offset,
        )
        if self._table == REJECTS:
            yield files_part(REJECTS_PART, origin, [entry], _causes(element))
        else:
            yield files_part(UNPARSED_PART, origin, [entry])


def _causes(rejects: pa.RecordBatch) -> Iterator[RejectCause]:
    """Yield why records were refused, one for each reason and field, with the first of them as an example."""
    numbered = pa.table(
        {
            "reason": rejects.column("reason"),
            "field": rejects.column("field"),
            "row": pa.array(np.arange(rejects.num_rows)),
        }
    )
    causes = numbered.group_by(["reason", "field"], use_threads=False).aggregate([("row", "count"), ("row", "min")])
    for cause in causes.to_pylist():
        first = rejects.slice(cause["row_min"], 1).select(["topic", "partition", "offset", "expected", "got"])
        (row,) = first.to_pylist()
        example = "{topic}:{partition}:{offset}, expected {expected}, got {got}".format_map(row)
        yield RejectCause(cause["reason"], cause["field"], cause["row_count"], example)


def _name(origin: ChunkOrigin) -> str:
    return chunk_name(origin.topic, origin.partition, origin.first_offset, origin.next_offset, origin.stamp.epoch)


def split_by_date(rows: pa.RecordBatch, *, time_column: str = "occurred_at") -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the UTC dates of a batch, `YYYY-MM-DD`, with their rows in record order."""
    days = rows.column(time_column).cast(pa.int64()).to_numpy() // _DAY_MICROSECONDS
    if not len(days):
        return
    if days[0] == days[-1] and (days == days[0]).all():
        yield _iso_date(days[0]), rows
        return
    order = np.argsort(days, kind="stable")
    ordered = rows.take(pa.array(order))
    days = days[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(days)) + 1, [len(days)]])
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        yield _iso_date(days[start]), ordered.slice(start, end - start)


def _iso_date(day: int) -> str:
    return str(np.datetime64(int(day), "D"))


def _exact_sum(counts: pa.Array) -> int:
    """Return the sum of an int64 column. At most 1e9 a row by the contract, so it cannot wrap."""
    return int(pc.sum(counts, min_count=0).as_py())


def _pico_sum(costs: pa.Array) -> int:
    total = pc.sum(costs.cast(pa.decimal128(38, 12)), min_count=0).as_py()
    return int(total.scaleb(12))
