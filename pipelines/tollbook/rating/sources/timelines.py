"""Prices of one model and tier along time, and how a change is painted over them.

A piece of a price that a change leaves alone keeps the price's identity, so that a split at an instant changes nothing
on either side of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np

from tollbook.rating.prices import Origin, Price
from tollbook.rating.schedule import SINCE_EVER, microseconds
from tollbook.rating.sources.entries import PriceEntry

FOR_EVER: Final = int(np.iinfo(np.int64).max)
_EVER: Final = int(SINCE_EVER)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# From and until when, half-open, in microseconds since 1970.
Span = tuple[int, int]
Period = tuple[Span, list[Price]]
_Cell = tuple[time, int | None, dict[str, Fraction | int], Price | None]


def span_of(valid_from: datetime | None, valid_to: datetime | None) -> Span:
    """Return a period as microseconds."""
    start = _EVER if valid_from is None else microseconds(valid_from)
    return start, FOR_EVER if valid_to is None else microseconds(valid_to)


def periods_of(prices: Iterable[Price]) -> list[Period]:
    """Return the prices of one group by period, in order."""
    periods: dict[Span, list[Price]] = {}
    for price in prices:
        periods.setdefault(span_of(price.valid_from, price.valid_to), []).append(price)
    return sorted(periods.items(), key=lambda period: period[0])


def split(prices: Iterable[Price], instants: Iterable[datetime]) -> list[Price]:
    """Return the same prices with a period's end at some instants; each piece keeps its price's identity."""
    cuts = [microseconds(each) for each in instants]
    return [price for period in periods_of(prices) for _, pieces in _cut(period, cuts) for price in pieces]


def clip(prices: Iterable[Price], span: Span) -> list[Price]:
    """Return what of some prices lies within a span, under the same identities."""
    return [
        price
        for period in periods_of(prices)
        for inside, pieces in _cut(period, span)
        if span[0] <= inside[0] and inside[1] <= span[1]
        for price in pieces
    ]


def change(prices: Iterable[Price], span: Span, alter: Callable[[Price], Price]) -> list[Price]:
    """Return some prices, of which those within a span are altered."""
    changed: list[Price] = []
    for period in periods_of(prices):
        for inside, pieces in _cut(period, span):
            within = span[0] <= inside[0] and inside[1] <= span[1]
            changed += map(alter, pieces) if within else pieces
    return changed


def paint(prices: list[Price], entry: PriceEntry, provider: str, model: str) -> list[Price]:
    """Return the prices of one group with an entry over them.

    Within its validity the entry replaces the rates that it names and keeps the others. Where no price holds, it holds
    alone: if it replaces all rates, names all that the nearest price has, or there is no price at all.
    """
    span = span_of(entry.valid_from, entry.valid_to)
    painted: list[Price] = []
    periods = periods_of(prices)
    for period in periods:
        for inside, pieces in _cut(period, span):
            within = span[0] <= inside[0] and inside[1] <= span[1]
            painted += _merged(pieces, entry, provider, model, inside) if within else pieces
    for gap, nearest in _gaps(periods, span):
        named = {key for price in nearest for key in price.rates}
        if entry.replace or named <= entry.keys:
            painted += _merged([], entry, provider, model, gap)
    return painted


def _cut(period: Period, instants: Iterable[int]) -> Iterator[Period]:
    """Yield the pieces of a period between some instants, each with its prices held to it."""
    (start, stop), members = period
    edges = [start, *sorted({each for each in instants if start < each < stop}), stop]
    if edges == [start, stop]:
        yield period
        return
    for begin, end in pairwise(edges):
        yield (begin, end), [price.held(_moment(begin), _moment(end)) for price in members]


def _gaps(periods: list[Period], span: Span) -> Iterator[tuple[Span, list[Price]]]:
    """Yield where within a span no price holds, with the prices that held before it, or else hold after it."""
    at, before = span[0], periods[0][1] if periods else []
    for (start, stop), members in periods:
        if start > at and at < span[1]:
            yield (at, min(start, span[1])), before
        if start < span[1]:
            before = members
        at = max(at, stop)
    if at < span[1]:
        yield (at, span[1]), before


def _merged(beneath: list[Price], entry: PriceEntry, provider: str, model: str, span: Span) -> list[Price]:
    """Return the prices of one period with an entry over what holds in it, fewest that say so."""
    day: list[list[_Cell]] = []
    for hour in sorted(entry.hours | {price.daily_from for price in beneath}):
        cells = [_cell(beneath, entry, hour, above) for above in _contexts(beneath, entry)]
        told = [cell for place, cell in enumerate(cells) if place == 0 or cell[2] != cells[place - 1][2]]
        if not day or [cell[1:3] for cell in day[-1]] != [cell[1:3] for cell in told]:
            day.append(told)
    return [_price(cell, entry, provider, model, span) for hour in day for cell in hour]


def _contexts(beneath: list[Price], entry: PriceEntry) -> list[int | None]:
    kept = {price.above_input_tokens for price in beneath if price.above_input_tokens is not None}
    return [None, *sorted(kept | entry.contexts)]


def _cell(beneath: list[Price], entry: PriceEntry, hour: time, above: int | None) -> _Cell:
    below = _holding(beneath, hour, above)
    rates: dict[str, Fraction | int] = {} if entry.replace or below is None else dict(below.rates)
    return hour, above, {**rates, **entry.rates_at(hour, above)}, below


def _holding(prices: list[Price], hour: time, above: int | None) -> Price | None:
    """Return which of the prices of a period holds at a time of day for requests above some input tokens."""
    begun = [price for price in prices if price.daily_from <= hour]
    if not begun:
        return None
    latest = max(price.daily_from for price in begun)
    reached = [
        price
        for price in begun
        if price.daily_from == latest
        and (price.above_input_tokens is None or (above is not None and price.above_input_tokens <= above))
    ]
    return max(reached, key=lambda price: price.above_input_tokens or -1, default=None)


def _price(cell: _Cell, entry: PriceEntry, provider: str, model: str, span: Span) -> Price:
    hour, above, rates, below = cell
    kept = {} if entry.replace or below is None else below.minimum_quantities
    return Price(
        provider=provider,
        model=model,
        rates=rates,
        service_tier=entry.service_tier,
        valid_from=_moment(span[0]),
        valid_to=_moment(span[1]),
        daily_from=hour,
        above_input_tokens=above,
        minimum_quantities={**kept, **entry.minimum_quantities},
        price_list=entry.entry,
        source=entry.source,
        checked_on=entry.checked_on,
        origin=Origin(
            entry=entry.entry,
            rates=tuple(sorted(rates if entry.replace else entry.keys & set(rates))),
            known_from=entry.known_from,
            author=entry.author,
            reason=entry.reason,
            supersedes=None if below is None else below.sku_price_id,
        ),
    )


def _moment(instant: int) -> datetime | None:
    return None if instant in {_EVER, FOR_EVER} else _EPOCH + timedelta(microseconds=instant)
