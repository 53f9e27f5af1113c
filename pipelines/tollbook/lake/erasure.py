"""Erasure: a person is taken out of every file of the lake, and every total stays as it was.

A call of the person stays a call, with its tokens, costs, owner, workflow and task; what says whose it was becomes
null. Files that held the person are written anew, one commit puts the new ones in their place, and the old ones are
deleted at once, those too that were kept for reading the past. Each step finds by itself what is left to do, so a run
that was killed is ended by running it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.errors import LakeLockedError
from tollbook.lake.compaction import replace_files
from tollbook.lake.delta import clean_delta, sync_delta
from tollbook.lake.erasures import record_erasure
from tollbook.lake.layout import REJECTS, UNPARSED, USAGE, data_path, sweep_orphans, upkeep_name
from tollbook.lake.lock import upkeep_lock, writer_lock
from tollbook.lake.log import sync_folders
from tollbook.lake.manifest import ERASURE, FileEntry, newest_commit
from tollbook.lake.merge import Merger, merger, portions, write_rows
from tollbook.lake.person import Person
from tollbook.lake.remote import delete_files, fetch, held_files, pull
from tollbook.lake.snapshot import LiveFile, Snapshot, load_snapshot
from tollbook.lake.store_sweep import sweep_store_of_meters, sweep_store_of_upkeep

_ROUNDS: Final = 5
"""How often files are looked at anew, since a meter may commit calls of the person meanwhile."""

_FILES_AT_ONCE: Final = 256
_BATCH_ROWS: Final = 512


@dataclass(slots=True)
class Erased:
    """What an erasure found and did.

    Attributes:
        lake_commit: Newest commit that it made, 0 when no file in force held the person.
        usage_rows: Rows of usage that named the person.
        reject_rows: Rejects whose kept bytes did.
        unparsed_rows: Records that could not be read whose bytes did.
        rewritten_files: Files in force that were made anew.
        deleted_files: Files that were deleted, those kept for the past included.
        dry_run: Whether nothing was to be written.
    """

    lake_commit: int = 0
    usage_rows: int = 0
    reject_rows: int = 0
    unparsed_rows: int = 0
    rewritten_files: int = 0
    deleted_files: int = 0
    dry_run: bool = False


@dataclass(slots=True)
class _Found:
    """Files that name the person."""

    rows: dict[str, int] = field(default_factory=dict)
    files: list[LiveFile] = field(default_factory=list)

    def count(self, table: str) -> int:
        return sum(self.rows[file.entry.path] for file in self.files if file.entry.table == table)


def erase(
    lake: Path,
    person: Person,
    *,
    reason: str,
    clock: Callable[[], datetime],
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda _message: None,
) -> Erased:
    """Take a person out of the files of the lake. Doing it again does what is left, or nothing.

    Args:
        lake: Folder of the lake.
        person: Who.
        reason: Why, kept with the erasure; it must not name the person.
        clock: The present.
        dry_run: Look and write nothing.
        tell: Hears what happens.

    Raises:
        LakeLockedError: Other upkeep is at work.
        UpkeepError: A new file does not hold what the old one held; nothing was committed.
        CorruptManifestError: Manifests or files that they name are missing.
        LakeWriteError: The disk is full or read-only.
    """
    pull(lake)
    if dry_run:
        found = _search(lake, load_snapshot(lake), person)
        return _outcome(Erased(dry_run=True), found)
    with upkeep_lock(lake, wait=True):
        _sweep(lake, clock)
        done = Erased()
        for _ in range(_ROUNDS):
            snapshot = load_snapshot(lake)
            found = _search(lake, snapshot, person)
            if snapshot is None or not found.files:
                break
            _outcome(done, found)
            entries = _write_anew(lake, found.files, person)
            done.lake_commit = replace_files(
                lake,
                kind=ERASURE,
                replaced=found.files,
                files=entries,
                clock=clock,
                planned_on=snapshot.manifest.commit,
                reason=reason,
            )
            tell(f"commit {done.lake_commit}: {len(found.files)} files are made anew")
        deleted = _held_by_the_past(lake, person)
        if deleted or done.lake_commit:
            record_erasure(
                lake,
                principal=person.principal_id,
                lake_commit=done.lake_commit or newest_commit(lake),
                erased_at=clock(),
                reason=reason,
                usage_rows=done.usage_rows,
                reject_rows=done.reject_rows + done.unparsed_rows,
                deleted=deleted,
            )
        delete_files(lake, deleted)
        done.deleted_files = len(deleted)
        sync_delta(lake)
        clean_delta(lake, keep_hours=0)
    return done


def _outcome(done: Erased, found: _Found) -> Erased:
    done.usage_rows += found.count(USAGE)
    done.reject_rows += found.count(REJECTS)
    done.unparsed_rows += found.count(UNPARSED)
    done.rewritten_files += len(found.files)
    return done


def _sweep(lake: Path, clock: Callable[[], datetime]) -> None:
    """Delete what writers that died left behind: no commit names it, so nothing else would find the person there."""
    sweep_orphans(lake, of_upkeep=True)
    sweep_store_of_upkeep(lake, clock=clock, writer="erasure")
    with suppress(LakeLockedError), writer_lock(lake):
        sweep_orphans(lake)
    sweep_store_of_meters(lake)


def _search(lake: Path, snapshot: Snapshot | None, person: Person) -> _Found:
    found = _Found()
    if snapshot is None:
        return found
    by_path = {file.entry.path: file for file in snapshot.files if file.entry.table in {USAGE, REJECTS, UNPARSED}}
    fetch(lake, {path: file.entry.bytes for path, file in by_path.items()})
    present = [path for path, file in by_path.items() if file.entry.table != UNPARSED or (lake / path).exists()]
    found.rows = _rows_naming(lake, present, person)
    found.files = [by_path[path] for path in found.rows]
    return found


def _held_by_the_past(lake: Path, person: Person) -> list[str]:
    """Return the replaced files that still lie there and name the person."""
    snapshot = load_snapshot(lake)
    retired = list(held_files(lake, [file.path for file in snapshot.retired])) if snapshot is not None else []
    fetch(lake, dict.fromkeys(retired))
    return sorted(_rows_naming(lake, retired, person))


def _rows_naming(lake: Path, paths: Sequence[str], person: Person) -> dict[str, int]:
    """Return which files name the person, and in how many rows."""
    usage = [path for path in paths if path.startswith(f"{USAGE}/")]
    rows: dict[str, int] = {}
    for start in range(0, len(usage), _FILES_AT_ONCE):
        rows |= _usage_naming(lake, usage[start : start + _FILES_AT_ONCE], person)
    for path in paths:
        if path.startswith((f"{REJECTS}/", f"{UNPARSED}/")):
            naming = sum(sum(person.is_in_row(row) for row in batch) for batch in _row_batches(lake / path))
            if naming:
                rows[path] = naming
    return rows


def _usage_naming(lake: Path, paths: Sequence[str], person: Person) -> dict[str, int]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select filename, count(*) from read_parquet($paths, union_by_name = true, hive_partitioning = false, "
            f"filename = true) as usage where {person.condition()} group by filename",
            {"paths": [str(lake / path) for path in paths]},
        ).fetchall()
    return {Path(path).relative_to(lake).as_posix(): count for path, count in rows}


def _write_anew(lake: Path, files: Sequence[LiveFile], person: Person) -> list[FileEntry]:
    """Write the files without the person and return their entries; usage of one partition and date becomes one."""
    usage: dict[tuple[Any, ...], list[LiveFile]] = defaultdict(list)
    for file in files:
        if file.entry.table == USAGE:
            entry = file.entry
            usage[entry.event_date, entry.topic, entry.partition, entry.live is None].append(file)
    base = newest_commit(lake)
    entries: list[FileEntry] = []
    with merger(lake) as merging:
        for group in (portion for members in usage.values() for portion in portions(members)):
            entries.append(_usage_anew(merging, group, base, len(entries), person))
    for file in files:
        if file.entry.table != USAGE:
            path = data_path(file.entry.table, file.entry.event_date, upkeep_name(base, len(entries)))
            entries += _rejects_anew(lake, file, path, person)
    sync_folders((entry.path for entry in entries), lake)
    return entries


def _usage_anew(merging: Merger, group: list[LiveFile], base: int, number: int, person: Person) -> FileEntry:
    path = data_path(USAGE, group[0].entry.event_date, upkeep_name(base, number))
    return merging.rewrite_usage(group, path, columns=person.columns())


def _rejects_anew(lake: Path, file: LiveFile, path: str, person: Person) -> Iterator[FileEntry]:
    """Write rejects without the bytes that name the person, or unparsed records without those that do."""
    source = lake / file.entry.path
    schema = pq.read_schema(source)
    is_unparsed = file.entry.table == UNPARSED

    def batches() -> Iterator[pa.RecordBatch]:
        for rows in _row_batches(source):
            if is_unparsed:
                rows = [row for row in rows if not person.is_in_row(row)]
            else:
                rows = [person.erased_reject(row) if person.is_in_row(row) else row for row in rows]
            if rows:
                yield pa.RecordBatch.from_pylist(rows, schema=schema)

    kept = file.entry.rows - (sum(person.is_in_row(row) for rows in _row_batches(source) for row in rows)) * is_unparsed
    if kept:
        write_rows(lake, path, schema, batches())
        yield msgspec.structs.replace(
            file.entry,
            path=path,
            rows=kept,
            bytes=(lake / path).stat().st_size,
            first_commit=file.commit if file.entry.first_commit is None else file.entry.first_commit,
            last_commit=file.newest_rows,
        )


def _row_batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            yield batch.to_pylist()
