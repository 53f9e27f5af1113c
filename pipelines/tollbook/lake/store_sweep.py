"""Sweeping a lake's object store, which no lock guards against another machine: only what can never count is deleted.

A file of a meter can count no more when a later meter has committed. A file of upkeep can count no more when it was
there before a commit of other upkeep, since upkeep that meets such a commit gives up: so a sweep makes one. A file of
a rating or of charges can count no more when the entry of its number is there and does not name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from tollbook.errors import CommitConflictError
from tollbook.lake.layout import DATE_KEY, UNPARSED, epoch_of, is_upkeep_file
from tollbook.lake.log import entries_after
from tollbook.lake.manifest import COMPACTION, commit, newest, newest_commit, next_commit
from tollbook.lake.remote import delete_files, pull
from tollbook.lake.snapshot import Snapshot, load_snapshot
from tollbook.lake.working_copy import remote_of

_NUMBERED: Final = re.compile(r"-(\d{20})(-[0-9a-f]+)?\.parquet$")


class _File(msgspec.Struct):
    path: str


class _Entry(msgspec.Struct):
    files: list[_File] = []


def sweep_store_of_meters(lake: Path) -> list[str]:
    """Delete files that meters before the newest put into the store and did not commit; return their paths.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    return _sweep(lake, lambda path, epoch: not is_upkeep_file(path) and epoch_of(path, otherwise=epoch) < epoch)


def sweep_store_of_upkeep(lake: Path, *, clock: Callable[[], datetime], writer: str) -> list[str]:
    """Delete files that upkeep put into the store and did not commit; return their paths.

    The caller holds the lock of upkeep. Upkeep that is at work on another machine meanwhile gives up.

    Args:
        lake: Folder of the lake.
        clock: The present.
        writer: Who sweeps, for people.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    found = set(_unnamed(lake, lambda path, _epoch: is_upkeep_file(path)))
    while found and (before := newest(lake)) is not None:
        fence = next_commit(before, kind=COMPACTION, writer=writer, now=clock(), reason="upkeep that died is swept")
        try:
            commit(lake, fence)
        except CommitConflictError:
            if newest_commit(lake) == before.commit:
                raise
        else:
            break
    return _sweep(lake, lambda path, _epoch: path in found)


def sweep_store_log(lake: Path, table: str, newest_entry: int) -> list[str]:
    """Delete files of a table with its own log whose entry is there and does not name them; return their paths.

    Args:
        lake: Folder of the lake.
        table: Its folder below the lake.
        newest_entry: Number of its newest entry.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    remote = remote_of(lake)
    if remote is None:
        return []
    named = {
        file.path
        for _, encoded in entries_after(lake / table / "commits", 0)
        for file in msgspec.json.decode(encoded, type=_Entry).files
    }
    numbered = {path: told for path in remote.store.sizes(table) if (told := _NUMBERED.search(path)) is not None}
    dead = sorted(path for path, told in numbered.items() if path not in named and int(told[1]) <= newest_entry)
    delete_files(lake, dead)
    return dead


def expire_store_of_unparsed(lake: Path, is_expired: Callable[[str], bool]) -> None:
    """Delete the unparsed bytes of ingest dates, `YYYY-MM-DD`, that are expired from the store, if there is one.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    remote = remote_of(lake)
    for folder in remote.store.folders(UNPARSED) if remote is not None else ():
        if is_expired(folder.rpartition("=")[2]):
            delete_files(lake, list(remote.store.sizes(folder)) if remote is not None else [])


def _sweep(lake: Path, is_dead: Callable[[str, int], bool]) -> list[str]:
    dead = _unnamed(lake, is_dead)
    delete_files(lake, dead)
    return dead


def _unnamed(lake: Path, is_dead: Callable[[str, int], bool]) -> list[str]:
    """Return the store's data files that no manifest names, of those that a rule picks by path and newest epoch."""
    remote = remote_of(lake)
    if remote is None:
        return []
    held = [path for table in DATE_KEY for path in remote.store.sizes(table)]
    pull(lake)  # after the look at the files: what was committed until then is not taken for left behind
    snapshot = load_snapshot(lake)
    if snapshot is None:
        return []
    named = _named(snapshot)
    return [path for path in held if path not in named and is_dead(path, snapshot.manifest.epoch)]


def _named(snapshot: Snapshot) -> set[str]:
    return {file.entry.path for file in snapshot.files} | {file.path for file in snapshot.retired}
