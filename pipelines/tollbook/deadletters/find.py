"""Finding rejects in the files of the lake that are in force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from tollbook.contracts import contract
from tollbook.deadletters.filters import RejectFilter
from tollbook.deadletters.outcomes import outcomes
from tollbook.errors import CorruptManifestError, MisuseError
from tollbook.formats.registry import FORMATS, format_of_topic
from tollbook.formats.rejected import REJECTED_VERSION, REPLAY_HEADER
from tollbook.lake.layout import REJECTS, UNPARSED
from tollbook.lake.manifest import FileEntry
from tollbook.lake.remote import local_paths
from tollbook.lake.snapshot import load_snapshot

_ATTEMPTS: Final = 3
_PLACE: Final = 'topic, "partition", "offset", record_item nulls first'
_SHOWN: Final = (
    'reject_id, topic, "partition", "offset", record_item, kafka_timestamp, rejected_at, reason, field, expected, got, '
    "read_as as format, value_state, value_bytes, value_sha256, replay_of, state, settled_at, settled_how"
)


@dataclass(frozen=True, slots=True)
class Reject:
    """One reject, without its bytes.

    Attributes:
        reject_id: Its id, `topic:partition:offset`, with `:item` for a telling of a record.
        topic: Topic that it came from.
        partition: Partition that it came from.
        offset: Its offset, as the book counts.
        record_item: Number of the telling within its record, None for the whole record.
        kafka_timestamp: When it came to Kafka.
        rejected_at: When it was rejected.
        reason: Code of `REASONS`.
        field: Field at fault, None for the whole record.
        expected: What was expected.
        got: What came.
        format: Format that it was read as.
        value_state: What is kept of its bytes: `whole`, `scrubbed` or `unparsed`.
        value_bytes: Size of the record as it came. Unit: Bytes.
        value_sha256: Digest of the record as it came.
        replay_of: The reject that it was a replay of, None for the first.
        state: `open`, `replayed` or `dismissed`.
        settled_at: Since when it is no longer open.
        settled_how: The topic that took it, or why it was dismissed.
    """

    reject_id: str
    topic: str
    partition: int
    offset: int
    record_item: int | None
    kafka_timestamp: datetime
    rejected_at: datetime
    reason: str
    field: str | None
    expected: str
    got: str
    format: str
    value_state: str
    value_bytes: int
    value_sha256: str
    replay_of: str | None
    state: str
    settled_at: datetime | None
    settled_how: str | None


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many of the rejects that are meant have a reason on a topic."""

    reason: str
    topic: str
    rejects: int
    first_rejected_at: datetime
    last_rejected_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """Rejects that are meant: how many by reason and topic, most first, and the newest of them."""

    matched: int
    counts: tuple[ReasonCount, ...]
    rejects: tuple[Reject, ...]


def find_rejects(lake: Path, wanted: RejectFilter, *, limit: int) -> Found:
    """Return how many rejects are meant, by reason and topic, and up to `limit` of them, the newest first."""
    with matched_rejects(lake, wanted) as connection:
        counts = connection.execute(
            "select reason, topic, count(*), min(rejected_at), max(rejected_at) from matched "
            "group by all order by count(*) desc, reason, topic"
        )
        by_reason = tuple(ReasonCount(*row.values()) for row in counts.to_arrow_table().to_pylist())
        rows = connection.execute(
            f"select {_SHOWN} from matched order by rejected_at desc, {_PLACE} limit $limit", {"limit": limit}
        )
        rejects = tuple(Reject(**row) for row in rows.to_arrow_table().to_pylist())
    return Found(sum(each.rejects for each in by_reason), by_reason, rejects)


def rejects_in_order(lake: Path, wanted: RejectFilter) -> pa.Table:
    """Return the rejects that are meant by place on Kafka: `reject_id`, `path`, `value_state`, `value_bytes`."""
    with matched_rejects(lake, wanted) as connection:
        return connection.execute(
            f"select reject_id, filename as path, value_state, value_bytes from matched order by {_PLACE}"
        ).to_arrow_table()


