"""The demo from beginning to end, in processes of its own, with a broker of its own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollbook.broker import Broker
from tollbook.report import wording
from tollbook.report.facts import read_facts
from tollbook.settings import BOOTSTRAP_VARIABLE, Settings
from tollbook.warehouse.query import ask

EVENTS = 400
STEPS = ["broker", "simulate", "owners", "send", "meter", "warehouse", "close", "check"]
STEPS += ["report", "page", "broker", "in all"]
NOWHERE = "nowhere.invalid:9"
"""A Kafka of someone else, which the demo must not ask."""


def command(home: Path, *, seed: int = 1) -> list[str]:
    """Return the command of a small demo."""
    arguments = ["demo", "--events", str(EVENTS), "--seed", str(seed), "--home", str(home)]
    return [sys.executable, "-m", "tollbook", *arguments]


def run(home: Path, *, seed: int = 1) -> subprocess.CompletedProcess[str]:
    """Run a small demo to its end."""
    environment = os.environ | {BOOTSTRAP_VARIABLE: NOWHERE}
    return subprocess.run(
        command(home, seed=seed), capture_output=True, text=True, timeout=900, check=False, env=environment
    )


def naming(home: Path) -> list[str]:
    """Return the command lines of all processes that name a home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:  # it ended in between
            continue
        if os.fsencode(home) in line:
            found.append(line.decode(errors="replace").replace("\0", " "))
    return found


def published(home: Path, query: str) -> tuple[Any, ...]:
    """Return the only row of an answer."""
    (row,) = ask(Settings(home=home), query).rows
    return tuple(row)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home that these tests share, in their order; its broker is stopped at the end."""
    path = tmp_path_factory.mktemp("demo") / "a book"
    yield path
    Broker(Settings(home=path)).down(lambda _message: None)


@pytest.fixture(scope="module")
def first(home: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo for the first time."""
    return run(home)


