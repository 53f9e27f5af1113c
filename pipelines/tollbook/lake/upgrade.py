"""Upgrade: a lake of an older version becomes one of this version, without a row of it being written anew.

Data files and manifests of older versions are read as they are. What is added is a checkpoint, so that the lake opens
as fast as a new one and bears the version of its format. That is one entry of a numbered log, so a kill at any moment
leaves the lake as it was or as it is to be. Before that the lake is held against what its logs name: a lake that is not
whole is left as it is.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tollbook.errors import MisuseError
from tollbook.lake.inventory import Damage, take_inventory
from tollbook.lake.lock import upkeep_lock, writer_lock
from tollbook.lake.log import sweep_temporaries
from tollbook.lake.manifest import FORMAT_VERSION
from tollbook.lake.snapshot import CHECKPOINTS, Snapshot, checkpoint_numbers, read_checkpoint, write_checkpoint


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade found and did.

    Attributes:
        lake: Folder of the lake.
        found_version: Version of the lake's format before.
        version: Version after it.
        commit: Newest commit, 0 for a lake without commits.
        epoch: Its epoch, 0 for a lake without commits.
        files: Files that the lake's logs name.
        bytes: Their size together. Unit: Bytes.
        damages: Those that are absent or of another size; then nothing was written.
        dry_run: Whether nothing was to be written.
    """

    lake: Path
    found_version: int
    version: int
    commit: int
    epoch: int
    files: int
    bytes: int
    damages: tuple[Damage, ...]
    dry_run: bool

    @property
    def is_whole(self) -> bool:
        """Whether every named file is there, with the size that is told."""
        return not self.damages

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "found_version": self.found_version,
            "version": self.version,
            "commit": self.commit,
            "epoch": self.epoch,
            "files": self.files,
            "bytes": self.bytes,
            "damages": [
                {
                    "path": each.path,
                    "named_by": each.named_by,
                    "told_bytes": each.told_bytes,
                    "found_bytes": each.found_bytes,
                }
                for each in self.damages
            ],
            "dry_run": self.dry_run,
        }

    def sentence(self) -> str:
        """Return what was found and done, in words."""
        if self.damages:
            return (
                f"{len(self.damages):,} of {self.files:,} files that {self.lake} names are not as told, nothing was "
                "written: restore them from a backup that has them, or the whole lake as it was before them"
            )
        if not self.commit:
            return f"{self.lake} has no commits: there is nothing to upgrade"
        whole = (
            f"all {self.files:,} files that its logs name are there ({self.bytes:,} bytes), up to commit {self.commit}"
        )
        if self.found_version == FORMAT_VERSION:
            return f"{self.lake} is of format {FORMAT_VERSION} already, nothing was to do; {whole}"
        if self.dry_run:
            return (
                f"{self.lake} is of format {self.found_version}; {whole}; this was a dry run, nothing was written: "
                f"`tollbook upgrade` makes it one of format {FORMAT_VERSION}"
            )
        return (
            f"{self.lake} was of format {self.found_version} and is of format {self.version} now; {whole}; "
            "`tollbook warehouse build` comes next, which makes an older warehouse anew"
        )


def upgrade(lake: Path, *, now: datetime, dry_run: bool = False) -> Upgraded:
    """Make a lake one of this version's format, if all that it names is there. Doing it again does nothing.

    Args:
        lake: Folder of the lake.
        now: The present, UTC.
        dry_run: Look and write nothing.

    Raises:
        MisuseError: There is no lake.
        LakeFormatError: A later version of Tollbook wrote it.
        LakeLockedError: A meter or upkeep is at work on it.
        CorruptManifestError: Entries of its logs are missing or cannot be read. Nothing is written.
        LakeWriteError: The disk is full or read-only; the lake is as it was.
    """
    if not lake.is_dir():
        raise MisuseError(f"expected a lake at {lake}, found none: is this the home?")
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(writer_lock(lake))
            stack.enter_context(upkeep_lock(lake))
            sweep_temporaries(lake / CHECKPOINTS)
        inventory = take_inventory(lake, now=now)
        snapshot = inventory.snapshot
        found = version = format_of(lake, snapshot)
        if not dry_run and snapshot is not None and not inventory.damages and found < FORMAT_VERSION:
            write_checkpoint(lake)
            version = FORMAT_VERSION
    return Upgraded(
        lake=lake,
        found_version=found,
        version=version,
        commit=snapshot.manifest.commit if snapshot is not None else 0,
        epoch=snapshot.manifest.epoch if snapshot is not None else 0,
        files=inventory.files,
        bytes=inventory.bytes,
        damages=inventory.damages,
        dry_run=dry_run,
    )


def format_of(lake: Path, snapshot: Snapshot | None) -> int:
    """Return the version of a lake's format: that of its newest manifest or newest checkpoint, whichever is higher.

    Args:
        lake: Folder of the lake.
        snapshot: The lake at its newest commit, None for a lake without commits, which is of this version.
    """
    if snapshot is None:
        return FORMAT_VERSION
    newest = max(checkpoint_numbers(lake), default=0)
    checkpoint = read_checkpoint(lake, newest).format_version if newest else 1
    return max(snapshot.manifest.format_version, checkpoint)
