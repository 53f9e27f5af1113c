"""An overview of the lake: what it holds, how far back it can be read, and what upkeep has left to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tollbook.lake.compaction import CLOSED_AFTER, plan
from tollbook.lake.delta import committed_lake_commit
from tollbook.lake.layout import DATE_KEY, is_upkeep_file, unnamed_files
from tollbook.lake.log import entry_numbers
from tollbook.lake.manifest import COMMITS, oldest_commit
from tollbook.lake.remote import held_files
from tollbook.lake.snapshot import LiveFile, Snapshot, checkpoint_numbers, commit_at, committed_at, load_snapshot

SMALL_BYTES: Final = 8 * 1024 * 1024
"""A file below this size is small: reading it costs more for its name than for its rows. Unit: Bytes."""


@dataclass(frozen=True, slots=True)
class TableState:
    """The files in force of one table.

    Attributes:
        table: Its name.
        files: Files.
        small_files: Files below `SMALL_BYTES` that no compaction made.
        rows: Rows.
        bytes: Their size. Unit: Bytes.
        dates: Dates that have files.
    """

    table: str
    files: int
    small_files: int
    rows: int
    bytes: int
    dates: int


@dataclass(frozen=True, slots=True)
class LakeState:
    """What a lake is made of.

    Attributes:
        commit: Newest commit.
        committed_at: When it was made, UTC.
        epoch: Epoch of the newest meter.
        kept_commits: Manifests that are kept.
        checkpoints: Checkpoints that are kept.
        oldest_commit: Oldest commit that can be read.
        oldest_at: When that was made, UTC.
        tables: State of each table.
        retired_files: Files that were replaced and are kept for those who read the past.
        retired_bytes: Their size. Unit: Bytes.
        unnamed_files: Files that no commit names: on their way to one while a meter runs, else left behind by a writer
            that died, which the next one sweeps.
        due_files: Files that a compaction now would make anew.
        due_bytes: Their size. Unit: Bytes.
        delta_commit: Newest commit that changed the Delta table, None where there is none.
    """

    commit: int
    committed_at: datetime
    epoch: int
    kept_commits: int
    checkpoints: int
    oldest_commit: int
    oldest_at: datetime
    tables: tuple[TableState, ...]
    retired_files: int
    retired_bytes: int
    unnamed_files: int
    due_files: int
    due_bytes: int
    delta_commit: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def lake_state(lake: Path, *, now: datetime, built_commit: int = 0) -> LakeState | None:
    """Return what the lake is made of, None for one without commits. Nothing is written.

    Args:
        lake: Folder of the lake.
        now: The present, UTC.
        built_commit: Newest commit that the published marts hold.

    Raises:
        CorruptManifestError: Manifests are missing or cannot be read.
    """
    snapshot = load_snapshot(lake)
    if snapshot is None:
        return None
    retired = held_files(lake, (file.path for file in snapshot.retired))
    due = plan(snapshot, closed_commit=commit_at(lake, now - CLOSED_AFTER), built_commit=built_commit)
    oldest = min((*checkpoint_numbers(lake), oldest_commit(lake)))
    return LakeState(
        commit=snapshot.manifest.commit,
        committed_at=snapshot.manifest.committed_at,
        epoch=snapshot.manifest.epoch,
        kept_commits=len(entry_numbers(lake / COMMITS)),
        checkpoints=len(checkpoint_numbers(lake)),
        oldest_commit=oldest,
        oldest_at=committed_at(lake, oldest),
        tables=tuple(_table(name, snapshot.of(name)) for name in DATE_KEY),
        retired_files=len(retired),
        retired_bytes=sum(retired.values()),
        unnamed_files=len(unnamed_files(lake, _named(snapshot))),
        due_files=sum(len(group.files) for group in due),
        due_bytes=sum(group.bytes for group in due),
        delta_commit=committed_lake_commit(lake),
    )


def _table(name: str, files: Iterable[LiveFile]) -> TableState:
    entries = [file.entry for file in files]
    return TableState(
        table=name,
        files=len(entries),
        small_files=sum(each.bytes < SMALL_BYTES and not is_upkeep_file(each.path) for each in entries),
        rows=sum(each.rows for each in entries),
        bytes=sum(each.bytes for each in entries),
        dates=len({each.event_date for each in entries}),
    )


def _named(snapshot: Snapshot) -> Iterable[str]:
    yield from (file.entry.path for file in snapshot.files)
    yield from (file.path for file in snapshot.retired)
