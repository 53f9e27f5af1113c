"""Baskets of one period, and the chain of Fisher indices from each to the next, in exact numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import cached_property
from typing import Final

EXACT_ENOUGH: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""What is rounded at the end to twelve decimals is computed in these until then."""

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
        return cost(self.priced, self.price_of) / tokens if tokens else None

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

    A period in which all was free is told as 0 and left out of the chain, which goes on from the one before: from
    nothing no link leads on. Where nothing of that period can be compared any more, the chain begins anew.

    Attributes:
        base: Period whose index is 1; None before the first that cost anything.
        squared: Square of the chained index.
        last: Latest period in the chain.
        through_free: Whether free periods came after `last`.
    """

    base: Period | None = field(default=None, repr=False)
    squared: Fraction = Fraction(1)
    last: Period | None = field(default=None, repr=False)
    through_free: bool = False

    def add(self, period: Period) -> tuple[Decimal | None, int]:
        """Return the index of a period, base 1, and its tokens that are in the comparison; None where nothing is."""
        if self.last is None:
            return self._begin(period)
        link, tokens = _fisher_squared(self.last, period)
        if link is None:
            return self._begin(period) if self.through_free else (None, 0)
        self.through_free = not link
        if link:
            self.squared, self.last = self.squared * link, period
        return _root(self.squared) if link else Decimal(0), tokens

    def _begin(self, period: Period) -> tuple[Decimal | None, int]:
        if not period.unit_value:
            return None, 0
        self.base, self.squared, self.last, self.through_free = period, Fraction(1), period, False
        return Decimal(1), sum(period.priced.values())


def cost(items: Quantities, price_of: PriceOf) -> Fraction:
    """Return what items cost at some prices. Unit: pico-USD."""
    # Most prices are whole pico-USD: summed as integers by denominator, a hundred thousand fractions stay a few.
    sums: defaultdict[int, int] = defaultdict(int)
    for item, count in items.items():
        price = price_of(item)
        if price:
            sums[price.denominator] += count * price.numerator
    return sum((Fraction(total, denominator) for denominator, total in sums.items()), Fraction(0))


def exact(value: Fraction) -> Decimal:
    """Return a fraction as a decimal of 60 digits."""
    return EXACT_ENOUGH.divide(Decimal(value.numerator), Decimal(value.denominator))


def _root(squared: Fraction) -> Decimal:
    return EXACT_ENOUGH.sqrt(exact(squared))


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
        cost_before = cost(items, before.price_of)
        links.append(cost(items, after.price_of) / cost_before if cost_before else None)
    laspeyres, paasche = links
    known = [link for link in (laspeyres, paasche) if link is not None]
    if not known:
        return None, 0
    compared = sum(count for item, count in after.quantities.items() if before.price_of(item) is not None)
    return known[0] * known[-1], compared if paasche is not None else 0
