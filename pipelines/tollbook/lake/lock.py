"""One writer at a time: an advisory lock on the lake's folder, held while a meter lives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tollbook.lake.log import locked_file


@contextmanager
def writer_lock(lake: Path) -> Iterator[None]:
    """Hold the lake for writing; the system releases it when the process dies, however it dies.

    Raises:
        LakeLockedError: Another process holds it.
        MisuseError: The folder cannot be made or written.
    """
    with locked_file(lake / ".writer.lock", doing="meter"):
        yield
