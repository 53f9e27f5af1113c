"""The price index: what an organisation's own basket of tokens costs for a million, over time.

An item of a basket is one unit of one model at one service tier. Six kinds of index answer six questions:

- `laspeyres`: what the base period's basket would cost now.
- `paasche`: what the present basket would have cost in the base period, turned around.
- `fisher_chained`: how prices changed within the names that were used, period by period: the geometric mean of the two
  above from each period to the next, multiplied up. Models may come and go.
- `generation_chained`: the same with classes of models for items, so that a move to a cheaper successor counts.
- `generation_shift`: the second less the first: what moving between the models of a class changed, and prices did not.
- `unit_value`: what a million tokens cost on average, whatever moved: mix, models and prices.

Only list prices and quantities are used, and all of it is exact until the last step: an index is rounded half-even to
six decimals, a price to twelve.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final

import pyarrow as pa

from tollbook.rating.average import average_prices
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.generations import load_generations
from tollbook.rating.money import PICO_PER_USD
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar
from tollbook.rating.price_chain import EXACT_ENOUGH, Chain, Item, Period, cost, exact
from tollbook.rating.used import UsedUnit

EVERYTHING: Final = "all"
LASPEYRES: Final = "laspeyres"
PAASCHE: Final = "paasche"
FISHER_CHAINED: Final = "fisher_chained"
GENERATION_CHAINED: Final = "generation_chained"
GENERATION_SHIFT: Final = "generation_shift"
UNIT_VALUE: Final = "unit_value"
INDEX_KINDS: Final = (LASPEYRES, PAASCHE, FISHER_CHAINED, GENERATION_CHAINED, GENERATION_SHIFT, UNIT_VALUE)
CURRENCY: Final = "USD"

INDEX_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("billing_period_end", pa.date32()),
        ("basket", pa.string()),
        ("index_kind", pa.string()),
        ("base_period_start", pa.date32()),
        ("billing_currency", pa.string()),
        ("index_value", pa.decimal128(18, 6)),
        ("price_per_million_tokens", pa.decimal128(38, 12)),
        ("basket_tokens", pa.int64()),
        ("priced_tokens", pa.int64()),
        ("unpriced_models", pa.list_(pa.string())),
        ("catalogue_version", pa.string()),
    ]
)

_BASE: Final = 100
_MILLION: Final = 1_000_000
_INDEX_STEP: Final = Decimal("0.000001")
_PRICE_STEP: Final = Decimal("0.000000000001")


def price_index(used: Iterable[UsedUnit], catalogue: Catalogue, calendar: BillingCalendar = UTC_CALENDAR) -> pa.Table:
    """Return every index of every basket: all usage, and each class of models.

    Args:
        used: Usage by billing period; only units that are tokens are in a basket.
        catalogue: List prices. A period's price is the average of those in force, weighted by time.
        calendar: Gives the dates of a period from its instants.

    Returns:
        `INDEX_SCHEMA`, one row for each period, basket and kind. `index_value` is 100 in the base period, the first of
        the basket that cost anything (of a chain that began anew, its own), and null where nothing can be compared.
        What has no price is left out of the comparison on both sides, counted and named: it is never zero.
    """
    tokens = {unit.name for unit in catalogue.units.buckets}
    periods: defaultdict[tuple[datetime, datetime], defaultdict[Item, int]]
    periods = defaultdict(lambda: defaultdict(int))
    for each in used:
        if each.unit in tokens and each.quantity:
            item = (each.provider, each.model, each.service_tier, each.unit)
            periods[each.period_start, each.period_end][item] += each.quantity
    family_of = _families()
    baskets: defaultdict[str, list[Period]] = defaultdict(list)
    for (start, end), quantities in sorted(periods.items()):
        price_of = average_prices(catalogue, start, end)
        baskets[EVERYTHING].append(Period(start, end, quantities, price_of, family_of))
        by_family: defaultdict[str, dict[Item, int]] = defaultdict(dict)
        for item, count in quantities.items():
            by_family[family_of(item)][item] = count
        for family, members in by_family.items():
            baskets[family].append(Period(start, end, members, price_of, family_of))
    version = catalogue.version
    rows = [row for basket in sorted(baskets) for row in _rows(basket, baskets[basket], version, calendar)]
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _rows(
    basket: str, periods: Sequence[Period], version: str, calendar: BillingCalendar
) -> Iterator[dict[str, object]]:
    names, classes = Chain(), Chain()
    costly = (period for period in periods if period.unit_value)
    base = next(costly, next((period for period in periods if period.priced), None))
    for period in periods:
        by_name, named = names.add(period)
        by_class, classed = classes.add(period.classes)
        shift = None
        same_base = names.base is not None and classes.base is not None and names.base.start == classes.base.start
        if by_name and by_class is not None and same_base:
            shift = EXACT_ENOUGH.divide(by_class, by_name)
        bases = {FISHER_CHAINED: names.base, GENERATION_CHAINED: classes.base, GENERATION_SHIFT: names.base}
        told = {
            LASPEYRES: _fixed(base, period, weights=base),
            PAASCHE: _fixed(base, period, weights=period),
            FISHER_CHAINED: (by_name, _times(names.base, by_name), named),
            GENERATION_CHAINED: (by_class, _times(classes.base, by_class), classed),
            GENERATION_SHIFT: (shift, None, min(named, classed)),
            UNIT_VALUE: _unit_value(base, period),
        }
        for kind, (index, price, tokens) in told.items():
            weighed = base if kind == LASPEYRES and base is not None else period
            yield {
                "billing_period_start": calendar.day_at(period.start),
                "billing_period_end": calendar.day_at(period.end),
                "basket": basket,
                "index_kind": kind,
                "base_period_start": _start(bases.get(kind) or base, calendar),
                "billing_currency": CURRENCY,
                "index_value": None if index is None else _rounded(index * _BASE, _INDEX_STEP),
                "price_per_million_tokens": None if price is None else _rounded(price, _PRICE_STEP),
                "basket_tokens": weighed.tokens,
                "priced_tokens": tokens,
                "unpriced_models": sorted({item[1] for item in weighed.quantities if item not in weighed.priced}),
                "catalogue_version": version,
            }


def _start(period: Period | None, calendar: BillingCalendar) -> date | None:
    return None if period is None else calendar.day_at(period.start)


def _fixed(
    base: Period | None, period: Period, *, weights: Period | None
) -> tuple[Decimal | None, Decimal | None, int]:
    """Return the index of one basket, its price of a million tokens, and its tokens that have both prices."""
    if base is None or weights is None:
        return None, None, 0
    items = {
        item: count
        for item, count in weights.quantities.items()
        if base.price_of(item) is not None and period.price_of(item) is not None
    }
    tokens, before, now = sum(items.values()), cost(items, base.price_of), cost(items, period.price_of)
    if not tokens:
        return None, None, 0
    return (exact(now / before) if before else None), _per_million(now / tokens), tokens


def _unit_value(base: Period | None, period: Period) -> tuple[Decimal | None, Decimal | None, int]:
    if base is None or base.unit_value is None or period.unit_value is None:
        return None, None, 0
    index = period.unit_value / base.unit_value if base.unit_value else None
    return (
        None if index is None else exact(index),
        _per_million(period.unit_value),
        sum(period.priced.values()),
    )


def _families() -> Callable[[Item], str]:
    generations = load_generations()
    known: dict[tuple[str, str], str] = {}

    def family_of(item: Item) -> str:
        key = item[:2]
        if key not in known:
            family = generations.find(item[1]).family
            known[key] = f"{family} (class)" if family == EVERYTHING else family
        return known[key]

    return family_of


def _times(base: Period | None, index: Decimal | None) -> Decimal | None:
    """Return what a million tokens of the base period would cost at an index."""
    if base is None or index is None or base.unit_value is None:
        return None
    return EXACT_ENOUGH.multiply(_per_million(base.unit_value), index)


def _per_million(pico_usd: Fraction) -> Decimal:
    return exact(pico_usd * _MILLION / PICO_PER_USD)


def _rounded(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_EVEN, EXACT_ENOUGH)
