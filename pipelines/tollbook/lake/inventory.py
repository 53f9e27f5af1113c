"""Inventory: every file that the lake's logs name, held against what lies in its folders.

A lake that was copied while it was written, or restored from a backup that is not whole, may name files that are not
there. Nothing is opened here: a file counts as whole when it has the size that its log tells. What no log names is of
no concern: the next writer sweeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.layout import UNPARSED, unparsed_is_expired
from tollbook.lake.log import entries_after, entry_numbers, has_begun
from tollbook.lake.manifest import COMMITS, newest_commit
from tollbook.lake.remote import held_files
from tollbook.lake.snapshot import CHECKPOINTS, Snapshot, checkpoint_numbers, load_snapshot
from tollbook.lake.sweep import LOGGED_TABLES


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not as its log tells.

    Attributes:
        path: Path below the lake's folder, with `/`.
        named_by: What names it, for people: `commit 7`, or `entry 2 of ratings`.
        told_bytes: Size that it should have. Unit: Bytes.
        found_bytes: Size that it has, None where it is absent. Unit: Bytes.
    """

    path: str
    named_by: str
    told_bytes: int
    found_bytes: int | None

    def __str__(self) -> str:
        found = "it is absent" if self.found_bytes is None else f"it has {self.found_bytes:,}"
        return f"{self.path}: {self.named_by} tells {self.told_bytes:,} bytes, {found}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the lake's logs name.

    Attributes:
        snapshot: The lake at its newest commit, None for a lake without commits.
        files: Files that the logs name, those left out that have expired.
        bytes: Size that they should have together. Unit: Bytes.
        damages: Those that are not as told, by path.
    """

    snapshot: Snapshot | None
    files: int
    bytes: int
    damages: tuple[Damage, ...]


class _File(msgspec.Struct):
    path: str
    bytes: int


class _Entry(msgspec.Struct):
    files: list[_File] = []


@dataclass(frozen=True, slots=True)
class _Named:
    path: str
    named_by: str
    told_bytes: int


def take_inventory(lake: Path, *, now: datetime) -> Inventory:
    """Hold every file in force against what is there.

    Args:
        lake: Folder of the lake.
        now: The present, UTC. Unparsed bytes that are too old to be kept may be absent.

    Raises:
        CorruptManifestError: Entries of a log are missing or cannot be read, or a checkpoint is of a later commit than
            the newest.
        LakeFormatError: A later version of Tollbook wrote the lake.
    """
    _refuse_lost_manifests(lake)
    snapshot = load_snapshot(lake)
    named = [*_of_commits(snapshot, now), *_of_logs(lake)]
    held = held_files(lake, (each.path for each in named))
    damages = [damage for each in named if (damage := _damage(each, held.get(each.path))) is not None]
    return Inventory(
        snapshot,
        files=len(named),
        bytes=sum(each.told_bytes for each in named),
        damages=tuple(sorted(damages, key=lambda damage: damage.path)),
    )


def _refuse_lost_manifests(lake: Path) -> None:
    newest = newest_commit(lake)
    if newest == 0 and has_begun(lake / COMMITS):
        raise CorruptManifestError(f"expected manifests in {lake / COMMITS}, found none: restore them first")
    later = sorted(number for number in checkpoint_numbers(lake) if number > newest)
    if later:
        raise CorruptManifestError(
            f"expected manifests up to {later[-1]} in {lake / COMMITS}, of which {lake / CHECKPOINTS} has a "
            f"checkpoint, but the newest is {newest}: restore them, or delete the checkpoints "
            f"{', '.join(map(str, later))} to go on from commit {newest}"
        )


def _of_commits(snapshot: Snapshot | None, now: datetime) -> Iterator[_Named]:
    for file in snapshot.files if snapshot is not None else ():
        entry = file.entry
        if entry.table != UNPARSED or not unparsed_is_expired(entry.event_date, now=now):
            yield _Named(entry.path, f"commit {file.commit}", entry.bytes)


def _of_logs(lake: Path) -> Iterator[_Named]:
    for table in LOGGED_TABLES:
        log = lake / table / COMMITS
        if not entry_numbers(log) and has_begun(log):
            raise CorruptManifestError(f"expected entries in {log}, found none: restore them first")
        files: dict[str, _Named] = {}
        for number, encoded in entries_after(log, 0):
            try:
                entry = msgspec.json.decode(encoded, type=_Entry)
            except msgspec.MsgspecError as broken:
                raise CorruptManifestError(
                    f"expected entry {number} of {log} to name its files, got: {broken}"
                ) from broken
            for file in entry.files:
                files.setdefault(file.path, _Named(file.path, f"entry {number} of {table}", file.bytes))
        yield from files.values()


def _damage(named: _Named, found: int | None) -> Damage | None:
    return None if found == named.told_bytes else Damage(named.path, named.named_by, named.told_bytes, found)
