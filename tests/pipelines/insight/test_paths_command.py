"""Paths of a small published file, on the command line."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.cli import main
from tollbook.errors import MisuseError
from tollbook.insight.path_rows import read_paths
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book


def row(book: Book, path: str, workload: str = "answers", month: int = 6, **told: Any) -> None:
    """Add a path of a workload."""
    common = {"workload": workload, "calls": 7, "workload_cost": Decimal(2880), "is_cheapest": False, **told}
    start = date(2026, month, 1)
    book.add(
        "insight.fct_unit_cost_paths",
        billing_period_start=start,
        billing_currency="USD",
        inference_path=path,
        **common,
    )


@pytest.fixture
def published(book: Book) -> Settings:
    """Answers on an API, in a neo-cloud and nowhere else; a workload that costs less; the month before."""
    row(book, "on_prem", excluded_reason="no_offer")
    row(book, "hyperscaler", excluded_reason="no_offer")
    row(
        book,
        "neo_cloud",
        path_cost=Decimal(1440),
        cost_per_million_tokens=Decimal("0.15"),
        cost_per_task=Decimal("1.23456"),
        is_cheapest=True,
        offer_id="neo",
        cost_kind="rented",
        instances=2,
        utilisation=Decimal("0.289351851852"),
        break_even_tokens=2_400_000_000,
        break_even_utilisation=Decimal("0.144675925926"),
        caveats="another_model, full_load_benchmark",
    )
    row(
        book,
        "model_api",
        path_cost=Decimal(2880),
        cost_kind="observed",
        break_even_reason="is_the_model_api",
        caveats="path_not_told",
    )
    row(book, "model_api", "mails", workload_cost=Decimal(1), excluded_reason="residency", caveats="unpriced_tokens")
    row(book, "model_api", month=5)
    return book.publish()


def told(settings: Settings, *arguments: str) -> int:
    """Run the command and return its exit code."""
    return main(["insight", "paths", "--home", str(settings.home), *arguments])


def test_paths_of_a_workload_stand_together(published: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest month, the dearest workload first; what costs rest on is told of what is listed alone."""
    assert told(published, "--top", "1") == 0
    out, err = capsys.readouterr()
    period, _, _, *shown = (re.split(" {2,}", line) for line in out.splitlines())
    assert period == ["2026-06"]
    assert shown == [
        ["answers", "model_api", "2,880.00", "-", "-", "observed", "-", "-", "-", "-", "is_the_model_api"],
        [
            *("answers", "neo_cloud", "1,440.00 *", "0.1500", "1.2346", "neo", "2", "28.94"),
            *("2,400,000,000", "14.47", "-"),
        ],
        ["answers", "hyperscaler, on_prem", "-", "-", "-", "-", "-", "-", "-", "-", "no_offer"],
    ]
    assert err.splitlines() == [
        "neo_cloud: another model would serve it: whether it is as good is not compared",
        "neo_cloud: throughput is that of a benchmark in batches at full load, which production does not reach",
        "model_api: calls that tell no path and have a price count as bought from a model API",
        "1 more: --json has all workloads, and so has a larger --top",
    ]


def test_json_has_every_digit_of_one_workload(published: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown costs are null, and any month can be asked for."""
    assert told(published, "--workload", "answers", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["billing_period"] == "2026-06"
    assert [each["inference_path"] for each in facts["rows"]] == ["model_api", "hyperscaler", "neo_cloud", "on_prem"]
    assert [each["break_even_utilisation"] for each in facts["rows"]] == [None, None, "0.144675925926", None]
    assert told(published, "--period", "2026-05", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1


def test_what_is_not_there_is_misuse(published: Settings) -> None:
    """A misspelt name must not look like a workload without a cost."""
    with pytest.raises(MisuseError, match="expected a workload with usage in 2026-06, got 'answer'"):
        read_paths(published, workload="answer")
    with pytest.raises(MisuseError, match=r"usage of workloads \(2026-05, 2026-06\), got '2026-04'"):
        read_paths(published, period="2026-04")
