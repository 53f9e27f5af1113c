"""Snapshots: which files are in force at a commit, from the newest checkpoint before it and the manifests since.

A checkpoint `checkpoints/<N>.json` holds all files in force after commit N, so that a lake of many commits opens by
reading one checkpoint and a few manifests. Once it is there, manifests up to it may expire (`tollbook.lake.expiry`).
A checkpoint says nothing that the manifests did not: it may be made by anyone at any time, and made again.

A file that a later commit replaced is retired: it is in force for snapshots from before, and is deleted when none of
them can be asked for any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from tollbook.errors import CommitConflictError, CorruptManifestError, ExpiredCommitError
from tollbook.lake.log import append, entry_numbers, entry_path, read_entry
from tollbook.lake.manifest import (
    COMMITS,
    ERASURE,
    FORMAT_VERSION,
    FileEntry,
    Manifest,
    newest_commit,
    oldest_commit,
    read_commit,
    refuse_newer_format,
)
from tollbook.lake.remote import held_files

CHECKPOINTS = "checkpoints"


class LiveFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in force.

    Attributes:
        commit: Commit that added it.
        entry: What its manifest tells of it.
    """

    commit: int
    entry: FileEntry

    @property
    def newest_rows(self) -> int:
        """The last commit that its rows came with: its own, unless it was made of other files."""
        return self.commit if self.entry.last_commit is None else self.entry.last_commit


class RetiredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a later commit replaced.

    Attributes:
        path: Path below the lake's folder, with `/`.
        commit: Commit that added it.
        removed_by: Commit that replaced it.
        removed_at: When that was made, UTC.
        erased: Whether it holds what was to be erased, and so is kept for nobody.
    """

    path: str
    commit: int
    removed_by: int
    removed_at: datetime
    erased: bool = False


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint holds.

    Attributes:
        format_version: Version of the lake's layout.
        manifest: The commit.
        files: Files in force after it.
        retired: Files replaced by then and not deleted.
    """

    format_version: int
    manifest: Manifest
    files: list[LiveFile]
    retired: list[RetiredFile] = []


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lake at a commit.

    Attributes:
        manifest: The commit, with offsets and totals after it.
        files: Files in force after it, by commit.
        retired: Files replaced by it or before it, and not deleted yet when this was read.
    """

    manifest: Manifest
    files: tuple[LiveFile, ...]
    retired: tuple[RetiredFile, ...] = ()

    def of(self, table: str) -> list[LiveFile]:
        """Return the files in force of one table, by commit."""
        return [file for file in self.files if file.entry.table == table]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Checkpoint)


def load_snapshot(lake: Path, commit: int | None = None) -> Snapshot | None:
    """Return the lake at `commit`, by default at its newest; None for a lake without commits.

    Raises:
        ExpiredCommitError: `commit` can no longer be read, or is not there yet.
        CorruptManifestError: Manifests are missing or cannot be read.
    """
    while True:
        checkpoints = sorted(checkpoint_numbers(lake))
        try:
            return _load(lake, commit)
        except CorruptManifestError:
            # Manifests may expire between a look at the checkpoints and a look at them: then there is a newer one.
            if sorted(checkpoint_numbers(lake)) == checkpoints:
                raise


def checkpoint_numbers(lake: Path) -> list[int]:
    """Return the commits that have a checkpoint, in no order."""
    return entry_numbers(lake / CHECKPOINTS)


def checkpoint_path(lake: Path, commit: int) -> Path:
    """Return where the checkpoint of `commit` lies."""
    return entry_path(lake / CHECKPOINTS, commit)


def write_checkpoint(lake: Path) -> int:
    """Write a checkpoint of the newest commit, unless it has one, and return its number; 0 for an empty lake."""
    snapshot = load_snapshot(lake)
    if snapshot is None:
        return 0
    number = snapshot.manifest.commit
    if not checkpoint_path(lake, number).exists():
        held = held_files(lake, [file.path for file in snapshot.retired])
        retired = [file for file in snapshot.retired if file.path in held]
        checkpoint = Checkpoint(
            format_version=FORMAT_VERSION, manifest=snapshot.manifest, files=list(snapshot.files), retired=retired
        )
        # Who wrote it meanwhile may know of more or fewer replaced files that are deleted.
        with suppress(CommitConflictError):
            append(lake / CHECKPOINTS, number, _ENCODER.encode(checkpoint))
    return number


def read_checkpoint(lake: Path, number: int) -> Checkpoint:
    """Return the checkpoint of a commit.

    Raises:
        CorruptManifestError: It is absent or cannot be read.
        LakeFormatError: A later version of Tollbook wrote it.
    """
    try:
        checkpoint = _DECODER.decode(read_entry(lake / CHECKPOINTS, number))
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(
            f"expected a checkpoint at {checkpoint_path(lake, number)}, got: {broken}"
        ) from broken
    refuse_newer_format(lake, checkpoint.format_version)
    return checkpoint


def commit_at(lake: Path, instant: datetime) -> int:
    """Return the newest commit made at or before `instant` that can be read, 0 when there is none.

    Args:
        lake: Folder of the lake.
        instant: UTC.
    """
    kept = sorted({*checkpoint_numbers(lake), *entry_numbers(lake / COMMITS)})
    low, high = 0, len(kept)
    while low < high:
        middle = (low + high) // 2
        if committed_at(lake, kept[middle]) <= instant:
            low = middle + 1
        else:
            high = middle
    return kept[low - 1] if low else 0


def committed_at(lake: Path, number: int) -> datetime:
    """Return when a commit was made, UTC.

    Raises:
        CorruptManifestError: Neither its checkpoint nor its manifest is kept.
    """
    if checkpoint_path(lake, number).exists():
        return read_checkpoint(lake, number).manifest.committed_at
    return read_commit(lake, number).committed_at


def _load(lake: Path, commit: int | None) -> Snapshot | None:
    newest = newest_commit(lake)
    target = newest if commit is None else commit
    if target > newest:
        raise ExpiredCommitError(f"expected a commit up to {newest} of {lake}, got {commit}")
    if target == 0:
        return None
    known = _checkpoint_before(lake, target)
    begin = known.manifest.commit if known is not None else 0
    if begin < target and commit is not None and begin + 1 < oldest_commit(lake):
        raise ExpiredCommitError(
            f"expected a commit of {lake} that is still kept, got {commit}: manifests are kept from "
            f"{oldest_commit(lake)} on, and before them the checkpoints {sorted(checkpoint_numbers(lake))}"
        )
    return _apply(known, (read_commit(lake, number) for number in range(begin + 1, target + 1)))


def _checkpoint_before(lake: Path, commit: int) -> Checkpoint | None:
    """Return the newest checkpoint up to `commit` that can be read."""
    broken: CorruptManifestError | None = None
    for number in sorted((each for each in checkpoint_numbers(lake) if each <= commit), reverse=True):
        try:
            return read_checkpoint(lake, number)
        except CorruptManifestError as fault:
            broken = fault
            if oldest_commit(lake) <= 1:
                return None
    if broken is not None:
        raise broken
    return None


def _apply(known: Checkpoint | None, manifests: Iterable[Manifest]) -> Snapshot | None:
    files = {file.entry.path: file for file in known.files} if known is not None else {}
    retired = {file.path: file for file in known.retired} if known is not None else {}
    last = known.manifest if known is not None else None
    for manifest in manifests:
        for path in manifest.removed:
            replaced = files.pop(path, None)
            if replaced is None:
                raise CorruptManifestError(
                    f"expected commit {manifest.commit} to replace files in force, got {path}, which is not"
                )
            retired[path] = RetiredFile(
                path=path,
                commit=replaced.commit,
                removed_by=manifest.commit,
                removed_at=manifest.committed_at,
                erased=manifest.kind == ERASURE,
            )
        files.update({entry.path: LiveFile(commit=manifest.commit, entry=entry) for entry in manifest.files})
        last = manifest
    return Snapshot(last, tuple(files.values()), tuple(retired.values())) if last is not None else None
