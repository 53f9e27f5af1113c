"""The hierarchy: parents that are there for as long as their children are, and no unit above itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.checks import Entries, Others
from tollbook.reference.dated.entries import DatedEntry

TEAM, COST_CENTER, BUSINESS_UNIT = "team", "cost_center", "business_unit"
_ABOVE: Final = {TEAM: COST_CENTER, COST_CENTER: BUSINESS_UNIT, BUSINESS_UNIT: BUSINESS_UNIT}
_ALLOWED: Final = {
    TEAM: {COST_CENTER},
    COST_CENTER: {COST_CENTER, BUSINESS_UNIT},
    BUSINESS_UNIT: {BUSINESS_UNIT},
}
WORDS: Final = {TEAM: "team", COST_CENTER: "cost centre", BUSINESS_UNIT: "business unit"}


def parent_of(entry: DatedEntry) -> tuple[str, str] | None:
    """Return level and name of what a unit belongs to, None for one at the top."""
    if "parent" not in entry.body:
        return None
    level = entry.body["unit"]
    return entry.body.get("parent_unit", _ABOVE[level]), entry.body["parent"]


def check_hierarchy(entries: Entries, _: Others) -> Iterator[DocumentFault]:
    """Yield units without a parent they need, with one that is not there, and those above themselves."""
    by_unit: dict[tuple[str, str], list[DatedEntry]] = {}
    for entry in entries:
        by_unit.setdefault((entry.body["unit"], entry.body["name"]), []).append(entry)
    for entry in entries:
        level, parent = entry.body["unit"], parent_of(entry)
        if parent is None:
            if level != BUSINESS_UNIT:
                yield entry.fault((), f"expected the key 'parent' beside a {WORDS[level]}, got none", came="")
        elif parent[0] not in _ALLOWED[level]:
            yield entry.fault(("parent_unit",), f"expected a {WORDS[level]} below a {WORDS[_ABOVE[level]]}")
        else:
            yield from _orphaned(entry, parent, by_unit.get(parent, []))
    yield from _cycles(entries)


def _orphaned(entry: DatedEntry, parent: tuple[str, str], holders: list[DatedEntry]) -> Iterator[DocumentFault]:
    """Yield the first day on which a unit's parent is not there."""
    day: date | None = entry.valid_from
    for holder in sorted(holders, key=lambda each: each.valid_from):
        if day is not None and holder.holds_on(day):
            day = holder.valid_to
    if day is not None and (entry.valid_to is None or day < entry.valid_to):
        rule = f"expected a {WORDS[parent[0]]} of the hierarchy for as long as its {WORDS[entry.body['unit']]}, "
        yield entry.fault(("parent",), f"{rule}and there is none on {day}")


def _cycles(entries: Entries) -> Iterator[DocumentFault]:
    told: set[str] = set()
    for day in sorted({entry.valid_from for entry in entries}):
        above = {(e.body["unit"], e.body["name"]): (e, parent_of(e)) for e in entries if e.holds_on(day)}
        for unit, (entry, _) in above.items():
            seen = [unit]
            step = above[unit][1]
            while step in above and step not in seen:
                seen.append(step)
                step = above[step][1]
            if step == unit and entry.entry_id not in told:
                told.add(entry.entry_id)
                way = " below ".join(name for _, name in (*seen, unit))
                yield entry.fault(("parent",), f"expected no unit below itself, got {way} on {day}", came="")
