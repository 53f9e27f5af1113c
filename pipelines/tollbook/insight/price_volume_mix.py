"""Why a bill changed between two periods: prices, volumes and mixes, each in whole pico-USD, summing to the change.

The cost of a workflow's usage is taken as a product, level by level:

    cost  = tasks x calls per task x known calls x cost of a known call
    call  = tokens per call x cost of a token, and what is bought by other units than tokens
    token = sum over models (share of tokens x cost of the model's token), then over its service tiers, over input and
            output, and over cached and other input, down to a price of one kind of token of one model at one tier

and each level is split by the logarithmic mean (`log_mean.explain`). Levels are nested: a mix is weighed within the
cost of a token and tasks within the cost of the whole workflow, so that a workflow which changed all its models at
once still tells what its tasks did. Cells (a workflow of a team) are split by themselves, so what teams and workflows
tell sums to the organisation, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.insight import effects as names
from tollbook.insight.bills import CELL, Bills, Flags
from tollbook.insight.effects import AMOUNT, EFFECTS, USAGE_EFFECTS, amounts, whole_parts
from tollbook.insight.log_mean import Floats, Sides, explain, quotient

METHOD: Final = "nested-lmdi-1"
"""Changes when the same bills would give other effects."""

NO_WORKFLOW: Final = ("unknown", "unallocated")
"""What stands for a workflow where none was told: not the same one in two teams."""

EFFECTS_SCHEMA: Final = pa.schema(
    [
        ("from_period_start", pa.date32()),
        ("to_period_start", pa.date32()),
        *((name, pa.string()) for name in CELL),
        ("effect", pa.string()),
        ("effect_cost", AMOUNT),
    ]
)

Pair = tuple[date, date]
_INPUT: Final = slice(0, 3)


@dataclass(frozen=True, slots=True)
class _CellEffect:
    """One amount; None where usage has no known cost on either side."""

    cell: int
    effect: int
    amount: int | None


def every_pair(periods: Iterable[date]) -> list[Pair]:
    """Return each two periods, the earlier first."""
    return list(combinations(sorted(periods), 2))


def price_volume_mix(bills: Bills, pairs: Iterable[Pair]) -> pa.Table:
    """Return what changed the bills from one period to another, by cell.

    Args:
        bills: Bills of all periods of the pairs.
        pairs: First days of the two periods of each; exchanging them changes the sign of every amount.

    Returns:
        `EFFECTS_SCHEMA`, one row for each pair, cell and effect that is not zero, in this order. The amounts of a cell
        sum to the change of its cost, exactly. An amount is null where a cell used what has no known price in either
        period, and nothing else.
    """
    place_of = {period: place for place, period in enumerate(bills.periods)}
    firsts, lasts, cells, effects = [], [], [], []
    values: list[int | None] = []
    for before, after in pairs:
        found = list(_effects(bills, place_of[before], place_of[after]))
        firsts += [before] * len(found)
        lasts += [after] * len(found)
        cells += [each.cell for each in found]
        effects += [each.effect for each in found]
        values += [each.amount for each in found]
    of_cells = bills.cells.take(pa.array(cells, pa.int64()))
    columns = [
        pa.array(firsts, pa.date32()),
        pa.array(lasts, pa.date32()),
        *(of_cells[name] for name in CELL),
        pa.array(EFFECTS).take(pa.array(effects, pa.int64())),
        amounts(values),
    ]
    return pa.table(columns, schema=EFFECTS_SCHEMA)


def _effects(bills: Bills, before: int, after: int) -> Iterator[_CellEffect]:
    """Yield the amounts of one pair of periods, by cell and effect."""
    cells = bills.cells.num_rows
    calls = Sides(*(_sum_by(bills.cell_of, bills.calls[side], cells) for side in (before, after)))
    cost = Sides(bills.usage_cost[before], bills.usage_cost[after])
    was, is_ = ((count > 0) | (amount != 0).astype(np.bool_) for count, amount in zip(calls, cost, strict=True))
    negative = bills.is_negative[before] | bills.is_negative[after]
    base = np.array([max(abs(first), abs(last)) for first, last in zip(*cost, strict=True)], np.object_)
    split = was & is_ & ~negative & (base > 0).astype(np.bool_)
    fractions = _fractions(bills, before, after, base, calls)
    whole = _whole_effect(bills, was, is_)
    unknown = _is_unknown(bills, before, after)
    change = cost.after - cost.before
    estimated = bills.estimate_cost[after] - bills.estimate_cost[before]
    charged = bills.period_charge_cost[after] - bills.period_charge_cost[before]
    corrected = bills.correction_cost[after] - bills.correction_cost[before]
    known = EFFECTS.index(names.UNKNOWN_PRICE)
    usage_places = [EFFECTS.index(name) for name in USAGE_EFFECTS]
    others = ((EFFECTS.index(names.PERIOD_CHARGE), charged), (EFFECTS.index(names.CORRECTION), corrected))
    for cell in range(cells):
        found: dict[int, int | None] = {}
        if split[cell]:
            parts = whole_parts(change[cell], base[cell], fractions[cell].tolist())
            found = {place: part for place, part in zip(usage_places, parts, strict=True) if part}
        elif change[cell]:
            found[int(whole[cell])] = change[cell]
        if estimated[cell]:
            found[known] = (found.get(known) or 0) + estimated[cell]
        elif unknown[cell]:
            found[known] = None
        found |= {place: amount[cell] for place, amount in others if amount[cell]}
        for place in sorted(found):
            if found[place] != 0:
                yield _CellEffect(cell, place, found[place])


def _whole_effect(bills: Bills, was: Flags, is_: Flags) -> npt.NDArray[np.int64]:
    """Return the effect that takes the whole change of a cell that is not split, shape (n_cells,)."""
    came, went = ~was & is_, was & ~is_
    workflows = int(bills.workflow_of.max(initial=-1)) + 1
    moved = np.logical_and(
        np.bincount(bills.workflow_of, weights=came, minlength=workflows) > 0,
        np.bincount(bills.workflow_of, weights=went, minlength=workflows) > 0,
    )[bills.workflow_of]
    moved &= ~pc.is_in(bills.cells["workflow"], value_set=pa.array(NO_WORKFLOW)).to_numpy()
    # A cost below zero has no logarithm: its change is one of price.
    effect = np.full(len(came), EFFECTS.index(names.PRICE), np.int64)
    effect[came] = EFFECTS.index(names.NEW_WORKFLOW)
    effect[went] = EFFECTS.index(names.RETIRED_WORKFLOW)
    effect[(came | went) & moved] = EFFECTS.index(names.MOVED_WORKFLOW)
    return effect


def _is_unknown(bills: Bills, before: int, after: int) -> Flags:
    """Return whether a cell used something of which nothing has a cost or estimate on either side, shape (n_cells,)."""
    cells = bills.cells.num_rows
    used = _sum_by(bills.cell_of, bills.calls[before] + bills.calls[after], cells)
    estimates = (bills.estimate_cost[before] != 0) | (bills.estimate_cost[after] != 0)
    priced = _sum_by(bills.cell_of, bills.priced_calls[before] + bills.priced_calls[after], cells)
    return np.asarray((used > 0) & (priced == 0) & ~estimates.astype(np.bool_))


def _fractions(bills: Bills, before: int, after: int, base: npt.NDArray[np.object_], calls: Sides) -> Floats:
    """Return each usage effect of each cell over the cell's base, dimensionless, shape (n_cells, n_usage_effects)."""
    cells, models = bills.cells.num_rows, len(bills.cell_of_model)
    cell_of, model_of = bills.cell_of, bills.model_of
    effects = {name: np.zeros(cells) for name in USAGE_EFFECTS}

    def add(name: str, parts: Floats, places: npt.NDArray[np.int64] | None = None) -> None:
        effects[name] += parts if places is None else _sum_by(places, parts, cells)

    both = (before, after)
    sizes = [_over(bills.usage_cost[side], base)[cell_of] for side in both]
    # A model that was used and had no known cost on a side stands apart on both.
    apart = np.zeros(len(cell_of), np.bool_)
    for side in both:
        apart |= (bills.calls[side] > 0) & (bills.priced_calls[side] == 0)
    token_costs = [bills.token_share[side] * size[:, None] for side, size in zip(both, sizes, strict=True)]
    other_costs = [bills.other_share[side] * size for side, size in zip(both, sizes, strict=True)]
    of_nodes = [tokens.sum(axis=1) + others for tokens, others in zip(token_costs, other_costs, strict=True)]
    add(names.UNKNOWN_PRICE, np.where(apart, of_nodes[1] - of_nodes[0], 0.0), cell_of)

    known = ~apart
    tokens = Sides(*(bills.tokens[side] * known[:, None] * 1.0 for side in both))
    priced = Sides(*(bills.priced_tokens[side] * known[:, None] * 1.0 for side in both))
    paid = Sides(*(each * known[:, None] for each in token_costs))
    others = Sides(*(each * known for each in other_costs))

    # The workflow: tasks, calls of each, and how many calls are of models that stand apart on neither side.
    tasks = Sides(*(bills.tasks[side] * 1.0 for side in both))
    told = (tasks.before > 0) & (tasks.after > 0)
    tasks = Sides(*(np.where(told, task, call) for task, call in zip(tasks, calls, strict=True)))
    known_calls = Sides(*(_sum_by(cell_of, bills.calls[side] * known, cells) for side in both))
    of_tokens = Sides(*(_sum_by(cell_of, each.sum(axis=1), cells) for each in paid))
    of_others = Sides(*(_sum_by(cell_of, each, cells) for each in others))
    cost = Sides(of_tokens.before + of_others.before, of_tokens.after + of_others.after)
    step = explain(
        1.0,
        cost,
        (tasks, quotient(calls, tasks), quotient(known_calls, calls)),
        quotient(cost, known_calls),
    )
    for name, parts in zip((names.TASK_VOLUME, names.CALLS_PER_TASK, names.UNKNOWN_PRICE), step.effects, strict=True):
        add(name, parts)
    of_call = step.scale

    # What has a cost and no tokens: calls that buy other units.
    without = [known & (bills.priced_calls[side] > 0) & ~bills.priced_tokens[side].any(axis=1) for side in both]
    buying = Sides(
        *(_sum_by(cell_of, bills.calls[side] * each, cells) for side, each in zip(both, without, strict=True))
    )
    bought = Sides(
        *(_sum_by(cell_of, bills.priced_calls[side] * each, cells) for side, each in zip(both, without, strict=True))
    )
    step = explain(
        of_call,
        quotient(of_others, known_calls),
        (quotient(buying, known_calls), quotient(bought, buying)),
        quotient(of_others, bought),
    )
    add(names.OTHER_UNITS, step.effects[0] + step.rest)
    add(names.UNKNOWN_PRICE, step.effects[1])

    # Tokens, then the levels of mix: each is a share of the tokens of the level above.
    node_tokens, node_cost = _row_sums(tokens), _row_sums(paid)
    model_tokens, model_cost = _sums_by(model_of, node_tokens, models), _sums_by(model_of, node_cost, models)
    cell_tokens = _sums_by(bills.cell_of_model, model_tokens, cells)
    step = explain(
        of_call,
        quotient(of_tokens, known_calls),
        (quotient(cell_tokens, known_calls),),
        quotient(of_tokens, cell_tokens),
    )
    add(names.TOKENS_PER_CALL, step.effects[0])
    scale = step.scale[bills.cell_of_model]
    mix, scale = _mix(scale, model_tokens, model_cost, _at(cell_tokens, bills.cell_of_model))
    add(names.MODEL_MIX, mix, bills.cell_of_model)
    mix, scale = _mix(scale[model_of], node_tokens, node_cost, _at(model_tokens, model_of))
    add(names.SERVICE_TIER_MIX, mix, cell_of)
    for kinds in (_INPUT, slice(3, 4)):
        kind_tokens, kind_cost = (_row_sums(Sides(*(side[:, kinds] for side in each))) for each in (tokens, paid))
        mix, of_kind = _mix(scale, kind_tokens, kind_cost, node_tokens)
        add(names.INPUT_OUTPUT_MIX, mix, cell_of)
        for bucket in range(4)[kinds]:
            count, known_count, amount = (Sides(*(side[:, bucket] for side in each)) for each in (tokens, priced, paid))
            step = explain(
                of_kind,
                quotient(amount, kind_tokens),
                (quotient(count, kind_tokens), quotient(known_count, count)),
                quotient(amount, known_count),
            )
            add(names.CACHE_MIX, step.effects[0], cell_of)
            add(names.UNKNOWN_PRICE, step.effects[1], cell_of)
            add(names.PRICE, step.rest, cell_of)
    return np.stack([effects[name] for name in USAGE_EFFECTS], axis=1)


