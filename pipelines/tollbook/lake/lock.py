"""One writer at a time: an advisory lock on the lake's folder, held while a meter lives."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tollbook.errors import LakeLockedError, MisuseError


@contextmanager
def writer_lock(lake: Path) -> Iterator[None]:
    """Hold the lake for writing; the system releases it when the process dies, however it dies.

    Raises:
        LakeLockedError: Another process holds it.
        MisuseError: The folder cannot be made or written.
    """
    path = lake / ".writer.lock"
    try:
        lake.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as failed:
        raise MisuseError(f"expected a folder to write the lake in at {lake}, got: {failed.strerror}") from failed
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode("ascii", "replace").strip() or "unknown"
            raise LakeLockedError(
                f"expected to be the only meter on {lake}, but process {holder} holds {path}; stop it first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)