def kept_rows(paths: Sequence[str], ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of rejects as `rejected_record`, by place on Kafka, with what is kept of their bytes."""
    with _connection() as connection:
        _register_rejects(connection, paths)
        rows: list[dict[str, Any]] = (
            connection.execute(
                f"select * exclude (filename) from rejects where list_contains($ids, reject_id) order by {_PLACE}",
                {"ids": list(ids)},
            )
            .to_arrow_table()
            .to_pylist()
        )
    return rows


def unparsed_values(lake: Path, ids: Sequence[str]) -> dict[str, bytes]:
    """Return the bytes of rejects that could not be read as fields; those that have expired are absent."""
    wanted = RejectFilter(ids=tuple(ids))
    paths = [path for path in _paths(lake, UNPARSED, wanted) if Path(path).exists()]
    if not paths:
        return {}
    with _connection() as connection:
        rows = connection.execute(
            "select reject_id, value from read_parquet($paths, hive_partitioning = false) "
            "where list_contains($ids, reject_id)",
            {"paths": paths, "ids": list(ids)},
        ).fetchall()
    return dict(rows)


@contextmanager
def matched_rejects(lake: Path, wanted: RejectFilter) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection with the table `matched`: the rejects that are meant, without their bytes.

    Raises:
        MisuseError: There is no lake.
        CorruptManifestError: A file that the lake names is not there.
    """
    expect_lake(lake)
    with _connection() as connection:
        for attempt in range(_ATTEMPTS):
            try:
                _match(connection, lake, wanted)
                break
            except duckdb.IOException as gone:
                # Upkeep may replace a file between a look at the manifests and a look at it.
                if attempt == _ATTEMPTS - 1:
                    raise CorruptManifestError(
                        f"expected the rejects that {lake} names, got: {str(gone).splitlines()[0]}"
                    ) from gone
        yield connection


def _match(connection: duckdb.DuckDBPyConnection, lake: Path, wanted: RejectFilter) -> None:
    _register_rejects(connection, _paths(lake, REJECTS, wanted))
    _table(connection, "outcomes", outcomes(lake))
    _table(connection, "topic_formats", _topic_formats())
    condition, parameters = wanted.sql()
    tells = wanted.source is not None or wanted.reporter is not None
    connection.execute(
        f"""
        create or replace temp table matched as

        with described as (

            select
                rejects.* exclude (value, headers),
                coalesce(rejects.format, topic_formats.format, 'native') as read_as,
                decode(list_extract(map_extract(rejects.headers, '{REPLAY_HEADER}'), 1)) as replay_of,
                coalesce(outcomes.state, 'open') as state,
                outcomes.settled_at,
                outcomes.settled_how,
                {_TOLD if tells else "null"} as told

            from rejects

            left join outcomes
                on rejects.reject_id = outcomes.reject_id

            left join topic_formats
                on rejects.topic = topic_formats.topic

        )

        select * exclude (told) from described
        where {condition}
        """,
        parameters,
    )


_TOLD: Final = """
                case
                    when coalesce(rejects.value_format, 'native') = 'native' and json_valid(try(decode(rejects.value)))
                        then try(decode(rejects.value))
                end"""


def _paths(lake: Path, table: str, wanted: RejectFilter) -> list[str]:
    return local_paths(lake, (entry.path for entry in files_in_force(lake, table) if wanted.may_hold(entry)))


def expect_lake(lake: Path) -> None:
    """Raise where there is no lake, so that a mistyped home does not look like one without rejects.

    Raises:
        MisuseError: There is none.
    """
    if not lake.is_dir():
        raise MisuseError(f"expected a lake at {lake}, found none: is this the home? `tollbook meter` makes one")


def files_in_force(lake: Path, table: str) -> list[FileEntry]:
    """Return the files of a table that are in force at the lake's newest commit."""
    snapshot = load_snapshot(lake)
    return [] if snapshot is None else [file.entry for file in snapshot.of(table)]


def _register_rejects(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Make the view `rejects` over files of any version of `rejected_record`; what a file lacks is null."""
    _table(connection, "no_rejects", contract("rejected_record", REJECTED_VERSION).arrow_schema.empty_table())
    if paths:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        connection.execute(
            "create or replace temp view rejects as select * from no_rejects union all by name select * from "
            f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false, filename = true)"
        )
    else:
        connection.execute("create or replace temp view rejects as select *, null::text as filename from no_rejects")


def _table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Make a table of DuckDB's own: over Arrow's it cannot push down every filter that a join makes."""
    connection.register("arrow_rows", rows)
    connection.execute(f"create or replace temp table {name} as select * from arrow_rows")
    connection.unregister("arrow_rows")


def _topic_formats() -> pa.Table:
    """Return the format that a topic's name tells, for rejects that were written without a word of it."""
    topics = ["llm.usage", *(f"llm.usage.{name}" for name in FORMATS)]
    return pa.table({"topic": topics, "format": list(map(format_of_topic, topics))})


@contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