def test_the_demo_shows_all_of_it_and_ends_well(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    """It is the first thing that anyone sees."""
    assert first.returncode == 0, first.stderr
    lines = first.stderr.splitlines()
    timed = [re.fullmatch(r" *\d+\.\d s  (.{11}|in all).*", line) for line in lines[1 : len(STEPS) + 1]]
    assert [match and match[1].strip() for match in timed] == STEPS, first.stderr
    assert lines[0] == f"Tollbook demo in {home}"
    assert lines[len(STEPS) + 1 : len(STEPS) + 3] == ["", "Try next:"], "libraries wrote to stderr"
    for title in ("By month", "Chargeback by team", "Chargeback by workflow"):
        assert f"{title}, list cost in USD\n" in first.stdout
    assert naming(home) == []
    page = (home / "exports" / "demo.html").read_text(encoding="utf-8")
    assert "Simulated data" in page
    report = (home / "exports" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Why the bill changed" in report
    assert "Simulated data" in report


def test_what_is_published_is_what_was_simulated(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    """To the pico-dollar, by a query of our own and not only by the demo's word."""
    truth = json.loads((home / "demo" / "truth.json").read_text(encoding="utf-8"))

    calls, tokens_in, tokens_out, cost = published(
        home,
        "select sum(calls), sum(input_tokens), sum(output_tokens), sum(list_cost) "
        "from finance.fct_chargeback_by_workflow",
    )
    assert (calls, tokens_in, tokens_out) == (EVENTS, truth["input_tokens"], truth["output_tokens"])
    assert int(cost.scaleb(12)) == truth["list_cost_pico_usd"]
    facts = read_facts(Settings(home=home))
    assert facts.whole.list_cost == cost
    last = {each.name: each.amounts for each in facts.hand_overs}["usage_charges_to_chargeback_by_workflow"]
    assert int(last["records"][0]) == EVENTS
    assert last["list_cost"][1] == cost
    assert {each.name for each in facts.hand_overs} == set(wording.HAND_OVERS)
    assert "amounts equal the simulator's truth" in first.stderr


def test_the_first_month_is_closed_and_what_came_later_is_a_correction(
    home: Path, first: subprocess.CompletedProcess[str]
) -> None:
    """The gateway's servers cost 212 a month and not 180: 32 more, which the next month bears."""
    assert first.returncode == 0, first.stderr
    state, closed_at = published(
        home, "select period_state, closed_at from finance.dim_billing_periods order by billing_period_start limit 1"
    )
    assert state == "closed"
    assert closed_at is not None
    (more,) = published(
        home,
        "select sum(effective_cost) from finance.fct_charges where charge_class = 'Correction' "
        "and charge_kind = 'platform_cost' and billing_period_start = date '2026-09-01'",
    )
    assert more == 32
    (invoiced,) = published(
        home, "select count(distinct vendor) from finance.fct_invoice_lines where obligation like 'usage %'"
    )
    assert invoiced > 1


def test_events_report_and_invoice_differ_for_reasons_that_are_named(
    home: Path, first: subprocess.CompletedProcess[str]
) -> None:
    """The vendor tells of a call in fifty that no event does, in whole hundredths of a cent, and invoices it."""
    assert first.returncode == 0, first.stderr
    rows = ask(
        Settings(home=home),
        "select comparison, residual_kind, sum(residual_calls), sum(residual_tokens), sum(residual_cost), "
        "sum(our_cost), sum(coalesce(invoice_cost, vendor_cost)) from finance.fct_reconciliation "
        "where vendor = 'openai' group by all",
    ).rows
    told = {(comparison, kind): figures for comparison, kind, *figures in rows}
    reported = {kind for comparison, kind in told if comparison == "vendor_report"}
    assert reported == {"matched", "unlogged_calls", "rounding"}
    calls, tokens, unlogged, *_ = told["vendor_report", "unlogged_calls"]
    assert min(calls, tokens, unlogged) > 0
    days, counted = published(
        home,
        "select count(distinct usage_date), sum(our_calls) from finance.fct_reconciliation "
        "where comparison = 'vendor_report' and our_calls > 0",
    )
    # One for each fifty of a day, and one for what is left of it.
    assert days <= calls <= days + counted // 50
    assert told["invoice", "unlogged_calls"][2] == unlogged
    report, ours = (sum(figures[place] for (kind, _), figures in told.items() if kind == "invoice") for place in (4, 3))
    assert abs(report - ours - unlogged) < Decimal("0.02")
    (booked,) = published(
        home,
        "select sum(effective_cost) from finance.fct_charges where charge_kind = 'reconciliation_residual' "
        "and source_id = 'openai' and corrects_period_start = date '2026-08-01'",
    )
    assert booked == report - ours


def test_the_demo_run_again_comes_to_the_same_totals(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    """Every event is sent again; all of them are duplicates."""
    lines = json.loads((home / "demo" / "truth.json").read_text(encoding="utf-8"))["lines"]

    again = run(home)

    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    assert published(home, "select sum(records) from audit.fct_kafka_offsets") == (2 * lines,)
    assert naming(home) == []


def test_another_demo_in_the_same_home_is_refused(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    """Two simulations in one book would make totals that are nobody's."""
    before = (home / "demo" / "truth.json").read_bytes()

    other = run(home, seed=2)

    assert other.returncode == 2, other.stderr
    assert f"expected the home of a demo with --events {EVENTS} --seed 2" in other.stderr
    assert "Traceback" not in other.stderr
    assert (home / "demo" / "truth.json").read_bytes() == before
    assert naming(home) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, "Tollbook"), (signal.SIGINT, "send"), (signal.SIGTERM, "meter")]
)
def test_an_interrupt_at_any_moment_leaves_nothing_running(tmp_path: Path, number: signal.Signals, after: str) -> None:
    """A broker that lives on would hold the port, and memory, of a laptop."""
    home = tmp_path / "book"
    with subprocess.Popen(command(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        told = []
        for line in demo.stderr:
            told.append(line)
            if after in line:
                break
        moment = random.uniform(0, 8)
        time.sleep(moment)
        demo.send_signal(number)
        out, err = demo.communicate(timeout=300)

    said = "".join([*told, err])
    assert demo.returncode == 130, f"after {after!r} and {moment:.3f} s: {said}"
    # Python's own tracker of semaphores may have a word after the demo's last one, where dbt was just being loaded.
    assert "tollbook: interrupted\n" in said, f"after {after!r} and {moment:.3f} s: {said}"
    assert "Traceback" not in said, f"after {after!r} and {moment:.3f} s: {said}"
    assert out == ""
    assert naming(home) == []
    shutil.rmtree(home, ignore_errors=True)
