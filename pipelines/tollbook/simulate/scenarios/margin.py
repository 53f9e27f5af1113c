"""AI takes 10 points of a product's gross margin.

The last month's AI cost is so many hundredths of the product's revenue, that of the months before so many. The mart
must tell the points lost of the product and of each customer, and their change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tollbook.errors import MisuseError
from tollbook.simulate.organisation import Team
from tollbook.simulate.scenarios.parameters import amount, count
from tollbook.simulate.scenarios.spend import PICO_USD_PER_UNIT, RATES, Bought, bought, units_of
from tollbook.simulate.scenarios.story import (
    Document,
    Expected,
    Findings,
    PricedModel,
    Scenario,
    Setting,
    Story,
    Task,
    entry,
    half_up,
    prices_of,
    scaled,
    usd,
)
from tollbook.simulate.scenarios.work import Worker, evenly, shares, starts

NAME: Final = "margin"
TEAM: Final = Team(NAME, "CC-9500", "Scenarios")
WORKFLOW: Final = "margin-feature"
PRODUCT: Final = "margin-product"
_WHOLE_PRODUCT: Final = "all"
_PICO_USD_PER_CENT: Final = 10**10
_WEIGHT: Final = 10**9
_MODEL: Final = PricedModel(f"{NAME}-model", ((None, RATES),))

PARAMETERS: Final = (
    amount("revenue_usd", "50000", "1", "1000000000", "revenue of the product in a month"),
    amount("points_before", "0", "0", "1000", "points of gross margin that AI takes at first", places=4),
    amount("points_after", "10", "0", "1000", "points that it takes in the last month", places=4),
    count("customers", 5, 0, 1_000, "customers, with an equal part of the revenue each; 0: it is told as a whole"),
    amount("next_percent", "60", "0", "100", "usage of each customer, of that of the one before"),
    amount("call_usd", "5", "0.01", "1000", "what a call costs, about"),
)

_Use = Mapping[str, Bought | None]
"""Customer to the calls made for it in a month; None for none."""


def make(setting: Setting) -> Story:
    """Return the story of a setting.

    Raises:
        MisuseError: There is less than a cent of revenue for each customer.
    """
    revenue = _revenue(setting)
    last = len(setting.months) - 1
    uses = [_use(setting, list(revenue), is_last=number == last) for number in range(last + 1)]
    worker = Worker(setting.chance, TEAM.name, WORKFLOW, prices_of((_MODEL,)))

    def tasks() -> Iterator[Task]:
        for month, use in zip(setting.months, uses, strict=True):
            calls = [(name, used) for name, made in use.items() if made is not None for used in made.calls()]
            setting.chance.shuffle(calls)
            for start_us, (name, used) in zip(starts(month, len(calls)), calls, strict=True):
                customer = None if name == _WHOLE_PRODUCT else name
                told = {"product": PRODUCT, "customer_id": customer, "task_id": worker.task_id()}
                yield Task(start_us, [worker.call(_MODEL, start_us, used, **told)])

    def findings() -> Findings:
        before, after = (_product_points(uses[number], revenue) for number in (0, -1))
        figures = {
            "points_lost_first": scaled(before, 6),
            "points_lost_last": scaled(after, 6),
            "points_lost_change": scaled(after - before, 6),
        }
        return Findings(figures, (_margins(setting, uses, revenue),))

    planned = sum(made.count for use in uses for made in use.values() if made is not None)
    return Story(TEAM, (WORKFLOW,), (_MODEL,), _documents(setting, revenue), tasks(), findings, planned)


def _revenue(setting: Setting) -> dict[str, int]:
    """Return the revenue of a month by customer, or of all. Unit: cents."""
    customers, cents = setting.whole("customers"), int(setting.values["revenue_usd"] * 100)
    if not customers:
        return {_WHOLE_PRODUCT: cents}
    if cents < customers:
        raise MisuseError(f"expected --set revenue_usd of a cent for each of {customers} customers, got {cents} cents")
    names = [f"customer-{number:04d}" for number in range(1, customers + 1)]
    return dict(zip(names, evenly(cents, customers), strict=True))


def _use(setting: Setting, customers: Sequence[str], *, is_last: bool) -> _Use:
    values = setting.values
    points = values["points_after" if is_last else "points_before"]
    units = units_of(Fraction(values["revenue_usd"] * points) / 100)
    weight, weights = Fraction(_WEIGHT), []
    for _ in customers:
        weights.append(int(weight))
        weight = weight * Fraction(values["next_percent"]) / 100
    parts = shares(units, weights)
    call_usd: Decimal = values["call_usd"]
    return {name: bought(part, call_usd) if part else None for name, part in zip(customers, parts, strict=True)}


def _documents(setting: Setting, revenue: Mapping[str, int]) -> dict[str, Document]:
    entries = []
    for month in setting.months:
        for name, cents in revenue.items():
            customer = {} if name == _WHOLE_PRODUCT else {"customer_id": name}
            told: dict[str, Any] = {"product": PRODUCT, **customer, "billing_period": month.name, "currency": "USD"}
            entries.append(entry(f"{NAME}-{name}-{month.name}", **told, amount=scaled(cents, 2)))
    return {"product_revenue": {"product_revenue": 1, "name": NAME, "entries": entries}}


def _cost(use: Bought | None) -> int:
    """Unit: pico-USD."""
    return 0 if use is None else use.units * PICO_USD_PER_UNIT


def _points(cost: int, cents: int) -> int:
    """Return points lost, halves rounded up. Unit: millionths of a point."""
    return half_up(cost * 100_000_000, cents * _PICO_USD_PER_CENT)


def _product_points(use: _Use, revenue: Mapping[str, int]) -> int:
    return _points(sum(map(_cost, use.values())), sum(revenue.values()))


def _margins(setting: Setting, uses: Sequence[_Use], revenue: Mapping[str, int]) -> Expected:
    rows = []
    before: _Use | None = None
    for month, use in zip(setting.months, uses, strict=True):
        product = _product_points(use, revenue)
        for name, cents in revenue.items():
            made, points = use[name], _points(_cost(use[name]), cents)
            changes = (
                (None, None)
                if before is None
                else (points - _points(_cost(before[name]), cents), product - _product_points(before, revenue))
            )
            change, product_change = (None if each is None else scaled(each, 6) for each in changes)
            rows.append(
                {
                    "billing_period_start": month.first_day,
                    "margin_level": "product" if name == _WHOLE_PRODUCT else "customer",
                    "customer_id": name,
                    "calls": 0 if made is None else made.count,
                    "total_tokens": 0 if made is None else made.tokens,
                    "list_cost": usd(_cost(made)),
                    "ai_cost": usd(_cost(made)),
                    "revenue": usd(cents * _PICO_USD_PER_CENT),
                    "points_lost": scaled(points, 6),
                    "points_lost_change": change,
                    "unknown_reason": None,
                    "product_points_lost": scaled(product, 6),
                    "product_points_lost_change": product_change,
                }
            )
        before = use
    key = ("billing_period_start", "margin_level", "customer_id")
    return Expected("insight.fct_margins", {"product": PRODUCT}, key, rows)


SCENARIO: Final = Scenario(NAME, "AI takes 10 points of a product's gross margin", PARAMETERS, 2, make)
