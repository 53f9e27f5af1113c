"""The first pass of rating: the list cost of each event, by the price in force when it occurred."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.errors import MisuseError
from tollbook.rating.arithmetic import REQUEST, cost_of
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.quantities import UNIT_MAPS, WHOLES, Mask, Quantities, read_quantities
from tollbook.rating.rated import ESTIMATED, Rated, rated_batch
from tollbook.rating.reasons import NO_PRICE_IN_FORCE, NO_USAGE, VOID, note
from tollbook.rating.units import load_units

_DENSE_COMBINATIONS: Final = 1 << 16


def input_columns() -> tuple[str, ...]:
    """Return the columns that rating reads. All must be there; only `occurred_at` must be filled."""
    told = ("provider", "model", "service_tier", "occurred_at", "action", "gateway_cache_hit", "usage_basis")
    return (*told, *WHOLES.values(), *(unit.name for unit in load_units().buckets), *UNIT_MAPS)


def rate(events: pa.RecordBatch | pa.Table, catalogue: Catalogue, *, buckets: bool = False) -> pa.RecordBatch:
    """Return the list cost of each event.

    Each bucket is the count times its rate, rounded half-even once to whole pico-USD; the cost is their sum.
    Length of context counts by request: `input_tokens`, or the sum of its buckets where no total is told. An
    event stands alone: neither its order nor its neighbours change its cost.

    A call that a gateway answered from its own cache costs 0 (`rated`, by the price
    `tollbook/gateway_cache_hit`), as no provider tokens were bought. Counts that the reporter estimated
    (`usage_basis`) give an `estimated` cost. A `void` has neither cost nor basis; its reason is `void`.

    Args:
        events: `usage_event/v1` with disjoint buckets, shape (n_events,); of its columns those of
            `input_columns`.
        catalogue: Prices.
        buckets: Also return what each bucket cost.

    Returns:
        `RATED_SCHEMA`, shape (n_events,), in the order of the events: `list_cost_pico_usd` is null exactly
        where `unpriced_reason` is not; `sku_price_id` is null there too. With `buckets`, a struct
        `bucket_cost_pico_usd` beside, null where the cost is: a field for each token bucket, for `tool_calls`
        and `other_units`, and for `requests`, which add up to the cost.

    Raises:
        MisuseError: A column is absent, or `occurred_at` has nulls.
    """
    batch = _one_batch(events)
    group, unknown = _groups(batch, catalogue)
    used = read_quantities(batch, catalogue.units)
    line = catalogue.schedule.find(group, _instants(batch), _context_lengths(used))
    costs = cost_of(catalogue.rates, catalogue.units.places[REQUEST], line, used)

    reasons = costs.faults
    note(reasons, unknown > 0, unknown)
    note(reasons, catalogue.schedule.unpriced[line], NO_PRICE_IN_FORCE)
    if used.silent is not None:
        note(reasons, used.silent, NO_USAGE)
    void = _where(batch.column("action"), "void")
    free = _where(batch.column("gateway_cache_hit"), True)
    reasons[free] = 0
    reasons[void] = VOID
    guessed = _where(batch.column("usage_basis"), ESTIMATED)
    estimated = (catalogue.schedule.estimated[line] | guessed) & ~free
    return rated_batch(catalogue, Rated(line, costs, reasons, free, estimated), buckets=buckets)


def _one_batch(events: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
    wanted = list(input_columns())
    absent = sorted(set(wanted) - set(events.schema.names))
    if absent:
        raise MisuseError(f"expected the columns of usage_event/v1 to rate, got a batch without {absent}")
    chosen = events.select(wanted)
    if isinstance(chosen, pa.Table):
        batches = chosen.combine_chunks().to_batches()
        chosen = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=chosen.schema)
    return chosen


def _instants(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    column = batch.column("occurred_at")
    if column.null_count:
        raise MisuseError(f"expected every event to have occurred_at, got {column.null_count} without")
    if column.type != pa.timestamp("us", "UTC"):
        column = column.cast(pa.timestamp("us", "UTC"))
    instants: npt.NDArray[np.int64] = column.view(pa.int64()).to_numpy()
    return instants


def _context_lengths(used: Quantities) -> npt.NDArray[np.int64]:
    whole = used.wholes[0]
    if whole.told is None:
        return whole.counts
    summed = np.zeros_like(whole.counts)
    for place in whole.places:
        summed += used.buckets[place]
    return np.where(whole.told, whole.counts, summed)


def _groups(batch: pa.RecordBatch, catalogue: Catalogue) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return the group of each event, 0 where it has none, and the reason for that. Shapes (n_events,)."""
    providers, provider = _encoded(batch.column("provider"))
    models, model = _encoded(batch.column("model"))
    tiers, tier = _encoded(batch.column("service_tier"))
    combined = (provider * len(models) + model) * len(tiers) + tier
    size = len(providers) * len(models) * len(tiers)
    dense = size <= _DENSE_COMBINATIONS
    if dense:
        present = np.flatnonzero(np.bincount(combined, minlength=size))
        place = combined
    else:
        present, place = np.unique(combined, return_inverse=True)
    found = np.zeros(size if dense else len(present), np.int64)
    for index, key in enumerate(present.tolist()):
        rest, of_tier = divmod(key, len(tiers))
        of_provider, of_model = divmod(rest, len(models))
        group = catalogue.group(providers[of_provider], models[of_model], tiers[of_tier])
        found[key if dense else index] = group
    groups = found[place]
    return np.maximum(groups, 0), np.maximum(-groups, 0).astype(np.uint8)


def _encoded(column: pa.Array) -> tuple[list[str | None], npt.NDArray[np.int64]]:
    """Return the distinct values of a column, null last, and the place of each row's among them."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    values: list[str | None] = [*column.dictionary.to_pylist(), None]
    return values, column.indices.fill_null(len(values) - 1).to_numpy().astype(np.int64)


def _where(column: pa.Array, value: str | bool) -> Mask:
    """Return where a column has a value, shape (n_events,)."""
    if column.null_count == len(column):
        return np.zeros(len(column), bool)
    mask: Mask = pc.fill_null(pc.equal(column, value), False).to_numpy(zero_copy_only=False)
    return mask
