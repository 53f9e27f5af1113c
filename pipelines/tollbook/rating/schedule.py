"""Which price holds when: three levels of steps, each found by one vectorised search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tollbook.rating.prices import Price

Indices = npt.NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)
Group = tuple[str, str, str, str | None, str | None]

SINCE_EVER: Final = np.iinfo(np.int64).min
DAY_MICROSECONDS: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """One row of the catalogue's arrays.

    Attributes:
        price: The price that holds, or None where none does.
        estimated: Whether the price is only the earliest known one.
    """

    price: Price | None
    estimated: bool = False


class Steps:
    """Parents, each with children that begin at growing values, the first of them at the beginning of all.

    Children are numbered through all parents, so that a child of one level is a parent of the next.
    """

    def __init__(self, children: Iterable[list[int]]) -> None:
        starts = list(children)
        self.offsets = np.cumsum([0, *map(len, starts)], dtype=np.int64)
        self.starts = np.array([start for group in starts for start in group], np.int64)

    def find(self, parent: Indices, value: Indices, *, period: int | None = None) -> Indices:
        """Return for each parent the child with the largest start that is not above `value`.

        Args:
            parent: Parents, shape (n,).
            value: Values, shape (n,).
            period: Values repeat after this, as instants do in times of day.
        """
        low = self.offsets[parent]
        high = self.offsets[parent + 1] - 1
        several = np.flatnonzero(low < high)
        if several.size:
            low[several] = self._search(low[several], high[several], value[several], period)
        return low

    def _search(self, low: Indices, high: Indices, value: Indices, period: int | None) -> Indices:
        if period is not None:
            value = value % period
        for _ in range(int((high - low).max()).bit_length()):
            middle = (low + high + 1) >> 1
            reached = self.starts[middle] <= value
            low = np.where(reached, middle, low)
            high = np.where(reached, high, middle - 1)
        return low


class Schedule:
    """The lines of a catalogue by group, period, time of day and length of context.

    A group is one (provider, model, service tier, region, billing account). Group 0 has no price; it stands for what is
    not known.

    Attributes:
        lines: The lines, in the order that `find` numbers them; line 0 has no price.
        unpriced: Whether a line has no price, shape (n_lines,).
        estimated: Whether the price of a line is only the earliest known one, shape (n_lines,).
        groups: (provider, model, service tier, region, billing account) to group; the last two are None for the prices
            of all that have none of their own.
        periods: Steps from a group to its periods, by microseconds since 1970 in UTC.
        hours: Steps from a period to its times of day, by microseconds since midnight UTC.
        contexts: Steps from a time of day to its lengths of context, by input tokens of the request.
    """

    def __init__(self, prices: Iterable[Price]) -> None:
        by_group = _grouped(prices, _group)
        self.groups: dict[Group, int] = {key: place for place, key in enumerate(by_group, start=1)}
        periods = [[(SINCE_EVER, [Line(None)])], *(_periods(members) for members in by_group.values())]
        self.periods = Steps([start for start, _ in group] for group in periods)
        hours = [_hours(lines) for group in periods for _, lines in group]
        self.hours = Steps([start for start, _ in period] for period in hours)
        contexts = [_contexts(lines) for period in hours for _, lines in period]
        self.contexts = Steps([start for start, _ in hour] for hour in contexts)
        self.lines = tuple(line for hour in contexts for _, line in hour)
        self.unpriced = np.array([line.price is None for line in self.lines])
        self.estimated = np.array([line.estimated for line in self.lines])

    def find(self, group: Indices, occurred_at: Indices, input_tokens: Indices) -> Indices:
        """Return the line in force for each request.

        Args:
            group: Groups, shape (n,).
            occurred_at: Instants, shape (n,). Unit: microseconds since 1970-01-01T00:00:00Z.
            input_tokens: All input tokens of each request, cached ones included, shape (n,).
        """
        period = self.periods.find(group, occurred_at)
        hour = self.hours.find(period, occurred_at, period=DAY_MICROSECONDS)
        return self.contexts.find(hour, input_tokens)


def microseconds(moment: datetime) -> int:
    """Return an instant as microseconds since 1970-01-01T00:00:00Z, exact."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def since_midnight(moment: time) -> int:
    """Return a time of day as microseconds since midnight."""
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000 + moment.microsecond


def _periods(prices: list[Price]) -> list[tuple[int, list[Line]]]:
    """Return the periods of one group without a gap: estimated before the first, no price after the last."""
    periods = sorted(_grouped(prices, _validity).items())
    steps: list[tuple[int, list[Line]]] = []
    end = SINCE_EVER
    for (start, stop), members in periods:
        if start < end:
            raise members[0].fault(
                f"expected periods that do not overlap, got a second one from {members[0].valid_from}"
            )
        if start > end:
            steps.append((end, [Line(None)] if steps else [Line(price, estimated=True) for price in members]))
        steps.append((start, [Line(price) for price in members]))
        end = stop
    if end != np.iinfo(np.int64).max:
        steps.append((end, [Line(None)]))
    return steps


def _hours(lines: list[Line]) -> list[tuple[int, list[Line]]]:
    hours = sorted(_grouped(lines, _midnight).items())
    first = hours[0][1][0].price
    if hours[0][0] != 0 and first is not None:
        raise first.fault("expected a price from midnight on, got none")
    return hours


def _contexts(lines: list[Line]) -> list[tuple[int, Line]]:
    contexts = sorted(((_above(line), line) for line in lines), key=lambda pair: pair[0])
    first = contexts[0][1].price
    if first is not None and first.above_input_tokens is not None:
        raise first.fault(f"expected a price for requests up to {first.above_input_tokens} input tokens, got none")
    for (start, _), (following, line) in pairwise(contexts):
        if start == following and line.price is not None:
            raise line.price.fault(
                f"expected one price for each period and context, got {line.price.sku_price_id} twice"
            )
    return contexts


def _group(price: Price) -> Group:
    return (price.provider, price.model, price.service_tier, price.region, price.billing_account_id)


def _validity(price: Price) -> tuple[int, int]:
    start = SINCE_EVER if price.valid_from is None else microseconds(price.valid_from)
    stop = np.iinfo(np.int64).max if price.valid_to is None else microseconds(price.valid_to)
    return int(start), int(stop)


def _midnight(line: Line) -> int:
    return 0 if line.price is None else since_midnight(line.price.daily_from)


def _above(line: Line) -> int:
    # "More than n tokens" is "n + 1 tokens or more".
    above = None if line.price is None else line.price.above_input_tokens
    return int(SINCE_EVER) if above is None else above + 1


Member = TypeVar("Member")


def _grouped(members: Iterable[Member], key: Callable[[Member], Key]) -> dict[Key, list[Member]]:
    groups: defaultdict[Key, list[Member]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    return dict(groups)
