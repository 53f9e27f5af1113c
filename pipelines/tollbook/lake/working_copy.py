"""The working copy of a lake in an object store: a folder, the store that it copies, and files going between them.

`.remote` in the folder names the store and the lake in it, so that whoever has the folder finds the store.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollbook.errors import CorruptManifestError, LakeWriteError

if TYPE_CHECKING:
    from tollbook.lake.store import LakeStore

REMOTE: Final = ".remote"
"""Name of the file, in the lake's folder, that names the store."""

IDENTITY: Final = "lake.json"
"""Key of the object that says which lake a store holds."""

_FETCHING: Final = ".fetching"
_DEAD_SECONDS: Final = 3_600
_DEPTH: Final = 4
"""Folders of a lake's logs lie at most so deep, the lake's own counted."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What `.remote` and the store's `lake.json` hold: the URL is known to the folder alone."""

    lake_id: str
    url: str = ""


class RemoteLake:
    """A lake's folder and the store that it is the working copy of."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        """Speak for the folder and its store; nothing is asked of the store yet."""
        from tollbook.lake.store import LakeStore

        self.folder, self.lake_id = folder, identity.lake_id
        self.store: LakeStore = LakeStore(identity.url)

    def refuse_other(self) -> None:
        """Refuse a store that does not hold this lake any more.

        Raises:
            CorruptManifestError: It was emptied, or holds another lake.
            StoreUnavailableError: The store is away or refuses.
        """
        found = identity_in(self.store)
        if found is None or found.lake_id != self.lake_id:
            what = "no lake" if found is None else f"the lake {found.lake_id}"
            raise CorruptManifestError(
                f"expected the lake {self.lake_id} at {self.store.url}, of which {self.folder} is the working copy, "
                f"found {what}: the store was emptied or replaced"
            )

    def key(self, path: Path) -> str:
        """Return the key of a file of the working copy."""
        return path.relative_to(self.folder).as_posix()

    def place(self, key: str, content: bytes) -> None:
        """Write a file of the working copy, whole or not at all."""
        self._write(key, [content])

    def fetch(self, key: str, size: int | None) -> None:
        """Bring a file into the working copy; one that is not in the store is left to whoever reads it.

        Raises:
            CorruptManifestError: It has another size than told.
            LakeWriteError: The store is away, or the disk is full or read-only.
        """
        with suppress(FileNotFoundError):
            self._write(key, self.store.pieces(key), size)

    def _write(self, key: str, pieces: Iterable[bytes], size: int | None = None) -> None:
        path = self.folder / key
        temporary = self.folder / _FETCHING / f"{os.getpid()}-{secrets.token_hex(8)}"
        iterator = iter(pieces)
        first = next(iterator, b"")  # what is not there leaves no trace
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(first)
                for piece in iterator:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                found = file.tell()
            if size is not None and found != size:
                raise CorruptManifestError(f"expected {key} of {self.store.url} to have {size:,} bytes, got {found:,}")
            temporary.replace(path)
        except OSError as failed:
            raise LakeWriteError(f"expected to write {path}, got: {failed.strerror or failed}") from failed
        finally:
            temporary.unlink(missing_ok=True)

    def sweep_fetching(self) -> None:
        """Delete what fetches that died left behind: files that grew no more for an hour."""
        with suppress(FileNotFoundError):
            for leftover in (self.folder / _FETCHING).iterdir():
                with suppress(FileNotFoundError):
                    if time.time() - leftover.stat().st_mtime > _DEAD_SECONDS:
                        leftover.unlink()


def remote_of(path: Path) -> RemoteLake | None:
    """Return the remote lake that a folder of a lake, or one below it, belongs to; None for a lake on disk alone.

    Raises:
        CorruptManifestError: `.remote` cannot be read.
        MisuseError: The environment does not say enough about the store.
    """
    for folder in (path, *path.parents)[:_DEPTH]:
        try:
            told = (folder / REMOTE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return _remote(folder, told)
    return None


@lru_cache(maxsize=8)
def _remote(folder: Path, told: bytes) -> RemoteLake:
    try:
        return RemoteLake(folder, msgspec.json.decode(told, type=Identity))
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected {folder / REMOTE} to name a store, got: {broken}") from broken


def identity_in(store: LakeStore) -> Identity | None:
    """Return which lake a store holds, None when it holds none.

    Raises:
        CorruptManifestError: What says so cannot be read.
        StoreUnavailableError: The store is away or refuses.
    """
    content = store.read(IDENTITY)
    try:
        return None if content is None else msgspec.json.decode(content, type=Identity)
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected {IDENTITY} at {store.url} to name a lake, got: {broken}") from broken
