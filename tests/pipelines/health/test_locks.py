"""Who holds a lock is read from Linux's list: a look takes no lock, so it keeps no meter from starting."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tollbook.health.locks import holder
from tollbook.lake.lock import WRITER_LOCK, writer_lock


def test_the_holder_of_a_lake_is_seen_while_it_holds_it(tmp_path: Path) -> None:
    """And not before, nor after, though its number still stands in the file."""
    path = tmp_path / WRITER_LOCK
    assert holder(path) is None
    with writer_lock(tmp_path):
        assert holder(path) == os.getpid()
    assert path.read_text() == str(os.getpid())
    assert holder(path) is None


def test_a_look_takes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter that starts in the same moment gets its lock."""
    path = tmp_path / WRITER_LOCK
    with writer_lock(tmp_path):
        pass

    def refuse(descriptor: int, operation: int) -> None:
        pytest.fail(f"took a lock: {descriptor}, {operation}")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert holder(path) is None


def test_locks_of_others_are_not_taken_for_it(tmp_path: Path) -> None:
    """By their file, by their process, and by who only waits."""
    path = tmp_path / "lock"
    path.write_text(str(os.getpid()))
    inode, own = path.stat().st_ino, os.getpid()
    listed = tmp_path / "locks"
    listed.write_text(
        f"1: POSIX  ADVISORY  WRITE {own} fe:00:{inode} 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE {own} fe:00:{inode + 1} 0 EOF\n"
        f"3: FLOCK  ADVISORY  WRITE {own + 1} fe:00:{inode} 0 EOF\n"
        f"4: -> FLOCK  ADVISORY  WRITE {own} fe:00:{inode} 0 EOF\n"
    )
    assert holder(path, locks=listed) is None
    with listed.open("a") as more:
        more.write(f"5: FLOCK  ADVISORY  WRITE {own} 00:2b:{inode} 0 EOF\n")
    assert holder(path, locks=listed) == own


def test_a_file_that_names_nobody_is_held_by_nobody(tmp_path: Path) -> None:
    """A meter that died before it wrote its number."""
    path = tmp_path / "lock"
    path.write_bytes(b"\xff")
    assert holder(path) is None
    path.write_bytes(b"")
    assert holder(path) is None
