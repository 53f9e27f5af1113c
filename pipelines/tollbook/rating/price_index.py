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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import cached_property
from typing import Final

import pyarrow as pa

from tollbook.rating.average import average_rate
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.generations import load_generations
from tollbook.rating.money import PICO_PER_USD
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
_ROOT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_INDEX_STEP: Final = Decimal("0.000001")
_PRICE_STEP: Final = Decimal("0.000000000001")

Item = tuple[str, str, str, str]
Quantities = Mapping[Item, int]
PriceOf = Callable[[Item], Fraction | None]


@dataclass(frozen=True)
class Period:
    """What was used of one basket in one billing period, and what it cost then.

    Attributes:
        start: First instant.
        end: First instant after it.
        quantities: Item to its tokens.
        price_of: Average price of any item in this period, None where it has none. Unit: pico-USD for one token.
        family_of: Class of models of an item.
    """

    start: datetime
    end: datetime
    quantities: Quantities
    price_of: PriceOf
    family_of: Callable[[Item], str]

    @property
    def tokens(self) -> int:
        """All tokens of the basket."""
        return sum(self.quantities.values())

    @cached_property
    def priced(self) -> dict[Item, int]:
        """Items that have a price in this period, with their tokens."""
        return {item: tokens for item, tokens in self.quantities.items() if self.price_of(item) is not None}

    @cached_property
    def unit_value(self) -> Fraction | None:
        """Average price of a token. Unit: pico-USD."""
        tokens = sum(self.priced.values())
        return _cost(self.priced, self.price_of) / tokens if tokens else None

    @cached_property
    def classes(self) -> Period:
        """The same with classes for items: a class's price is the average of what was used of it."""
        tokens: defaultdict[Item, int] = defaultdict(int)
        costs: defaultdict[Item, Fraction] = defaultdict(Fraction)
        for item, count in self.priced.items():
            price = self.price_of(item)
            place = ("", self.family_of(item), item[2], item[3])
            tokens[place] += count
            costs[place] += count * (price or 0)
        prices = {place: costs[place] / count for place, count in tokens.items()}
        return Period(self.start, self.end, dict(tokens), prices.get, lambda place: place[1])


@dataclass
class Chain:
    """Links from period to period, multiplied up. The square of a Fisher index is rational, so the root comes last.

    Attributes:
        squared: Square of the chained index; None before the first period.
        last: Latest period that the chain reached.
    """

    squared: Fraction | None = None
    last: Period | None = field(default=None, repr=False)

    def add(self, period: Period) -> tuple[Decimal | None, int]:
        """Return the index of a period, base 1, and its tokens that are in the comparison; None where nothing is."""
        if self.last is None or self.squared is None:
            if not period.priced:
                return None, 0
            self.squared, self.last = Fraction(1), period
            return Decimal(1), sum(period.priced.values())
        link, tokens = _fisher_squared(self.last, period)
        if link is None:
            return None, 0
        self.squared, self.last = self.squared * link, period
        return _root(self.squared), tokens


