"""The published live aggregates: one small file that a meter which follows replaces about once a second.

It holds the minutes' sums of what was committed since the published build, so that they can be added to the exact
marts, and of what was committed before it the last hours, so that recent spend is whole. Both are read from the lake
when the meter begins and when another build is published; in between each commit is added. The file appears by rename.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollbook.contracts import contract
from tollbook.lake.layout import USAGE_MINUTE
from tollbook.lake.live_file import built_commit, live_path
from tollbook.lake.log import sync_folder
from tollbook.lake.manifest import METER, commits_after
from tollbook.lake.remote import local_paths
from tollbook.lake.snapshot import LiveFile, load_snapshot
from tollbook.stream.aggregate import KEYS, SUMS, fold

COMMIT_KEY = b"tollbook.commit"
RECENT_HOURS = 6

_PUBLISH_SECONDS = 1.0
_LEAST_REST = 9
"""Times as long as publishing took that pass before it is published again: it takes a tenth of the time at most."""


class LiveUsage:
    """The live aggregates of a lake.

    Args:
        lake: Folder of the lake.
        serve: Folder of the published files.
        clock: Seconds that only go forward.
    """

    def __init__(self, lake: Path, serve: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake, self._serve, self._clock = lake, serve, clock
        self._commit, self._base = 0, -1
        self._since_build = self._before = _no_minutes()
        self._due = float("-inf")
        self._published: int | None = None

    def publish(self, commit: int, *, now: datetime, at_once: bool = False) -> bool:
        """Publish what is committed up to `commit`, unless that was done lately; return whether it was.

        Args:
            commit: Newest commit.
            now: The present, UTC.
            at_once: Publish even if the last time is short ago, as before an end.
        """
        base = built_commit(self._serve)
        if (commit == self._published and base == self._base) or (not at_once and self._clock() < self._due):
            return False
        begun = self._clock()
        recent = now - timedelta(hours=RECENT_HOURS)
        if base != self._base or commit < self._commit:
            self._load(base, commit, recent)
        else:
            self._add(commit)
        self._forget(recent)
        self._write(commit)
        self._published = commit
        took = self._clock() - begun
        self._due = begun + max(_PUBLISH_SECONDS, (1 + _LEAST_REST) * took)
        return True

    def _load(self, base: int, commit: int, recent: datetime) -> None:
        """Read the sums of the lake anew, as they are after `commit` beside a build of `base`."""
        snapshot = load_snapshot(self._lake, commit or None)
        files = snapshot.of(USAGE_MINUTE) if snapshot is not None else []
        since_build = [file for file in files if file.newest_rows > base]
        # Of a file whose rows are of commits before the build and after it nobody can tell which are which.
        if any((file.entry.first_commit or file.commit) <= base for file in since_build):
            since_build = []
        first_date = recent.date().isoformat()
        before = [file for file in files if file.newest_rows <= base and file.entry.event_date >= first_date]
        self._since_build, self._before = self._sum(since_build), self._sum(before)
        self._base, self._commit = base, commit

    def _add(self, commit: int) -> None:
        """Add the commits after the newest that is held."""
        batches = [self._since_build]
        for manifest in commits_after(self._lake, self._commit):
            if manifest.commit > commit:
                break
            if manifest.kind == METER:
                added = (entry.path for entry in manifest.files if entry.table == USAGE_MINUTE)
                paths = local_paths(self._lake, added)
                batches += [_minutes(pq.read_table(path, partitioning=None)) for path in paths]
        self._since_build, self._commit = fold(batches) if len(batches) > 1 else batches[0], commit

    def _forget(self, recent: datetime) -> None:
        """Leave out what is old: before the build altogether, since the build by the minute."""
        bound = pa.scalar(recent, pa.timestamp("us", "UTC"))
        if self._before.num_rows:
            self._before = self._before.filter(pc.greater_equal(self._before["event_minute"], bound))
        minutes = self._since_build["event_minute"]
        hours = pc.floor_temporal(minutes, unit="hour")
        old = pc.and_(pc.less(minutes, bound), pc.not_equal(minutes, hours))
        if pc.any(old).as_py():
            coarse = pc.if_else(old, hours, minutes)
            place = self._since_build.schema.get_field_index("event_minute")
            self._since_build = fold([self._since_build.set_column(place, "event_minute", coarse)])

    def _sum(self, files: Iterable[LiveFile]) -> pa.RecordBatch:
        paths = local_paths(self._lake, (file.entry.path for file in files))
        if not paths:
            return _no_minutes()
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return _minutes(connection.execute(_SUM_SQL, [paths]).to_arrow_table())

    def _write(self, commit: int) -> None:
        schema = contract("live_usage").arrow_schema
        parts = []
        for rows, is_since_build in ((self._since_build, True), (self._before, False)):
            columns = {name: rows[name] for name in rows.schema.names}
            columns["base_commit"] = pa.repeat(pa.scalar(self._base, pa.int64()), rows.num_rows)
            columns["is_since_build"] = pa.repeat(is_since_build, rows.num_rows)
            parts.append(pa.table({name: columns[name] for name in schema.names}, schema=schema))
        path = live_path(self._serve)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        table = pa.concat_tables(parts).replace_schema_metadata({COMMIT_KEY: str(commit)})
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", compression_level=1, store_decimal_as_integer=True)
        temporary.replace(path)
        sync_folder(path.parent)


def _no_minutes() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=contract("usage_minute").arrow_schema)


def _minutes(table: pa.Table) -> pa.RecordBatch:
    """Return rows of `usage_minute/v1` as one batch."""
    schema = contract("usage_minute").arrow_schema
    table = table.select(schema.names).cast(schema)
    return pa.RecordBatch.from_arrays([table[name].combine_chunks() for name in schema.names], schema=schema)


_TYPES = {"list_cost": "decimal(38, 12)"}
_SUM_SQL = f"""
select {", ".join(KEYS)}, {", ".join(f"cast(sum({n}) as {_TYPES.get(n, 'bigint')}) as {n}" for n in SUMS)}
from read_parquet(?, hive_partitioning = false)
group by all
"""
