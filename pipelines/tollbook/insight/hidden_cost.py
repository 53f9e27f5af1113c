"""What usage costs beside raw inference, by what it was for: amounts that sum to what usage costs.

A call that was for something else as a whole is that, with all its cost. What is left is generation, and its cost is
split over its tokens: what had been sent before is context carried again, and what a write to a cache cost above plain
input, where nothing read it, was for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.bucket_prices import KEY, Prices, bucket_prices
from tollbook.insight.token_costs import split_over_tokens

GENERATION: Final = "generation"
CONTEXT: Final = "context"
CACHE_WRITE_UNREAD: Final = "cache_write_unread"

CELL: Final = ("billing_period_start", "team", "workflow", "billing_currency")
CARRIED: Final = ("carried_uncached_tokens", "carried_written_tokens", "carried_read_tokens")
_COST: Final = pa.decimal128(38, 12)
_MEASURES: Final = ("calls", "unpriced_calls", "unpriced_tokens", "total_tokens")
_PARTS: Final = (
    *("first_uncached_tokens", "first_written_tokens", "unread_written_tokens", "output_tokens"),
    *CARRIED,
)

CLASSES_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *((name, pa.string()) for name in (*CELL[1:], "provider", "model", "service_tier")),
        ("call_purpose", pa.string()),
        ("call_rule", pa.string()),
        *((name, pa.int64()) for name in (*_MEASURES, *_PARTS)),
        ("effective_cost", _COST),
    ]
)
"""Calls by what they were for as a whole, and the tokens of priced generation by what they were for."""

PURPOSES_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *((name, pa.string()) for name in (*CELL[1:], "purpose", "rule")),
        *((name, pa.int64()) for name in _MEASURES),
        ("effective_cost", _COST),
    ]
)


@dataclass(slots=True)
class _Sum:
    """What one purpose comes to. Units: calls, tokens, pico-USD."""

    rules: set[str] = field(default_factory=set)
    measures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_MEASURES, 0))
    cost: int | None = None

    def add(self, rule: str, cost: int | None, measures: Mapping[str, int]) -> None:
        self.rules.add(rule)
        for name, amount in measures.items():
            self.measures[name] += amount
        if cost is not None:
            self.cost = (self.cost or 0) + cost


def hidden_cost(classes: pa.Table, unit_prices: pa.Table) -> pa.Table:
    """Return what usage costs by what it was for.

    Args:
        classes: `CLASSES_SCHEMA`, shape (n_classes,).
        unit_prices: `tollbook.rating.unit_prices.UNIT_PRICES_SCHEMA`: how a cost splits over kinds of tokens.

    Returns:
        `PURPOSES_SCHEMA`, one row for each period, team, workflow, currency and purpose, ordered by them. Costs and
        tokens of a workflow sum to those that were given, exactly. A call is counted at one purpose, `generation` where
        its cost is split; tokens of unread writes are counted there too. `rule` names every rule that led to the row.
    """
    prices = bucket_prices(unit_prices)
    sums: dict[tuple[Any, ...], _Sum] = {}
    for row in classes.to_pylist():
        cell = tuple(row[name] for name in CELL)
        for purpose, rule, cost, measures in _purposes(row, prices):
            sums.setdefault((*cell, purpose), _Sum()).add(rule, cost, measures)
    return pa.Table.from_pylist(
        [
            dict(zip((*CELL, "purpose"), key, strict=True))
            | {"rule": ", ".join(sorted(each.rules)), **each.measures, "effective_cost": _amount(each.cost)}
            for key, each in sorted(sums.items())
        ],
        schema=PURPOSES_SCHEMA,
    )


def _purposes(row: Mapping[str, Any], prices: Prices) -> Iterator[tuple[str, str, int | None, dict[str, int]]]:
    """Yield what a class of calls was for: purpose, rule, cost in pico-USD, and measures."""
    measures = {name: row[name] or 0 for name in _MEASURES}
    cost = None if row["effective_cost"] is None else int(row["effective_cost"].scaleb(12))
    if row["call_purpose"] != GENERATION or cost is None:
        yield row["call_purpose"], row["call_rule"], cost, measures
        return
    uncached, read, written, output = prices.get(tuple(row[name] for name in KEY), (None,) * 4)
    premium = written - uncached if written is not None and uncached is not None and written > uncached else None
    kinds = [
        (GENERATION, row["first_uncached_tokens"] + row["unread_written_tokens"], uncached),
        (GENERATION, row["first_written_tokens"], written),
        (GENERATION, row["output_tokens"], output),
        (CONTEXT, row["carried_uncached_tokens"], uncached),
        (CONTEXT, row["carried_written_tokens"], written),
        (CONTEXT, row["carried_read_tokens"], read),
        (CACHE_WRITE_UNREAD, row["unread_written_tokens"] if premium else 0, premium),
    ]
    split = split_over_tokens(cost, [count for _, count, _ in kinds], [price for _, _, price in kinds])
    if split is None:
        yield GENERATION, row["call_rule"], cost, measures
        return
    if not split.by_price:
        # Tokens that bear the same know no premium.
        kinds = kinds[:-1]
        split = split_over_tokens(cost, [count for _, count, _ in kinds], [None] * len(kinds)) or split
    of_purpose = dict.fromkeys((GENERATION, CONTEXT, CACHE_WRITE_UNREAD), 0)
    for (purpose, _, _), part in zip(kinds, split.parts, strict=True):
        of_purpose[purpose] += part
    carried = sum(row[name] for name in CARRIED)
    how = "" if split.by_price else "_by_tokens"
    measures["total_tokens"] -= carried
    yield GENERATION, row["call_rule"], of_purpose[GENERATION], measures
    if carried:
        yield CONTEXT, f"carried_again{how}", of_purpose[CONTEXT], {"total_tokens": carried}
    if of_purpose[CACHE_WRITE_UNREAD]:
        yield CACHE_WRITE_UNREAD, "written_and_not_read", of_purpose[CACHE_WRITE_UNREAD], {}


def _amount(pico: int | None) -> Decimal | None:
    return None if pico is None else Decimal(pico).scaleb(-12)
