"""Merging: one sorted, well-compressed file made of several, and the proof that it holds what they held.

Rows pass through in batches, are sorted on disk where they do not fit memory, and are at most so many in one file.
What was written is read again and held against its sources: rows, tokens, pico-USD, and a checksum over every column.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.contracts import contract
from tollbook.errors import CorruptManifestError, UpkeepError
from tollbook.lake.encoding import compact_options
from tollbook.lake.layout import REJECTS, USAGE, USAGE_MINUTE
from tollbook.lake.manifest import FileEntry
from tollbook.lake.parquet import parquet_writer
from tollbook.lake.snapshot import LiveFile

USAGE_VERSION: Final = 2
"""Version of `usage_record` that merged files have: each row bears its commit."""

MERGED_TABLES: Final = (USAGE, USAGE_MINUTE, REJECTS)
"""Tables whose files are merged. Bytes that could not be read are deleted after some days, so they are not."""

MOST_ROWS: Final = 524_288
"""Rows in a merged file at most, so that to sort it takes no more memory, however large a date is."""

_MEMORY_LIMIT: Final = "768MB"
_SPILL: Final = ".upkeep-"
_BATCH_ROWS: Final = 65_536
_REJECT_ROWS: Final = 512
_GROUP_ROWS: Final = 131_072
_GROUP_BYTES: Final = 128 * 1024 * 1024
_PICO_DIGITS: Final = 12
_EXACT: Final = Context(prec=60)
_SORTED_BY: Final = ("provider", "model", "service_tier", "list_cost", "occurred_at", "offset", "record_item")
"""Order of usage rows: of calls of one price both costs and all counts that make them are small differences."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What rows of usage add up to.

    Attributes:
        rows: Rows.
        input_tokens: Unit: Tokens.
        output_tokens: Unit: Tokens.
        list_cost_pico_usd: Over priced rows. Unit: pico-USD.
        contracted_cost_pico_usd: Over priced rows. Unit: pico-USD.
        unpriced_events: Rows without a price, voids left out.
        stream_repeats: Rows that the stream took for repeats.
        first_commit: First commit that rows came with.
        last_commit: Last commit that rows came with.
        checksum: Sum of a hash of every column of each row, whatever their order.
    """

    rows: int
    input_tokens: int
    output_tokens: int
    list_cost_pico_usd: int
    contracted_cost_pico_usd: int
    unpriced_events: int
    stream_repeats: int
    first_commit: int
    last_commit: int
    checksum: int


class Merger:
    """Makes files of the lake of others. Not for many threads at once."""

    def __init__(self, lake: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._lake, self._connection = lake, connection

    def merge(self, files: Sequence[LiveFile], path: str) -> FileEntry:
        """Write the rows of `files`, all of one table, to `path` and return its entry.

        Args:
            files: Files in force. Usage and rejects are of one partition and date each, minutes of one date. Either all
                or none tell of their live sums.
            path: Path of the new file below the lake's folder.

        Raises:
            UpkeepError: The new file does not hold what they held, or memory did not suffice to make it.
            CorruptManifestError: One of them is absent or cannot be read.
        """
        table = files[0].entry.table
        try:
            if table == USAGE:
                return self.rewrite_usage(files, path)
            return self._merge_minutes(files, path) if table == USAGE_MINUTE else self._merge_rejects(files, path)
        except duckdb.OutOfMemoryException as full:
            raise UpkeepError(f"expected {_MEMORY_LIMIT} of memory and the disk to do to make {path}: {full}") from full
        except (duckdb.IOException, duckdb.InvalidInputException, FileNotFoundError, pa.ArrowInvalid) as broken:
            named = ", ".join(file.entry.path for file in files[:3])
            raise CorruptManifestError(
                f"expected the files that the lake names, such as {named}, got: {str(broken).splitlines()[0]}"
            ) from broken

    def rewrite_usage(
        self, files: Sequence[LiveFile], path: str, *, columns: Mapping[str, str] | None = None
    ) -> FileEntry:
        """Write usage rows to `path`, sorted, each with its commit, and return its entry.

        Args:
            files: Files in force of one partition and date.
            path: Path of the new file.
            columns: SQL that takes a column's place, by name, over `usage`. Places, tokens, costs and commits stay.

        Raises:
            UpkeepError: The new file does not hold what they held.
        """
        schema = contract("usage_record", USAGE_VERSION).arrow_schema
        rows = self.usage_rows(files, columns=columns)
        ordered = f"{rows} order by {', '.join(_quoted(name) for name in _SORTED_BY)}"
        reader = self._connection.execute(ordered).to_arrow_reader(_BATCH_ROWS)
        write_rows(self._lake, path, schema, reader)
        before = self.facts(rows)
        new = _reader([str(self._lake / path)])
        after = self.facts(f"select {_names(schema)} from {new}")
        told = {name: sum(getattr(file.entry, name) for file in files) for name in _TOLD}
        found = {name: getattr(after, name) for name in _TOLD}
        if before != after or told != found:
            raise UpkeepError(f"expected {path} to hold {before} as its sources do, told as {told}, got {after}")
        ((newest_event,),) = self._connection.execute(f"select max(occurred_at) from {new}").fetchall()
        return self._entry(
            files,
            path,
            newest_event_at=newest_event.astimezone(UTC),
            schema_version=USAGE_VERSION,
            **_but_checksum(after),
        )

    def usage_rows(self, files: Sequence[LiveFile], *, columns: Mapping[str, str] | None = None) -> str:
        """Return SQL for the rows of usage files of any version as those of the newest, each with its commit."""
        paths = [str(self._lake / file.entry.path) for file in files]
        commits = {path: file.newest_rows for path, file in zip(paths, files, strict=True)}
        self._connection.register(
            "merged", pa.table({"filename": list(commits), "file_commit": pa.array(commits.values(), pa.int64())})
        )
        held = {"commit_number": "coalesce(usage.commit_number, merged.file_commit)"} | dict(columns or {})
        schema = contract("usage_record", USAGE_VERSION).arrow_schema
        self._connection.register("no_usage", schema.empty_table())
        chosen = ", ".join(f"{held.get(name, f'usage.{_quoted(name)}')} as {_quoted(name)}" for name in schema.names)
        return (
            f"select {chosen} from (select * from no_usage union all by name select * from {_reader(paths)}) as usage "
            "inner join merged on usage.filename = merged.filename"
        )

    def facts(self, rows: str) -> Facts:
        """Return what rows of `usage_record` add up to."""
        names = _names(contract("usage_record", USAGE_VERSION).arrow_schema)
        (row,) = self._connection.execute(f"{_FACTS} coalesce(sum(hash({names})::hugeint), 0) from ({rows})").fetchall()
        return Facts(*(_pico(each) if isinstance(each, Decimal) else int(each) for each in row))

    def _merge_minutes(self, files: Sequence[LiveFile], path: str) -> FileEntry:
        schema = contract("usage_minute").arrow_schema
        sums = [each.name for each in schema if pa.types.is_integer(each.type) or pa.types.is_decimal(each.type)]
        keys = [each.name for each in schema if each.name not in sums]
        added = ", ".join(
            f"cast(sum({name}) as {'decimal(38, 12)' if name.endswith('_cost') else 'bigint'}) as {name}"
            for name in sums
        )
        sources = _reader([str(self._lake / file.entry.path) for file in files])
        rows = f"select {', '.join(keys)}, {added} from {sources} group by all order by all"
        write_rows(self._lake, path, schema, self._connection.execute(rows).to_arrow_reader(_BATCH_ROWS))
        whole = "select " + ", ".join(f"sum({name})" for name in sums)
        before = self._connection.execute(f"{whole} from {sources}").fetchall()
        after = self._connection.execute(f"{whole} from {_reader([str(self._lake / path)])}").fetchall()
        if before != after:
            raise UpkeepError(f"expected {path} to add up to {before} as its sources do, got {after}")
        return self._entry(files, path, newest_event_at=None, **_commits(files), rows=_rows(self._lake / path))

    def _merge_rejects(self, files: Sequence[LiveFile], path: str) -> FileEntry:
        version = files[0].entry.schema_version
        schema = contract("rejected_record", version).arrow_schema
        ordered = sorted(files, key=lambda file: (file.entry.first_offset or 0, file.entry.path))
        write_rows(self._lake, path, schema, _batches([self._lake / file.entry.path for file in ordered]))
        checked = f"select count(*), coalesce(sum(hash({_names(schema)})::hugeint), 0) from "
        before = self._connection.execute(checked + _reader([str(self._lake / f.entry.path) for f in files])).fetchall()
        after = self._connection.execute(checked + _reader([str(self._lake / path)])).fetchall()
        if before != after or before[0][0] != sum(file.entry.rows for file in files):
            raise UpkeepError(f"expected {path} to hold the rejects of its sources, {before}, got {after}")
        return self._entry(
            files, path, newest_event_at=None, **_commits(files), schema_version=version, rows=before[0][0]
        )

    def _entry(
        self, files: Sequence[LiveFile], path: str, *, newest_event_at: datetime | None, **facts: int
    ) -> FileEntry:
        entry = files[0].entry
        lives = [file.entry.live for file in files if file.entry.live is not None]
        firsts = [file.entry.first_offset for file in files if file.entry.first_offset is not None]
        nexts = [file.entry.next_offset for file in files if file.entry.next_offset is not None]
        return FileEntry(
            table=entry.table,
            path=path,
            event_date=entry.event_date,
            bytes=(self._lake / path).stat().st_size,
            topic=entry.topic,
            partition=entry.partition,
            first_offset=min(firsts, default=None),
            next_offset=max(nexts, default=None),
            live=sum(lives[1:], lives[0]) if lives else None,
            newest_event_at=newest_event_at,
            **facts,
        )


def portions(files: Iterable[LiveFile]) -> Iterator[list[LiveFile]]:
    """Yield files, in the order of their commits, as many together as make one file."""
    portion: list[LiveFile] = []
    rows = 0
    for file in sorted(files, key=lambda each: (each.commit, each.entry.path)):
        if portion and rows + file.entry.rows > MOST_ROWS:
            yield portion
            portion, rows = [], 0
        portion.append(file)
        rows += file.entry.rows
    if portion:
        yield portion


@contextmanager
def merger(lake: Path) -> Iterator[Merger]:
    """Open what merges files of a lake, with bounded memory; the caller holds the lock of upkeep.

    What does not fit memory spills to a folder in the lake's own, on the disk that has room for the outcome too.
    """
    for leftover in lake.glob(f"{_SPILL}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_SPILL, dir=lake) as spill:
        config: dict[str, Any] = {"memory_limit": _MEMORY_LIMIT, "temp_directory": spill, "threads": 2}
        with duckdb.connect(config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set preserve_insertion_order = false")
            yield Merger(lake, connection)


def write_rows(lake: Path, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write batches to a file in row groups of bounded size, encoded for what the first of them holds."""
    groups = _row_groups(batches, schema)
    first = next(groups, schema.empty_table())
    with parquet_writer(lake, path, schema, compact_options(first)) as writer:
        writer.write_table(first)
        for group in groups:
            writer.write_table(group)


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield _as(schema, held)
            held, rows, size = [], 0, 0
    if rows:
        yield _as(schema, held)


