"""Names of the lake's files, and the folders they lie in.

A data file's name says where its rows came from: topic, partition, offset range and the writer's epoch. A topic's
name is safe as part of a file name because Kafka allows only letters, digits, `.`, `_` and `-` in it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import has_begun, sweep_temporaries
from tollbook.lake.manifest import COMMITS
from tollbook.lake.snapshot import CHECKPOINTS, load_snapshot

USAGE = "usage"
USAGE_MINUTE = "usage_minute"
REJECTS = "rejects"
UNPARSED = "unparsed"
DATE_KEY = {USAGE: "event_date", USAGE_MINUTE: "event_date", REJECTS: "ingest_date", UNPARSED: "ingest_date"}
KEEP_UNPARSED_DAYS = 14
"""For how long the bytes of records that could not be read as fields are kept."""

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TEMPORARY = ".tmp"
_EPOCH = re.compile(r"-e(\d+)\.parquet$")
_UPKEEP = re.compile(r"-u[0-9a-f]{16}\.parquet(\.tmp)?$")


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


def upkeep_name(commit: int, number: int) -> str:
    """Return a name, without folder and ending, of a file that upkeep makes of others; no two are the same.

    Args:
        commit: Newest commit when it was begun.
        number: Number of the file in its commit.
    """
    return f"upkeep-{commit:020d}-{number:06d}-u{secrets.token_hex(8)}"


def is_upkeep_file(path: str) -> bool:
    """Return whether upkeep made the file of this name."""
    return _UPKEEP.search(path) is not None


def epoch_of(path: str, *, otherwise: int) -> int:
    """Return the epoch of the meter that wrote the file of this name; `otherwise` where it does not tell."""
    told = _EPOCH.search(path)
    return int(told[1]) if told is not None else otherwise


def unnamed_files(lake: Path, named: Iterable[str]) -> list[str]:
    """Return the data files, temporary ones too, that are not among `named`: on their way, or left behind."""
    known = set(named)
    paths = (path.relative_to(lake).as_posix() for path in _data_files(lake))
    return sorted(path for path in paths if path not in known)


def temporary_path(path: Path) -> Path:
    """Return the name a file has until it is whole."""
    return path.with_name(f".{path.name}{_TEMPORARY}")


def sweep_orphans(lake: Path, *, of_upkeep: bool = False) -> list[str]:
    """Delete data files that no manifest names, left behind by a writer that died; return their paths.

    Only the holder of the meter's lock may sweep files of meters, and the holder of the lock of upkeep those of upkeep,
    each before it writes anything: then no file of its kind can be on its way. A file of a meter is of an epoch up to
    the newest manifest's, or of the next when its writer died before its first commit.

    Args:
        lake: Folder of the lake.
        of_upkeep: Sweep what upkeep left behind, instead of what meters did.

    Raises:
        CorruptManifestError: Manifests are missing: none is there though the lake had commits, or a file is of an epoch
            whose manifests are not there. Nothing is deleted.
    """
    snapshot = load_snapshot(lake)
    if snapshot is None and has_begun(lake / COMMITS):
        raise CorruptManifestError(f"expected manifests in {lake / COMMITS}, found none: restore them first")
    named = {file.entry.path for file in snapshot.files} if snapshot is not None else set()
    if snapshot is not None:
        named.update(file.path for file in snapshot.retired)
    unnamed = [path for path in _data_files(lake) if path.relative_to(lake).as_posix() not in named]
    _refuse_missing_manifests(lake, unnamed, snapshot.manifest.epoch if snapshot is not None else 0)
    orphans = [path for path in unnamed if (_UPKEEP.search(path.name) is not None) == of_upkeep]
    for path in orphans:
        path.unlink()
    if not of_upkeep:
        orphans += sweep_temporaries(lake / COMMITS)
    else:
        orphans += sweep_temporaries(lake / CHECKPOINTS)
    return sorted(path.relative_to(lake).as_posix() for path in orphans)


def _refuse_missing_manifests(lake: Path, unnamed: Iterable[Path], epoch: int) -> None:
    for path in unnamed:
        written = _EPOCH.search(path.name)
        if written is not None and int(written[1]) > epoch + 1:
            raise CorruptManifestError(
                f"expected files that no manifest names to be of epoch {epoch + 1} or before, "
                f"got {path.relative_to(lake)}: manifests are missing; restore them first"
            )


def unparsed_is_expired(ingest_date: str, *, now: datetime, keep_days: int = KEEP_UNPARSED_DAYS) -> bool:
    """Return whether unparsed bytes of an ingest date, `YYYY-MM-DD`, are `keep_days` or more before `now`."""
    return ingest_date <= (now - timedelta(days=keep_days)).date().isoformat()


def expire_unparsed(lake: Path, *, now: datetime, keep_days: int = KEEP_UNPARSED_DAYS) -> list[str]:
    """Delete folders of unparsed bytes whose ingest date is `keep_days` or more before `now`; return their names."""
    expired = []
    for folder in sorted((lake / UNPARSED).glob("ingest_date=*")):
        if unparsed_is_expired(folder.name.removeprefix("ingest_date="), now=now, keep_days=keep_days):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            expired.append(folder.name)
    return expired


def _data_files(lake: Path) -> Iterable[Path]:
    for table in DATE_KEY:
        yield from (path for path in (lake / table).glob("*/*") if path.suffix in {".parquet", _TEMPORARY})
