"""What rating hands back: the cost of each event, its basis and the price applied, as Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tollbook.rating.arithmetic import REQUEST, Costs
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.quantities import UNIT_MAPS, Mask
from tollbook.rating.reasons import CODES, VOID

RATED: Final = "rated"
ESTIMATED: Final = "estimated"
UNPRICED: Final = "unpriced"
PROVIDER_REPORTED: Final = "provider_reported"
COST_BASES: Final = (RATED, ESTIMATED, UNPRICED, PROVIDER_REPORTED)
GATEWAY_CACHE_HIT: Final = "tollbook/gateway_cache_hit"
PROVIDER_FIGURE: Final = "tollbook/provider_reported"
BUCKET_COSTS: Final = "bucket_cost_pico_usd"
CONTRACTED_BUCKET_COSTS: Final = "contracted_bucket_cost_pico_usd"

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
BOOKED_SCHEMA: Final = pa.schema(
    [
        RATED_SCHEMA.field("list_cost_pico_usd"),
        pa.field("contracted_cost_pico_usd", pa.int64()),
        pa.field("contract_id", _TEXT),
        pa.field("rated_list_cost_pico_usd", pa.int64()),
        *(RATED_SCHEMA.field(name) for name in RATED_SCHEMA.names[1:]),
    ]
)


@dataclass(frozen=True, slots=True)
class Rated:
    """The outcome for a batch by one catalogue, as arrays of shape (n_events,).

    Attributes:
        line: Line of the catalogue in force.
        costs: What the events cost.
        reasons: Why there is no cost, 0 where there is one.
        free: Where a gateway answered from its own cache.
        estimated: Where the price is the earliest known one, the counts were estimated, or a side that the price
            charges for was not told.
    """

    line: npt.NDArray[np.int64]
    costs: Costs
    reasons: npt.NDArray[np.uint8]
    free: Mask
    estimated: Mask


@dataclass(frozen=True, slots=True)
class Reported:
    """What the providers' own figures change, as arrays of shape (n_events,).

    Attributes:
        taken: Where the provider's figure is charged.
        pico_usd: That figure. Unit: pico-USD.
        reasons: Why there is no cost, ours or the provider's, 0 where there is one.
    """

    taken: Mask
    pico_usd: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Contracted:
    """What events cost by contract, for those that have one.

    Attributes:
        events: Their rows in the batch, shape (n_contracted,).
        contract: Code of the contract in `ContractLines.ids`, shape (n_contracted,).
        costs: What they cost, each array of shape (n_contracted,).
    """

    events: npt.NDArray[np.int64]
    contract: npt.NDArray[np.int64]
    costs: Costs


def rated_batch(catalogue: Catalogue, rated: Rated, *, buckets: bool) -> pa.RecordBatch:
    """Return the outcome as `RATED_SCHEMA`, with `bucket_cost_pico_usd` beside when `buckets` are wanted."""
    unpriced = rated.reasons > 0
    columns = {
        "list_cost_pico_usd": pa.array(_own_costs(rated), pa.int64(), mask=unpriced),
        **_told_of(catalogue, rated, rated.reasons, rated.estimated, None),
    }
    if buckets:
        columns[BUCKET_COSTS] = _bucket_costs(catalogue, rated, unpriced, None)
    return _batch(columns, RATED_SCHEMA)


def booked_batch(
    book: PriceBook, own: Rated, reported: Reported | None, contracted: Contracted | None, *, buckets: bool
) -> pa.RecordBatch:
    """Return the outcome as `BOOKED_SCHEMA`, with the costs of buckets beside when `buckets` are wanted.

    Args:
        book: The book that was rated by.
        own: Our own figures, at list prices.
        reported: What the providers' figures change, None for nothing.
        contracted: What contracts change, None for nothing.
        buckets: Whether the costs of buckets are wanted.
    """
    total = ours = _own_costs(own)
    reasons, estimated, taken = own.reasons, own.estimated, None
    rated_list = pa.nulls(len(total), pa.int64())
    if reported is not None and (reported.taken.any() or (reported.reasons != own.reasons).any()):
        reasons, taken = reported.reasons, reported.taken
        total = np.where(taken, reported.pico_usd, ours)
        rated_list = pa.array(ours, pa.int64(), mask=~taken | (own.reasons > 0))
    unpriced = reasons > 0
    list_cost = pa.array(total, pa.int64(), mask=unpriced)
    contracted_cost, contract_id = list_cost, _no_texts(len(total))
    if contracted is not None and book.contract_lines is not None:
        contracted_cost = pa.array(_overlaid(total, contracted, contracted.costs.total), pa.int64(), mask=unpriced)
        codes = np.full(len(total), -1)
        codes[contracted.events] = contracted.contract
        contract_id = _texts(codes, book.contract_lines.ids, mask=codes < 0)
        estimated = estimated.copy()
        estimated[contracted.events[contracted.costs.faults > 0]] = True
    columns = {
        "list_cost_pico_usd": list_cost,
        "contracted_cost_pico_usd": contracted_cost,
        "contract_id": contract_id,
        "rated_list_cost_pico_usd": rated_list,
        **_told_of(book.list_prices, own, reasons, estimated, taken),
    }
    if buckets:
        hidden = unpriced if taken is None else unpriced | taken
        columns[BUCKET_COSTS] = _bucket_costs(book.list_prices, own, hidden, None)
        columns[CONTRACTED_BUCKET_COSTS] = _bucket_costs(book.list_prices, own, hidden, contracted)
    return _batch(columns, BOOKED_SCHEMA)


def _batch(columns: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    structs = [pa.field(name, column.type) for name, column in columns.items() if name not in schema.names]
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=pa.schema([*schema, *structs]))


def _own_costs(rated: Rated) -> npt.NDArray[np.int64]:
    return np.where(rated.free, 0, rated.costs.total) if rated.free.any() else rated.costs.total


def _told_of(
    catalogue: Catalogue, rated: Rated, reasons: npt.NDArray[np.uint8], estimated: Mask, taken: Mask | None
) -> dict[str, pa.Array]:
    """Return basis, reason and price id of each event, `taken` where the provider's figure is charged."""
    unpriced = reasons > 0
    basis = np.where(unpriced, COST_BASES.index(UNPRICED), estimated)
    # Line 0 has no price, so it is free to stand for the price of what a gateway gave away.
    line = np.where(rated.free, 0, rated.line) if rated.free.any() else rated.line
    ids = _PriceIds(catalogue)
    if taken is not None:
        basis = np.where(taken, COST_BASES.index(PROVIDER_REPORTED), basis)
        line = np.where(taken, ids.provider_figure, line)
    return {
        "cost_basis": _texts(basis, COST_BASES, mask=reasons == VOID),
        "unpriced_reason": _texts(reasons, CODES, mask=~unpriced),
        "sku_price_id": _texts(line, ids, mask=unpriced),
    }


