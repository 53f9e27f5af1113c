"""Records that wait on disk: append-only files, read back in order, and deleted only once all in them is delivered.

A file has a line for each record: eight hexadecimal digits of CRC-32, a space, the record, a line feed. Its process
holds a lock on it, so that a later process takes over what a dead one left and leaves alone what a living one writes.
A line cut short by the end of its process is told apart by its digits and left out, with a count.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, Literal

SUFFIX: Final = ".spool"
DAMAGED: Final = ".damaged"
REFUSED: Final = ".refused"
_DIGITS: Final = 8
_NAMES: Final = 16
_TELL_EVERY_SECONDS: Final = 10.0
_log: Final = logging.getLogger("tollbook.integrations")


@dataclass(slots=True)
class SpoolFile:
    """One file of waiting records, locked for this process."""

    path: Path
    file: FileIO
    size: int


class Spool:
    """The waiting records of one topic in one folder. Threads may share it.

    Attributes:
        dropped: Records that found no room, or no disk that takes them.
        damaged: Lines that were cut short or are no longer what was written.
    """

    def __init__(self, folder: Path, *, most_bytes: int, segment_bytes: int, fsync_seconds: float) -> None:
        self.dropped = 0
        self.damaged = 0
        self._folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = segment_bytes
        self._fsync_seconds = fsync_seconds
        self._lock = threading.Lock()
        self._writing: SpoolFile | None = None
        self._closed: list[SpoolFile] = []
        self._draining: SpoolFile | None = None
        self._unsynced_since: float | None = None
        self._unsynced: list[int] = []
        self._bytes = 0
        self._numbered = 0
        self._told_at: float | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _log.error("tollbook: the spool %s cannot be made: %s", folder, error)
        self.adopt()

    @property
    def waiting(self) -> bool:
        """Whether any record waits."""
        with self._lock:
            return bool(self._closed or self._draining) or (self._writing is not None and self._writing.size > 0)

    @property
    def waiting_bytes(self) -> int:
        """Size of what waits. Unit: Bytes."""
        with self._lock:
            return self._bytes

    def adopt(self) -> None:
        """Take over the files of processes that are gone."""
        with self._lock:
            own = {each.path for each in (*self._closed, self._draining, self._writing) if each is not None}
            try:
                paths = sorted(path for path in self._folder.glob(f"*{SUFFIX}") if path not in own)
            except OSError:
                return
            for path in paths:
                found = _open_locked(path, "rb")
                if found is not None:
                    self._closed.append(found)
                    self._bytes += found.size
            self._closed.sort(key=lambda each: each.path.name)

    def append(self, values: Sequence[bytes]) -> None:
        """Let records wait. One that finds no room is dropped, counted and logged. It never raises."""
        reason = self._try(b"".join(b"%08x %b\n" % (zlib.crc32(value), value) for value in values))
        if reason is None:
            return
        if len(values) == 1:
            self._drop(reason)
            return
        for value in values:
            self.append([value])

    def sync(self) -> None:
        """Bring what was written to the disk itself, when it is due. Nobody waits for it."""
        with self._lock:
            since = self._unsynced_since
            if since is None or time.monotonic() - since < self._fsync_seconds:
                return
            descriptors, self._unsynced, self._unsynced_since = self._unsynced, [], None
            if self._writing is not None:
                descriptors.append(os.dup(self._writing.file.fileno()))
        for descriptor in descriptors:
            try:
                os.fsync(descriptor)
            except OSError as error:
                _log.error("tollbook: the spool %s could not be synced: %s", self._folder, error)
            finally:
                os.close(descriptor)

    def _try(self, lines: bytes) -> str | None:
        """Write lines; return why they were not, if they were not."""
        with self._lock:
            if self._bytes + len(lines) > self._most_bytes:
                return "it is full"
            try:
                if self._writing is None or self._writing.size + len(lines) > self._segment_bytes:
                    self._close_writing()
                    self._writing = self._new_file()
                written = os.write(self._writing.file.fileno(), lines)
                if written < len(lines):
                    os.ftruncate(self._writing.file.fileno(), self._writing.size)
                    return "the disk took only a part of a record"
            except OSError as error:
                return str(error)
            self._writing.size += len(lines)
            self._bytes += len(lines)
            if self._unsynced_since is None:
                self._unsynced_since = time.monotonic()
            return None

    def _drop(self, reason: str) -> None:
        with self._lock:
            self.dropped += 1
            now = time.monotonic()
            if self._told_at is not None and now - self._told_at < _TELL_EVERY_SECONDS:
                return
            self._told_at = now
        _log.error("tollbook: %d records were DROPPED, the spool %s: %s", self.dropped, self._folder, reason)

    def oldest(self) -> tuple[SpoolFile, list[bytes]] | None:
        """Return the oldest file and its records, or None when nothing waits. It stays until `delivered`."""
        with self._lock:
            if self._draining is None:
                if not self._closed and self._writing is not None and self._writing.size:
                    self._close_writing()
                if not self._closed:
                    return None
                self._draining = self._closed.pop(0)
            draining = self._draining
        return draining, self._read(draining)

    def delivered(self, file: SpoolFile) -> None:
        """Delete a file: every record in it is delivered."""
        with self._lock:
            file.path.unlink(missing_ok=True)
            file.file.close()
            self._bytes -= file.size
            if self._draining is file:
                self._draining = None

    def refuse(self, value: bytes, reason: str) -> None:
        """Keep a record that the broker will never take apart from the others, for a person to look at."""
        _log.error("tollbook: the broker refused a record of %d bytes for good: %s", len(value), reason)
        try:
            with (self._folder / f"records{REFUSED}").open("ab") as file:
                file.write(b"%08x %b\n" % (zlib.crc32(value), value))
        except OSError as error:
            self._drop(str(error))

    def close(self) -> None:
        """Bring everything to the disk and let go of the files, so that the next process can drain them."""
        with self._lock:
            self._close_writing()
            self._unsynced_since = 0.0 if self._unsynced else None
        self.sync()
        with self._lock:
            for each in (*self._closed, self._draining):
                if each is not None:
                    each.file.close()
            self._closed, self._draining = [], None
            if self.dropped:
                _log.error("tollbook: %d records were DROPPED in all, for want of room", self.dropped)

    def _read(self, waiting: SpoolFile) -> list[bytes]:
        content = waiting.path.read_bytes()
        values, damaged = [], 0
        for line in content.splitlines(keepends=True):
            value = line[_DIGITS + 1 : -1]
            if line.endswith(b"\n") and line[:_DIGITS] == b"%08x" % zlib.crc32(value):
                values.append(value)
            else:
                damaged += 1
        if damaged:
            self.damaged += damaged
            kept = waiting.path.with_suffix(DAMAGED)
            kept.write_bytes(content)
            _log.error("tollbook: %d lines of %s are damaged; the file is kept as %s", damaged, waiting.path, kept)
        return values

    def _close_writing(self) -> None:
        if self._writing is not None:
            self._unsynced.append(os.dup(self._writing.file.fileno()))
            self._closed.append(self._writing)
            self._writing = None

    def _new_file(self) -> SpoolFile:
        for _ in range(_NAMES):
            self._numbered += 1
            name = f"{time.time_ns():020d}-{os.getpid()}-{self._numbered:06d}{SUFFIX}"
            made = _open_locked(self._folder / name, "ab")
            if made is not None:
                return made
        raise OSError("other processes take its new files away")


def _open_locked(path: Path, mode: Literal["rb", "ab"]) -> SpoolFile | None:
    """Return a file locked for this process, or None where another holds it or it is gone."""
    try:
        file = path.open(mode, buffering=0)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    if not path.exists():
        file.close()
        return None
    return SpoolFile(path, file, os.fstat(file.fileno()).st_size)
