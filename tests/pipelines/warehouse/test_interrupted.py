"""Builds that die, meet each other or lose a hand-over: the book is never wrong, only late."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tollbook.errors import BookUnbalancedError, BuildFailedError, WarehouseStateError
from tollbook.warehouse.build import build, publish_build
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

BUILD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tollbook.settings import Settings
from tollbook.warehouse.build import build

def tell(message):
    print(message, flush=True)
    if sys.argv[2] in message:
        os.kill(os.getpid(), signal.SIGKILL)

build(Settings(home=Path(sys.argv[1])), tell=tell)
"""


def start_build(lake: LakeBuilder, *, die_at: str = "never") -> subprocess.Popen[str]:
    """Start a build in a process of its own that kills itself with -9 when it tells of `die_at`."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILD_AND_DIE, str(lake.settings.home), die_at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_build_killed_at_any_step_is_made_good_by_the_next(lake: LakeBuilder, event: Any, void: Any) -> None:
    """Readers keep the old book, and the next build comes to the totals of an undisturbed one."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-02"), event("c", "2026-06-02")])
    build(lake.settings)
    old = lake.everything()
    lake.commit(
        [void("a", "2026-06-01"), event("b", "2026-06-05", revision=1, input_tokens=30), event("d", "2026-06-02")]
    )

    for step in ("gate:", "plan:", "int_task_days_summed", "fct_tasks", "balance:"):
        process = start_build(lake, die_at=step)
        told, errors = process.communicate()
        assert process.returncode == -9, errors
        assert step in told.splitlines()[-1]
        assert lake.everything() == old

    assert build(lake.settings).event_dates in {0, 3}
    # b: 30 and 10 tokens, c and d: 100 and 10 each; a is void.
    assert lake.total() == (3, 230, 30, Decimal("0.003"))
    after_kills = lake.everything()
    build(lake.settings, full_refresh=True)
    assert lake.everything() == after_kills
    assert not list(lake.settings.serve.glob(".new-*"))


def test_builds_killed_at_random_moments_come_to_the_same_totals(lake: LakeBuilder, event: Any) -> None:
    """Nobody chooses the moment of a power cut, and the first build of all may be the one that dies."""
    chance = random.Random(20260601)
    for number in range(3):
        lake.commit([event(f"{number}-{each}", f"2026-06-{1 + each:02d}") for each in range(number + 1)])
        process = start_build(lake)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 6))
        process.kill()
        process.communicate()

    build(lake.settings)

    assert lake.total() == (6, 600, 60, Decimal("0.006"))


def test_second_build_waits_for_the_first(lake: LakeBuilder, event: Any) -> None:
    """Two schedulers that overlap must neither fail nor count twice."""
    lake.commit([event("a"), event("b", "2026-06-02")])
    first = start_build(lake)
    assert first.stdout is not None
    assert first.stdout.readline().startswith("gate:")
    os.kill(first.pid, signal.SIGSTOP)  # until the second waits for it, however slow the second is
    told: list[str] = []

    def hear(message: str) -> None:
        told.append(message)
        if "waiting for it to end" in message:
            os.kill(first.pid, signal.SIGCONT)

    try:
        second = build(lake.settings, tell=hear)
    finally:
        os.kill(first.pid, signal.SIGCONT)

    assert first.wait() == 0
    first.communicate()
    assert told[0] == f"another build (process {first.pid}) is at work, waiting for it to end"
    assert "nothing new in the lake" in told
    assert (second.built_commit, second.event_dates) == (1, 0)
    assert lake.total() == (2, 200, 20, Decimal("0.002"))


def test_loss_in_a_mart_fails_the_build_and_names_the_hand_over(lake: LakeBuilder, event: Any) -> None:
    """A row that vanished from an old date is found by the totals of the whole ledger, and nothing is published."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-02", input_tokens=70)])
    build(lake.settings)
    old = lake.everything()
    with duckdb.connect(WarehouseFolder.of(lake.settings).marts) as marts:
        marts.execute("delete from engineering.fct_usage_daily where usage_date = date '2026-06-02'")
    lake.commit([event("c", "2026-06-03")])

    with pytest.raises(BookUnbalancedError) as unbalanced:
        build(lake.settings)

    assert (
        "calls_to_usage_daily, scope all, input_tokens: in 270, out 200, difference 70" in unbalanced.value.differences
    )
    assert unbalanced.value.exit_code == 1
    assert lake.everything() == old
    with pytest.raises(WarehouseStateError, match="did not end well"):
        publish_build(lake.settings)

    build(lake.settings, full_refresh=True)
    assert lake.total() == (3, 270, 30, Decimal("0.003"))


@pytest.mark.slow
def test_failing_model_is_named(lake: LakeBuilder, event: Any) -> None:
    """Dbt's own words, in one line, with the log's place; the next build tries again."""
    lake.commit([event("a")])
    build(lake.settings)
    with duckdb.connect(WarehouseFolder.of(lake.settings).ledger) as ledger:
        ledger.execute("alter table intermediate.int_usage_days_summed drop column agent")
    lake.commit([event("b")])

    with pytest.raises(BuildFailedError, match=r"int_usage_days_summed \(error\)"):
        build(lake.settings)

    assert lake.total()[0] == 1
    build(lake.settings, full_refresh=True)
    assert lake.total()[0] == 2


@pytest.mark.slow
def test_marts_that_are_not_of_this_ledger_are_made_anew(lake: LakeBuilder, event: Any) -> None:
    """Someone deletes one file of two; an increment on top of nothing would look like a whole book."""
    lake.commit([event("a", "2026-06-01")])
    build(lake.settings)
    WarehouseFolder.of(lake.settings).marts.unlink()
    lake.commit([event("b", "2026-06-02")])

    result = build(lake.settings)

    assert (result.full_refresh, result.event_dates) == (True, 2)
    assert lake.total()[0] == 2