class _PriceIds:
    """Price ids by line, made when they are asked for; one more stands for the provider's own figure."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._lines = catalogue.schedule.lines
        self.provider_figure = len(self._lines)

    def __len__(self) -> int:
        return len(self._lines) + 1

    def __getitem__(self, line: int) -> str:
        if line == self.provider_figure:
            return PROVIDER_FIGURE
        price = self._lines[line].price
        return GATEWAY_CACHE_HIT if price is None else price.sku_price_id


def _texts(codes: npt.NDArray[Any], texts: Sequence[str | None] | _PriceIds, *, mask: Mask) -> pa.Array:
    """Return codes as a dictionary array that holds only the texts that occur; null where masked."""
    if mask.all():
        return _no_texts(len(mask))
    occurs = np.zeros(len(texts), bool)
    occurs[codes[~mask] if mask.any() else codes] = True
    present = np.flatnonzero(occurs)
    # A price that is cut at an instant is on several lines under one id; Arrow groups by place, so a text has only one.
    told = [texts[code] for code in present.tolist()]
    number = {text: at for at, text in enumerate(dict.fromkeys(told))}
    place = np.zeros(len(texts), np.int32)
    place[present] = [number[text] for text in told]
    indices = pa.array(place[codes], pa.int32(), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(number), pa.string()))


def _no_texts(rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.nulls(rows, pa.int32()), pa.array([], pa.string()))


def _overlaid(
    whole: npt.NDArray[np.int64], contracted: Contracted, values: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return a column with the values of the events that have a contract laid over it, where that prices them."""
    sound = contracted.costs.faults == 0
    laid = whole.copy()
    laid[contracted.events[sound]] = values[sound]
    return laid


def _bucket_costs(catalogue: Catalogue, rated: Rated, hidden: Mask, contracted: Contracted | None) -> pa.Array:
    nothing = np.zeros(len(hidden), np.int64)
    names: dict[str, int | str] = {unit.name: place for place, unit in enumerate(catalogue.units.buckets)}
    names |= {name: name for name in (*UNIT_MAPS, REQUEST)}
    costs = []
    for key in names.values():
        cost = np.where(rated.free, 0, rated.costs.parts.get(key, nothing))
        if contracted is not None:
            part = contracted.costs.parts.get(key, np.zeros(len(contracted.events), np.int64))
            cost = _overlaid(cost, contracted, part)
        costs.append(pa.array(cost, pa.int64()))
    return pa.StructArray.from_arrays(costs, names=list(names), mask=pa.array(hidden))
