"""The first pass of rating: the cost of each event, by the prices in force when it occurred."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.errors import MisuseError
from tollbook.rating.arithmetic import REQUEST, cost_of
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.keys import KEY_COLUMNS, EventKeys, read_keys
from tollbook.rating.provider_cost import PROVIDER_COST_COLUMNS, ProviderCosts, read_provider_costs
from tollbook.rating.quantities import UNIT_MAPS, WHOLES, Mask, Quantities, read_quantities
from tollbook.rating.rated import ESTIMATED, Contracted, Rated, Reported, booked_batch, rated_batch
from tollbook.rating.reasons import MISSING_RATE, NO_EXCHANGE_RATE, NO_PRICE_IN_FORCE, NO_USAGE, VOID, note
from tollbook.rating.units import load_units

# Rows of events, ascending, and the line of the contracted prices in force for each. Shapes (n_contracted,).
Indices = npt.NDArray[np.int64]
UnderContract = tuple[Indices, Indices]


def input_columns() -> tuple[str, ...]:
    """Return the columns that rating reads. All must be there; only `occurred_at` must be filled."""
    told = ("occurred_at", "action", "gateway_cache_hit", "usage_basis", *PROVIDER_COST_COLUMNS)
    buckets = (unit.name for unit in load_units().buckets)
    return (*KEY_COLUMNS, *told, *WHOLES.values(), *buckets, *UNIT_MAPS)


def rate(events: pa.RecordBatch | pa.Table, catalogue: Catalogue, *, buckets: bool = False) -> pa.RecordBatch:
    """Return the list cost of each event by one catalogue.

    Each bucket is the count times its rate, rounded half-even once to whole pico-USD; the cost is their sum.
    Length of context counts by request: `input_tokens`, or the sum of its buckets where no total is told. An
    event stands alone: neither its order nor its neighbours change its cost.

    A call that a gateway answered from its own cache costs 0 (`rated`, by the price
    `tollbook/gateway_cache_hit`), as no provider tokens were bought. Counts that the reporter estimated
    (`usage_basis`) give an `estimated` cost, and so does a call that tells nothing of its input or of its output
    while the price charges for that side: null is not zero, and what was told is the least it can have cost. A
    `void` has neither cost nor basis; its reason is `void`.

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
    told = _Told(_one_batch(events), catalogue)
    return rated_batch(catalogue, told.rated(catalogue), buckets=buckets)


def rate_by_book(events: pa.RecordBatch | pa.Table, book: PriceBook, *, buckets: bool = False) -> pa.RecordBatch:
    """Return what each event costs: at list prices, at contracted ones, and by the provider's own word.

    Our own figure is that of `rate`. Where the event tells the provider's own figure, the book's policy chooses: by
    default it stands only where we have no price, and its basis is `provider_reported`. A figure in another currency
    counts at the exchange rate in force when the call was made; without one it is not taken. A told zero is a zero.
    Voids, and calls that a gateway answered from its own cache, are as in `rate` whatever the provider says.

    Args:
        events: `usage_event/v1` with disjoint buckets, shape (n_events,); of its columns those of
            `input_columns`.
        book: Prices, contracts, exchange rates and policy.
        buckets: Also return what each bucket cost.

    Returns:
        `BOOKED_SCHEMA`, shape (n_events,), in the order of the events. `list_cost_pico_usd`,
        `contracted_cost_pico_usd` and `sku_price_id` are null exactly where `unpriced_reason` is not.
        `contracted_cost_pico_usd` is the list cost where no contract applies; `contract_id` names the one that does.
        Of a contract in a currency without an exchange rate at that time a call that used what it names a rate of is
        unpriced; where its price cannot be applied for another reason, the list cost stands in for it and the basis is
        `estimated`.
        `rated_list_cost_pico_usd` is our own figure where the provider's was preferred to it, else null. With
        `buckets`, the structs `bucket_cost_pico_usd` and `contracted_bucket_cost_pico_usd` beside, as in `rate`,
        null also where the figure is the provider's, which is not told by bucket.

    Raises:
        MisuseError: A column is absent, or `occurred_at` has nulls.
    """
    told = _Told(_one_batch(events), *_catalogues(book))
    own = told.rated(book.list_prices)
    under = _under_contract(told, own, book)
    costs = read_provider_costs(told.batch, told.occurred_at, book.exchange)
    reported = None if costs is None else _reported(costs, own, book, told.keys)
    contracted = None if under is None else _contracted(told, under, reported, book)
    return booked_batch(book, own, reported, contracted, buckets=buckets)


