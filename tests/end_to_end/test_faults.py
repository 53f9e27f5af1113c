"""The fault matrix: each named step of meter, compaction and publishing fails in each way, and the book is exact.

A fault is injected into the real command line, in a process of its own: it kills itself with -9, raises, or finds the
disk full. Then the same command runs again, undisturbed. Every slice of the traffic meets another fault, so the truth
at the end is one that went through all of them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tollbook.lake.compaction import compact
from tollbook.lake.expiry import Retention, expire
from tollbook.lake.lock import WRITER_LOCK
from tollbook.lake.steps import STEPS
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.warehouse.build import build, publish_build
from tollbook.warehouse.publish import current_version, point_to
from tollbook.warehouse.query import ask
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book, Commands, Traffic

KINDS = [("kill", -9), ("raise", 1), ("full", 1)]
METER_STEPS = (
    ("entry_written", 1),  # of the price book in an empty lake, and of the manifest further down
    ("entry_linked", 1),
    ("chunk_read", 1),
    ("batch_decoded", 1),
    ("file_written", 1),
    ("file_renamed", 1),
    ("file_written", 2),
    ("file_renamed", 2),
    ("folders_synced", 1),
    ("entry_written", 1),
    ("entry_linked", 1),
    ("commit_made", 1),
)
COMPACTION_STEPS = (
    ("file_written", 1),
    ("file_renamed", 1),
    ("compaction_written", 1),
    ("entry_written", 1),
    ("entry_linked", 1),
    ("compaction_made", 1),
)
PUBLISH_STEPS = (("marts_copied", 1), ("pointer_swapped", 1), ("published", 1))
WRITES = {"file_written", "file_renamed", "entry_written"}
"""Steps within a write: a full disk is told there in words."""


def test_the_matrix_has_every_named_step() -> None:
    """A step that is added to the product is one more at which it must be able to fail."""
    assert {step for step, _ in (*METER_STEPS, *COMPACTION_STEPS, *PUBLISH_STEPS)} == set(STEPS)


def test_meter_that_fails_at_any_step_loses_and_doubles_nothing(
    book: Book, traffic: Traffic, commands: Commands
) -> None:
    """After each fault the lake is exact and clean; after all of them so is the published book."""
    faults = [
        (step, time, kind, code)
        for step, time in METER_STEPS
        for kind, code in KINDS
        if kind != "full" or step in WRITES  # elsewhere nothing is written, and it is an exception like any other
    ]
    read = 0
    for (step, time, kind, code), lines in zip(faults, traffic.slices(len(faults)), strict=True):
        book.send(lines)
        read += len(lines)
        ended, told = commands.run(book.settings, *book.meter, fault={"step": step, "kind": kind, "time": time})
        assert ended == code, (step, kind, told)
        if kind == "full":
            assert "No space left on device" in told
            assert "Traceback" not in told
        _meter(book)
        book.assert_whole(read=read)

    build(book.settings)
    book.assert_true(traffic.truth)


@pytest.mark.slow
def test_compaction_that_fails_at_any_step_loses_and_doubles_nothing(
    book: Book, traffic: Traffic, commands: Commands
) -> None:
    """Files are replaced by one commit or not at all, and what an upkeep that died left behind is swept."""
    faults = [(step, time, kind, code) for step, time in COMPACTION_STEPS for kind, code in KINDS]
    read = 0
    for (step, time, kind, code), lines in zip(faults, traffic.slices(len(faults)), strict=True):
        book.send(lines)
        read += len(lines)
        _meter(book)
        fault = {"step": step, "kind": kind, "time": time}
        ended, told = commands.run(book.settings, "lake", "compact", "--now", fault=fault)
        assert ended == code, (step, kind, told)
        _compact(book.settings)
        assert _meter(book).read == 0  # what an append of an upkeep left beside the manifests is a meter's to sweep
        book.assert_whole(read=read)

    build(book.settings)
    book.assert_true(traffic.truth)
    # Replaced files that nobody can ask for any more go, and the book is the same.
    soon = datetime.now(UTC) + timedelta(days=8)
    assert expire(book.settings.lake, now=soon, retention=Retention(commits=1)).files > 0
    book.assert_whole(read=read)
    build(book.settings, full_refresh=True)
    book.assert_true(traffic.truth)


@pytest.mark.slow
def test_publish_that_fails_at_any_step_leaves_readers_one_whole_version(
    book: Book, traffic: Traffic, commands: Commands
) -> None:
    """Readers see the old book or the new one at every moment, and the next publish ends what was begun."""
    first, rest = traffic.lines[:100], traffic.lines[100:]
    book.send(first)
    _meter(book)
    old = build(book.settings).version
    assert old is not None
    calls = "select cast(sum(calls) as bigint) from finance.fct_chargeback_by_team"
    old_calls = ask(book.settings, calls).rows
    book.send(rest)
    _meter(book)
    build(book.settings, publish=False)
    new_calls = [(traffic.truth["events"],)]
    assert old_calls != new_calls

    for step, _ in PUBLISH_STEPS:
        for kind, code in KINDS:
            point_to(book.settings.serve, old)
            fault = {"step": step, "kind": kind}
            ended, told = commands.run(book.settings, "warehouse", "publish", fault=fault)
            assert ended == code, (step, told)
            assert ask(book.settings, calls).rows == (new_calls if step == "published" else old_calls)
            assert ask(book.settings, "select count(*) from audit.fct_ledger_balance where difference <> 0").rows == [
                (0,)
            ]
            new = publish_build(book.settings).version
            assert current_version(book.settings.serve) == new
            book.assert_true(traffic.truth)


def test_disk_that_is_really_full_stops_the_meter_in_words_and_room_lets_it_go_on(
    book: Book, traffic: Traffic, commands: Commands
) -> None:
    """What the file system itself says, not what a test makes of it; without root, a limit on the size of files."""
    book.send(traffic.lines)
    with small_disk(book.settings.lake) as largest_file:
        ended, told = commands.run(book.settings, *book.meter, largest_file=largest_file)
        assert ended == 1
        assert "tollbook: expected to write" in told
        assert "Traceback" not in told
    _meter(book)
    book.assert_whole(read=len(traffic.lines))


@pytest.mark.parametrize("folder", ["usage", "commits", "reference/prices/versions", "."])
def test_folder_that_cannot_be_written_is_told_and_once_it_can_nothing_is_missing(
    folder: str, book: Book, traffic: Traffic, commands: Commands
) -> None:
    """A disk that the system mounted read-only after a fault, or a folder of someone else's."""
    book.send(traffic.lines[:20])
    with read_only(book.settings.lake / folder):
        ended, told = commands.run(book.settings, *book.meter)
        assert ended in {1, 2}
        assert "tollbook: expected" in told
        assert str(book.settings.lake) in told
        assert "Traceback" not in told

    _meter(book)
    book.assert_whole(read=20)


