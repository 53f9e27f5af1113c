"""What rating hands back: the cost of each event, its basis and the price applied, as Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tollbook.rating.arithmetic import REQUEST, Costs
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.quantities import UNIT_MAPS, Mask
from tollbook.rating.reasons import CODES, VOID

RATED: Final = "rated"
ESTIMATED: Final = "estimated"
UNPRICED: Final = "unpriced"
COST_BASES: Final = (RATED, ESTIMATED, UNPRICED)
GATEWAY_CACHE_HIT: Final = "tollbook/gateway_cache_hit"
BUCKET_COSTS: Final = "bucket_cost_pico_usd"

# A few distinct texts in many rows: the dictionary of a batch holds those that occur in it, and no others.
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
RATED_SCHEMA: Final = pa.schema(
    [
        pa.field("list_cost_pico_usd", pa.int64()),
        pa.field("cost_basis", _TEXT),
        pa.field("unpriced_reason", _TEXT),
        pa.field("sku_price_id", _TEXT),
    ]
)


@dataclass(frozen=True, slots=True)
class Rated:
    """The outcome for a batch, as arrays of shape (n_events,).

    Attributes:
        line: Line of the catalogue in force.
        costs: What the events cost.
        reasons: Why there is no cost, 0 where there is one.
        free: Where a gateway answered from its own cache.
        estimated: Where the price is the earliest known one, or the counts were estimated.
    """

    line: npt.NDArray[np.int64]
    costs: Costs
    reasons: npt.NDArray[np.uint8]
    free: Mask
    estimated: Mask


def rated_batch(catalogue: Catalogue, rated: Rated, *, buckets: bool) -> pa.RecordBatch:
    """Return the outcome as `RATED_SCHEMA`, with `bucket_cost_pico_usd` beside when `buckets` are wanted."""
    unpriced = rated.reasons > 0
    total = np.where(rated.free, 0, rated.costs.total) if rated.free.any() else rated.costs.total
    basis = np.where(unpriced, COST_BASES.index(UNPRICED), rated.estimated)
    columns = [
        pa.array(total, pa.int64(), mask=unpriced),
        _texts(basis, COST_BASES, mask=rated.reasons == VOID),
        _texts(rated.reasons, CODES, mask=~unpriced),
        _sku_price_ids(catalogue, rated, unpriced),
    ]
    fields = list(RATED_SCHEMA)
    if buckets:
        columns.append(_bucket_costs(catalogue, rated, unpriced))
        fields.append(pa.field(BUCKET_COSTS, columns[-1].type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _sku_price_ids(catalogue: Catalogue, rated: Rated, unpriced: Mask) -> pa.Array:
    # Line 0 has no price, so it is free to stand for the price of what a gateway gave away.
    line = np.where(rated.free, 0, rated.line) if rated.free.any() else rated.line
    return _texts(line, _PriceIds(catalogue), mask=unpriced)


class _PriceIds:
    """Price ids by line, made when they are asked for."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._lines = catalogue.schedule.lines

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, line: int) -> str:
        price = self._lines[line].price
        return GATEWAY_CACHE_HIT if price is None else price.sku_price_id


def _texts(codes: npt.NDArray[Any], texts: Sequence[str | None] | _PriceIds, *, mask: Mask) -> pa.Array:
    """Return codes as a dictionary array that holds only the texts that occur; null where masked."""
    if mask.all():
        return pa.DictionaryArray.from_arrays(pa.nulls(len(mask), pa.int32()), pa.array([], pa.string()))
    occurs = np.zeros(len(texts), bool)
    occurs[codes[~mask] if mask.any() else codes] = True
    present = np.flatnonzero(occurs)
    place = np.zeros(len(texts), np.int32)
    place[present] = np.arange(len(present))
    indices = pa.array(place[codes], pa.int32(), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array([texts[code] for code in present.tolist()], pa.string()))


def _bucket_costs(catalogue: Catalogue, rated: Rated, unpriced: Mask) -> pa.Array:
    nothing = np.zeros(len(unpriced), np.int64)
    names: dict[str, int | str] = {unit.name: place for place, unit in enumerate(catalogue.units.buckets)}
    names |= {name: name for name in (*UNIT_MAPS, REQUEST)}
    costs = [np.where(rated.free, 0, rated.costs.parts.get(key, nothing)) for key in names.values()]
    return pa.StructArray.from_arrays(
        [pa.array(cost, pa.int64()) for cost in costs], names=list(names), mask=pa.array(unpriced)
    )
