"""A lake in an object store: the store is the lake, and the lake's folder is its working copy on this machine.

`.remote` in the folder names the store. Files of the lake never change, so a copy is never stale, and what is absent
is fetched when it is read. An entry of a numbered log is put into the store first, on the condition that its number is
free there, and into the folder after that: the store alone decides who wins. `pull` brings the entries that others
made. Without `.remote` the folder is the lake itself, and nothing here does anything.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollbook.errors import CommitConflictError, CorruptManifestError
from tollbook.lake.working_copy import RemoteLake, remote_of

if TYPE_CHECKING:
    from tollbook.lake.store import LakeStore

LOGS: Final = (
    "checkpoints",
    "gaps/log",
    "reject_outcomes/commits",
    "reference/prices/commits",
    "reference/documents/commits",
    "erasures/commits",
    "charges/commits",
    "vendor_usage/commits",
    "closed/commits",
    "adjustments/commits",
    "ratings/commits",
    "commits",
)
"""Every numbered log, in the order in which they are pulled: those first that name what later ones must have."""

SHARED_FILES: Final = ("erasures/key", "rejects_published")
"""What else the machines of a lake share."""

_ENTRY: Final = re.compile(r"\d{20}\.json")
_WORKERS: Final = 16


def pull(lake: Path) -> None:
    """Bring the entries of every log that others made into the working copy; nothing for a lake on disk alone.

    Files that a person was erased from on another machine are deleted here too.

    Raises:
        CorruptManifestError: The store was emptied or restored since.
        StoreUnavailableError: The store is away or refuses.
        LakeWriteError: The disk is full or read-only.
    """
    remote = remote_of(lake)
    if remote is not None:
        remote.refuse_other()
        remote.sweep_fetching()
        with ThreadPoolExecutor(_WORKERS) as workers:
            for key, content in zip(SHARED_FILES, workers.map(remote.store.read, SHARED_FILES), strict=True):
                if content is not None and not _is_older(lake / key, content):
                    remote.place(key, content)
            list(workers.map(lambda log: _pull_log(remote, log), LOGS[:-1]))
            _pull_log(remote, LOGS[-1])


def machine_suffix(lake: Path) -> str:
    """Return what makes a file's name unlike that of another machine's; nothing for a lake on disk alone.

    Where only the number of the next entry tells files apart, two machines at work on it would write the same name.
    """
    return f"-{secrets.token_hex(4)}" if remote_of(lake) is not None else ""


def publish_entry(path: Path, content: bytes) -> None:
    """Put an entry of a numbered log into the store, if the lake is in one; the file of the folder comes after it.

    Raises:
        CommitConflictError: The number is taken by other bytes. What others made is pulled.
        StoreUnavailableError: The store is away or refuses.
    """
    remote = remote_of(path.parent)
    if remote is None:
        return
    key = remote.key(path)
    log = key.rpartition("/")[0]
    if log not in LOGS:
        raise ValueError(f"expected one of the logs that are pulled, {', '.join(LOGS)}, got {log}")
    if not remote.store.create(key, content):
        _pull_log(remote, log)
        raise CommitConflictError(
            f"expected to make entry {int(path.stem)} of {log}, but {remote.store.url} has another: "
            "another writer was faster"
        )


def publish_files(paths: Iterable[str], lake: Path) -> None:
    """Put files of the folder into the store, if the lake is in one, before an entry names them.

    Args:
        paths: Paths below the lake's folder.
        lake: The folder.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    remote = remote_of(lake)
    if remote is not None:
        with ThreadPoolExecutor(_WORKERS) as workers:
            list(workers.map(lambda path: remote.store.upload(path, lake / path), paths))


