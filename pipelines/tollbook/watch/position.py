"""How far each followed file was sent, kept in one small file that is replaced whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec

from tollbook.errors import TollbookError
from tollbook.lake.log import sync_folder, write_synced

_FINGERPRINT_BYTES = 1024


class Position(msgspec.Struct, frozen=True):
    """How far a file was sent.

    Attributes:
        path: Where it was last seen.
        device: Device that holds it.
        inode: Its number there, which a new name does not change.
        offset: Bytes whose lines the broker has, or that tell of no call.
        fingerprint: SHA-256 of the last bytes before `offset`: a file that has others there is another file.
        skipping: Whether `offset` is inside a line that is too long to be read.
    """

    path: str
    device: int
    inode: int
    offset: int
    fingerprint: str
    skipping: bool = False


class _Document(msgspec.Struct):
    watch: int
    files: list[Position]


def fingerprint(file: IO[bytes], offset: int) -> str:
    """Return the SHA-256 of the last bytes before an offset of a file, which is left at the offset."""
    start = max(0, offset - _FINGERPRINT_BYTES)
    file.seek(start)
    return hashlib.sha256(file.read(offset - start)).hexdigest()


class Positions:
    """Positions of all files that were followed, by device and inode. One process at a time holds them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[int, int], Position] = {}
        if path.exists():
            try:
                document = msgspec.json.decode(path.read_bytes(), type=_Document)
            except (msgspec.DecodeError, UnicodeDecodeError) as broken:
                raise TollbookError(
                    f"expected {path} to say how far files were sent, got: {broken}; without it they are sent again, "
                    "which the ledger counts once"
                ) from broken
            self._known = {(each.device, each.inode): each for each in document.files}

    def of(self, status: os.stat_result) -> Position | None:
        """Return the position in a file, None for a file that was never seen."""
        return self._known.get((status.st_dev, status.st_ino))

    def advance(self, positions: Iterable[Position]) -> None:
        """Note how far files were sent, for good before this returns."""
        self._known |= {(each.device, each.inode): each for each in positions}
        self._write()

    def forget(self, absent: Iterable[Position]) -> None:
        """Forget files that are gone."""
        for each in absent:
            self._known.pop((each.device, each.inode), None)

    def all(self) -> list[Position]:
        """Return every position."""
        return list(self._known.values())

    def _write(self) -> None:
        document = _Document(1, sorted(self._known.values(), key=lambda each: (each.path, each.inode)))
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        write_synced(temporary, msgspec.json.format(msgspec.json.encode(document), indent=1))
        temporary.replace(self._path)
        sync_folder(self._path.parent)
