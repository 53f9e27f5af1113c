"""The part of the small published book that tells what is ahead: customers, forecasts, paths of inference."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = (date(2026, month, 1) for month in (9, 10, 11, 12))
AS_OF = date(2026, 10, 31)
"""Last complete day: October is over, November is the month in which nothing is known yet."""


def look_ahead(book: Book) -> None:
    """Fill the part."""
    _customers(book)
    _history(book)
    _forecast(book)
    _paths(book)


def _customers(book: Book) -> None:
    """Of chat's two customers one has 9 of 10 USD in October, 8 in September: Gini (2 x 9 - 10) / (2 x 10) = 0.4."""
    for start, product, measure, largest, gini in (
        (SEPTEMBER, "chat", "list_cost", "0.8", "0.3"),
        (OCTOBER, "chat", "list_cost", "0.9", "0.4"),
        (OCTOBER, "chat", "calls", "0.5", "0"),
        (OCTOBER, "all", "list_cost", "0.9", "0.4"),
    ):
        half = 1 - Decimal(largest)
        rising = [half * step / 50 for step in range(50)]
        falling = [half + Decimal(largest) * step / 50 for step in range(51)]
        book.add(
            "insight.fct_customer_concentration",
            billing_period_start=start,
            product=product,
            measure=measure,
            customers=2,
            quantity=Decimal(10),
            unknown_quantity=Decimal(30) if measure == "list_cost" else None,
            gini=Decimal(gini),
            largest_share=Decimal(largest),
            top_1_percent_share=Decimal(largest),
            top_10_percent_share=Decimal(largest),
            customers_with_half=1,
            customers_with_90_percent=1 if largest == "0.9" else 2,
            lorenz_shares=[*rising, *falling],
        )


def _history(book: Book) -> None:
    """Search: 20 USD in September; in October 30, of which 4 in the last week and 3 in the one before. Legal: 2 and 1.

    What legal used on 1 November, a day that is not complete, is in no history.
    """
    for day, team, cost in (
        (date(2026, 9, 1), "search", "20"),
        (date(2026, 10, 1), "search", "23"),
        (date(2026, 10, 20), "search", "3"),
        (date(2026, 10, 31), "search", "4"),
        (date(2026, 9, 30), "legal", "2"),
        (date(2026, 10, 25), "legal", "1"),
        (date(2026, 11, 1), "legal", "70"),
    ):
        book.add(
            "engineering.fct_usage_daily",
            usage_date=day,
            team=team,
            workflow="any",
            agent="main",
            model="m",
            billing_currency="USD",
            calls=1,
            unpriced_calls=0,
            effective_cost=Decimal(cost),
        )


def _forecast(book: Book) -> None:
    """Search: 40 USD in November and 50 in December, of which price changes add 0 and 5; 10 below to 100 above.

    Legal: 2 a month, 1 to 3. New: a team that has used nothing is only assumed, under a scenario alone. Tax: too young.
    """
    told = {"held_out_weeks": 4, "forecast_method": "damped_trend", "forecast_price_per_million_tokens": Decimal(2)}
    told |= {"backtest_error": Decimal("0.25"), "mean_error": Decimal("0.5"), "last_value_error": Decimal(1)}
    for ahead, month in enumerate((NOVEMBER, DECEMBER)):
        for scenario, added in (("expected", 5 * ahead), ("flat_prices", 0), ("agents-grow", 60)):
            cost = 40 + 5 * ahead + added
            _month(book, month, ahead, scenario, "search", cost, cost - 10, cost + 100, told)
            _month(book, month, ahead, scenario, "legal", 2, 1, 3, told | {"backtest_error": Decimal("0.75")})
            _month(book, month, ahead, scenario, "tax", None, None, None, {"reason": "too_little_history"})
        _month(book, month, ahead, "agents-grow", "new", 7, 7, 7, {"reason": "only_assumed"})


def _month(
    book: Book,
    month: date,
    ahead: int,
    scenario: str,
    team: str,
    cost: int | None,
    lower: int | None,
    upper: int | None,
    told: dict[str, Any],
) -> None:
    amounts = {"forecast_cost": cost, "forecast_lower_cost": lower, "forecast_upper_cost": upper, "actual_cost": 0}
    book.add(
        "insight.fct_forecast",
        billing_period_start=month,
        team=team,
        billing_currency="USD",
        scenario=scenario,
        as_of_date=AS_OF,
        months_ahead=ahead,
        forecast_tasks=10,
        forecast_tokens=20_000_000,
        **{name: None if value is None else Decimal(value) for name, value in amounts.items()},
        **told,
    )


def _paths(book: Book) -> None:
    """Answers: 10 M tokens for 40 USD by the API, or 25 on a server of 720 USD a month that was there for 25 hours.

    They took 0.6 of its time, so in 720 hours it does 480 M tokens, 360 M at three quarters of it. At 4 USD a million
    it pays from 180 M tokens on, which is 0.375 of its time. A rule forbids neo-clouds. Notes: 2 USD, and no offer.
    """
    numbers = {"tokens": 10_000_000, "covered_hours": Decimal(25)}
    common = {"total_tokens": numbers["tokens"], "covered_hours": numbers["covered_hours"], "calls": 5, "tasks": 10}
    for path, values in (
        ("model_api", {"path_cost": "40", "cost_per_million_tokens": "4", "cost_kind": "observed"}),
        ("on_prem", {"path_cost": "25", "cost_per_million_tokens": "2.5", "cost_kind": "owned", "is_cheapest": True}),
        ("neo_cloud", {"excluded_reason": "residency"}),
    ):
        server: dict[str, Any] = {}
        if path == "on_prem":
            server = {"offer_id": "server", "vendor": "maker", "instances": 1, "instance_cost": Decimal(720)}
            server |= {"instance_hourly_cost": Decimal(1), "planned_utilisation": Decimal("0.75"), "payback_months": 24}
            server |= {"utilisation": Decimal("0.6"), "break_even_tokens": 180_000_000, "price_source": "Quote 1"}
            server |= {"break_even_utilisation": Decimal("0.375"), "caveats": "another_model, estimated_throughput"}
        amounts = {
            name: Decimal(value) if isinstance(value, str) and name.startswith(("path", "cost_per")) else value
            for name, value in values.items()
        }
        _path(book, "answers", path, workload_cost=Decimal(40), **common, **amounts, **server)
    notes = {"path_cost": Decimal(2), "cost_per_million_tokens": Decimal("0.2"), "cost_kind": "observed"}
    _path(book, "notes", "model_api", workload_cost=Decimal(2), is_cheapest=True, **common, **notes)


def _path(book: Book, workload: str, path: str, **values: Any) -> None:
    book.add(
        "insight.fct_unit_cost_paths",
        billing_period_start=OCTOBER,
        workload=workload,
        inference_path=path,
        billing_currency="USD",
        **values,
    )