def test_stalled_meter_that_wakes_up_after_another_took_over_commits_nothing(
    book: Book, traffic: Traffic, commands: Commands
) -> None:
    """Its files are written when it stops; when it goes on, its epoch is over."""
    first, second = traffic.lines[:100], traffic.lines[100:]
    book.send(first)
    stalled = commands.start(book.settings, *book.meter, fault={"step": "folders_synced", "kind": "stop"})
    assert stalled.wait() is None
    # An operator who takes it for dead deletes its lock, or a network file system has lost it.
    (book.settings.lake / WRITER_LOCK).unlink()
    book.send(second)
    _meter(book)

    stalled.go_on()

    assert stalled.wait() == 1
    assert "another meter took over" in stalled.told()
    assert "Traceback" not in stalled.told()
    _meter(book)
    book.assert_whole(read=len(traffic.lines))
    build(book.settings)
    book.assert_true(traffic.truth)


def test_second_meter_is_refused_while_the_first_stalls_and_goes_on_where_it_ended(
    book: Book, traffic: Traffic, commands: Commands
) -> None:
    """A stop is no death: the lock holds, and the first makes its commit when it goes on."""
    book.send(traffic.lines)
    first = commands.start(book.settings, *book.meter, fault={"step": "folders_synced", "kind": "stop"})
    assert first.wait() is None

    ended, told = commands.run(book.settings, *book.meter)

    assert ended == 1
    assert f"process {first.pid} holds" in told
    first.go_on()
    assert first.wait() == 0
    assert _meter(book).read == 0
    book.assert_whole(read=len(traffic.lines))


@pytest.mark.slow
@pytest.mark.parametrize("step", ["marts_copied", "pointer_swapped"])
def test_stalled_publish_that_wakes_up_after_another_build_does_not_bring_the_old_book_back(
    step: str, book: Book, traffic: Traffic, commands: Commands
) -> None:
    """Readers never go back to an older version."""
    book.send(traffic.lines[:100])
    _meter(book)
    build(book.settings, publish=False)
    stalled = commands.start(book.settings, "warehouse", "publish", fault={"step": step, "kind": "stop"})
    assert stalled.wait() is None
    WarehouseFolder.of(book.settings).lock.unlink()
    book.send(traffic.lines[100:])
    _meter(book)
    build(book.settings)

    stalled.go_on()

    assert stalled.wait() == 1
    assert "another build may have taken over" in stalled.told()
    book.assert_true(traffic.truth)


@contextmanager
def small_disk(folder: Path) -> Iterator[int | None]:
    """Let `folder` be a disk with too little room, gone at the end with what it holds; yields a limit where it cannot.

    Only root may mount one. Elsewhere what is yielded is how large a file may be, for the process that is to fail.
    """
    with mounted(folder, "size=128k") as is_mounted:
        yield None if is_mounted else 8_192


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write to `folder`. Permissions do not stop root, who may mount instead."""
    with mounted(folder, "ro") as is_mounted:
        if not is_mounted and os.geteuid() == 0:
            pytest.skip("a root that may not mount cannot be kept from writing")
        if not is_mounted:
            folder.chmod(0o555)
        yield
        if not is_mounted:
            folder.chmod(0o755)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """Mount an empty file system in memory over `folder`; yields whether this process may."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    may = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield may
    finally:
        if may:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _meter(book: Book) -> MeterProgress:
    return run_meter(MeterOptions(settings=book.settings, topics=(book.topic,)))


def _compact(settings: Settings) -> None:
    """Do what `tollbook lake compact --now` does."""
    now = datetime.now(UTC)
    compact(settings.lake, until=now, clock=lambda: now)
    expire(settings.lake, now=now)
