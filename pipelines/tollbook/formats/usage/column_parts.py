"""Columns made of the parts of usage objects: texts, costs and maps of counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.check import Faults
from tollbook.formats.fast_json import struct_to_map
from tollbook.formats.usage.column_leaves import ColumnLeaves, Mask
from tollbook.formats.usage.one import read_cost
from tollbook.formats.usage.table import Flavour, Telling

Counts = npt.NDArray[np.int64]
_COUNT_MAP: Final = pa.map_(pa.string(), pa.int64())


def at_path(column: pa.Array, steps: Iterable[str]) -> pa.Array | None:
    """Return what stands at a path of objects, null where a step is; None when no row has it."""
    for step in steps:
        place = column.type.get_field_index(step) if pa.types.is_struct(column.type) else -1
        if place < 0:
            return None
        column = column.flatten()[place]
    return column


def without(column: pa.StructArray, name: str) -> pa.StructArray:
    """Return a struct column without one of its fields."""
    kept = [place for place in range(column.type.num_fields) if column.type.field(place).name != name]
    return pa.StructArray.from_arrays(
        [column.flatten()[place] for place in kept], fields=[column.type.field(place) for place in kept]
    )


def told_texts(tellings: Iterable[Telling], texts: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the fields of events that texts tell, later ones overruling earlier ones; none that no row tells."""
    told: dict[str, pa.Array] = {}
    for telling in tellings:
        column = texts.get(telling.name)
        if column is None or not pa.types.is_string(column.type):
            continue
        words = pc.dictionary_encode(column)
        meant = pa.array([telling.values.get(word, word) for word in words.dictionary.to_pylist()], pa.string())
        read = meant.take(words.indices)
        told[telling.field] = pc.coalesce(read, told[telling.field]) if telling.field in told else read
    return {name: column for name, column in told.items() if column.null_count < len(column)}


def told_costs(leaves: ColumnLeaves, flavour: Flavour, faults: Faults, rounded: Mask) -> dict[str, pa.Array]:
    """Return the provider's own cost and its currency, and note in `rounded` where digits were lost."""
    amounts: list[Decimal | None] = [None] * leaves.n
    currencies: list[str | None] = [None] * leaves.n
    for cost in flavour.costs:
        numbers = leaves.numbers.get(cost.name)
        for row in () if numbers is None else np.flatnonzero(numbers.told).tolist():
            if currencies[row] is not None or numbers is None:
                continue
            try:
                amount, lost = read_cost(numbers.exact(row), cost.name, cost.decimals)
            except RejectedRecordError as wrong:
                faults.note(np.arange(leaves.n) == row, wrong.reason, wrong.field, wrong.expected)
                continue
            amounts[row], currencies[row] = amount, cost.currency
            rounded[row] |= lost
    if not any(currencies):
        return {}
    kind = usage_event().field("provider_cost").arrow_type
    return {"provider_cost": pa.array(amounts, kind), "provider_cost_currency": pa.array(currencies, pa.string())}


def as_map(entries: Mapping[str, tuple[Counts, Mask]]) -> pa.MapArray:
    """Return entries as a map column, null where a row has none."""
    any_told = np.any([told for _, told in entries.values()], axis=0)
    struct = pa.StructArray.from_arrays(
        [joined(*each) for each in entries.values()],
        fields=[pa.field(name, pa.int64()) for name in entries],
        mask=pa.array(~any_told),
    )
    return struct_to_map(struct, _COUNT_MAP)


def joined(counts: Counts, told: Mask) -> pa.Array:
    """Return counts as a column that is null where they are untold."""
    return pa.array(counts, pa.int64(), mask=None if told.all() else ~told)
