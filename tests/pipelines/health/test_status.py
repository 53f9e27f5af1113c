"""A look at a book while a meter and a build are at work: it sees both and holds up neither."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tollbook.health.findings import findings
from tollbook.health.status import book_status
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import Manifest, commit
from tollbook.settings import Settings
from tollbook.warehouse.lock import build_lock
from tollbook.warehouse.publish import point_to
from tollbook.warehouse.state import WarehouseFolder, open_ledger

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

NO_BROKER = "127.0.0.1:9"
GIB = 1024**3


def plenty(_folder: Path) -> tuple[int, int, int]:
    """Return a disk with room, whatever this machine has."""
    return 500 * GIB, 300 * GIB, 200 * GIB


@pytest.fixture
def settings(tmp_path: Path, manifest: Callable[..., Manifest], noon: datetime) -> Settings:
    """Return a home whose lake has two commits, a second and two hours old, and whose Kafka is away."""
    home = Settings(home=tmp_path / "home", bootstrap_servers=NO_BROKER)
    here = f"{socket.gethostname()}:1"
    for number, ago in ((1, timedelta(hours=2)), (2, timedelta(seconds=1))):
        commit(home.lake, manifest(commit=number, committed_at=noon - ago, writer=here))
    return home


def test_a_meter_and_a_build_are_seen_and_neither_is_held_up(settings: Settings, noon: datetime) -> None:
    """With both locks held, a status comes at once and names their processes."""
    folder = WarehouseFolder.of(settings)
    with writer_lock(settings.lake), build_lock(folder, pytest.fail), open_ledger(folder):
        seen = book_status(settings, now=noon, answer_seconds=0.1, disk_usage=plenty)
    assert (seen.meter, seen.warehouse.building) == (getpid(), str(getpid()))
    assert (seen.warehouse.built_commit, seen.writer_is_elsewhere) == (None, False)
    assert [finding.code for finding in findings(seen)] == ["kafka_away", "nothing_published"]
    after = book_status(settings, now=noon, answer_seconds=0.1, disk_usage=plenty)
    assert (after.meter, after.warehouse.building, after.warehouse.built_commit) == (None, None, 0)


def test_a_look_writes_nothing(settings: Settings, noon: datetime) -> None:
    """Not even bookkeeping of its own: whoever may read the home may look."""
    with open_ledger(WarehouseFolder.of(settings)):
        pass
    before = {path: path.stat().st_mtime_ns for path in settings.home.rglob("*")}
    book_status(settings, now=noon, answer_seconds=0.1, disk_usage=plenty)
    assert {path: path.stat().st_mtime_ns for path in settings.home.rglob("*")} == before


def test_unpublished_commits_are_as_old_as_the_first_of_them(settings: Settings, noon: datetime) -> None:
    """Nothing is published: the oldest commit has waited for two hours."""
    seen = book_status(settings, now=noon, answer_seconds=0.1, disk_usage=plenty)
    assert seen.unpublished_since == noon - timedelta(hours=2)


def test_a_published_file_that_does_not_balance_is_found(
    two_months: Book, manifest: Callable[..., Manifest], noon: datetime
) -> None:
    """It cannot come from a build, so it is the first thing to say."""
    two_months.hand_over("kafka_to_records", "records", "5", "kafka_partition", "llm.usage/9", difference="1")
    home = replace(two_months.publish(), bootstrap_servers=NO_BROKER)
    point_to(home.serve, two_months.version)
    commit(home.lake, manifest(commit=42, committed_at=noon - timedelta(days=2)))
    seen = book_status(home, now=noon, answer_seconds=0.1, disk_usage=plenty)
    assert (seen.warehouse.balanced, seen.unpublished_since, seen.conflicts_last_day) == (False, None, None)
    assert findings(seen)[0].code == "published_unequal"


def test_the_disk_is_that_of_the_home_or_of_where_it_will_be(tmp_path: Path, noon: datetime) -> None:
    """Before the first meter too."""
    asked: list[Path] = []

    def full(folder: Path) -> tuple[int, int, int]:
        asked.append(folder)
        return 100 * GIB, 99 * GIB, GIB

    seen = book_status(Settings(home=tmp_path / "not" / "there"), now=noon, disk_usage=full)
    assert asked == [tmp_path]
    assert [finding.code for finding in findings(seen)] == ["no_book", "disk"]