def _as(schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).select(schema.names).cast(schema)


def _batches(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_REJECT_ROWS)


def _commits(files: Sequence[LiveFile]) -> dict[str, int]:
    firsts = (file.commit if file.entry.first_commit is None else file.entry.first_commit for file in files)
    return {"first_commit": min(firsts), "last_commit": max(file.newest_rows for file in files)}


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _but_checksum(facts: Facts) -> dict[str, int]:
    return {each.name: getattr(facts, each.name) for each in fields(facts) if each.name != "checksum"}


def _names(schema: pa.Schema) -> str:
    return ", ".join(map(_quoted, schema.names))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _reader(paths: Sequence[str]) -> str:
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false, filename = true)"


def _pico(cost: Decimal) -> int:
    return int(cost.scaleb(_PICO_DIGITS, _EXACT))


_TOLD: Final = tuple(
    each.name for each in fields(Facts) if each.name not in {"first_commit", "last_commit", "checksum"}
)
_FACTS: Final = """
    select
        count(*),
        coalesce(sum(input_tokens), 0),
        coalesce(sum(output_tokens), 0),
        cast(coalesce(sum(list_cost), 0) as decimal(38, 12)),
        cast(coalesce(sum(contracted_cost), 0) as decimal(38, 12)),
        count(*) filter (cost_basis = 'unpriced'),
        count(*) filter (stream_repeat),
        coalesce(min(commit_number), 0),
        coalesce(max(commit_number), 0),
"""
