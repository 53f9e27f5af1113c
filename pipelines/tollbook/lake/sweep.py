"""Sweeping the tables that have a log of their own: what no entry names was left behind by a writer that died."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tollbook.errors import CorruptManifestError, LakeLockedError
from tollbook.lake.log import entries_after, has_begun, log_lock, newest_number, sweep_temporaries
from tollbook.lake.store_sweep import sweep_store_log

LOGGED_TABLES = ("ratings", "charges", "reference/prices", "vendor_usage", "closed")
"""Folders below the lake whose data count when an entry of their own log, in `commits/`, names them."""

_NUMBERED = re.compile(r"-(\d{20})(-[0-9a-f]+)?\.parquet$")


class _File(msgspec.Struct):
    path: str


class _Entry(msgspec.Struct):
    files: list[_File] = []


def sweep_logged_tables(lake: Path) -> list[str]:
    """Sweep every table with a log of its own, but for those that a writer holds; return the paths deleted.

    Raises:
        CorruptManifestError: Entries of a log are missing. Nothing of that table is deleted.
    """
    swept = []
    for table in LOGGED_TABLES:
        if (lake / table).is_dir():
            try:
                with log_lock(lake / table / "commits"):
                    swept += sweep_log(lake, table)
            except LakeLockedError:
                continue  # its holder is at work on files that are not named yet, and sweeps by itself
    return swept


def sweep_log(lake: Path, table: str) -> list[str]:
    """Delete data files of `table` that no entry of its log names, and temporary files; return their paths.

    Only the holder of the log's lock may call this, before it writes anything.

    Raises:
        CorruptManifestError: Entries are missing: none is there though there were some, there is a hole, or a file is
            of an entry after the next. Nothing is deleted.
    """
    log = lake / table / "commits"
    newest = newest_number(log)
    if newest == 0 and has_begun(log):
        raise CorruptManifestError(f"expected entries in {log}, found none: restore them first")
    named: set[str] = set()
    for number, encoded in entries_after(log, 0):
        try:
            named.update(file.path for file in msgspec.json.decode(encoded, type=_Entry).files)
        except msgspec.MsgspecError as broken:
            raise CorruptManifestError(f"expected entry {number} of {log} to name its files, got: {broken}") from broken
    orphans = sorted(path for path in _data_files(lake / table) if path.relative_to(lake).as_posix() not in named)
    for path in orphans:
        told = _NUMBERED.search(path.name)
        if told is not None and int(told[1]) > newest + 1:
            raise CorruptManifestError(
                f"expected files that no entry names to be of entry {newest + 1}, got {path.relative_to(lake)}: "
                f"entries of {log} are missing; restore them first"
            )
    for path in orphans:
        path.unlink()
    swept = [path.relative_to(lake).as_posix() for path in (*orphans, *sweep_temporaries(log))]
    return swept + [path for path in sweep_store_log(lake, table, newest) if path not in swept]


def _data_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.name.endswith((".parquet", ".parquet.tmp")))
