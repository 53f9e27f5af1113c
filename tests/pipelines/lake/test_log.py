"""Numbered logs: of two writers of one number exactly one wins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tollbook.errors import CommitConflictError, CorruptManifestError, LakeLockedError
from tollbook.lake.log import (
    append,
    entries_after,
    entry_path,
    log_lock,
    newest_number,
    read_entry,
    sweep_temporaries,
)


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    """A reader takes up where it left off, and misses nothing."""
    log = tmp_path / "log"
    assert newest_number(log) == 0
    assert list(entries_after(log, 0)) == []
    for number in (1, 2, 3):
        append(log, number, f"{number}".encode())
    assert newest_number(log) == 3
    assert read_entry(log, 2) == b"2"
    assert list(entries_after(log, 1)) == [(2, b"2"), (3, b"3")]


def test_a_taken_number_is_refused_unless_the_bytes_are_the_same(tmp_path: Path) -> None:
    """Two writers that both win would tear the book; a retry that did succeed must not fail."""
    append(tmp_path, 1, b"one")
    append(tmp_path, 1, b"one")
    with pytest.raises(CommitConflictError, match="another writer was faster"):
        append(tmp_path, 1, b"two")
    assert read_entry(tmp_path, 1) == b"one"
    assert [path.name for path in tmp_path.iterdir()] == [entry_path(tmp_path, 1).name]


def test_a_hole_is_an_error(tmp_path: Path) -> None:
    """A missing entry is missing money."""
    for number in (1, 2, 3):
        append(tmp_path, number, b"x")
    entry_path(tmp_path, 2).unlink()
    with pytest.raises(CorruptManifestError, match="commit 2"):
        list(entries_after(tmp_path, 0))


RACE = """
import sys
from pathlib import Path
from tollbook.errors import CommitConflictError
from tollbook.lake.log import append

sys.stdin.readline()
try:
    append(Path(sys.argv[1]), 1, sys.argv[2].encode())
except CommitConflictError:
    sys.exit(1)
"""


def test_of_many_writers_at_once_exactly_one_wins(tmp_path: Path) -> None:
    """The link is the only thing that decides."""
    writers = [
        subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path), str(number)], stdin=subprocess.PIPE)
        for number in range(6)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    codes = [writer.wait(timeout=300) for writer in writers]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    assert sorted(codes) == [0] + [1] * 5
    assert read_entry(tmp_path, 1) == str(codes.index(0)).encode()
    assert list(tmp_path.glob(".*.tmp")) == []


def test_a_held_log_is_refused_and_the_holder_named(tmp_path: Path) -> None:
    """Two writers at once would sweep each other's files."""
    log = tmp_path / "log"
    with log_lock(log), pytest.raises(LakeLockedError, match=f"process {os.getpid()}"), log_lock(log):
        pass
    with log_lock(log):
        pass


HOLD = """
import sys
from pathlib import Path
from tollbook.lake.log import log_lock

with log_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    """A writer killed with -9 must not block the next one."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LakeLockedError, match=f"process {holder.pid}"), log_lock(tmp_path):
        pass
    holder.kill()
    holder.wait(timeout=300)
    holder.stdout.close()
    holder.stdin.close()
    with log_lock(tmp_path, wait=True):
        pass


def test_what_a_dead_append_left_is_swept(tmp_path: Path) -> None:
    """It holds no number, so nobody reads it, and it must not pile up."""
    append(tmp_path, 1, b"one")
    leftover = tmp_path / f".{entry_path(tmp_path, 2).name}.77-0a0b0c0d.tmp"
    leftover.write_bytes(b"tw")
    assert sweep_temporaries(tmp_path) == [leftover]
    assert newest_number(tmp_path) == 1
