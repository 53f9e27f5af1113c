"""The published cases through Kafka, meter, gate and dbt: each mart holds what the simulator says of it, exactly."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.demo.findings import compare_findings
from tollbook.rating.load import installed_catalogue
from tollbook.rating.sources.loading import load_overlay
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.simulate.delivery import Shares
from tollbook.simulate.scenarios.catalogue import choose
from tollbook.simulate.simulation import Plan, simulate
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book

ROUGH = Shares(duplicates=50_000, late=30_000, poison=10_000, conflicts=10_000)
PUBLISHED: dict[str, tuple[str, ...]] = {
    "price-fall": (),
    "agent-tokens": (),
    "hidden-cost": (),
    # What a call costs is no part of the case, and fewer are quicker.
    "flat-plan": ("call_usd=200",),
    "margin": ("call_usd=25",),
}
OTHER: dict[str, tuple[str, ...]] = {
    "price-fall": (
        *("price_usd=3.33", "price_fall_percent=41.5", "tasks=17", "calls_per_task=3.5", "tokens_per_call=777"),
        *("task_growth=0.6", "call_growth=2.25", "token_growth=1.7"),
        *("small_calls_percent=0", "small_calls_later_percent=35"),
    ),
    "agent-tokens": (
        *("questions=33", "question_tokens=731", "agent_tasks=21", "agent_tokens_least=1234", "failed_percent=100"),
        *("agent_tokens_most=7654321", "agent_calls=7", "helpers=3"),
    ),
    "hidden-cost": (
        *("tasks=13", "generation_usd=7.77", "retrieval_percent=0", "embedding_percent=33.3", "context_percent=171"),
        *("retry_percent=12.5", "aborted_percent=0", "cache_write_percent=7.25", "cached_context_percent=90"),
    ),
    "flat-plan": (
        *("fee_usd=33.33", "multiple=2.5", "persons=9", "next_percent=61", "unused_seats=0", "call_usd=3"),
        *("covered_fee_usd=5", "covered_usd=11.11"),
    ),
    "margin": (*("revenue_usd=1234.57", "points_before=31.25", "points_after=7.0625", "customers=0", "call_usd=12"),),
}


def simulated(folder: Path, name: str, assignments: tuple[str, ...], **plan: Any) -> dict[str, Any]:
    """Write a scenario into a folder; return its truth."""
    chosen = choose(name, assignments)
    folder.mkdir()
    return simulate(
        Plan(seed=9, months=chosen.scenario.fewest_months + 1, shares=ROUGH, chosen=chosen, **plan),
        out=folder / "calls.jsonl",
        truth_path=folder / "truth.json",
        reference_path=folder / "reference",
    )


def load_all(folders: list[Path], settings: Settings) -> None:
    """Use the reference files of scenarios; of their owner rules one file is made, as a book has one."""
    owners = [(folder / "reference" / "owners.yml").read_text(encoding="utf-8") for folder in folders]
    together = folders[0].parent / "owners.yml"
    together.write_text("".join([owners[0], *(text.split("rules:\n")[1] for text in owners[1:])]), encoding="utf-8")
    load_file(together, settings)
    for folder in folders:
        for path in sorted((folder / "reference").glob("*.yml")):
            if path.name != "owners.yml":
                load_file(path, settings)
        for path in (folder / "reference" / "prices").glob("*.yml"):
            load_overlay(path, settings.price_overlays, installed_catalogue(), now=datetime.now(UTC))


@pytest.mark.parametrize(
    ("cases", "events"),
    [
        pytest.param(PUBLISHED, 0, id="published"),
        pytest.param(OTHER, 200, id="other values", marks=pytest.mark.slow),
    ],
)
def test_every_mart_recovers_its_case(
    book: Book, tmp_path: Path, cases: dict[str, tuple[str, ...]], events: int
) -> None:
    """Five cases of five teams in one book, with all that goes wrong on the way; once beside an organisation's usage.

    A truth that says otherwise in one amount, or of one row, is told from the book.
    """
    truths = {
        name: simulated(tmp_path / name, name, assignments, events=events if name == "margin" else 0)
        for name, assignments in cases.items()
    }
    # The organisation's rules come with the margin's, so that file is the first.
    load_all([tmp_path / name for name in reversed(cases)], book.settings)
    for name in cases:
        book.send((tmp_path / name / "calls.jsonl").read_bytes().splitlines())
    run_meter(MeterOptions(settings=book.settings, topics=(book.topic,)))
    build(book.settings)

    for name, truth in truths.items():
        found = compare_findings(book.settings, truth["scenario"])
        assert found.differences == (), name
        assert found.amounts >= 10
    wrong = copy.deepcopy(truths["hidden-cost"]["scenario"])
    rows = wrong["expected"][0]["rows"]
    rows[0]["effective_cost"] = f"{rows[0]['effective_cost'][:-1]}1"
    missing = rows.pop()
    first, last = compare_findings(book.settings, wrong).differences
    assert "effective_cost" in first
    assert f"{missing['purpose']}: no row simulated, one there" in last
    checked = CliRunner().invoke(
        build_app(),
        ["simulate", "--check", str(tmp_path / "price-fall" / "truth.json"), "--home", str(book.settings.home)],
        catch_exceptions=False,
    )
    assert (checked.exit_code, checked.stdout) == (0, "")
