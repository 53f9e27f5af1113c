"""Names of the lake's files, and the folders they lie in.

A data file's name says where its rows came from: topic, partition, offset range and the writer's epoch. A topic's
name is safe as part of a file name because Kafka allows only letters, digits, `.`, `_` and `-` in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import has_begun
from tollbook.lake.manifest import COMMITS, commits_after

USAGE = "usage"
USAGE_MINUTE = "usage_minute"
REJECTS = "rejects"
UNPARSED = "unparsed"
DATE_KEY = {USAGE: "event_date", USAGE_MINUTE: "event_date", REJECTS: "ingest_date", UNPARSED: "ingest_date"}
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TEMPORARY = ".tmp"
_EPOCH = re.compile(r"-e(\d+)\.parquet$")


def data_path(table: str, date: str, name: str) -> str:
    """Return the path of a data file below the lake's folder."""
    return f"{table}/{DATE_KEY[table]}={date}/{name}.parquet"


def chunk_name(topic: str, partition: int, first_offset: int, next_offset: int, epoch: int) -> str:
    """Return the name, without folder and ending, of a file written from one chunk of a partition."""
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"expected a Kafka topic name, got {topic!r}")
    return f"{topic}-{partition}-{first_offset:020d}-{next_offset:020d}-e{epoch}"


def commit_name(commit: int, epoch: int) -> str:
    """Return the name, without folder and ending, of a file that belongs to a whole commit."""
    return f"commit-{commit:020d}-e{epoch}"


def temporary_path(path: Path) -> Path:
    """Return the name a file has until it is whole."""
    return path.with_name(f".{path.name}{_TEMPORARY}")


def sweep_orphans(lake: Path) -> list[str]:
    """Delete data files that no manifest names, left behind by a writer that died; return their paths.

    Only the holder of the lake's lock may call this, before it writes anything: then no file can be on its way. Such a
    file is of the newest manifest's epoch, or of the next when its writer died before its first commit.

    Raises:
        CorruptManifestError: Manifests are missing: none is there though the lake had commits, or a file is of an epoch
            whose manifests are not there. Nothing is deleted.
    """
    named: set[str] = set()
    epoch = 0
    for manifest in commits_after(lake, 0):
        named.update(entry.path for entry in manifest.files)
        epoch = manifest.epoch
    _refuse_missing_manifests(lake, named, epoch)
    swept = []
    for path in _data_files(lake):
        relative = path.relative_to(lake).as_posix()
        if relative not in named:
            path.unlink()
            swept.append(relative)
    for leftover in (lake / "commits").glob(".*.tmp"):
        leftover.unlink()
        swept.append(leftover.relative_to(lake).as_posix())
    return sorted(swept)


def _refuse_missing_manifests(lake: Path, named: set[str], epoch: int) -> None:
    if epoch == 0 and has_begun(lake / COMMITS):
        raise CorruptManifestError(f"expected manifests in {lake / 'commits'}, found none: restore them first")
    for path in _data_files(lake):
        relative = path.relative_to(lake).as_posix()
        written = _EPOCH.search(path.name)
        if relative not in named and written is not None and int(written[1]) not in {epoch, epoch + 1}:
            raise CorruptManifestError(
                f"expected files that no manifest names to be of epoch {epoch} or {epoch + 1}, got {relative}: "
                "manifests are missing; restore them first"
            )


def expire_unparsed(lake: Path, *, now: datetime, keep_days: int) -> list[str]:
    """Delete folders of unparsed bytes whose ingest date is `keep_days` or more before `now`; return their names."""
    last_kept = (now - timedelta(days=keep_days)).date().isoformat()
    expired = []
    for folder in sorted((lake / UNPARSED).glob("ingest_date=*")):
        if folder.name.removeprefix("ingest_date=") <= last_kept:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            expired.append(folder.name)
    return expired


def _data_files(lake: Path) -> Iterable[Path]:
    for table in DATE_KEY:
        yield from (path for path in (lake / table).glob("*/*") if path.suffix in {".parquet", _TEMPORARY})
