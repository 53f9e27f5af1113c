"""What bills are made of, period by period: costs, calls and tokens of each workflow's models, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.insight.bucket_prices import KEY, bucket_prices
from tollbook.insight.log_mean import Floats
from tollbook.rating.unit_prices import TOKEN_BUCKETS

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Amounts = npt.NDArray[np.object_]
"""Exact amounts, Python's integers. Unit: pico-USD."""

CELL: Final = ("team", "workflow", "billing_currency")
NODE: Final = (*CELL, "provider", "model", "service_tier")
PRICED_BUCKETS: Final = tuple(f"priced_{name}" for name in TOKEN_BUCKETS)
_COST: Final = pa.decimal128(38, 12)

USAGE_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *((name, pa.string()) for name in NODE),
        ("calls", pa.int64()),
        ("priced_calls", pa.int64()),
        *((name, pa.int64()) for name in (*TOKEN_BUCKETS, *PRICED_BUCKETS)),
        ("effective_cost", _COST),
    ]
)
"""Usage as it was charged, one row for each period and node; `priced_` is what is in the cost."""

DRIVERS_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *((name, pa.string()) for name in CELL),
        ("tasks", pa.int64()),
        ("calls_without_task", pa.int64()),
        ("estimate_cost", _COST),
        ("period_charge_cost", _COST),
        ("correction_cost", _COST),
    ]
)
"""What is known of a workflow beside its usage, one row for each period and cell."""


@dataclass(frozen=True)
class Bills:
    """Bills of P billing periods, of C cells (a workflow of a team) that have N nodes (a model at a tier) in all.

    Periods and nodes that did not meet are zero. Sums over nodes go in the order of their names, so that a pair of
    periods gives the same to the last bit whatever other periods are there.

    Attributes:
        periods: First days, in order, shape (P,).
        cells: Columns `CELL`, shape (C,), ordered by them.
        workflow_of: Number of the workflow and currency of each cell, whatever its team, shape (C,).
        tasks: Tasks, and calls that belong to none, shape (P, C).
        usage_cost: What is known to be charged for usage, shape (P, C).
        estimate_cost: What was charged for usage of unknown price by estimate, shape (P, C).
        period_charge_cost: What no call bears by itself, shape (P, C).
        correction_cost: Corrections of closed periods, shape (P, C).
        is_negative: Whether a node of the cell has a cost below zero, shape (P, C).
        cell_of: Cell of each node, shape (N,).
        model_of: Number of the cell's model that the node is of, shape (N,).
        cell_of_model: Cell of each of these, shape (M,).
        calls: Shape (P, N).
        priced_calls: Calls of known cost, shape (P, N).
        tokens: By `TOKEN_BUCKETS`, shape (P, N, 4).
        priced_tokens: Those of calls of known cost, shape (P, N, 4).
        token_share: Share of the cell's usage cost that each kind of token of the node bears, shape (P, N, 4).
        other_share: The same of calls that have a cost and no tokens, shape (P, N).
    """

    periods: tuple[date, ...]
    cells: pa.Table
    workflow_of: Integers
    tasks: Integers
    usage_cost: Amounts
    estimate_cost: Amounts
    period_charge_cost: Amounts
    correction_cost: Amounts
    is_negative: Flags
    cell_of: Integers
    model_of: Integers
    cell_of_model: Integers
    calls: Integers
    priced_calls: Integers
    tokens: Integers
    priced_tokens: Integers
    token_share: Floats
    other_share: Floats


def read_bills(usage: pa.Table, drivers: pa.Table, unit_prices: pa.Table) -> Bills:
    """Return bills as arrays.

    Args:
        usage: `USAGE_SCHEMA`, shape (n_usage,), one row for each period and node.
        drivers: `DRIVERS_SCHEMA`, shape (n_drivers,), one row for each period and cell.
        unit_prices: `tollbook.rating.unit_prices.UNIT_PRICES_SCHEMA`: how a node's cost splits over kinds of tokens.
            Where a kind that was used has no price, all tokens of the node bear the same.
    """
    keys = ["billing_period_start", *CELL]
    both = pa.concat_tables([usage.select(keys), drivers.select(keys)])
    periods, period_at = _numbered(both, ("billing_period_start",))
    cells, cell_at = _numbered(both, CELL)
    _, workflow_of = _numbered(cells, CELL[1:])
    nodes, node_at = _numbered(usage, NODE)
    models, model_of = _numbered(nodes, NODE[:-1])
    cell_of = _places(nodes, cells, CELL)
    shape = (periods.num_rows, cells.num_rows)
    at, driven_at = (slice(None, usage.num_rows), slice(usage.num_rows, None))
    used = (period_at[at], node_at)
    by_cell, driven = (period_at[at], cell_at[at]), (period_at[driven_at], cell_at[driven_at])

    tokens, priced = _columns(usage, TOKEN_BUCKETS), _columns(usage, PRICED_BUCKETS)
    cost = _pico(usage["effective_cost"])
    usage_cost = _summed(shape, by_cell, cost)
    negative = np.zeros(shape, np.bool_)
    np.logical_or.at(negative, by_cell, cost < 0)
    of_cell = usage_cost[by_cell]
    share = np.fromiter(
        (mine / whole if whole else 0.0 for mine, whole in zip(cost, of_cell, strict=True)), np.float64, len(cost)
    )
    borne = priced.any(axis=1)
    split = _bucket_shares(usage, priced, unit_prices)
    wide = (periods.num_rows, nodes.num_rows)
    tasks = _column(drivers, "tasks") + _column(drivers, "calls_without_task")
    return Bills(
        periods=tuple(periods["billing_period_start"].to_pylist()),
        cells=cells,
        workflow_of=workflow_of,
        tasks=_placed(shape, driven, tasks),
        usage_cost=usage_cost,
        estimate_cost=_summed(shape, driven, _pico(drivers["estimate_cost"])),
        period_charge_cost=_summed(shape, driven, _pico(drivers["period_charge_cost"])),
        correction_cost=_summed(shape, driven, _pico(drivers["correction_cost"])),
        is_negative=negative,
        cell_of=cell_of,
        model_of=model_of,
        cell_of_model=_places(models, cells, CELL),
        calls=_placed(wide, used, _column(usage, "calls")),
        priced_calls=_placed(wide, used, _column(usage, "priced_calls")),
        tokens=_placed(wide, used, tokens),
        priced_tokens=_placed(wide, used, priced),
        token_share=_placed(wide, used, np.where(borne, share, 0.0)[:, None] * split),
        other_share=_placed(wide, used, np.where(borne, 0.0, share)),
    )


