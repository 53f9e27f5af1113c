"""Expiry: checkpoints are written, and manifests, checkpoints and replaced files that nobody can ask for are deleted.

What is kept decides how far back one can read the lake as it was: each commit of the last hour, then one an hour for a
week. Data in force are never deleted here, whatever their age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tollbook.lake.log import entry_numbers, sync_folder
from tollbook.lake.manifest import COMMITS, manifest_path, newest_commit, oldest_commit, read_commit
from tollbook.lake.remote import delete_files, held_files
from tollbook.lake.snapshot import checkpoint_numbers, checkpoint_path, load_snapshot, read_checkpoint, write_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long the past of a lake can be read.

    Attributes:
        commits: Manifests that are kept at least, the newest ones.
        every_commit: How long each commit can be read.
        checkpoint_every: Beyond that, how far apart the checkpoints are that can be read.
        checkpoints: How long these are kept, and with them files that were replaced.
    """

    commits: int = 256
    every_commit: timedelta = timedelta(hours=1)
    checkpoint_every: timedelta = timedelta(hours=1)
    checkpoints: timedelta = timedelta(days=7)


CHECKPOINT_COMMITS = 256
"""After how many commits a new checkpoint is due."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What one run of expiry deleted.

    Attributes:
        checkpoint: Newest checkpoint, 0 for none.
        manifests: Manifests deleted.
        checkpoints: Checkpoints deleted.
        files: Replaced data files deleted.
        bytes: Their size. Unit: Bytes.
    """

    checkpoint: int
    manifests: int = 0
    checkpoints: int = 0
    files: int = 0
    bytes: int = 0


def checkpoint_is_due(lake: Path, commit: int) -> bool:
    """Return whether `commit` is so far from the newest checkpoint that a new one should be written."""
    return commit - max(checkpoint_numbers(lake), default=0) >= CHECKPOINT_COMMITS


def expire(lake: Path, *, now: datetime, retention: Retention | None = None, needed_from: int | None = None) -> Expired:
    """Write a checkpoint and delete what can no longer be asked for. A kill at any moment loses nothing.

    Args:
        lake: Folder of the lake.
        now: The present, UTC.
        retention: How long the past can be read; by default as `Retention` says.
        needed_from: First commit whose manifest someone has yet to read, such as one whose rejects are not published.

    Raises:
        CorruptManifestError: Manifests are missing. Nothing is deleted.
    """
    kept = retention or Retention()
    newest = write_checkpoint(lake)
    if not newest:
        return Expired(0)
    manifests = _expire_manifests(lake, now - kept.every_commit, kept.commits, needed_from)
    checkpoints = _expire_checkpoints(lake, now, kept)
    files, size = _expire_files(lake, now - kept.checkpoints)
    return Expired(newest, manifests, checkpoints, files, size)


def _expire_manifests(lake: Path, last_kept: datetime, commits: int, needed_from: int | None) -> int:
    """Delete manifests up to a checkpoint, oldest first, so that each one that is left can be read from there."""
    bound = newest_commit(lake) - max(commits, 1)  # without its newest manifest a lake is not readable
    if needed_from is not None:
        bound = min(bound, needed_from - 1)
    end = 0
    for number in sorted(checkpoint_numbers(lake), reverse=True):
        if number <= bound and (number < oldest_commit(lake) or read_commit(lake, number).committed_at <= last_kept):
            end = number
            break
    deleted = sorted(each for each in entry_numbers(lake / COMMITS) if each <= end)
    delete_files(lake, [manifest_path(lake, number).relative_to(lake).as_posix() for number in deleted])
    if deleted:
        sync_folder(lake / COMMITS)
    return len(deleted)


def _expire_checkpoints(lake: Path, now: datetime, kept: Retention) -> int:
    """Delete checkpoints that are too old or too close together; the one that the kept manifests go on from stays."""
    numbers = sorted(checkpoint_numbers(lake))
    needed = max((each for each in numbers if each < oldest_commit(lake)), default=0)
    deleted = 0
    last_time: datetime | None = None
    for number in numbers[:-1]:
        at = read_checkpoint(lake, number).manifest.committed_at
        too_old = at < now - kept.checkpoints
        is_recent = at > now - kept.every_commit  # manifests will yet be deleted up to it
        too_close = not is_recent and last_time is not None and at - last_time < kept.checkpoint_every
        if number != needed and (too_old or too_close):
            delete_files(lake, [checkpoint_path(lake, number).relative_to(lake).as_posix()])
            deleted += 1
        else:
            last_time = at
    if deleted:
        sync_folder(checkpoint_path(lake, 0).parent)
    return deleted


def _expire_files(lake: Path, last_kept: datetime) -> tuple[int, int]:
    """Delete replaced files that no readable commit has in force, and those that hold what was erased."""
    snapshot = load_snapshot(lake)
    if snapshot is None:
        return 0, 0
    oldest = min((*checkpoint_numbers(lake), *entry_numbers(lake / COMMITS)))
    gone = [
        file.path
        for file in snapshot.retired
        if file.erased or (file.removed_at < last_kept and file.removed_by <= oldest)
    ]
    held = held_files(lake, gone)  # a run that was killed may have deleted some
    delete_files(lake, list(held))
    return len(held), sum(held.values())