def share(lake: Path, key: str) -> None:
    """Put one of the shared files into the store, if the lake is in one; it replaces what is there.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    remote = remote_of(lake)
    if remote is not None:
        remote.store.upload(key, lake / key)


def agreed(lake: Path, key: str, content: bytes) -> bytes:
    """Return what a shared file holds on every machine: `content`, unless another machine was faster.

    Raises:
        StoreUnavailableError: The store is away or refuses.
    """
    remote = remote_of(lake)
    if remote is None or remote.store.create(key, content):
        return content
    return remote.store.read(key) or content


def fetch(lake: Path, sizes: Mapping[str, int | None]) -> None:
    """Bring files into the working copy that are not there whole; those that the store has not are left out.

    Args:
        lake: Folder of the lake.
        sizes: Paths below it, each with the file's size where it is known. Unit: Bytes.

    Raises:
        CorruptManifestError: A file of the store has another size.
        StoreUnavailableError: The store is away or refuses.
        LakeWriteError: The disk is full or read-only.
    """
    remote = remote_of(lake)
    if remote is not None:
        absent = {path: size for path, size in sizes.items() if not _is_whole(lake / path, size)}
        if absent:
            with ThreadPoolExecutor(_WORKERS) as workers:
                list(workers.map(remote.fetch, absent.keys(), absent.values()))


def local_paths(lake: Path, paths: Iterable[str]) -> list[str]:
    """Return where files lie on this machine, for readers; those that are not there are fetched first.

    Args:
        lake: Folder of the lake.
        paths: Paths below it.

    Raises:
        StoreUnavailableError: The store is away or refuses.
        LakeWriteError: The disk is full or read-only.
    """
    each = list(paths)
    fetch(lake, dict.fromkeys(each))
    return [str(lake / path) for path in each]


def located(lake: Path, path: str) -> str:
    """Return where a file lies for any reader: its URL in the store, or its path on this machine."""
    remote = remote_of(lake)
    return str(lake / path) if remote is None else f"{remote.store.url}/{path}"


def held_files(lake: Path, paths: Iterable[str]) -> dict[str, int]:
    """Return those files that are there, in the store if the lake is in one, with their sizes. Unit: Bytes."""
    remote = remote_of(lake)
    if remote is None:
        return {path: size for path in paths if (size := _size(lake / path)) is not None}
    chosen = list(paths)
    found: dict[str, int] = {}
    for folder in sorted({path.partition("/")[0] for path in chosen}):
        found |= remote.store.sizes(folder)
    return {path: found[path] for path in chosen if path in found}


def delete_files(lake: Path, paths: Sequence[str]) -> None:
    """Delete files, in the store first if the lake is in one; those that are not there are no error.

    Args:
        lake: Folder of the lake.
        paths: Paths below it.

    Raises:
        StoreUnavailableError: The store is away or refuses; of the folder nothing is deleted.
    """
    remote = remote_of(lake)
    if remote is not None and paths:
        remote.store.delete(paths)
    for path in paths:
        (lake / path).unlink(missing_ok=True)


def _pull_log(remote: RemoteLake, log: str) -> None:
    folder = remote.folder / log
    known = {path.name for path in folder.glob("*.json") if _ENTRY.fullmatch(path.name)}
    # Checkpoints are few and may vanish anywhere; of the other logs the newest entry that is known is looked for.
    newest = max(known, default=None) if log != "checkpoints" else None
    after = f"{log}/{int(newest[:20]) - 1:020d}.json" if newest is not None else None
    names = [name for key in remote.store.sizes(log, after=after) if _ENTRY.fullmatch(name := key[len(log) + 1 :])]
    if newest is not None and not names:
        raise CorruptManifestError(
            f"expected entry {int(newest[:20])} of {log}, which {remote.folder} has, at {remote.store.url}, found none "
            "from there on: the store was emptied or restored; use a new home, or restore it whole"
        )
    wanted = [name for name in names if name not in known]
    for name, content in zip(wanted, _contents(remote.store, log, wanted), strict=True):
        if content is not None:
            remote.place(f"{log}/{name}", content)
            if log == "erasures/commits":
                _forget_erased(remote.folder, content)
    if wanted and not (folder.parent / "begun").exists():
        remote.place((folder.parent / "begun").relative_to(remote.folder).as_posix(), b"pulled\n")
    has_hole = newest is not None and newest not in names
    if has_hole or (log == "checkpoints" and known - set(names)):
        for name in known - set(names):
            (folder / name).unlink(missing_ok=True)


def _contents(store: LakeStore, log: str, names: Sequence[str]) -> Iterator[bytes | None]:
    """Yield the bytes of entries in order, some at a time."""
    with ThreadPoolExecutor(_WORKERS) as workers:
        for start in range(0, len(names), 4 * _WORKERS):
            some = names[start : start + 4 * _WORKERS]
            yield from workers.map(lambda name: store.read(f"{log}/{name}"), some)


class _Erasure(msgspec.Struct):
    deleted: list[str] = []


def _forget_erased(lake: Path, content: bytes) -> None:
    for path in msgspec.json.decode(content, type=_Erasure).deleted:
        (lake / path).unlink(missing_ok=True)


def _is_older(path: Path, content: bytes) -> bool:
    """Return whether a shared file of the store is older than ours, or the same: a mark is a number that grows."""
    try:
        ours = path.read_bytes()
    except FileNotFoundError:
        return False
    return ours == content or (ours.isdigit() and content.isdigit() and int(content) < int(ours))


def _is_whole(path: Path, size: int | None) -> bool:
    found = _size(path)
    return found is not None and (size is None or found == size)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
