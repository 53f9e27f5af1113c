"""Lines of a file, a gzip file or standard input, with their numbers."""

from __future__ import annotations

import contextlib
import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from tollbook.errors import MisuseError, TollbookError

STANDARD_INPUT = "-"
BLOCK_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024


class SourceFile(Protocol):
    """What readers need of an open file."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes, those that are there; none at the end."""


class Source:
    """An open input: its bytes, decompressed, and how far into the stored file they are.

    Attributes:
        name: How messages call it: the path as given, or `<stdin>`.
        total_bytes: Size of the stored file, or None for standard input. Unit: Bytes.
    """

    def __init__(self, name: str, stored: IO[bytes], content: SourceFile, total_bytes: int | None) -> None:
        self.name = name
        self.total_bytes = total_bytes
        self._stored = stored
        self._content = content

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes, those that are there; none at the end.

        Raises:
            TollbookError: The gzip file is cut off or damaged.
        """
        try:
            return self._content.read1(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise TollbookError(f"expected {self.name} to be a whole gzip file, it is not: {error}") from error

    @property
    def position(self) -> int:
        """How many bytes of the stored file were read. Unit: Bytes; 0 for standard input."""
        return self._stored.tell() if self.total_bytes is not None else 0


@contextlib.contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file, a gzip file (by its name's end, `.gz`) or standard input (`-`) for reading.

    Raises:
        MisuseError: There is no such file, or it may not be read.
    """
    if path == STANDARD_INPUT:
        yield Source("<stdin>", sys.stdin.buffer, sys.stdin.buffer, None)  # type: ignore[arg-type]  # a BufferedReader
        return
    try:
        stored = Path(path).open("rb")  # noqa: SIM115 # closed by the `with` below
    except OSError as error:
        raise MisuseError(f"expected a file that can be read at {path}: {error.strerror}") from error
    with stored:
        size = Path(path).stat().st_size
        if path.endswith(".gz"):
            with gzip.GzipFile(fileobj=stored) as content:
                yield Source(path, stored, content, size)
        else:
            yield Source(path, stored, stored, size)


def read_lines(source: SourceFile, name: str) -> Iterator[tuple[int, list[bytes]]]:
    r"""Yield runs of whole lines as they arrive: the number of the first, from 1, and the lines.

    A line ends with `\n` or `\r\n`, which is taken off; the last one may lack it. Nothing else is changed.

    Raises:
        TollbookError: A line is longer than `MAX_LINE_BYTES`.
    """
    number, rest = 1, b""
    while block := source.read1(BLOCK_BYTES):
        if b"\n" not in block:
            rest += block
            if len(rest) > MAX_LINE_BYTES:
                raise TollbookError(f"{name}:{number}: expected a line of at most {MAX_LINE_BYTES} bytes, got more")
            continue
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        yield number, [line.removesuffix(b"\r") for line in lines]
        number += len(lines)
    if rest:
        yield number, [rest.removesuffix(b"\r")]
