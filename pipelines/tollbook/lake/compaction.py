"""Compaction: the many small files of hours that are over become few, sorted and well-compressed ones.

Usage becomes a file for each partition and event date, rejects one for each partition and ingest date, minutes one for
each event date; of very many rows several. The new files are written and held against the old ones; then one commit
names the new and replaces the old, so a reader sees the one or the other. What was replaced stays until nobody can ask
for a commit that has it (`tollbook.lake.expiry`). A meter may commit meanwhile: what a compaction replaces is in force
until then, as only the holder of the lock of upkeep replaces anything.
"""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tollbook.errors import CommitConflictError, CorruptManifestError, LakeLockedError
from tollbook.lake.delta import sync_delta
from tollbook.lake.layout import USAGE, USAGE_MINUTE, data_path, is_upkeep_file, sweep_orphans, upkeep_name
from tollbook.lake.lock import upkeep_lock
from tollbook.lake.log import sync_folders
from tollbook.lake.manifest import (
    COMPACTION,
    ERASURE,
    FileEntry,
    commit,
    newest,
    newest_commit,
    next_commit,
    read_commit,
)
from tollbook.lake.merge import MERGED_TABLES, MOST_ROWS, USAGE_VERSION, merger, portions
from tollbook.lake.remote import fetch, pull
from tollbook.lake.snapshot import LiveFile, Snapshot, commit_at, load_snapshot
from tollbook.lake.steps import reached
from tollbook.lake.store_sweep import sweep_store_of_upkeep
from tollbook.lake.working_copy import remote_of

CLOSED_AFTER: Final = timedelta(hours=1)
"""How long ago a commit must be made for its files to be compacted: an hour that is over gets no more files."""

