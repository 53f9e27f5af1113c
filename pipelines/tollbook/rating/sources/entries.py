"""What a price overlay says: dated prices, names and uplifts, each with when it holds and since when we know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from tollbook.rating.patterns import is_pattern, matches
from tollbook.rating.units import DEFAULT_TIER


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What all entries have.

    Attributes:
        entry: `<overlay>:<entry_id>`.
        provider: Who bills, as `Names.provider` has it.
        known_from: When it became known, in UTC.
        valid_from: First instant it holds, in UTC; None when no beginning is known.
        valid_to: First instant it no longer holds, in UTC; None while it is open.
        source: Page or document that says so.
        checked_on: Date it was last compared with `source`, as YYYY-MM-DD, where known.
        author: Who wrote it.
        reason: Why.
        place: File and line, for messages.
    """

    entry: str
    provider: str
    known_from: datetime
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source: str | None = None
    checked_on: str | None = None
    author: str | None = None
    reason: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Layer:
    """Rates by length of context.

    Attributes:
        contexts: Input tokens above which rates hold, None for all, ascending, to those rates. Unit: pico-USD for one
            unit, exact.
    """

    contexts: tuple[tuple[int | None, Mapping[str, Fraction]], ...]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every rate key it names, at whatever length."""
        return frozenset(key for _, rates in self.contexts for key in rates)

    def rate(self, key: str, above: int | None) -> Fraction | None:
        """Return the rate of requests above some input tokens, None where it names none for that length."""
        reached = [
            rates[key]
            for start, rates in self.contexts
            if key in rates and (start is None or (above is not None and start <= above))
        ]
        return reached[-1] if reached else None


@dataclass(frozen=True)
class Window:
    """Rates of one part of the day.

    Attributes:
        start: Time of day from which they hold, in UTC.
        end: Time of day from which they no longer do; before `start` when that is on the next day.
        layer: The rates.
    """

    start: time
    end: time
    layer: Layer

    def holds(self, moment: time) -> bool:
        """Return whether a time of day is in it."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


@dataclass(frozen=True, kw_only=True)
class PriceEntry(Entry):
    """A dated price of a model, or of all models of a pattern.

    Attributes:
        models: The model, or models and patterns of models.
        exact: Whether it names one model itself.
        layer: Its rates.
        service_tier: Tier it is for.
        windows: Rates of parts of the day, which go before `layer`.
        minimum_quantities: Unit to the least quantity that is billed once there is any.
        replace: Whether all rates beneath go.
    """

    models: tuple[str, ...]
    exact: bool
    layer: Layer
    service_tier: str = DEFAULT_TIER
    windows: tuple[Window, ...] = ()
    minimum_quantities: Mapping[str, int] = field(default_factory=dict)
    replace: bool = False

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every rate key it names."""
        return self.layer.keys.union(*(window.layer.keys for window in self.windows))

    @cached_property
    def hours(self) -> frozenset[time]:
        """Times of day at which its rates may change."""
        return frozenset({time(0)}.union(*({window.start, window.end} for window in self.windows)))

    @cached_property
    def contexts(self) -> frozenset[int]:
        """Input tokens above which its rates may change."""
        layers = (self.layer, *(window.layer for window in self.windows))
        return frozenset(above for layer in layers for above, _ in layer.contexts if above is not None)

    def covers(self, model: str) -> bool:
        """Return whether it is for a model."""
        return any(matches(pattern, model) for pattern in self.models)

    def rates_at(self, moment: time, above: int | None) -> dict[str, Fraction]:
        """Return the rates it names for a time of day and requests above some input tokens.

        A rate that the part of the day names for longer requests alone is the entry's own for the others.
        """
        rates: dict[str, Fraction] = {}
        for layer in (self.layer, *(each.layer for each in self.windows if each.holds(moment))):
            told = ((key, layer.rate(key, above)) for key in layer.keys)
            rates.update({key: rate for key, rate in told if rate is not None})
        return rates


@dataclass(frozen=True, kw_only=True)
class AliasEntry(Entry):
    """A made-up name and the model it means.

    Attributes:
        alias: The name, as an event writes it.
        means_provider: Whose price it has, as `Names.provider` has it.
        means_model: The model whose price it has.
    """

    alias: str
    means_provider: str
    means_model: str


@dataclass(frozen=True, kw_only=True)
class UpliftEntry(Entry):
    """What prices are multiplied by in some regions.

    Attributes:
        models: Models and patterns of models.
        regions: Regions and patterns of regions.
        multiplier: The factor, exact.
        rates: Rate keys that are multiplied.
    """

    models: tuple[str, ...]
    regions: tuple[str, ...]
    multiplier: Fraction
    rates: frozenset[str]

    def covers(self, model: str) -> bool:
        """Return whether it is for a model."""
        return any(matches(pattern, model) for pattern in self.models)

    @property
    def exact(self) -> bool:
        """Whether it names its models without a pattern."""
        return not any(is_pattern(model) for model in self.models)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An entry that no longer holds.

    Attributes:
        entry: `<overlay>:<entry_id>` of the withdrawal.
        withdraws: `<overlay>:<entry_id>` of what is withdrawn.
        known_from: Since when that is known, in UTC.
    """

    entry: str
    withdraws: str
    known_from: datetime


@dataclass(frozen=True)
class Overlay:
    """One overlay file.

    Attributes:
        name: Its name.
        path: Where it lies.
        entries: Its prices, names and uplifts, in the order of the file.
        withdrawals: What of it no longer holds.
        told: entry_id to what the file says of it, in one canonical text: what must never change.
        lines: entry_id to its line, from 1.
        source: The file as it was read.
    """

    name: str
    path: Path
    entries: tuple[Entry, ...]
    withdrawals: tuple[Withdrawal, ...]
    told: Mapping[str, str]
    lines: Mapping[str, int]
    source: bytes = field(default=b"", repr=False)

    def known(self, known_at: datetime | None) -> list[Entry]:
        """Return the entries that hold by what was known at an instant; None for all that is known."""
        withdrawn = {each.withdraws for each in self.withdrawals if known_at is None or each.known_from <= known_at}
        return [
            each
            for each in self.entries
            if each.entry not in withdrawn and (known_at is None or each.known_from <= known_at)
        ]


def overlapping(windows: tuple[Window, ...]) -> bool:
    """Return whether two parts of the day share a time."""
    minutes = sorted(part for window in windows for part in _parts(window))
    return any(later[0] < earlier[1] for earlier, later in pairwise(minutes))


def _parts(window: Window) -> list[tuple[time, time]]:
    if window.start < window.end:
        return [(window.start, window.end)]
    parts = [(window.start, time.max), (time(0), window.end)]
    return [(start, end) for start, end in parts if start < end]