def price_index(used: Iterable[UsedUnit], catalogue: Catalogue) -> pa.Table:
    """Return every index of every basket: all usage, and each class of models.

    Args:
        used: Usage by billing period; only units that are tokens are in a basket.
        catalogue: List prices. A period's price is the average of those in force, weighted by time.

    Returns:
        `INDEX_SCHEMA`, one row for each period, basket and kind. `index_value` is 100 in the basket's first period that
        has a price, and null where nothing can be compared. What has no price is left out of the comparison on both
        sides, counted and named: it is never zero.
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
        price_of = _prices(catalogue, start, end)
        baskets[EVERYTHING].append(Period(start, end, quantities, price_of, family_of))
        by_family: defaultdict[str, dict[Item, int]] = defaultdict(dict)
        for item, count in quantities.items():
            by_family[family_of(item)][item] = count
        for family, members in by_family.items():
            baskets[family].append(Period(start, end, members, price_of, family_of))
    rows = [row for basket in sorted(baskets) for row in _rows(basket, baskets[basket], catalogue.version)]
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _rows(basket: str, periods: Sequence[Period], version: str) -> Iterator[dict[str, object]]:
    names, classes = Chain(), Chain()
    base = next((period for period in periods if period.priced), None)
    for period in periods:
        by_name, named = names.add(period)
        by_class, classed = classes.add(period.classes)
        told = {
            LASPEYRES: _fixed(base, period, weights=base),
            PAASCHE: _fixed(base, period, weights=period),
            FISHER_CHAINED: (by_name, _times(base, by_name), named),
            GENERATION_CHAINED: (by_class, _times(base, by_class), classed),
            GENERATION_SHIFT: (
                None if by_name is None or by_class is None or not by_name else _ROOT.divide(by_class, by_name),
                None,
                min(named, classed),
            ),
            UNIT_VALUE: _unit_value(base, period),
        }
        for kind, (index, price, tokens) in told.items():
            weighed = base if kind == LASPEYRES and base is not None else period
            yield {
                "billing_period_start": period.start.date(),
                "billing_period_end": period.end.date(),
                "basket": basket,
                "index_kind": kind,
                "base_period_start": None if base is None else base.start.date(),
                "billing_currency": CURRENCY,
                "index_value": None if index is None else _rounded(index * _BASE, _INDEX_STEP),
                "price_per_million_tokens": None if price is None else _rounded(price, _PRICE_STEP),
                "basket_tokens": weighed.tokens,
                "priced_tokens": tokens,
                "unpriced_models": sorted({item[1] for item in weighed.quantities if item not in weighed.priced}),
                "catalogue_version": version,
            }


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
    tokens, before, now = sum(items.values()), _cost(items, base.price_of), _cost(items, period.price_of)
    if not tokens:
        return None, None, 0
    return (_exact(now / before) if before else None), _per_million(now / tokens), tokens


def _unit_value(base: Period | None, period: Period) -> tuple[Decimal | None, Decimal | None, int]:
    if base is None or base.unit_value is None or period.unit_value is None:
        return None, None, 0
    index = period.unit_value / base.unit_value if base.unit_value else None
    return (
        None if index is None else _exact(index),
        _per_million(period.unit_value),
        sum(period.priced.values()),
    )


def _fisher_squared(before: Period, after: Period) -> tuple[Fraction | None, int]:
    """Return the square of Fisher's index from one period to another, and the later one's tokens that it weighs.

    Where one of the two has nothing to compare, the other is taken alone.
    """
    links = []
    for weights in (before.quantities, after.quantities):
        items = {
            item: count
            for item, count in weights.items()
            if before.price_of(item) is not None and after.price_of(item) is not None
        }
        cost_before = _cost(items, before.price_of)
        links.append(_cost(items, after.price_of) / cost_before if cost_before else None)
    laspeyres, paasche = links
    known = [link for link in (laspeyres, paasche) if link is not None]
    if not known:
        return None, 0
    compared = sum(count for item, count in after.quantities.items() if before.price_of(item) is not None)
    return known[0] * known[-1], compared if paasche is not None else 0


def _prices(catalogue: Catalogue, start: datetime, end: datetime) -> PriceOf:
    known: dict[Item, Fraction | None] = {}

    def price_of(item: Item) -> Fraction | None:
        if item not in known:
            group = catalogue.group(item[0], item[1], item[2])
            known[item] = average_rate(catalogue, group, item[3], start, end) if group > 0 else None
        return known[item]

    return price_of


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


def _cost(items: Quantities, price_of: PriceOf) -> Fraction:
    # Most prices are whole pico-USD: summed as integers by denominator, a hundred thousand fractions stay a few.
    sums: defaultdict[int, int] = defaultdict(int)
    for item, count in items.items():
        price = price_of(item)
        if price:
            sums[price.denominator] += count * price.numerator
    return sum((Fraction(total, denominator) for denominator, total in sums.items()), Fraction(0))


def _times(base: Period | None, index: Decimal | None) -> Decimal | None:
    """Return what a million tokens of the base period would cost at an index."""
    if base is None or index is None or base.unit_value is None:
        return None
    return _ROOT.multiply(_per_million(base.unit_value), index)


def _per_million(pico_usd: Fraction) -> Decimal:
    return _exact(pico_usd * _MILLION / PICO_PER_USD)


def _exact(value: Fraction) -> Decimal:
    return _ROOT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _root(squared: Fraction) -> Decimal:
    return _ROOT.sqrt(_exact(squared))


def _rounded(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_EVEN, _ROOT)