_GROWTH: Final = 2
"""A merged file is merged again when what comes to it is at least this part of it, so that a row is seldom moved."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that become one.

    Attributes:
        table: Their table.
        date: Value of their date partition.
        files: The files, by commit.
    """

    table: str
    date: str
    files: tuple[LiveFile, ...]

    @property
    def bytes(self) -> int:
        """Their size together. Unit: Bytes."""
        return sum(file.entry.bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Their rows together."""
        return sum(file.entry.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did, or would do.

    Attributes:
        closed_commit: Newest commit whose files were closed, 0 for none.
        commits: Commits it made.
        dates: Dates of which files were made anew.
        files_before: Files that were replaced.
        files_after: Files that took their place.
        rows: Rows in the replaced files.
        bytes_before: Size of the replaced files. Unit: Bytes.
        bytes_after: Size of those that took their place; None for a dry run. Unit: Bytes.
        dry_run: Whether nothing was to be written.
    """

    closed_commit: int
    commits: int
    dates: int
    files_before: int
    files_after: int
    rows: int
    bytes_before: int
    bytes_after: int | None
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def compact(
    lake: Path,
    *,
    until: datetime,
    clock: Callable[[], datetime],
    built_commit: int = 0,
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda _message: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Compacted:
    """Compact the files of commits made up to `until`, a commit for each date. A kill at any moment loses nothing.

    Args:
        lake: Folder of the lake.
        until: Files of later commits are left as they are, UTC.
        clock: The present.
        built_commit: Newest commit that the published marts hold: minutes from before it and after it are not mixed,
            as live figures add those after it to the marts.
        dry_run: Write nothing.
        tell: Hears what happens.
        should_stop: Asked between dates; what was committed stays.

    Raises:
        LakeLockedError: Other upkeep is at work, on this machine or, by an object store, on another.
        UpkeepError: A new file does not hold what those before held; nothing of its date was committed.
        CorruptManifestError: Manifests or files that they name are missing.
        LakeWriteError: The disk is full or read-only; nothing of that date was committed.
    """
    pull(lake)
    if dry_run:
        return _planned(load_snapshot(lake), commit_at(lake, until), built_commit)
    with upkeep_lock(lake):
        swept = sweep_orphans(lake, of_upkeep=True)
        for path in (*swept, *sweep_store_of_upkeep(lake, clock=clock, writer=_writer())):
            tell(f"swept {path}, which upkeep that died left behind")
        sync_delta(lake)  # what a kill after a commit left to do
        snapshot, closed = load_snapshot(lake), commit_at(lake, until)
        groups = plan(snapshot, closed_commit=closed, built_commit=built_commit)
        planned_on = snapshot.manifest.commit if snapshot is not None else 0
        done: list[tuple[Group, FileEntry]] = []
        commits = 0
        for date, members in groupby(groups, lambda group: group.date):
            if should_stop():
                break
            chosen = list(members)
            entries = _merge(lake, chosen)
            replaced = [file for each in chosen for file in each.files]
            number = planned_on = replace_files(
                lake, kind=COMPACTION, replaced=replaced, files=entries, clock=clock, planned_on=planned_on
            )
            reached("compaction_made")
            sync_delta(lake)
            commits += 1
            done += zip(chosen, entries, strict=True)
            files, rows = sum(len(each.files) for each in chosen), sum(each.rows for each in chosen)
            tell(f"commit {number}: {date}, {files} files of {rows:,} rows are {len(entries)} now")
    return _outcome(closed, commits, done)


def plan(snapshot: Snapshot | None, *, closed_commit: int, built_commit: int = 0) -> list[Group]:
    """Return which files become one, by date.

    Args:
        snapshot: The lake; None for one without commits.
        closed_commit: Newest commit whose files are compacted.
        built_commit: Minutes from before it and after it are not mixed.
    """
    groups: dict[tuple[Any, ...], list[LiveFile]] = defaultdict(list)
    for file in snapshot.files if snapshot is not None else ():
        entry = file.entry
        is_known = entry.table != USAGE or entry.schema_version <= USAGE_VERSION
        if entry.table in MERGED_TABLES and is_known and file.commit <= closed_commit:
            key: tuple[Any, ...] = (entry.event_date, entry.table, entry.topic, entry.partition)
            if entry.table == USAGE_MINUTE:
                key = (*key, file.newest_rows <= built_commit)
            else:
                # Of two versions of rejects neither can be told as the other, nor live sums where only some are known.
                key = (*key, entry.live is None if entry.table == USAGE else entry.schema_version)
            groups[key].append(file)
    due = [
        Group(key[1], key[0], tuple(portion))
        for key, files in groups.items()
        for portion in portions(_due(files))
        # One file of usage alone is worth it for its compression; of the small tables it is not.
        if len(portion) > 1 or (key[1] == USAGE and not is_upkeep_file(portion[0].entry.path))
    ]
    return sorted(due, key=lambda group: (group.date, group.table, group.files[0].entry.path))


def replace_files(
    lake: Path,
    *,
    kind: str,
    replaced: Sequence[LiveFile],
    files: Sequence[FileEntry],
    clock: Callable[[], datetime],
    planned_on: int,
    reason: str = "",
) -> int:
    """Commit files in the place of others and return the commit's number; the caller holds the lock of upkeep.

    Args:
        lake: Folder of the lake.
        kind: Kind of the commit.
        replaced: Files in force that are replaced.
        files: Those that take their place.
        clock: The present.
        planned_on: Commit at which the replaced files were in force. Upkeep made since then was another machine's,
            which no lock keeps apart from this one: it may have replaced the same files.
        reason: Why.

    Raises:
        LakeLockedError: Other upkeep committed since `planned_on`; nothing was committed.
        CorruptManifestError: The lake has no commits.
        LakeWriteError: The disk is full or read-only; nothing was committed.
    """
    removed = [file.entry.path for file in replaced]
    while True:
        before = newest(lake)
        if before is None:
            raise CorruptManifestError(f"expected a lake with commits at {lake}, found none")
        for number in range(planned_on + 1, before.commit + 1) if remote_of(lake) is not None else ():
            if (other := read_commit(lake, number)).kind in {COMPACTION, ERASURE}:
                raise LakeLockedError(
                    f"expected to be the only one to compact or erase in {lake}, but commit {number} of {other.writer} "
                    "did so meanwhile: nothing was committed; run it again"
                )
        planned_on = before.commit
        manifest = next_commit(
            before, kind=kind, writer=_writer(), now=clock(), files=list(files), removed=removed, reason=reason
        )
        try:
            commit(lake, manifest)
        except CommitConflictError:
            if newest_commit(lake) == before.commit:
                raise
        else:
            return manifest.commit


def _due(files: list[LiveFile]) -> list[LiveFile]:
    """Return those of a group that are worth making anew: what is new, and merged files that are not much larger."""
    chosen = [file for file in files if not is_upkeep_file(file.entry.path)]
    if not chosen:
        return []
    rows = sum(file.entry.rows for file in chosen)
    merged = (file for file in files if is_upkeep_file(file.entry.path))
    for file in sorted(merged, key=lambda each: each.entry.rows):
        if file.entry.rows <= _GROWTH * rows and file.entry.rows + rows <= MOST_ROWS:
            chosen.append(file)
            rows += file.entry.rows
    return chosen


def _writer() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _merge(lake: Path, groups: Sequence[Group]) -> list[FileEntry]:
    fetch(lake, {file.entry.path: file.entry.bytes for group in groups for file in group.files})
    base = newest_commit(lake)
    entries = []
    with merger(lake) as merging:
        for number, group in enumerate(groups):
            path = data_path(group.table, group.date, upkeep_name(base, number))
            entries.append(merging.merge(group.files, path))
    sync_folders((entry.path for entry in entries), lake)
    reached("compaction_written")
    return entries


def _planned(snapshot: Snapshot | None, closed: int, built_commit: int) -> Compacted:
    groups = plan(snapshot, closed_commit=closed, built_commit=built_commit)
    return _summary(closed, 0, groups, bytes_after=None)


def _outcome(closed: int, commits: int, done: Sequence[tuple[Group, FileEntry]]) -> Compacted:
    return _summary(closed, commits, [group for group, _ in done], bytes_after=sum(entry.bytes for _, entry in done))


def _summary(closed: int, commits: int, groups: Iterable[Group], *, bytes_after: int | None) -> Compacted:
    each = list(groups)
    return Compacted(
        closed_commit=closed,
        commits=commits,
        dates=len({group.date for group in each}),
        files_before=sum(len(group.files) for group in each),
        files_after=len(each),
        rows=sum(group.rows for group in each),
        bytes_before=sum(group.bytes for group in each),
        bytes_after=bytes_after,
        dry_run=bytes_after is None,
    )
