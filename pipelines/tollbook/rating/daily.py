"""Between which times of day the same rates hold."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from tollbook.rating.schedule import Schedule, Steps

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def daily_window(schedule: Schedule, period: int, hour: int) -> tuple[time, time | None]:
    """Return the times of day between which the same rates hold as at one, the second None where they hold all day.

    Hours repeat each day, so what holds from 16:30 to 00:30 stands as two: until midnight, and from there on.
    """
    first, beyond = int(schedule.hours.offsets[period]), int(schedule.hours.offsets[period + 1])
    hours, count, mine = schedule.hours, beyond - first, _charged(schedule, hour)
    later = [first + (hour - first + step) % count for step in range(1, count)]
    following = next((each for each in later if _charged(schedule, each) != mine), None)
    if following is None:
        return time(0), None
    began = hour
    for each in reversed(later):
        if _charged(schedule, each) != mine:
            break
        began = each
    return _time(hours, began), _time(hours, following)


def _charged(schedule: Schedule, hour: int) -> list[object]:
    """Return what a time of day charges, by length of context."""
    lines = schedule.lines[schedule.contexts.offsets[hour] : schedule.contexts.offsets[hour + 1]]
    prices = [line.price for line in lines]
    return [
        None
        if price is None
        else (price.above_input_tokens, price.rates, price.minimum_quantities, price.contract_id, price.source)
        for price in prices
    ]


def _time(hours: Steps, hour: int) -> time:
    return (_EPOCH + timedelta(microseconds=int(hours.starts[hour]))).time()
