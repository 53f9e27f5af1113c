"""What was used, against the prices in force: models without a price, and units without a rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.checks.finding import Finding
from tollbook.rating.reasons import CODES as REASONS
from tollbook.rating.reasons import NO_PRICE_IN_FORCE, UNPRICED_REASONS
from tollbook.rating.schedule import microseconds
from tollbook.rating.used import UsedUnit

TOKENS: Final = "Tokens"


@dataclass(slots=True)
class _Trouble:
    """What lacks a price, over all periods: its code, when and how much."""

    code: str
    since: datetime
    until: datetime
    quantity: int


def check_usage(used: Iterable[UsedUnit], catalogue: Catalogue) -> Iterator[Finding]:
    """Yield what was used and has no price in a catalogue, one finding for each model, tier, unit and reason.

    Args:
        used: Usage by billing period.
        catalogue: The list prices in force.
    """
    troubles: dict[tuple[str, str, str, str, str], _Trouble] = {}
    tokens = {unit.name for unit in catalogue.units.all if unit.consumed_unit == TOKENS}
    for each in used:
        if not each.quantity:
            continue
        code, unit, why, quantity = _judged(each, catalogue, tokens)
        if not code:
            continue
        trouble = troubles.setdefault(
            (code, each.provider, each.model, each.service_tier, f"{unit}|{why}"),
            _Trouble(code, each.period_start, each.period_end, 0),
        )
        trouble.since, trouble.until = min(trouble.since, each.period_start), max(trouble.until, each.period_end)
        trouble.quantity += quantity
    for (code, provider, model, tier, key), trouble in troubles.items():
        unit, _, why = key.partition("|")
        yield Finding(
            code=code,
            provider=provider,
            model=model,
            message=_message(code, trouble, unit, why),
            service_tier=tier,
            unit=unit or None,
            valid_from=trouble.since,
            valid_to=trouble.until,
            quantity=trouble.quantity,
        )


def used_models(used: Iterable[UsedUnit], catalogue: Catalogue) -> set[tuple[str, str]]:
    """Return provider and model, as the price list names them, of what was used and is in it by whatever spelling."""
    found = {(each.provider, each.model) for each in used if each.quantity}
    models = [catalogue.find(provider, model) for provider, model in found]
    return {(each.provider, each.model) for each in models if each is not None}


def _judged(each: UsedUnit, catalogue: Catalogue, tokens: set[str]) -> tuple[str, str, str, int]:
    """Return code, unit, reason and quantity of what lacks a price; an empty code where nothing does."""
    group = catalogue.group(each.provider, each.model, each.service_tier)
    if group < 0:
        # A model without a price is told once, with all its tokens.
        reason = str(REASONS[-group])
        return "usage_without_price", "", reason, each.quantity if each.unit in tokens else 0
    lines = _lines(catalogue, group, each)
    priced = [line for line in lines if not catalogue.schedule.unpriced[line]]
    if not priced:
        return "usage_without_price", "", str(REASONS[NO_PRICE_IN_FORCE]), each.quantity if each.unit in tokens else 0
    place = catalogue.units.places.get(each.unit)
    if place is None:
        return "usage_without_rate", each.unit, "unknown_unit", each.quantity
    without = [line for line in priced if catalogue.rates.missing[line] >> np.uint64(place) & np.uint64(1)]
    if len(without) == len(priced):
        return "usage_without_rate", each.unit, "missing_rate", each.quantity
    if each.unpriced_quantity and len(priced) < len(lines):
        in_part = each.unpriced_quantity if each.unit in tokens else 0
        return "usage_without_price", "", str(REASONS[NO_PRICE_IN_FORCE]), in_part
    if each.unpriced_quantity and not without and each.unit in tokens:
        return "usage_not_rerated", "", "", each.unpriced_quantity
    return "", "", "", 0


def _lines(catalogue: Catalogue, group: int, each: UsedUnit) -> list[int]:
    """Return the lines of a group that hold at any time of a billing period."""
    schedule = catalogue.schedule
    bounds = np.array([microseconds(each.period_start), microseconds(each.period_end) - 1], np.int64)
    first, last = schedule.periods.find(np.array([group, group]), bounds)
    hours = range(int(schedule.hours.offsets[first]), int(schedule.hours.offsets[last + 1]))
    return [
        line
        for hour in hours
        for line in range(int(schedule.contexts.offsets[hour]), int(schedule.contexts.offsets[hour + 1]))
    ]


def _message(code: str, trouble: _Trouble, unit: str, why: str) -> str:
    when = f"from {trouble.since:%Y-%m-%d} to {trouble.until:%Y-%m-%d}"
    if code == "usage_without_price":
        reason = UNPRICED_REASONS[why]
        return f"{trouble.quantity:,} tokens were used {when} without a price ({why}): {_first_small(reason)}"
    if code == "usage_without_rate":
        return f"{trouble.quantity:,} {unit} were used {when}, for which the price has no rate ({why})"
    return (
        f"{trouble.quantity:,} tokens used {when} were recorded without a price and have one by now: "
        "`tollbook prices rerate` applies it"
    )


def _first_small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
