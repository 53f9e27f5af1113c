"""What a unit cost on average over a period: the prices in force, weighted by how long each was."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import numpy as np

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.price_chain import Item, PriceOf
from tollbook.rating.schedule import DAY_MICROSECONDS, microseconds


def average_rate(catalogue: Catalogue, group: int, unit: str, start: datetime, end: datetime) -> Fraction | None:
    """Return the average price of a unit over `[start, end)`, each price weighted by the time it held, exact.

    It is the price of requests of base context. Time without a price has no weight; before a group's first known date
    its earliest price stands in, as it does in rating.

    Args:
        catalogue: Prices.
        group: Group of its schedule.
        unit: Unit of `units.yml`.
        start: First instant.
        end: First instant after.

    Returns:
        Pico-USD for one unit; None where no price of the unit held at any time.
    """
    schedule, place = catalogue.schedule, catalogue.units.places.get(unit)
    if place is None:
        return None
    first, last = microseconds(start), microseconds(end)
    periods = range(int(schedule.periods.offsets[group]), int(schedule.periods.offsets[group + 1]))
    weighted, held = Fraction(0), 0
    for period in periods:
        since = max(first, int(schedule.periods.starts[period]))
        ends = period + 1 == periods.stop
        until = last if ends else min(last, int(schedule.periods.starts[period + 1]))
        if since >= until:
            continue
        hours = range(int(schedule.hours.offsets[period]), int(schedule.hours.offsets[period + 1]))
        for hour in hours:
            line = int(schedule.contexts.offsets[hour])
            rate = _rate(catalogue, line, place)
            if rate is None:
                continue
            opens = int(schedule.hours.starts[hour]) if hour > hours.start else 0
            closes = int(schedule.hours.starts[hour + 1]) if hour + 1 < hours.stop else DAY_MICROSECONDS
            weight = _within(until, opens, closes) - _within(since, opens, closes)
            weighted, held = weighted + weight * rate, held + weight
    return weighted / held if held else None


def average_prices(catalogue: Catalogue, start: datetime, end: datetime) -> PriceOf:
    """Return a function from a unit of a model at a service tier to its average price over `[start, end)`.

    It remembers what it was asked; where nothing prices the unit it returns None. Unit: pico-USD for one unit.
    """
    known: dict[Item, Fraction | None] = {}

    def price_of(item: Item) -> Fraction | None:
        if item not in known:
            group = catalogue.group(item[0], item[1], item[2])
            known[item] = average_rate(catalogue, group, item[3], start, end) if group > 0 else None
        return known[item]

    return price_of


def _rate(catalogue: Catalogue, line: int, place: int) -> Fraction | None:
    rates = catalogue.rates
    if catalogue.schedule.unpriced[line] or rates.missing[line] >> np.uint64(place) & np.uint64(1):
        return None
    part = Fraction(int(rates.numerator[line, place]), int(rates.denominator[line, place]))
    return int(rates.whole[line, place]) + part


def _within(instant: int, opens: int, closes: int) -> int:
    """Return how long it was between two times of day, summed over all days up to an instant. Unit: microseconds."""
    days, today = divmod(instant, DAY_MICROSECONDS)
    return days * (closes - opens) + min(max(today - opens, 0), closes - opens)
