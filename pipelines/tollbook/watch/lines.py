"""New whole lines of a file that others write to: from where they were sent up to, however it was treated since."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tollbook.watch.position import Position, fingerprint

BLOCK_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024
_NEW_LINE = b"\n"


@dataclass(frozen=True, slots=True)
class NewLines:
    """A run of whole lines.

    Attributes:
        lines: The lines, without their ends.
        offsets: Where each begins in the file. Unit: Bytes.
        position: How far the file was sent once these are.
        started_again: Whether the file is not what it was, so that it is read from its beginning.
        too_long: Whether a line was passed over since it is longer than can be read.
    """

    lines: list[bytes]
    offsets: list[int]
    position: Position
    started_again: bool = False
    too_long: bool = False


def files_below(folder: Path, suffix: str = ".jsonl") -> Iterator[Path]:
    """Yield the files of a folder and the folders in it that end so, in the order of their names.

    What vanishes or may not be read meanwhile is left out; symbolic links to folders are not followed.
    """
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(suffix):
                yield Path(place, name)


def new_lines(path: Path, position: Position | None) -> Iterator[NewLines]:
    """Yield what a file holds behind a position, in runs of about `BLOCK_BYTES`.

    A last line without its end is being written: it stays for the next time. A file that is shorter than the position,
    or has other bytes before it, was truncated, rewritten or replaced, and is read from its beginning.

    Args:
        path: The file; nothing is yielded when it is gone.
        position: How far it was sent, None for a file that was never seen.

    Raises:
        PermissionError: The file may not be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        status = os.fstat(file.fileno())
        offset, skipping, again = 0, False, False
        if position is not None:
            offset, skipping = position.offset, position.skipping
            if status.st_size < offset or fingerprint(file, offset) != position.fingerprint:
                offset, skipping, again = 0, False, True
        file.seek(offset)
        rest = b""
        while block := file.read(BLOCK_BYTES):
            rest += block
            end = rest.rfind(_NEW_LINE) + 1
            too_long = not end and len(rest) > MAX_LINE_BYTES and not skipping
            if not end and not too_long and not skipping:
                continue
            start, skipped = offset, skipping
            if end:
                whole, rest = rest[:end], rest[end:]
                offset, skipping = offset + end, False
            else:
                whole, rest = b"", b""
                offset, skipping = file.tell(), True
            lines, offsets = _divided(whole, start)
            if skipped and lines:
                lines, offsets = lines[1:], offsets[1:]
            here = file.tell()
            mark = fingerprint(file, offset)
            file.seek(here)
            reached = Position(str(path), status.st_dev, status.st_ino, offset, mark, skipping)
            yield NewLines(lines, offsets, reached, again, too_long)
            again = False


def _divided(whole: bytes, start: int) -> tuple[list[bytes], list[int]]:
    lines = whole.split(_NEW_LINE)[:-1]
    offsets = []
    for line in lines:
        offsets.append(start)
        start += len(line) + 1
    return [line.removesuffix(b"\r") for line in lines], offsets
