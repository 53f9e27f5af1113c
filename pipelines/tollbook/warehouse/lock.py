"""One build at a time: an advisory lock on the warehouse folder, held while a build or a publish runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tollbook.errors import MisuseError, WarehouseStateError
from tollbook.logs import Notice
from tollbook.warehouse.state import WarehouseFolder

Tell = Callable[[str], None]
"""Takes what happens, one sentence at a time, for people."""


class HeldLock:
    """The lock of the warehouse, as its holder sees it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def refuse_if_lost(self) -> None:
        """Refuse to go on when the lock is not this process's any more, as after its file was deleted by hand.

        Raises:
            WarehouseStateError: Another build may be at work, or may have been since.
        """
        try:
            is_held = os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            is_held = False
        if not is_held:
            raise WarehouseStateError(
                f"expected to hold {self._path} until the end of the build, but it was deleted or made anew meanwhile: "
                "another build may have taken over, so this one ends and publishes nothing; build again"
            )


@contextmanager
def build_lock(folder: WarehouseFolder, tell: Tell) -> Iterator[HeldLock]:
    """Hold the warehouse for one build; a second one waits for the first, and says so. Yields the lock.

    The system releases the lock when the process dies, however it dies.

    Raises:
        MisuseError: The folder cannot be made or written.
    """
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as failed:
        raise MisuseError(f"expected a folder to build in at {folder.root}, got: {failed.strerror}") from failed
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = _holder(descriptor)
            what = f"another build (process {process}) is at work, waiting for it to end"
            tell(Notice(what, event="waiting", process=process))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        yield HeldLock(folder.lock, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def unless_building(folder: WarehouseFolder) -> Iterator[str | None]:
    """Keep builds away while one looks at the private file, unless one is at work.

    Yields None when none is, else the process id of the build, whose file is not to be touched.
    """
    try:
        descriptor = os.open(folder.lock, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _holder(descriptor)
        else:
            yield None
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 64, 0).decode("ascii", "replace").strip() or "unknown"
