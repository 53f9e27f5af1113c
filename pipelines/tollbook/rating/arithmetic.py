"""The arithmetic: counts times rates, each bucket rounded once, in int64 where that is proven safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tollbook.rating.money import MAX_COST_PICO_USD, Integers, multiply_half_even
from tollbook.rating.quantities import UNIT_MAPS, Mask, Quantities, UnitEntries
from tollbook.rating.rates import Rates
from tollbook.rating.reasons import (
    BUCKETS_DISAGREE,
    COST_OUT_OF_RANGE,
    MISSING_RATE,
    NEGATIVE_COUNT,
    UNKNOWN_UNIT,
    note,
)

Line = npt.NDArray[np.int64]
REQUEST: Final = "requests"
# A float estimate below this is below the largest cost for certain: its error is a few parts in 10^15.
_PROVEN: Final = 0.99 * MAX_COST_PICO_USD


@dataclass(frozen=True, slots=True)
class Costs:
    """What a batch costs.

    Attributes:
        total: Shape (n_events,), the sum of the parts; meaningless where `faults` is set. Unit: pico-USD.
        parts: Place of a bucket in `Units.all`, the name of a unit map, or `requests`, to its cost of shape
            (n_events,). Unit: pico-USD.
        faults: Reason for which there is no cost, 0 for none, shape (n_events,).
    """

    total: Integers
    parts: dict[int | str, Integers]
    faults: npt.NDArray[np.uint8]


def cost_of(rates: Rates, request: int, line: Line, used: Quantities) -> Costs:
    """Return what a batch costs.

    Args:
        rates: Rates of the catalogue.
        request: Place of the unit `requests`, of which every event is one.
        line: Line of the catalogue in force for each event, shape (n_events,).
        used: What each event used.
    """
    costs = _costs(rates, request, line, used, np.int64)
    unsafe = np.flatnonzero(_unsafe(rates, request, line, used))
    if unsafe.size:
        # int64 has wrapped here, silently; the few such events are done again in Python's integers.
        exact = _costs(rates, request, line[unsafe], used.of_events(unsafe), object)
        beyond = (exact.total < 0) | (exact.total > MAX_COST_PICO_USD)
        note(exact.faults, beyond, COST_OUT_OF_RANGE)
        costs.faults[unsafe] = exact.faults
        for whole, few in (
            (costs.total, exact.total),
            *((costs.parts[key], part) for key, part in exact.parts.items()),
        ):
            whole[unsafe] = np.where(exact.faults > 0, 0, few).astype(np.int64)
    return costs


def _costs(rates: Rates, request: int, line: Line, used: Quantities, kind: Any) -> Costs:
    """Return the costs in int64, or exact in Python's integers where `kind` is object."""
    faults = np.zeros(len(line), np.uint8)
    parts: dict[int | str, Integers] = {}
    for place, counts in used.buckets.items():
        if used.largest[place]:
            parts[place] = _multiply(rates, place, line, counts.astype(kind, copy=False))
    if rates.ceiling[request] > 1 and rates.whole[:, request].take(line).any():
        parts[REQUEST] = _multiply(rates, request, line, np.ones(len(line), kind))
    if used.entries is not None:
        parts.update(_entry_parts(rates, line, used.entries, faults, kind))
    _check_rates(rates, line, used, faults)
    _check_wholes(used, faults)
    if used.negative is not None:
        note(faults, used.negative, NEGATIVE_COUNT)
    total = np.zeros(len(line), kind)
    for part in parts.values():
        total += part
    return Costs(total, parts, faults)


def _multiply(rates: Rates, place: Any, line: Line, counts: Integers) -> Integers:
    """Return the cost of one unit in each event, or of one unit an entry; rounded once. Shape (n,)."""
    whole = rates.whole[line, place] if isinstance(place, np.ndarray) else rates.whole[:, place].take(line)
    broken = (rates.broken.take(line) >> np.asarray(place, np.uint64)) & np.uint64(1)
    if not broken.any():
        return np.asarray(counts * whole)
    return multiply_half_even(counts, whole, rates.numerator[line, place], rates.denominator[line, place])


def _entry_parts(
    rates: Rates, line: Line, entries: UnitEntries, faults: npt.NDArray[np.uint8], kind: Any
) -> dict[int | str, Integers]:
    """Return the cost of each unit map, shape (n_events,), and note units that have no meaning or no rate."""
    of_entry = line[entries.event]
    known = entries.unit >= 0
    unit = np.where(known, entries.unit, 0)
    lacking = ((rates.missing[of_entry] >> unit.astype(np.uint64)) & np.uint64(1)).astype(bool)
    for entry_fault, reason in ((~known, UNKNOWN_UNIT), (known & lacking, MISSING_RATE)):
        at = np.zeros(len(line), bool)
        at[entries.event[entry_fault]] = True
        note(faults, at, reason)
    billed = np.maximum(entries.quantity, rates.minimum[of_entry, unit]).astype(kind)
    costs = np.where(known, _multiply(rates, unit, of_entry, billed), 0)
    parts: dict[int | str, Integers] = {}
    for place, name in enumerate(UNIT_MAPS):
        here = entries.column == place
        if here.any():
            parts[name] = np.zeros(len(line), kind)
            np.add.at(parts[name], entries.event[here], costs[here])
    return parts


def _check_rates(rates: Rates, line: Line, used: Quantities, faults: npt.NDArray[np.uint8]) -> None:
    asked = sum(1 << place for place, largest in used.largest.items() if largest)
    lacking = rates.missing.take(line) & np.uint64(asked)
    if lacking.any():
        for place, counts in used.buckets.items():
            note(faults, (counts > 0) & ((lacking >> np.uint64(place)) & np.uint64(1) > 0), MISSING_RATE)


def _check_wholes(used: Quantities, faults: npt.NDArray[np.uint8]) -> None:
    """Note totals that their buckets do not add up to: a token that stands in no bucket would be free."""
    for whole in used.wholes:
        told = np.zeros(len(faults), np.int64)
        for place in whole.places:
            told = told + used.buckets[place]
        disagree = told != whole.counts
        if disagree.any():
            note(faults, disagree if whole.told is None else disagree & whole.told, BUCKETS_DISAGREE)


def _unsafe(rates: Rates, request: int, line: Line, used: Quantities) -> Mask:
    """Return where int64 is not sure to hold the cost, or a count is out of all bounds. Shape (n_events,)."""
    nowhere = np.zeros(len(line), bool)
    unsafe = nowhere if used.suspect is None else used.suspect
    entry_costs = np.zeros(0)
    if used.entries is not None:
        known = used.entries.unit >= 0
        unit = np.where(known, used.entries.unit, 0)
        billed = np.maximum(used.entries.quantity, rates.minimum[line[used.entries.event], unit])
        entry_costs = np.where(known, billed * np.array(rates.ceiling, float)[unit], 0.0)
    bound = sum(largest * rates.ceiling[place] for place, largest in used.largest.items())
    if bound + rates.ceiling[request] + entry_costs.sum() < _PROVEN:
        return unsafe
    estimate = np.full(len(line), float(rates.ceiling[request]))
    for place, counts in used.buckets.items():
        estimate += counts * (rates.whole[:, place].take(line) + 1.0)
    if used.entries is not None:
        np.add.at(estimate, used.entries.event, entry_costs)
    return unsafe | (estimate >= _PROVEN)
