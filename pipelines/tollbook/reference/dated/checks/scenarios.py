"""Forecast scenarios: names that are free, spans that do not end before they begin, numbers that make sense."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import product
from typing import Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.checks import Entries, Others
from tollbook.reference.dated.checks.amounts import amount_at, not_below_zero
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.documents import Step

RESERVED_SCENARIOS: Final = ("expected", "flat_prices")
"""Names of scenarios that are there without a file."""

_NOT_BY_MODEL: Final = ("tasks", "new")
_NOT_BELOW_ZERO: Final = {
    "tasks": ("factor", "factor_per_month"),
    "tokens_per_task": ("factor", "factor_per_month"),
    "price": ("factor",),
    "moved": ("tokens_factor",),
    "new": ("tasks_per_day", "tokens_per_task", "price_per_million_tokens"),
}


def check_scenarios(entries: Entries, _others: Others) -> Iterator[DocumentFault]:
    """Yield what no forecast could be made of."""
    for entry in entries:
        if entry.body["scenario"] in RESERVED_SCENARIOS:
            yield entry.fault(("scenario",), f"expected another name than {' and '.join(RESERVED_SCENARIOS)}")
        for place in range(len(entry.body["assumptions"])):
            yield from _assumption(entry, ("assumptions", place))


def _assumption(entry: DatedEntry, where: tuple[Step, ...]) -> Iterator[DocumentFault]:
    told = entry.body["assumptions"][where[-1]]
    if "until" in told and date.fromisoformat(told["until"]) <= date.fromisoformat(told["from"]):
        yield entry.fault((*where, "until"), "expected a day after from")
    for kind, key in ((kind, key) for kind, keys in _NOT_BELOW_ZERO.items() for key in keys):
        if key in told.get(kind, ()):
            yield from not_below_zero(entry, (*where, kind, key))
    for kind, key in product(_NOT_BY_MODEL, ("provider", "models")):
        if kind in told and key in told:
            yield entry.fault((*where, key), f"expected none beside {kind}, which are of no model", came="")
    if "moved" in told and not 0 < amount_at(entry, (*where, "moved", "share")) <= 1:
        yield entry.fault((*where, "moved", "share"), "expected a share above 0 and at most 1")
    if "new" in told and "team" not in told:
        yield entry.fault((*where, "new"), "expected the key 'team' beside it, got none", came="")
