"""The forecast of a small published file, on the command line."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.cli import main
from tollbook.errors import MisuseError
from tollbook.insight.forecasts import read_forecast
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book


def month(book: Book, start: date, team: str, cost: str | None, **told: Any) -> None:
    """Add a month of a team, at flat prices twice as dear."""
    for scenario, times in (("expected", 1), ("flat_prices", 2)):
        row: dict[str, Any] = {"forecast_cost": None if cost is None else Decimal(cost) * times, **told}
        if cost is not None:
            row |= {"forecast_lower_cost": Decimal(cost) / 2, "forecast_upper_cost": Decimal(cost) * 3 / 2}
        book.add(
            "insight.fct_forecast",
            billing_period_start=start,
            team=team,
            billing_currency="USD",
            scenario=scenario,
            as_of_date=date(2026, 8, 30),
            **row,
        )


@pytest.fixture
def published(book: Book) -> Settings:
    """Search and legal are forecast for two months, legal untested; ops began a week ago."""
    tested = {"backtest_error": Decimal("0.125"), "last_value_error": Decimal(1), "mean_error": Decimal("0.5")}
    drivers = {"forecast_tasks": 1_000, "forecast_tokens_per_task": Decimal("2500.4")}
    price = {"forecast_price_per_million_tokens": Decimal("2.005")}
    for start, cost in ((date(2026, 8, 1), "1234.567"), (date(2026, 9, 1), "40")):
        method = {"forecast_method": "damped_trend", "held_out_weeks": 4, "seasonal_week_error": Decimal("0.25")}
        month(book, start, "search", cost, **tested, **drivers, **price, **method)
        month(book, start, "legal", "2", reason="short_history", base_unpriced_tokens=1_500)
        month(book, start, "ops", None, reason="too_little_history")
    return book.publish()


def told(settings: Settings, *arguments: str) -> int:
    """Run the command and return its exit code."""
    return main(["insight", "forecast", "--home", str(settings.home), *arguments])


def test_months_of_teams_stand_beside_flat_prices_and_errors(
    published: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Amounts to the cent, 1,234.567 + 2 in all; a half interval below and above; who has no forecast is told."""
    code = told(published)

    out, err = capsys.readouterr()
    assert code == 0
    assert [re.split(" {2,}", line) for line in out.splitlines()][1:] == [
        ["legal", "2026-08", "USD", "2.00", "1.00", "3.00", "4.00", "-", "-", "-"],
        ["legal", "2026-09", "USD", "2.00", "1.00", "3.00", "4.00", "-", "-", "-"],
        ["search", "2026-08", "USD", "1,234.57", "617.28", "1,851.85", "2,469.13", "1,000", "2,500", "2.00"],
        ["search", "2026-09", "USD", "40.00", "20.00", "60.00", "80.00", "1,000", "2,500", "2.00"],
        ["in all", "2026-08", "USD", "1,236.57", "-", "-", "2,473.13", "-", "-", "-"],
        ["in all", "2026-09", "USD", "42.00", "-", "-", "84.00", "-", "-", "-"],
        [""],
        ["team", "method", "weeks held out", "% off", "last day", "mean", "last week"],
        ["search", "damped_trend", "4", "12.5", "100.0", "50.0", "25.0"],
    ]
    assert err.splitlines() == [
        "of usage up to 2026-08-30, the last complete day",
        "legal has less than four whole weeks of history: its last week is repeated, untested",
        "legal: 1,500 tokens of the last four weeks have no known price",
        "ops has less than two whole weeks of history, so nothing is forecast",
    ]


def test_json_has_every_digit_of_one_team(published: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts take both scenarios of each month."""
    assert told(published, "--team", "search", "--json") == 0

    rows = json.loads(capsys.readouterr().out)
    assert [(row["billing_period_start"], row["scenario"]) for row in rows] == [
        (start, scenario) for start in ("2026-08-01", "2026-09-01") for scenario in ("expected", "flat_prices")
    ]
    assert rows[0]["forecast_cost"] == "1234.567000000000"
    assert rows[0]["team"] == "search"


def test_a_team_that_is_not_there_is_misuse(published: Settings) -> None:
    """A misspelt name must not look like a team that costs nothing."""
    with pytest.raises(MisuseError, match="found none named 'serach'"):
        read_forecast(published, team="serach")


def test_nothing_to_forecast_is_misuse(book: Book) -> None:
    """A book of one day has no complete one."""
    with pytest.raises(MisuseError, match="at least one complete day"):
        read_forecast(book.publish())


def test_scenarios_stand_beside_what_is_expected(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that are as expected are left out; 40 + 3 + 8 USD are 8 more than 43 in all.

    A month with an unknown part has no sum.
    """
    september, october = date(2026, 9, 1), date(2026, 10, 1)
    drivers = {"forecast_tasks": 1_000, "base_unpriced_tokens": 0}
    for start in (september, october):
        month(book, start, "search", "40", **drivers)
        month(book, start, "legal", "3", **drivers)
    told_of: list[tuple[date, str, str | None, str | None]] = [
        (september, "search", "40", None),
        (september, "legal", "3", None),
        (september, "tax", "8", "only_assumed"),
        (october, "search", None, "no_known_price_of_move"),
        (october, "legal", "2", None),
        (october, "tax", "8", "only_assumed"),
    ]
    for start, team, cost, reason in told_of:
        book.add(
            "insight.fct_forecast",
            billing_period_start=start,
            team=team,
            billing_currency="USD",
            scenario="grow",
            as_of_date=date(2026, 8, 30),
            forecast_cost=None if cost is None else Decimal(cost),
            reason=reason,
            base_unpriced_tokens=0,
        )
    assert told(book.publish()) == 0

    out, err = capsys.readouterr()
    lines = [re.split(" {2,}", line) for line in out.splitlines()]
    assert [line for line in lines if line[0] == "grow"] == [
        ["grow", "legal", "2026-10", "USD", "2.00", "-", "-", "-1.00"],
        ["grow", "search", "2026-10", "USD", "-", "-", "-", "-"],
        ["grow", "tax", "2026-09", "USD", "8.00", "-", "-", "+8.00"],
        ["grow", "tax", "2026-10", "USD", "8.00", "-", "-", "+8.00"],
        ["grow", "in all", "2026-09", "USD", "51.00", "-", "-", "+8.00"],
    ]
    assert "grow: search is moved to a model without a known price, or has none itself, so nothing is known" in err
    assert len(err.splitlines()) == 2
