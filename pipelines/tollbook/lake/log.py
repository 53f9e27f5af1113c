"""Numbered logs: folders of immutable entries 1, 2, 3, ..., each appended by exactly one writer.

An entry `<N>.json` appears by `os.link`, which fails when N exists, so of two writers one wins. An entry is what makes
data count: files of data are written first, under names that no reader lists, and then an entry names them. An entry
that counts files is a JSON object with a list `files` of objects, whose `path` is below the lake's folder, with `/`.

Who writes data for a log holds the log's lock from before its first file until its entry is there, so that what no
entry names can be deleted by the next holder. `begun` beside the folder says that there were entries once.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from tollbook.errors import CommitConflictError, CorruptManifestError, LakeLockedError, LakeWriteError, MisuseError
from tollbook.lake.remote import publish_entry, publish_files
from tollbook.lake.steps import reached

_DIGITS = 20
_LOCK = ".lock"
_BEGUN = "begun"


def entry_path(folder: Path, number: int) -> Path:
    """Return where entry `number` of the log in `folder` lies."""
    return folder / f"{number:0{_DIGITS}d}.json"


def newest_number(folder: Path) -> int:
    """Return the number of the newest entry, 0 when there is none."""
    return max(entry_numbers(folder), default=0)


def oldest_number(folder: Path) -> int:
    """Return the number of the oldest entry, 0 when there is none."""
    return min(entry_numbers(folder), default=0)


def entry_numbers(folder: Path) -> list[int]:
    """Return the numbers of all entries, in no order."""
    try:
        with os.scandir(folder) as entries:
            return [int(entry.name[:_DIGITS]) for entry in entries if _is_entry(entry.name)]
    except FileNotFoundError:
        return []


def read_entry(folder: Path, number: int) -> bytes:
    """Return the bytes of entry `number`.

    Raises:
        CorruptManifestError: It is absent.
    """
    path = entry_path(folder, number)
    try:
        return path.read_bytes()
    except FileNotFoundError as absent:
        raise CorruptManifestError(f"expected commit {number} at {path}, found nothing") from absent


def entries_after(folder: Path, number: int) -> Iterator[tuple[int, bytes]]:
    """Yield the entries after `number` in order, each with its number.

    Raises:
        CorruptManifestError: One between `number` and the newest is absent.
    """
    for each in range(number + 1, newest_number(folder) + 1):
        yield each, read_entry(folder, each)


def append(folder: Path, number: int, content: bytes) -> Path:
    """Make `content` entry `number` of the log in `folder`, or fail without a trace.

    The bytes are on disk under a temporary name before the link, and the folder is synced after it, so that a power
    cut leaves either no entry or a whole one. Appending again what is already there, byte for byte, is no error. Where
    the lake is in an object store, that decides, and the folder follows.

    Raises:
        CommitConflictError: The number is taken by other bytes.
        StoreUnavailableError: The object store is away, and whether there is an entry is not known.
        LakeWriteError: The disk is full or read-only; there is no entry.
    """
    path = entry_path(folder, number)
    temporary = folder / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_synced(temporary, content)
        reached("entry_written")
        publish_entry(path, content)
        os.link(temporary, path)
    except FileExistsError:
        if path.read_bytes() != content:
            raise CommitConflictError(
                f"expected to make commit {number}, but {path} exists: another writer was faster"
            ) from None
    except OSError as failed:
        raise LakeWriteError(f"expected to write {path}, got: {failed.strerror or failed}") from failed
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(folder)
    reached("entry_linked")
    begun = folder.parent / _BEGUN
    if not begun.exists():
        write_synced(begun, b"This log has entries: without them nothing beside it may be deleted.\n")
    return path


def has_begun(folder: Path) -> bool:
    """Say whether the log in `folder` ever had an entry, even if its entries are gone."""
    return (folder.parent / _BEGUN).exists()


@contextmanager
def log_lock(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the log in `folder` for writing; the system releases it when the process dies, however it dies.

    Args:
        folder: Folder of the log's entries; made when absent.
        wait: Wait for another holder to end instead of failing.

    Raises:
        LakeLockedError: Another process, or another thread, holds it and `wait` is not set.
        MisuseError: The folder cannot be made or written.
    """
    with locked_file(folder / _LOCK, wait=wait, doing="write"):
        yield


@contextmanager
def locked_file(path: Path, *, wait: bool = False, doing: str) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`, which names its holder's process.

    Args:
        path: The lock's file; it and its folder are made when absent.
        wait: Wait for another holder to end instead of failing.
        doing: What only one may do, for the message.

    Raises:
        LakeLockedError: Another process, or another thread, holds it and `wait` is not set.
        MisuseError: The folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as failed:
        raise MisuseError(f"expected a folder to {doing} in at {path.parent}, got: {failed.strerror}") from failed
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode("ascii", "replace").strip() or "unknown"
            raise LakeLockedError(
                f"expected to be the only one to {doing} in {path.parent}, but process {holder} holds {path}; "
                "wait for it or stop it first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def sweep_temporaries(folder: Path) -> list[Path]:
    """Delete the temporary files of appends that died, and return their paths. Only a holder of the lock may do so."""
    leftovers = sorted(folder.glob(".*.tmp"))
    for leftover in leftovers:
        leftover.unlink()
    return leftovers


def write_synced(path: Path, content: bytes) -> None:
    """Write `content` to `path` and wait until it is on disk.

    Raises:
        LakeWriteError: The disk is full or read-only; nothing is left at `path`.
    """
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as failed:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise LakeWriteError(f"expected to write {path}, got: {failed.strerror or failed}") from failed


def sync_folders(files: Iterable[str], root: Path) -> None:
    """Wait until `files` are where a power cut cannot take them, before an entry names them.

    Their names are on disk, and those of their folders up to `root`; where the lake is in an object store, the files
    are in it.

    Args:
        files: Paths below `root`, whose bytes are on disk.
        root: Folder of the lake.

    Raises:
        StoreUnavailableError: The object store is away.
    """
    each = list(files)
    folders = {root / parent for file in each for parent in PurePosixPath(file).parents}
    for folder in sorted(folders, reverse=True):
        sync_folder(folder)
    publish_files(each, root)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_entry(name: str) -> bool:
    return len(name) == _DIGITS + 5 and name.endswith(".json") and name[:_DIGITS].isdigit()
