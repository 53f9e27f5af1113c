"""Backups taken while a meter commits, and what comes of a restore, by the commands of the runbook."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from tollbook.errors import WarehouseStateError
from tollbook.lake.manifest import newest, read_commit
from tollbook.lake.upgrade import Upgraded, upgrade
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

RUNBOOK = Path(__file__).resolve().parents[2] / "infra" / "runbooks" / "backup-and-restore.md"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENTS = 12
# claude-opus-4-5: 5 USD a million input tokens. 12 calls of 1,000 are 60,000 millionths of a USD.
EVENT = (
    b'{"source":"anthropic","event_id":"%d","occurred_at":"2026-06-0%dT10:00:00Z","provider":"anthropic",'
    b'"model":"claude-opus-4-5-20251101","team":"search","workflow":"w","input_tokens":1000,"output_tokens":0}'
)
BOOK = (
    "select sum(calls)::bigint, sum(input_tokens)::bigint, sum(list_cost)::varchar from finance.fct_chargeback_by_team"
)
WHOLE_BOOK = [(12, 12_000, "0.060000000000")]


def _backup_commands() -> tuple[str, str]:
    """Return the command that copies the logs and the one that copies the data, as the runbook has them."""
    (block,) = re.findall(r"## Back up\n.*?```sh\n(.*?)```", RUNBOOK.read_text(encoding="utf-8"), re.DOTALL)
    folder, logs, data = block.splitlines()
    return f"{folder}\n{logs}", f"{folder}\n{data}"


def _run(command: str, home: Path, backup: Path) -> None:
    environment = os.environ | {"TOLLBOOK_HOME": str(home), "BACKUP": str(backup)}
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=environment, check=True)


def _send(settings: Settings, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for number in range(EVENTS):
        producer.send(topic, value=EVENT % (number, 1 + number % 2), partition=0)
    producer.flush()
    producer.close()


def _meter(settings: Settings, topic: str, report: Callable[[MeterProgress], None] = lambda _: None) -> MeterProgress:
    # Six commits of two records.
    options = MeterOptions(settings=settings, topics=(topic,), clock=lambda: NOW, max_commit_records=2)
    return run_meter(options, report=report)


def _restore(settings: Settings, backup: Path, home: Path) -> tuple[Settings, Upgraded]:
    """Return a home made of a backup, and what a look at it finds."""
    home.mkdir()
    subprocess.run(["tar", "-xf", str(backup), "-C", str(home)], check=True)
    restored = Settings(home=home, bootstrap_servers=settings.bootstrap_servers)
    return restored, upgrade(restored.lake, now=NOW, dry_run=True)


@pytest.fixture
def metered(settings: Settings, new_topic: Any, tmp_path: Path) -> tuple[Settings, str, Path, Path]:
    """Return a book of six commits, its topic, and two backups that were begun at commit 2 and ended at commit 4.

    The first has its logs from commit 2 and its data from commit 4, as the runbook says; the second the other way.
    """
    topic = new_topic(partitions=1)
    _send(settings, topic)
    settings.owners.parent.mkdir(parents=True)
    settings.owners.write_text("rules: []\n", encoding="utf-8")
    logs, data = _backup_commands()
    good, torn = tmp_path / "good.tar", tmp_path / "torn.tar"

    def copy(done: MeterProgress) -> None:
        if done.commit == 2:
            _run(logs, settings.home, good)
            _run(data.replace("-rf", "-cf"), settings.home, torn)
        if done.commit == 4:
            _run(data, settings.home, good)
            _run(logs.replace("-cf", "-rf"), settings.home, torn)

    assert _meter(settings, topic, copy).commit == 6
    return settings, topic, good, torn


def test_a_backup_by_the_runbook_goes_on_to_the_same_book(
    metered: tuple[Settings, str, Path, Path], tmp_path: Path
) -> None:
    """Taken while the meter commits, it is whole at the commit that its logs end with, and the rest is read again."""
    settings, topic, good, _ = metered
    restored, look = _restore(settings, good, tmp_path / "restored")
    assert (look.commit, look.damages) == (2, ())
    swept: list[str] = []
    options = MeterOptions(settings=restored, topics=(topic,), clock=lambda: NOW)
    done = run_meter(options, tell=swept.append)
    # Four of twelve events are in the backup's two commits; what commits 3 and 4 wrote is swept.
    assert (done.commit, done.read) == (3, 8)
    files = {file.path for number in (3, 4) for file in read_commit(settings.lake, number).files}
    assert files <= {message.split()[1].rstrip(",") for message in swept}
    build(restored, clock=lambda: NOW)
    assert ask(restored, BOOK).rows == WHOLE_BOOK
    assert ask(restored, "select count(*) from audit.fct_ledger_balance where difference <> 0").rows == [(0,)]


def test_a_backup_of_data_before_logs_is_refused_with_what_it_lacks(
    metered: tuple[Settings, str, Path, Path], tmp_path: Path
) -> None:
    """A copy in the order of the folders may name files that came after: each of them is listed, and none else."""
    settings, _, _, torn = metered
    _, look = _restore(settings, torn, tmp_path / "restored")
    lacking = {file.path for number in (3, 4) for file in read_commit(settings.lake, number).files}
    assert look.commit == 4
    assert {damage.path for damage in look.damages} == lacking
    assert all(damage.found_bytes is None for damage in look.damages)


def test_an_older_lake_under_a_newer_warehouse_is_refused_until_the_warehouse_is_deleted(
    metered: tuple[Settings, str, Path, Path],
) -> None:
    """Two books must not be mixed; what to do is said, and then the book is whole again."""
    settings, topic, good, _ = metered
    build(settings, clock=lambda: NOW)
    shutil.rmtree(settings.lake)
    subprocess.run(["tar", "-xf", str(good), "-C", str(settings.home)], check=True)
    with pytest.raises(WarehouseStateError, match=f"delete {settings.warehouse} and build again"):
        build(settings, clock=lambda: NOW)
    # As many commits as the warehouse has taken, but others.
    _meter(settings, topic)
    last = newest(settings.lake)
    assert last is not None
    assert last.commit == 6
    with pytest.raises(WarehouseStateError, match=f"delete {settings.warehouse} and build again"):
        build(settings, clock=lambda: NOW)
    assert ask(settings, BOOK).rows == WHOLE_BOOK
    shutil.rmtree(settings.warehouse)
    build(settings, clock=lambda: NOW)
    assert ask(settings, BOOK).rows == WHOLE_BOOK
    assert ask(settings, "select built_commit from audit.publication").rows == [(6,)]