def _mix(scale: Floats, tokens: Sides, cost: Sides, of_all: Sides) -> tuple[Floats, Floats]:
    """Return what the share of tokens did, and by what a change of the cost of a token is to be multiplied below."""
    step = explain(scale, quotient(cost, of_all), (quotient(tokens, of_all),), quotient(cost, tokens))
    return step.effects[0], step.scale


def _sum_by(places: npt.NDArray[np.int64], values: npt.NDArray[np.generic], count: int) -> Floats:
    """Return sums by place, shape (count,), added in the order of the rows."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64)


def _sums_by(places: npt.NDArray[np.int64], values: Sides, count: int) -> Sides:
    return Sides(*(_sum_by(places, each, count) for each in values))


def _row_sums(values: Sides) -> Sides:
    return Sides(*(each.sum(axis=1) for each in values))


def _at(values: Sides, places: npt.NDArray[np.int64]) -> Sides:
    return Sides(*(each[places] for each in values))


def _over(amount: npt.NDArray[np.object_], base: npt.NDArray[np.object_]) -> Floats:
    """Return amounts over a base, dimensionless; zero where the base is zero."""
    return np.fromiter(
        (mine / whole if whole else 0.0 for mine, whole in zip(amount, base, strict=True)), np.float64, len(base)
    )
