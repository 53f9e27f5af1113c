"""What usage comes to under a scenario: what is expected, by workflow and model, times what is assumed. Exact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.forecast_prices import KnownPrices, Window
from tollbook.insight.forecast_scenarios import MOVED, PRICE, TASKS, TOKENS_PER_TASK, Assumption, Scenario, Span

ITEM_KEY: Final = ("provider", "model", "service_tier", "billing_account_id")

WORKFLOW_ITEMS_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("team", "billing_currency", "workflow", *ITEM_KEY)),
        ("priced_tokens", pa.int64()),
        ("effective_cost", pa.decimal128(38, 12)),
        ("tasks", pa.int64()),
    ]
)
"""What teams used in the base, by workflow too. `tasks` stand in rows of their own, without a model."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a team used in the base.

    Attributes:
        items: By what prices depend on, `ITEMS_SCHEMA` of no weeks held out.
        by_workflow: The same by workflow too, and tasks by workflow, `WORKFLOW_ITEMS_SCHEMA`.
    """

    items: Sequence[Mapping[str, Any]] = ()
    by_workflow: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """What is expected on the days of a span.

    Attributes:
        days: First day, and the day after the last.
        tasks: Tasks that are to begin.
        tokens: Tokens of known cost.
    """

    days: Span
    tasks: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Assumed:
    """What a month comes to under a scenario.

    Attributes:
        tasks: Tasks, exact.
        tokens: Tokens of known cost, exact.
        cost: Cost, exact; None where a model that takes over, or one whose usage it takes, has no known price. Unit:
            pico-units of the currency.
        token_cost: What each token that is expected costs under the scenario, on average; None where `cost` is.
    """

    tasks: Fraction
    tokens: Fraction
    cost: Fraction | None
    token_cost: Fraction | None


@dataclass
class _Prices:
    """What tokens of items cost in a month for one token cost in the base, as they are and at other models."""

    prices: KnownPrices
    before: Window
    after: Window
    items: Mapping[tuple[Any, ...], Mapping[str, Any]]
    changes: dict[tuple[Any, ...], Fraction] = field(default_factory=dict)
    elsewhere: dict[tuple[Any, ...], Fraction | None] = field(default_factory=dict)

    def change(self, key: tuple[Any, ...]) -> Fraction:
        if key not in self.changes:
            self.changes[key] = Fraction(self.prices.change(self.items[key], self.before, self.after))
        return self.changes[key]

    def ratio(self, key: tuple[Any, ...], provider: str, model: str) -> Fraction | None:
        place = (key, provider, model)
        if place not in self.elsewhere:
            self.elsewhere[place] = self.prices.ratio(self.items[key], provider, model, self.after)
        return self.elsewhere[place]


def assumed(
    scenario: Scenario,
    team: str,
    counts: Sequence[SpanCounts],
    used: Used,
    prices: KnownPrices,
    windows: tuple[Window, Window],
) -> Assumed:
    """Return what the counts of a month come to under a scenario, new usage left out.

    Tokens are spread over workflows and models as those of the base, tasks over workflows. Each part is multiplied by
    the factors that are about it, and costs what the forecast expects of it, times the factors of its price.

    Args:
        scenario: What is assumed.
        team: Whose usage it is.
        counts: What is expected, by the spans of `Scenario.spans`, at least one.
        used: The base, with tokens of known cost.
        prices: Known prices.
        windows: The base, and the days ahead of the month, over which known prices are averaged.
    """
    parts = [row for row in used.by_workflow if row["priced_tokens"] or row["effective_cost"]]
    priced = _Prices(prices, *windows, items={_key(row): row for row in used.items})
    begun: defaultdict[str | None, int] = defaultdict(int)
    for row in used.by_workflow:
        begun[row["workflow"]] += row["tasks"] or 0
    tasks, tokens, days = Fraction(0), Fraction(0), 0
    costs: list[tuple[SpanCounts, Fraction | None]] = []
    for span in counts:
        growth, size, cost = _span(scenario, team, span, parts, priced)
        tasks += span.tasks * _task_growth(scenario, team, span, begun, growth)
        tokens += span.tokens * size
        costs.append((span, cost))
        days += (span.days[1] - span.days[0]).days
    known = [(span, cost) for span, cost in costs if cost is not None]
    if len(known) < len(costs):
        return Assumed(tasks, tokens, None, None)
    total = sum((span.tokens * cost for span, cost in known), Fraction(0))
    expected = sum(span.tokens for span in counts)
    by_day = sum(((span.days[1] - span.days[0]).days * cost for span, cost in known), Fraction(0))
    return Assumed(tasks, tokens, total, total / expected if expected else by_day / days)


def _span(
    scenario: Scenario, team: str, span: SpanCounts, parts: Sequence[Mapping[str, Any]], priced: _Prices
) -> tuple[Fraction, Fraction, Fraction | None]:
    """Return how many times as many tasks there are, weighed by tokens; tokens and their cost for one that is expected.

    The cost is None where a price is not known.
    """
    day = span.days[0]
    held = {kind: scenario.holding(kind, day) for kind in (TASKS, TOKENS_PER_TASK, PRICE, MOVED)}
    total = sum(row["priced_tokens"] for row in parts)
    growth, size, cost = Fraction(0), Fraction(0), Fraction(0)
    is_known = True
    for row in parts:
        about = (team, row["workflow"], row["provider"], row["model"])
        grown = _factor(held[TASKS], day, *about)
        times = grown * _factor(held[TOKENS_PER_TASK], day, *about)
        expected = Fraction(0) if not row["effective_cost"] else Fraction(row["effective_cost"]) * 10**12
        expected *= priced.change(_key(row))
        left, moved_tokens, at_price = Fraction(1), Fraction(0), Fraction(0)
        for move in held[MOVED]:
            share = min(Fraction(move.told["share"]), left) if _is_about(move, *about) else Fraction(0)
            if not share or not row["priced_tokens"]:
                continue
            left -= share
            target = (move.told["provider"], move.told["model"])
            needed = share * Fraction(move.told.get("tokens_factor", 1))
            moved_tokens += needed
            ratio = priced.ratio(_key(row), *target)
            if ratio is not None:
                at_price += needed * ratio * _factor(held[PRICE], day, *about[:2], *target)
            elif times and needed:
                is_known = False
        growth += Fraction(row["priced_tokens"], total) * grown
        size += Fraction(row["priced_tokens"], total) * times * (left + moved_tokens)
        cost += expected / total * times * (left * _factor(held[PRICE], day, *about) + at_price)
    return growth, size, cost if is_known else None


def _task_growth(
    scenario: Scenario, team: str, span: SpanCounts, begun: Mapping[str | None, int], by_tokens: Fraction
) -> Fraction:
    """Return how many times as many tasks there are; where the base has none, as by the tokens."""
    total = sum(begun.values())
    if not total:
        return by_tokens
    held, day = scenario.holding(TASKS, span.days[0]), span.days[0]
    return sum(
        (Fraction(count, total) * _factor(held, day, team, workflow, None, None) for workflow, count in begun.items()),
        Fraction(0),
    )


def _factor(
    held: Sequence[Assumption], day: Any, team: str, workflow: str | None, provider: str | None, model: str | None
) -> Fraction:
    factor = Fraction(1)
    for each in held:
        if _is_about(each, team, workflow, provider, model):
            factor *= each.factor_on(day)
    return factor


def _is_about(each: Assumption, team: str, workflow: str | None, provider: str | None, model: str | None) -> bool:
    return each.is_about(team, workflow) and each.is_about_model(provider, model)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ITEM_KEY)