class _Told:
    """What a batch tells, read once for all catalogues."""

    def __init__(self, batch: pa.RecordBatch, *catalogues: Catalogue) -> None:
        self.batch = batch
        self.occurred_at = _instants(batch)
        self.keys = read_keys(batch, *catalogues)
        self.used = read_quantities(batch, catalogues[0].units)
        self.context_lengths = _context_lengths(self.used)

    def rated(self, catalogue: Catalogue) -> Rated:
        """Return our own figure by a catalogue."""
        group, unknown = self.keys.groups(catalogue)
        line = catalogue.schedule.find(group, self.occurred_at, self.context_lengths)
        costs = cost_of(catalogue.rates, catalogue.units.places[REQUEST], line, self.used)

        reasons = costs.faults
        note(reasons, unknown > 0, unknown)
        note(reasons, catalogue.schedule.unpriced[line], NO_PRICE_IN_FORCE)
        if self.used.silent is not None:
            note(reasons, self.used.silent, NO_USAGE)
        void = _where(self.batch.column("action"), "void")
        free = _where(self.batch.column("gateway_cache_hit"), True)
        reasons[free] = 0
        reasons[void] = VOID
        estimated = catalogue.schedule.estimated[line] | _where(self.batch.column("usage_basis"), ESTIMATED)
        for whole in self.used.wholes:
            if whole.silent is not None:
                estimated |= whole.silent & catalogue.rates.charges[whole.direction][line]
        return Rated(line, costs, reasons, free, estimated & ~free)


def _catalogues(book: PriceBook) -> tuple[Catalogue, ...]:
    return (book.list_prices,) if book.contracted is None else (book.list_prices, book.contracted)


def _reported(costs: ProviderCosts, own: Rated, book: PriceBook, keys: EventKeys) -> Reported:
    """Return where the provider's own figure is charged, and where it would be but cannot."""
    preferred = book.policy.prefers_reported(keys.billed_by(book.list_prices))[keys.place]
    asked = costs.told & ~own.free & (own.reasons != VOID)
    unpriced = own.reasons > 0
    sound = costs.faults == 0
    taken = asked & sound & (unpriced | preferred)
    reasons = np.where(asked & unpriced & ~sound, costs.faults, own.reasons)
    reasons[taken] = 0
    return Reported(taken, costs.pico_usd, reasons)


def _under_contract(told: _Told, own: Rated, book: PriceBook) -> UnderContract | None:
    """Return which events a contract prices, of those that have a list cost; note those whose contract cannot yet.

    A call that used what was agreed in a currency that had no exchange rate at the time is left unpriced: the list
    price would be a guess at what is owed. One that used nothing of it has its price.
    """
    lines, catalogue = book.contract_lines, book.contracted
    if lines is None or catalogue is None:
        return None
    group, _ = told.keys.groups(catalogue)
    rows = np.flatnonzero(lines.of_group[group] & (own.reasons == 0) & ~own.free)
    line = catalogue.schedule.find(group[rows], told.occurred_at[rows], told.context_lengths[rows])
    lost = _lost(told, rows, line, book)
    own.reasons[rows[lost]] = NO_EXCHANGE_RATE
    priced = (lines.of_line[line] >= 0) & ~lost
    return rows[priced], line[priced]


def _lost(told: _Told, rows: Indices, line: Indices, book: PriceBook) -> Mask:
    """Return which events used a unit whose agreed rate had no exchange rate, of those that have a list cost."""
    lines, catalogue = book.contract_lines, book.contracted
    lost = np.zeros(len(rows), bool)
    if lines is None or catalogue is None or not lines.unknown[line].any():
        return lost
    at = np.flatnonzero(lines.unknown[line])
    request = catalogue.units.places[REQUEST]
    costs = cost_of(catalogue.rates, request, line[at], told.used.of_events(rows[at]))
    # All they used has a list price, so nothing else can be missing; every event is one request.
    of_request = (catalogue.rates.unknown[line[at]] >> np.uint64(request)) & np.uint64(1) > 0
    lost[at] = (costs.faults == MISSING_RATE) | of_request
    return lost


def _contracted(told: _Told, under: UnderContract, reported: Reported | None, book: PriceBook) -> Contracted | None:
    """Return what events cost by contract, but for those whose figure is the provider's own."""
    lines, catalogue = book.contract_lines, book.contracted
    rows, line = under
    if reported is not None:
        ours = ~reported.taken[rows]
        rows, line = rows[ours], line[ours]
    if lines is None or catalogue is None or not rows.size:
        return None
    used = told.used if rows.size == told.batch.num_rows else told.used.of_events(rows)
    costs = cost_of(catalogue.rates, catalogue.units.places[REQUEST], line, used)
    return Contracted(rows, lines.of_line[line], costs)


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


def _where(column: pa.Array, value: str | bool) -> Mask:
    """Return where a column has a value, shape (n_events,)."""
    if column.null_count == len(column):
        return np.zeros(len(column), bool)
    mask: Mask = pc.fill_null(pc.equal(column, value), False).to_numpy(zero_copy_only=False)
    return mask
