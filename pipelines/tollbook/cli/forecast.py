"""`tollbook insight forecast`: what the months ahead will cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.insight.forecasts import MonthAhead

_CENT: Final = Decimal("0.01")
_NOTHING: Final = Decimal(0)
_HUNDRED: Final = 100
_WITHOUT_FORECAST: Final = {
    "too_little_history": "has less than two whole weeks of history, so nothing is forecast",
    "no_known_price": "used nothing of known cost in the last four weeks, so nothing is forecast",
    "no_recent_usage": "used nothing in the last four weeks, so nothing is forecast",
}
_UNTESTED: Final = {
    "short_history": "has less than four whole weeks of history: its last week is repeated, untested",
    "nothing_to_test_by": "had no known cost in the weeks held out, or before them: its method is untested",
}

_UNKNOWN_MOVE: Final = (
    "no_known_price_of_move",
    "is moved to a model without a known price, or has none itself, so nothing is known",
)


def forecast(
    *,
    team: Annotated[str | None, typer.Option("--team", help="This team alone.", show_default=False)] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what usage will cost in this month and the three after it, by team: tasks, tokens per task, known prices.

    The interval holds the cost four times of five. The error is that of the method on the last weeks, of which it was
    told nothing, by week, beside those of the naive ones. Scenarios of `forecast_scenarios` stand below.
    """
    from tollbook.insight.forecasts import read_forecast

    rows = read_forecast(Settings.load(home=home), team=team)
    if as_json:
        print_json([row.as_dict() for row in rows])
    else:
        _show(rows)
        _show_scenarios(rows)
    _tell(rows)


def _show(rows: Sequence[MonthAhead]) -> None:
    """Print months of each team, of all teams, and how far off the methods were."""
    from tollbook.insight.forecast_rows import EXPECTED, FLAT_PRICES
    from tollbook.insight.forecasts import beside_flat_prices, in_all

    pairs = beside_flat_prices(rows)
    months = [
        (
            row.team,
            row.period,
            row.billing_currency,
            _cents(row.forecast_cost),
            _cents(row.forecast_lower_cost),
            _cents(row.forecast_upper_cost),
            _cents(flat.forecast_cost),
            _count(row.forecast_tasks),
            _count(row.forecast_tokens_per_task),
            _cents(row.forecast_price_per_million_tokens),
        )
        for row, flat in pairs
        if row.forecast_cost is not None
    ]
    if len({row.team for row, _ in pairs if row.forecast_cost is not None}) > 1:
        flat_sums = in_all(rows, FLAT_PRICES)
        months += [
            ("in all", period, currency, _cents(cost), None, None, _cents(flat_sums[currency, period]), *(None,) * 3)
            for (currency, period), cost in sorted(in_all(rows, EXPECTED).items())
        ]
    headings = ("forecast", "lower", "upper", "at flat prices", "tasks ahead", "tokens per task", "per 1M tokens")
    print_table(("team", "month", "currency", *headings), months)
    tested = {(row.team, row.billing_currency): row for row, _ in pairs if row.backtest_error is not None}
    if tested:
        typer.echo()
        print_table(
            ("team", "method", "weeks held out", "% off", "last day", "mean", "last week"),
            [
                (
                    row.team,
                    row.forecast_method,
                    row.held_out_weeks,
                    *map(_percent, (row.backtest_error, row.last_value_error, row.mean_error, row.seasonal_week_error)),
                )
                for row in tested.values()
            ],
        )


def _show_scenarios(rows: Sequence[MonthAhead]) -> None:
    """Print months under the scenarios of reference data, where they differ from what is expected."""
    from tollbook.insight.forecast_rows import EXPECTED
    from tollbook.insight.forecasts import beside_expected, in_all

    pairs = beside_expected(rows)
    told = [
        (
            row.scenario,
            row.team,
            row.period,
            row.billing_currency,
            _cents(row.forecast_cost),
            _cents(row.forecast_lower_cost),
            _cents(row.forecast_upper_cost),
            _change(row.forecast_cost, None if expected is None else expected.forecast_cost),
        )
        for row, expected in pairs
        if expected is None or row.forecast_cost != expected.forecast_cost
    ]
    if len({row.team for row, _ in pairs}) > 1:
        expected_sums = in_all(rows, EXPECTED)
        for scenario in dict.fromkeys(row.scenario for row, _ in pairs):
            unknown = {(row.billing_currency, row.period) for row, _ in pairs if row.reason == _UNKNOWN_MOVE[0]}
            told += [
                (scenario, "in all", period, currency, _cents(cost), None, None, _change(cost, expected))
                for (currency, period), cost in sorted(in_all(rows, scenario).items())
                if (expected := expected_sums.get((currency, period), _NOTHING)) != cost
                and (currency, period) not in unknown
            ]
    if pairs:
        typer.echo()
        headings = ("scenario", "team", "month", "currency", "forecast", "lower", "upper", "beside expected")
        print_table(headings, told)


def _tell(rows: Sequence[MonthAhead]) -> None:
    """Say on stderr up to when the book is known, and what is not forecast, or not tested."""
    from tollbook.insight.forecast_rows import EXPECTED

    progress(f"of usage up to {rows[0].as_of_date}, the last complete day")
    expected = [row for row in rows if row.scenario == EXPECTED]
    for row in {(row.team, row.billing_currency): row for row in expected}.values():
        if row.reason is not None:
            progress(f"{row.team} {(_WITHOUT_FORECAST | _UNTESTED)[row.reason]}")
        if row.base_unpriced_tokens:
            progress(f"{row.team}: {row.base_unpriced_tokens:,} tokens of the last four weeks have no known price")
    unknown = [row for row in rows if row.reason == _UNKNOWN_MOVE[0]]
    for scenario, team in dict.fromkeys((row.scenario, row.team) for row in unknown):
        progress(f"{scenario}: {team} {_UNKNOWN_MOVE[1]}")


def _change(cost: Decimal | None, expected: Decimal | None) -> str | None:
    """Return how much more a scenario costs than is expected, to the cent."""
    return None if cost is None else f"{(cost - (expected or _NOTHING)).quantize(_CENT, ROUND_HALF_EVEN):+,f}"


def _cents(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.quantize(_CENT, ROUND_HALF_EVEN):,f}"


def _count(amount: Decimal | int | None) -> str | None:
    return None if amount is None else f"{amount:,.0f}"


def _percent(ratio: Decimal | None) -> str | None:
    return None if ratio is None else f"{ratio * _HUNDRED:.1f}"
