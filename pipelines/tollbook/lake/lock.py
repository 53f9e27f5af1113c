"""One meter and one upkeep at a time: advisory locks on the lake's folder, held while they live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tollbook.lake.log import locked_file

WRITER_LOCK = ".writer.lock"
"""Name of the file, in the lake's folder, that a meter locks."""


@contextmanager
def writer_lock(lake: Path) -> Iterator[None]:
    """Hold the lake for metering; the system releases it when the process dies, however it dies.

    Raises:
        LakeLockedError: Another process holds it.
        MisuseError: The folder cannot be made or written.
    """
    with locked_file(lake / WRITER_LOCK, doing="meter"):
        yield


@contextmanager
def upkeep_lock(lake: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lake for upkeep, which makes files of other files; a meter may go on meanwhile.

    Args:
        lake: Folder of the lake.
        wait: Wait for another upkeep to end instead of failing.

    Raises:
        LakeLockedError: Another process holds it and `wait` is not set.
        MisuseError: The folder cannot be made or written.
    """
    with locked_file(lake / ".upkeep.lock", wait=wait, doing="compact or erase"):
        yield