def _bucket_shares(usage: pa.Table, tokens: Integers, unit_prices: pa.Table) -> Floats:
    """Return how the cost of each row splits over its priced tokens, shape (n_usage, 4); zero where it has none."""
    relative = _relative_prices(unit_prices)
    groups, group_at = _numbered(usage, KEY)
    alike = (1.0,) * len(TOKEN_BUCKETS)
    prices = np.array([relative.get(tuple(row.values()), alike) for row in groups.to_pylist()], np.float64).reshape(
        -1, len(TOKEN_BUCKETS)
    )[group_at]
    unknown = (np.isnan(prices) & (tokens > 0)).any(axis=1)
    weights = np.where(tokens > 0, tokens * np.nan_to_num(prices), 0.0)
    by_tokens = unknown | ~weights.any(axis=1)
    weights[by_tokens] = tokens[by_tokens]
    whole = weights.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(weights, whole, out=np.zeros_like(weights), where=whole > 0)
    return shares


def _relative_prices(unit_prices: pa.Table) -> dict[tuple[Any, ...], tuple[float, ...]]:
    """Return the price of each kind of token over the highest of its model, dimensionless; NaN where unknown."""
    relative = {}
    for key, prices in bucket_prices(unit_prices).items():
        highest = max((each for each in prices if each), default=Fraction(1))
        relative[key] = tuple(float("nan") if each is None else float(each / highest) for each in prices)
    return relative


def _numbered(table: pa.Table, names: Sequence[str]) -> tuple[pa.Table, Integers]:
    """Return the distinct values of some columns in order, and the place of each row among them."""
    distinct = table.select(names).group_by(list(names)).aggregate([]).sort_by([(name, "ascending") for name in names])
    return distinct, _places(table, distinct, names)


def _places(table: pa.Table, distinct: pa.Table, names: Sequence[str]) -> Integers:
    """Return the place of each row's values among distinct ones that are ordered, shape (n_rows,)."""
    codes, known = np.zeros(table.num_rows, np.int64), np.zeros(distinct.num_rows, np.int64)
    for name in names:
        values = pc.unique(distinct[name]).sort()
        codes = codes * len(values) + pc.index_in(table[name], value_set=values).to_numpy()
        known = known * len(values) + pc.index_in(distinct[name], value_set=values).to_numpy()
    return np.searchsorted(known, codes).astype(np.int64)


def _column(table: pa.Table, name: str) -> Integers:
    """Return a column of counts; what is not told, or is below zero, is zero."""
    values: Integers = table[name].fill_null(0).to_numpy()
    return np.maximum(values, 0)


def _columns(table: pa.Table, names: Sequence[str]) -> Integers:
    return np.stack([_column(table, name) for name in names], axis=1)


def _pico(column: pa.ChunkedArray) -> Amounts:
    """Return amounts in whole pico-units; an unknown one adds nothing."""
    told = column.cast(_COST).combine_chunks().view(pa.decimal128(38, 0)).to_pylist()
    amounts = np.empty(len(told), np.object_)
    amounts[:] = [int(each or 0) for each in told]
    return amounts


def _summed(shape: tuple[int, int], places: tuple[Any, Any], amounts: Amounts) -> Amounts:
    sums = np.zeros(shape, np.object_)
    np.add.at(sums, places, amounts)
    return sums


def _placed(shape: tuple[int, int], places: tuple[Any, Any], values: npt.NDArray[Any]) -> Any:
    placed = np.zeros((*shape, *values.shape[1:]), values.dtype)
    placed[places] = values
    return placed
