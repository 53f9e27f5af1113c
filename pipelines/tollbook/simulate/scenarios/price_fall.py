"""Prices fall and the bill rises: tasks, calls of each and tokens of each multiply faster.

In the last month the price of every token has fallen, and all else has grown; the months before are all the same. The
mart must tell how much each factor did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Any, Final

from tollbook.simulate.organisation import Team
from tollbook.simulate.prices import Quantities
from tollbook.simulate.scenarios.decomposition import Side, effects_of
from tollbook.simulate.scenarios.parameters import amount, count
from tollbook.simulate.scenarios.story import (
    Expected,
    Findings,
    PricedModel,
    Rates,
    Scenario,
    Setting,
    Story,
    Task,
    prices_of,
    ratio,
    usd,
)
from tollbook.simulate.scenarios.work import Worker, ends, evenly, starts

NAME: Final = "price-fall"
TEAM: Final = Team(NAME, "CC-9100", "Scenarios")
WORKFLOW: Final = "price-fall-assistant"
_KINDS: Final = 10
"""Of ten tokens of a call six are fresh input, two are read from a cache, and two are output."""

_ONE: Final = Decimal(1)
_PERCENT: Final = 100
_ERROR_BITS: Final = 44
"""The mart's shares are floats of 53 bits: what some dozen operations on them may lose, of the larger bill."""

_MONTHS_EXPLAINED: Final = 13
"""The mart explains the pairs of the last months: a year, and the month it is compared with."""

PARAMETERS: Final = (
    amount("price_usd", "10", "0.01", "1000", "USD for a million input tokens at first; output costs five times that"),
    amount(
        "price_fall_percent",
        "75",
        "-1000",
        "100",
        "by how much every price has fallen in the last month; below 0 it has risen",
        places=4,
    ),
    count("tasks", 40, 1, 20_000, "tasks in a month at first"),
    amount("calls_per_task", "6", "1", "1000", "calls of a task at first"),
    count("tokens_per_call", 2_000, 10, 1_000_000, "tokens of a call at first, taken in tens"),
    amount("task_growth", "2", "0.01", "100", "by what tasks have multiplied in the last month"),
    amount("call_growth", "3", "0.01", "100", "by what calls of a task have multiplied"),
    amount("token_growth", "2", "0.01", "100", "by what tokens of a call have multiplied"),
    amount("small_price_percent", "20", "0", "1000", "price of a smaller model, of that of the main one"),
    amount("small_calls_percent", "0", "0", "100", "calls on the smaller model at first"),
    amount("small_calls_later_percent", "0", "0", "100", "calls on the smaller model in the last month"),
)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What one month has: tasks, calls, tens of tokens of a call, and calls on the smaller model."""

    tasks: int
    calls: int
    tens: int
    small_calls: int


def make(setting: Setting) -> Story:
    """Return the story of a setting."""
    values = setting.values
    rates = Rates(*(values["price_usd"] * each for each in (_ONE, Decimal("0.1"), Decimal("1.25"), Decimal(5))))
    fallen = _ONE - values["price_fall_percent"] / _PERCENT
    small = rates.times(values["small_price_percent"] / _PERCENT)
    changed_on = setting.months[-1].start
    main, smaller = (
        PricedModel(f"{NAME}-{name}", ((None, each), (changed_on, each.times(fallen))))
        for name, each in (("main", rates), ("small", small))
    )
    models = (main, smaller)
    worker = Worker(setting.chance, TEAM.name, WORKFLOW, prices_of(models))
    last = len(setting.months) - 1
    amounts = [_amounts(setting, is_last=number == last) for number in range(last + 1)]
    sides = [Side() for _ in amounts]

    def tasks() -> Iterator[Task]:
        for month, told, side in zip(setting.months, amounts, sides, strict=True):
            made = 0
            used = Quantities(uncached_input=6 * told.tens, cache_read=2 * told.tens, output=2 * told.tens)
            for start_us, calls in zip(starts(month, told.tasks), evenly(told.calls, told.tasks), strict=True):
                common = {"task_id": worker.task_id()}
                run = []
                for at_us in ends(start_us, calls):
                    is_small = (made + 1) * told.small_calls // told.calls > made * told.small_calls // told.calls
                    made += 1
                    run.append(worker.call(smaller if is_small else main, at_us, used, **common))
                    side.add(run[-1].model, _KINDS * told.tens, worker.cost(run[-1]))
                side.tasks += 1
                yield Task(start_us, run)

    def findings() -> Findings:
        return Findings(_figures(sides), (_effects(setting, sides), _drivers(setting, sides)))

    planned = sum(each.calls for each in amounts)
    return Story(TEAM, (WORKFLOW,), models, {}, tasks(), findings, planned)


def _amounts(setting: Setting, *, is_last: bool) -> _Amounts:
    values = setting.values
    by_tasks, by_calls, by_tokens = (
        values[name] if is_last else _ONE for name in ("task_growth", "call_growth", "token_growth")
    )
    tasks = max(1, round(values["tasks"] * by_tasks))
    calls = max(tasks, round(tasks * values["calls_per_task"] * by_calls))
    tens = max(1, round(values["tokens_per_call"] * by_tokens / _KINDS))
    percent = values["small_calls_later_percent" if is_last else "small_calls_percent"]
    return _Amounts(tasks, calls, tens, round(calls * percent / _PERCENT))


def _figures(sides: Sequence[Side]) -> dict[str, str]:
    first, last = sides[0], sides[-1]
    return {
        "token_price_last_over_first": ratio(last.cost * first.tokens, last.tokens * first.cost),
        "tokens_last_over_first": ratio(last.tokens, first.tokens),
        "bill_last_over_first": ratio(last.cost, first.cost),
    }


def _effects(setting: Setting, sides: Sequence[Side]) -> Expected:
    rows: list[dict[str, Any]] = []
    for first, last in combinations(range(max(0, len(sides) - _MONTHS_EXPLAINED), len(sides)), 2):
        pair = {"from_period_start": setting.months[first].first_day, "to_period_start": setting.months[last].first_day}
        effects = effects_of(sides[first], sides[last])
        rows += [pair | {"effect": name, "effect_cost": usd(pico)} for name, pico in effects.items() if pico]
    largest = max(side.cost for side in sides)
    return Expected(
        "insight.fct_price_volume_mix",
        {"team": TEAM.name, "workflow": WORKFLOW},
        ("from_period_start", "to_period_start", "effect"),
        rows,
        {"effect_cost": usd((largest >> _ERROR_BITS) + 2)},
    )


def _drivers(setting: Setting, sides: Sequence[Side]) -> Expected:
    rows = [
        {
            "billing_period_start": month.first_day,
            "tasks": side.tasks,
            "calls": side.calls,
            "total_tokens": side.tokens,
            "effective_cost": usd(side.cost),
        }
        for month, side in zip(setting.months, sides, strict=True)
    ]
    where = {"team": TEAM.name, "workflow": WORKFLOW}
    return Expected("insight.fct_cost_drivers", where, ("billing_period_start",), rows)


SCENARIO: Final = Scenario(
    NAME, "Prices fall by 75 % and the bill rises: more tasks, calls and tokens", PARAMETERS, 2, make
)
