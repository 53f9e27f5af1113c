"""Naming what differs: each step takes its part of a difference, and the last one takes the rest, so parts sum to it.

Whole numbers throughout: calls, tokens, and millionths of a millionth of a dollar. The steps, in their order:

1. `timing`: our usage of hours that the vendor's buckets leave out of a day, and usage about midnight that one side
   counts on the next day, at most our usage of the hour before or after it.
2. `other`: what the two sides tell of the same day under different models or projects.
3. `unlogged_calls`: calls and tokens that the vendor tells and no event does; `other` where events tell more. Where the
   vendor tells no more requests than we do, tokens beyond ours are of calls that we know: `other`.
4. Of cost `credits`, which the vendor marks; then `unknown_price` and `unlogged_calls` in proportion to tokens without
   a price and without an event, at the vendor's own average for the model; `rounding`, at most half a step of each
   amount that the vendor told; and the rest, `other`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from tollbook.chargeback.remainder import largest_remainder

UNLOGGED, TIMING, ROUNDING = "unlogged_calls", "timing", "rounding"
CREDITS, UNKNOWN_PRICE, OTHER = "credits", "unknown_price", "other"
REASONS: Final = (UNLOGGED, TIMING, ROUNDING, CREDITS, UNKNOWN_PRICE, OTHER)
"""Every reason of a residual."""
_LEAST_ROUNDING: Final = 1_000
_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class Measure:
    """One quantity, as events and the vendor tell it.

    Attributes:
        ours: What events tell, of the whole day.
        theirs: What the vendor tells; None where it does not.
        outside: Of `ours`, hours that no bucket of the vendor is about.
        edge: Of `ours`, hours that a bucket begins or ends in.
        first: Of `ours`, the first hour of the day.
        last: Of `ours`, the last hour of the day.
        parts: What is named so far, by reason.
    """

    ours: int = 0
    theirs: int | None = None
    outside: int = 0
    edge: int = 0
    first: int = 0
    last: int = 0
    parts: dict[str, int] = field(default_factory=dict)

    @property
    def rest(self) -> int:
        """What is not named yet; zero where the vendor does not tell."""
        return 0 if self.theirs is None else self.theirs - self.ours - sum(self.parts.values())

    def name(self, reason: str, amount: int) -> None:
        """Name a part of the difference."""
        if amount:
            self.parts[reason] = self.parts.get(reason, 0) + amount


@dataclass(slots=True)
class DayUnit:
    """What is compared: a vendor's day of UTC, a model and a project where both sides tell them apart.

    Attributes:
        vendor: Who reports.
        day: The day.
        model: Model; None where all are compared together.
        project_id: Project; None where all are compared together.
        calls: Calls and requests.
        tokens: Tokens.
        cost: Cost. Unit: pico-USD.
        unpriced_tokens: Our tokens whose price is unknown.
        unpriced_calls: Our calls whose price is unknown.
        credits: What the vendor marks as credit. Unit: pico-USD.
        rounding: What rounding of its amounts can hide. Unit: pico-USD.
    """

    vendor: str
    day: date
    model: str | None
    project_id: str | None
    calls: Measure = field(default_factory=Measure)
    tokens: Measure = field(default_factory=Measure)
    cost: Measure = field(default_factory=Measure)
    unpriced_tokens: int = 0
    unpriced_calls: int = 0
    credits: int = 0
    rounding: int = 0

    @property
    def measures(self) -> tuple[Measure, Measure, Measure]:
        """Calls, tokens and cost."""
        return self.calls, self.tokens, self.cost


def name_residuals(units: Sequence[DayUnit]) -> None:
    """Name every difference of days; afterwards nothing of any is left unnamed."""
    series: dict[tuple[str, str | None, str | None], list[DayUnit]] = {}
    days: dict[tuple[str, date], list[DayUnit]] = {}
    for unit in units:
        series.setdefault((unit.vendor, unit.model, unit.project_id), []).append(unit)
        days.setdefault((unit.vendor, unit.day), []).append(unit)
    for unit in units:
        for measure in unit.measures:
            _name_window(measure)
    for held in series.values():
        held.sort(key=lambda unit: unit.day)
        for before, after in pairwise(held):
            if after.day - before.day == _DAY:
                for earlier, later in zip(before.measures, after.measures, strict=True):
                    _name_midnight(earlier, later)
    for held in days.values():
        _name_moved([unit.calls for unit in held])
        _name_moved([unit.tokens for unit in held])
    for unit in units:
        _name_counts(unit)
        _name_cost(unit)


def take(rest: int, estimate: int) -> int:
    """Return what of a rest an estimate explains: at most all of it, and nothing of the other sign."""
    return min(rest, max(estimate, 0)) if rest > 0 else 0


def _name_window(measure: Measure) -> None:
    if measure.theirs is not None:
        measure.name(TIMING, -measure.outside)
        measure.name(TIMING, -min(measure.edge, max(0, -measure.rest)))


def _name_midnight(earlier: Measure, later: Measure) -> None:
    """What one side counts before midnight and the other after it."""
    if earlier.rest < 0 < later.rest:
        moved = min(-earlier.rest, later.rest, max(0, earlier.last))
    elif earlier.rest > 0 > later.rest:
        moved = -min(earlier.rest, -later.rest, max(0, later.first))
    else:
        return
    earlier.name(TIMING, -moved)
    later.name(TIMING, moved)


def _name_moved(measures: Iterable[Measure]) -> None:
    """What sides tell under different models or projects of one day cancels within the day."""
    more = [measure for measure in measures if measure.rest]
    above, below = ([each for each in more if (each.rest > 0) is is_above] for is_above in (True, False))
    moved = min(sum(each.rest for each in above), -sum(each.rest for each in below))
    if moved <= 0:
        return
    for sign, held in ((1, above), (-1, below)):
        for each, part in zip(held, largest_remainder(moved, [abs(one.rest) for one in held]), strict=True):
            each.name(OTHER, sign * part)


def _name_counts(unit: DayUnit) -> None:
    calls = unit.calls.rest
    unit.calls.name(UNLOGGED if calls > 0 else OTHER, calls)
    tokens = unit.tokens.rest
    is_unlogged = tokens > 0 and (unit.calls.theirs is None or UNLOGGED in unit.calls.parts)
    unit.tokens.name(UNLOGGED if is_unlogged else OTHER, tokens)


def _name_cost(unit: DayUnit) -> None:
    cost, tokens = unit.cost, unit.tokens
    if cost.theirs is None:
        return
    cost.name(CREDITS, unit.credits)
    used, theirs = cost.theirs - unit.credits, tokens.theirs or 0
    if unit.unpriced_calls:
        known = unit.tokens.theirs is not None and theirs > 0
        cost.name(UNKNOWN_PRICE, take(cost.rest, used * unit.unpriced_tokens // theirs if known else cost.rest))
    unlogged = tokens.parts.get(UNLOGGED, 0)
    if unlogged and theirs:
        cost.name(UNLOGGED, take(cost.rest, -(-used * unlogged // theirs)))
    elif tokens.theirs is None and not unit.calls.ours:
        cost.name(UNLOGGED, max(0, cost.rest))
    close_rest(cost, unit.rounding)


def close_rest(cost: Measure, rounding: int) -> None:
    """Name what is left: rounding where that can hide it, else other.

    Args:
        cost: The cost. Unit: pico-USD.
        rounding: What rounding can hide. Unit: pico-USD.
    """
    cost.name(ROUNDING if abs(cost.rest) <= max(rounding, _LEAST_ROUNDING) else OTHER, cost.rest)
