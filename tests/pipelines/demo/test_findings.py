"""A mart that differs from what a scenario expects of it is found out, whatever differs."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.demo.findings import compare_findings, read_truth_file
from tollbook.errors import MisuseError, QueryError

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
MARGINS: dict[str, Any] = {
    "mart": "insight.fct_margins",
    "where": {"product": "chat"},
    "key": ["billing_period_start", "customer_id"],
    "within": {},
    "rows": [
        {"billing_period_start": "2026-06-01", "customer_id": "all", "calls": 3, "ai_cost": "1.500000000000"},
        {"billing_period_start": "2026-07-01", "customer_id": "all", "calls": 0, "ai_cost": None},
    ],
}
EFFECTS: dict[str, Any] = {
    "mart": "insight.fct_price_volume_mix",
    "where": {"team": "search", "workflow": "answers"},
    "key": ["effect"],
    "within": {"effect_cost": "0.000000000002"},
    "rows": [{"effect": "price", "effect_cost": "-1.000000000000"}],
}


@pytest.fixture
def margins(book: Book) -> Book:
    """Return a book whose margins are as they are expected, and another product's beside."""
    for month, calls, cost in ((JUNE, 3, Decimal("1.5")), (JULY, 0, None)):
        told = {"billing_period_start": month, "customer_id": "all", "calls": calls, "ai_cost": cost}
        book.add("insight.fct_margins", product="chat", **told)
        book.add("insight.fct_margins", product="draft", **told)
    return book


def differences(book: Book, *expected: dict[str, Any]) -> tuple[str, ...]:
    """Return what differs between a book and what is expected of it."""
    return compare_findings(book.publish(), {"expected": expected}).differences


def test_a_mart_as_expected_has_no_difference(margins: Book) -> None:
    """Two amounts of each of two rows; rows of others are not asked for."""
    found = compare_findings(margins.publish(), {"expected": [MARGINS]})
    assert (found.amounts, found.differences) == (4, ())


def test_each_amount_counts_to_its_last_digit(margins: Book) -> None:
    """An unknown amount is not zero."""
    rows = [MARGINS["rows"][0] | {"ai_cost": "1.500000000001"}, MARGINS["rows"][1] | {"ai_cost": "0.000000000000"}]
    assert differences(margins, MARGINS | {"rows": rows}) == (
        "insight.fct_margins 2026-06-01 all ai_cost: 1.500000000001 simulated, 1.500000000000 in the book",
        "insight.fct_margins 2026-07-01 all ai_cost: 0.000000000000 simulated, none in the book",
    )


def test_rows_that_lack_and_rows_too_many_are_told(margins: Book) -> None:
    """What a mart holds beyond what was simulated is as wrong as what it lacks."""
    rows = [MARGINS["rows"][0], MARGINS["rows"][1] | {"customer_id": "acme"}]
    assert differences(margins, MARGINS | {"rows": rows}) == (
        "insight.fct_margins 2026-07-01 acme: one row simulated, none in the book",
        "insight.fct_margins 2026-07-01 all: no row simulated, one there",
    )
    assert len(differences(margins, MARGINS | {"rows": []})) == 2


def test_a_mart_may_be_off_by_what_is_said_and_no_more(book: Book) -> None:
    """Where shares are floats, a row of nearly nothing is as good as none."""
    for effect, cost in (("price", "-1.000000000002"), ("cache_mix", "0.000000000002")):
        book.add(
            "insight.fct_price_volume_mix", team="search", workflow="answers", effect=effect, effect_cost=Decimal(cost)
        )
    assert differences(book, EFFECTS) == ()
    assert differences(book, EFFECTS | {"within": {"effect_cost": "0.000000000001"}}) == (
        "insight.fct_price_volume_mix cache_mix: no row simulated, one there",
        "insight.fct_price_volume_mix price effect_cost: -1.000000000000 simulated, -1.000000000002 in the book",
    )


def test_a_truth_file_names_marts_and_columns_alone(margins: Book) -> None:
    """What it names becomes part of a query."""
    with pytest.raises(MisuseError, match="expected the name of a mart or column in the truth file, got 'x; select 1'"):
        differences(margins, MARGINS | {"mart": "x; select 1"})
    with pytest.raises(QueryError, match=r"expected the columns .* in insight\.fct_margins"):
        differences(margins, MARGINS | {"where": {"colour": "red"}})


def test_the_command_exits_with_one_where_the_book_differs(margins: Book, tmp_path: Path) -> None:
    """Then it names what differs; a file that is no truth is misuse."""
    margins.publish()
    truth = tmp_path / "truth.json"

    def check(cost: str, *options: str) -> tuple[int, str]:
        rows = [MARGINS["rows"][0] | {"ai_cost": cost}, MARGINS["rows"][1]]
        told = {"simulation": {}, "scenario": {"expected": [MARGINS | {"rows": rows}]}}
        truth.write_text(json.dumps(told), encoding="utf-8")
        arguments = ["simulate", "--check", str(truth), "--home", str(margins.settings.home), *options]
        ran = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
        return ran.exit_code, ran.stdout

    assert check("1.5") == (0, "")
    code, shown = check("1.6")
    assert (code, shown) == (
        1,
        "insight.fct_margins 2026-06-01 all ai_cost: 1.6 simulated, 1.500000000000 in the book\n",
    )
    code, shown = check("1.6", "--json")
    assert (code, json.loads(shown)["amounts"]) == (1, 4)
    truth.write_text("[]", encoding="utf-8")
    for path in (truth, tmp_path / "none.json"):
        with pytest.raises(MisuseError, match="expected a truth file of `tollbook simulate` at"):
            read_truth_file(path)
