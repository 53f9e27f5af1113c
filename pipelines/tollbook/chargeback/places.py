"""Where units stand in the hierarchy, day by day: a team's cost centre, and a cost centre's business unit."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import pyarrow as pa

from tollbook.reference.dated.checks.hierarchy import BUSINESS_UNIT, COST_CENTER, TEAM, parent_of
from tollbook.reference.dated.entries import DatedEntry

NO_PLACES: Final = "none"
PLACES_SCHEMA: Final = pa.schema(
    [
        ("unit", pa.string()),
        ("name", pa.string()),
        ("parent", pa.string()),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
    ]
)
"""A `team`'s cost centre and a `cost_center`'s business unit, for days of `[valid_from, valid_to)`."""
_VERSION_DIGITS: Final = 16
_LAST: Final = date.max

Unit = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """What a unit belongs to on days of `[valid_from, valid_to)`."""

    unit: str
    name: str
    parent: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Places:
    """The hierarchy as places; those of one unit do not overlap.

    Attributes:
        all: Places, by unit and time.
    """

    all: tuple[Place, ...] = ()
    _by_unit: dict[Unit, list[Place]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for place in self.all:
            self._by_unit.setdefault((place.unit, place.name), []).append(place)

    @classmethod
    def of(cls, entries: Iterable[DatedEntry]) -> Places:
        """Return the places of a sound hierarchy."""
        held: defaultdict[Unit, list[DatedEntry]] = defaultdict(list)
        for entry in entries:
            held[entry.body["unit"], entry.body["name"]].append(entry)
        days = sorted(
            {day for members in held.values() for each in members for day in (each.valid_from, each.valid_to) if day}
        )
        places: list[Place] = []
        for (unit, name), members in sorted(held.items()):
            if unit == BUSINESS_UNIT:
                continue
            spans = [
                Place(unit, name, parent, since, until)
                for since, until in zip(days, [*days[1:], _LAST], strict=True)
                if any(each.holds_on(since) for each in members)
                and (parent := _parent(held, (unit, name), since)) is not None
            ]
            places += _joined(spans)
        return cls(tuple(places))

    @property
    def version(self) -> str:
        """Digest of all places; `none` without any."""
        if not self.all:
            return NO_PLACES
        return hashlib.sha256(repr(self.all).encode()).hexdigest()[:_VERSION_DIGITS]

    def parent(self, unit: str, name: str, day: date) -> str | None:
        """Return what a unit belongs to on a day, None where the hierarchy does not tell."""
        held = self._by_unit.get((unit, name), [])
        index = bisect_right(held, day, key=lambda place: place.valid_from) - 1
        return held[index].parent if index >= 0 and day < held[index].valid_to else None

    def changes(self) -> frozenset[date]:
        """Return the days on which some unit moves."""
        return frozenset(day for place in self.all for day in (place.valid_from, place.valid_to) if day != _LAST)

    def table(self) -> pa.Table:
        """Return the places, `PLACES_SCHEMA`."""
        rows = [{name: getattr(place, name) for name in PLACES_SCHEMA.names} for place in self.all]
        return pa.Table.from_pylist(rows, schema=PLACES_SCHEMA)


def _parent(held: dict[Unit, list[DatedEntry]], unit: Unit, day: date) -> str | None:
    """Return a team's cost centre, or the first business unit above a cost centre, on a day."""
    while True:
        entry = next((each for each in held.get(unit, ()) if each.holds_on(day)), None)
        above = None if entry is None else parent_of(entry)
        if above is None:
            return None
        if unit[0] == TEAM or above[0] == BUSINESS_UNIT:
            return above[1]
        unit = (COST_CENTER, above[1])


def _joined(spans: list[Place]) -> list[Place]:
    """Return places of one unit with neighbours of one parent made one."""
    joined: list[Place] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last is not None and last.parent == span.parent and last.valid_to == span.valid_from:
            joined[-1] = Place(span.unit, span.name, span.parent, last.valid_from, span.valid_to)
        else:
            joined.append(span)
    return joined
