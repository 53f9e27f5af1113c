"""What the events of a batch used, as arrays of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.rating.units import Units

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

UNIT_MAPS: Final = ("tool_calls", "other_units")
WHOLES: Final = {"Input": "input_tokens", "Output": "output_tokens"}
# Sums of a dozen counts up to this, and twice any of them, stay far inside int64.
LARGEST_COUNT: Final = 10**15


@dataclass(frozen=True, slots=True)
class Whole:
    """A total that an event tells beside its buckets.

    Attributes:
        counts: Shape (n_events,), 0 where it was not told.
        told: Where it was told, shape (n_events,); None when everywhere.
        places: Places in `Units.all` of the buckets that add up to it.
        direction: `Input` or `Output`.
        silent: Where neither it nor any unit of its direction was told, shape (n_events,); None when nowhere.
    """

    counts: Counts
    told: Mask | None
    places: tuple[int, ...]
    direction: str
    silent: Mask | None

    def of_events(self, events: npt.NDArray[np.int64]) -> Whole:
        """Return the totals of some of the events, in the order of `events`."""
        told, silent = (None if mask is None else mask[events] for mask in (self.told, self.silent))
        return Whole(self.counts[events], told, self.places, self.direction, silent)


@dataclass(frozen=True, slots=True)
class UnitEntries:
    """Entries of the unit maps with a quantity other than zero: few events have any.

    Attributes:
        event: Row of the event, ascending within a map, shape (n_entries,).
        unit: Place of the unit in `Units.all`, or -1 for a unit that the map may not count, shape
            (n_entries,).
        quantity: Shape (n_entries,).
        column: Index in `UNIT_MAPS` of the map it stood in, shape (n_entries,).
    """

    event: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    quantity: Counts
    column: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Quantities:
    """What the events of a batch used.

    Attributes:
        buckets: Place in `Units.all` to counts of shape (n_events,), 0 where null; only buckets that any
            event told.
        wholes: The totals, input first.
        entries: What the unit maps hold, or None when they hold nothing.
        silent: Where neither tokens nor units were told, shape (n_events,); None when nowhere.
        suspect: Where a count is below zero or above `LARGEST_COUNT`, shape (n_events,); None when nowhere.
        negative: Where a count is below zero, shape (n_events,); None when nowhere.
        largest: Place in `Units.all` to a bound of its counts in events that are not suspect.
    """

    buckets: dict[int, Counts]
    wholes: tuple[Whole, ...]
    entries: UnitEntries | None
    silent: Mask | None
    suspect: Mask | None
    negative: Mask | None
    largest: dict[int, int]

    def of_events(self, events: npt.NDArray[np.int64]) -> Quantities:
        """Return what some of the events used, in the order of `events`."""
        entries = self.entries
        if entries is not None:
            row = np.full(len(self.wholes[0].counts), -1)
            row[events] = np.arange(len(events))
            kept = row[entries.event] >= 0
            entries = UnitEntries(
                row[entries.event[kept]], entries.unit[kept], entries.quantity[kept], entries.column[kept]
            )
        return Quantities(
            buckets={place: counts[events] for place, counts in self.buckets.items()},
            wholes=tuple(whole.of_events(events) for whole in self.wholes),
            entries=entries,
            silent=None if self.silent is None else self.silent[events],
            suspect=None if self.suspect is None else self.suspect[events],
            negative=None if self.negative is None else self.negative[events],
            largest=self.largest,
        )


def read_quantities(batch: pa.RecordBatch, units: Units) -> Quantities:
    """Return what the events of a batch used, without a copy where a column has no nulls."""
    rows = batch.num_rows
    columns = {place: batch.column(unit.name) for place, unit in enumerate(units.buckets)}
    buckets = {place: _counts(column) for place, column in columns.items() if column.null_count < rows}
    entries = _read_entries(batch, units)
    wholes = []
    for direction, name in WHOLES.items():
        column = batch.column(name)
        told = None if not column.null_count else _mask(column.is_valid())
        places = tuple(place for place in buckets if units.all[place].token_direction == direction)
        silent = None
        if told is not None:
            silent = _silent_of(~told, [columns[place] for place in places])
            silent = silent if silent is None else _without_entries(silent, entries, direction, units)
        wholes.append(Whole(_counts(column), told, places, direction, silent))

    largest = {place: min(_largest(counts), LARGEST_COUNT) for place, counts in buckets.items()}
    suspect, negative = _suspects([*buckets.values(), *(whole.counts for whole in wholes)], entries, rows)
    silent = _silent(batch, units, rows)
    return Quantities(buckets, tuple(wholes), entries, silent, suspect, negative, largest)


def _counts(column: pa.Array) -> Counts:
    if column.type != pa.int64():
        column = column.cast(pa.int64())
    counts: Counts = (column.fill_null(0) if column.null_count else column).to_numpy()
    return counts


def _mask(column: pa.Array) -> Mask:
    mask: Mask = column.to_numpy(zero_copy_only=False)
    return mask


def _largest(counts: Counts) -> int:
    """Return the largest count as if unsigned, so that a negative one is larger than any bound."""
    return int(counts.view(np.uint64).max(initial=0))


def _suspects(columns: list[Counts], entries: UnitEntries | None, rows: int) -> tuple[Mask | None, Mask | None]:
    """Return where a count is beyond bounds, and where it is negative; None and None where all are sound."""
    beyond = [counts for counts in columns if _largest(counts) > LARGEST_COUNT]
    strange = entries is not None and _largest(entries.quantity) > LARGEST_COUNT
    if not beyond and not strange:
        return None, None
    suspect, negative = np.zeros(rows, bool), np.zeros(rows, bool)
    for counts in beyond:
        suspect |= counts.view(np.uint64) > LARGEST_COUNT
        negative |= counts < 0
    if entries is not None:
        suspect[entries.event[entries.quantity.view(np.uint64) > LARGEST_COUNT]] = True
        negative[entries.event[entries.quantity < 0]] = True
    return suspect, negative


def _silent_of(silent: Mask, buckets: list[pa.Array]) -> Mask | None:
    """Return where of `silent` events no bucket is told either, None when nowhere; changes `silent`."""
    for column in buckets:
        if not column.null_count:
            return None
        silent &= _mask(column.is_null())
    return silent if silent.any() else None


def _without_entries(silent: Mask, entries: UnitEntries | None, direction: str, units: Units) -> Mask:
    """Return `silent` without events whose unit maps tell a unit of the direction; changes it."""
    if entries is not None:
        of_direction = np.array([*(unit.token_direction == direction for unit in units.all), False])
        silent[entries.event[of_direction[entries.unit]]] = False
    return silent


def _silent(batch: pa.RecordBatch, units: Units, rows: int) -> Mask | None:
    """Return where an event tells no quantity at all, looking at no more columns than it takes."""
    silent: Mask | None = None
    for name in (*WHOLES.values(), *(unit.name for unit in units.buckets), *UNIT_MAPS):
        column = batch.column(name)
        if not column.null_count and name not in UNIT_MAPS:
            return None
        if column.null_count == rows:
            continue
        told = _mask(column.is_valid())
        if name in UNIT_MAPS:
            told &= _lengths(column) > 0
        silent = ~told if silent is None else silent & ~told
        if not silent.any():
            return None
    return np.ones(rows, bool) if silent is None else silent


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    lengths: npt.NDArray[np.int64] = np.diff(column.offsets.to_numpy()).astype(np.int64)
    return lengths


def _read_entries(batch: pa.RecordBatch, units: Units) -> UnitEntries | None:
    found = [
        entries
        for place, name in enumerate(UNIT_MAPS)
        if (entries := _entries_of(batch.column(name), units.keys_of_map(name), place)) is not None
    ]
    if not found:
        return None
    return UnitEntries(
        *(
            np.concatenate([getattr(entries, name) for entries in found])
            for name in ("event", "unit", "quantity", "column")
        )
    )


def _entries_of(column: pa.Array, places: dict[str, int], of: int) -> UnitEntries | None:
    if column.null_count == len(column):
        return None
    # A null map may still span entries of the child arrays; they are not the event's.
    lengths = np.where(_mask(column.is_valid()), _lengths(column), 0)
    if not lengths.any():
        return None
    event = np.repeat(np.arange(len(column)), lengths)
    first = column.offsets.to_numpy()[:-1].astype(np.int64)
    position = np.arange(len(event)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
    quantity = _counts(column.items.take(pa.array(position)))
    names = pc.dictionary_encode(column.keys.take(pa.array(position)))
    place_of = np.array([places.get(name, -1) for name in names.dictionary.to_pylist()], np.int64)
    unit = place_of[names.indices.to_numpy()]
    if lengths.max() > 1:
        event, unit, quantity = _merged(event, unit, quantity)
    used = quantity != 0
    if not used.any():
        return None
    return UnitEntries(event[used], unit[used], quantity[used], np.full(int(used.sum()), of))


def _merged(event: Counts, unit: Counts, quantity: Counts) -> tuple[Counts, Counts, Counts]:
    """Return one entry for each event and unit: an Arrow map may name a key twice, and a unit rounds once."""
    span = int(unit.max()) + 2
    keys, place = np.unique(event * span + unit + 1, return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, place, quantity)
    return keys // span, keys % span - 1, sums
