"""Push: a lake on disk is put into an object store whole, and its folder becomes the working copy.

Files go first and entries after them, those of commits last and in order, so that whoever connects meanwhile sees a
lake that ends earlier, and a push that was killed is ended by doing it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tollbook.errors import CorruptManifestError, MisuseError
from tollbook.lake.binding import bind
from tollbook.lake.inventory import take_inventory
from tollbook.lake.layout import DATE_KEY
from tollbook.lake.lock import upkeep_lock, writer_lock
from tollbook.lake.log import entry_numbers, entry_path, read_entry
from tollbook.lake.remote import LOGS, SHARED_FILES
from tollbook.lake.store import LakeStore, checked_url
from tollbook.lake.sweep import LOGGED_TABLES
from tollbook.lake.working_copy import remote_of

_WORKERS: Final = 16
_DATA: Final = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Attributes:
        url: The store.
        files: Files of the lake that are in it now.
        uploaded: Of these, the files that were put there by this push.
        entries: Entries of the lake's logs.
    """

    url: str
    files: int
    uploaded: int
    entries: int


def push(lake: Path, url: str, *, now: datetime) -> Pushed:
    """Put a lake into a store and bind its folder to it. Doing it again goes on where it ended.

    Args:
        lake: Folder of the lake.
        url: The store's URL; it holds no other lake.
        now: The present, UTC.

    Raises:
        MisuseError: There is no lake, it is in a store already, or the store holds another.
        LakeLockedError: A meter or upkeep is at work on it.
        CorruptManifestError: Files that the lake's logs name are missing. Nothing is put into the store.
        StoreUnavailableError: The store is away or refuses.
    """
    url = checked_url(url)
    if not entry_numbers(lake / "commits"):
        raise MisuseError(
            f"expected a lake with commits at {lake}, found none: set TOLLBOOK_LAKE and begin with `meter`"
        )
    bound = remote_of(lake)
    if bound is not None:
        raise MisuseError(f"expected a lake on disk at {lake}, found the working copy of {bound.store.url}")
    with ExitStack() as stack:
        stack.enter_context(writer_lock(lake))
        stack.enter_context(upkeep_lock(lake))
        damages = take_inventory(lake, now=now).damages
        if damages:
            raise CorruptManifestError(f"expected the files that the lake names, got: {damages[0]}")
        store = LakeStore(url)
        _refuse_other_lake(lake, store)
        files = dict(_files(lake))
        held = store.sizes("")
        absent = [key for key, path in files.items() if held.get(key) != path.stat().st_size]
        with ThreadPoolExecutor(_WORKERS) as workers:
            list(workers.map(lambda key: store.upload(key, files[key]), absent))
            entries = sum(_push_log(lake, store, log, workers) for log in LOGS)
        bind(lake, url)
    return Pushed(url, len(files), len(absent), entries)


def _push_log(lake: Path, store: LakeStore, log: str, workers: ThreadPoolExecutor) -> int:
    numbers = sorted(entry_numbers(lake / log))
    for start in range(0, len(numbers), _WORKERS):
        some = numbers[start : start + _WORKERS]
        made = workers.map(lambda number: store.create(_key(log, number), read_entry(lake / log, number)), some)
        refused = [number for number, is_made in zip(some, made, strict=True) if not is_made]
        if refused:
            raise _other_lake(store, log, refused[0])
    return len(numbers)


def _refuse_other_lake(lake: Path, store: LakeStore) -> None:
    """Refuse a store whose entries are not ours, before anything is put there."""
    for log in LOGS:
        for key in store.sizes(log):
            number = int(Path(key).stem)
            ours = entry_path(lake / log, number)
            if not ours.exists() or store.read(key) != ours.read_bytes():
                raise _other_lake(store, log, number)


def _other_lake(store: LakeStore, log: str, number: int) -> MisuseError:
    return MisuseError(
        f"expected no lake at {store.url}, or one that an earlier push of this one began, found another's entry "
        f"{number} of {log}: use another prefix"
    )


def _key(log: str, number: int) -> str:
    return entry_path(Path(log), number).as_posix()


def _files(lake: Path) -> Iterator[tuple[str, Path]]:
    """Yield the keys and paths of data files and of what machines share."""
    for table in (*DATE_KEY, *LOGGED_TABLES):
        for path in sorted((lake / table).rglob("*")):
            if path.suffix in _DATA and not path.name.startswith("."):
                yield path.relative_to(lake).as_posix(), path
    for key in SHARED_FILES:
        if (lake / key).exists():
            yield key, lake / key
