"""A question takes some 2,000 tokens; a task that agents work on takes 50,000 to 500,000.

Cost per query says nothing of agents. The marts must tell what each task took, and what tasks of both kinds cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from heapq import merge
from typing import Any, Final

from tollbook.errors import MisuseError
from tollbook.simulate.calls import Call
from tollbook.simulate.organisation import Team
from tollbook.simulate.prices import Quantities
from tollbook.simulate.scenarios.parameters import amount, count
from tollbook.simulate.scenarios.story import (
    Expected,
    Findings,
    Month,
    PricedModel,
    Rates,
    Scenario,
    Setting,
    Story,
    Task,
    half_up,
    prices_of,
    usd,
)
from tollbook.simulate.scenarios.work import Worker, ends, evenly, shares, starts

NAME: Final = "agent-tokens"
TEAM: Final = Team(NAME, "CC-9200", "Scenarios")
QUESTIONS: Final = "agent-tokens-questions"
AGENTS: Final = "agent-tokens-agents"
_MODEL: Final = PricedModel(f"{NAME}-model", ((None, Rates(Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(15))),))
_OUTPUT_PERCENT: Final = 10
_CACHED_PERCENT: Final = 60
_PERCENTILES: Final = (("cost_p50", 50), ("cost_p90", 90), ("cost_p95", 95), ("cost_p99", 99))

PARAMETERS: Final = (
    count("questions", 200, 1, 20_000, "questions in a month, one call each"),
    count("question_tokens", 2_000, 1, 10_000_000, "tokens of a question and its answer"),
    count("agent_tasks", 40, 1, 20_000, "tasks of agents in a month"),
    count("agent_tokens_least", 50_000, 1, 1_000_000_000, "tokens of the smallest of them"),
    count("agent_tokens_most", 500_000, 1, 1_000_000_000, "tokens of the largest of them"),
    count("agent_calls", 20, 1, 5_000, "calls of such a task"),
    count("helpers", 2, 0, 50, "agents that its agent calls; of the calls, each makes an equal part"),
    amount("failed_percent", "10", "0", "100", "tasks of agents that fail"),
)


@dataclass(slots=True)
class _TaskTold:
    """What a task took. Units: Tokens, pico-USD."""

    month: Month
    workflow: str
    task_id: str
    calls: int
    agents: int
    depth: int
    width: int
    tokens: int
    cost: int
    outcome: str


@dataclass(slots=True)
class _Tasks:
    """Tasks as they are made."""

    told: list[_TaskTold] = field(default_factory=list)


def make(setting: Setting) -> Story:
    """Return the story of a setting.

    Raises:
        MisuseError: The largest task is smaller than the smallest, or a call would have no token.
    """
    least, most, calls = (setting.whole(name) for name in ("agent_tokens_least", "agent_tokens_most", "agent_calls"))
    if most < least:
        raise MisuseError(f"expected --set agent_tokens_most of agent_tokens_least, {least}, or more, got {most}")
    if least < calls:
        raise MisuseError(f"expected --set agent_tokens_least of agent_calls, {calls}, or more, got {least}")
    if setting.whole("helpers") >= calls:
        raise MisuseError(f"expected --set helpers below agent_calls, {calls}, got {setting.whole('helpers')}")
    made = _Tasks()
    prices = prices_of((_MODEL,))
    questions = Worker(setting.chance, TEAM.name, QUESTIONS, prices)
    agents = Worker(setting.chance, TEAM.name, AGENTS, prices)

    def tasks() -> Iterator[Task]:
        for month in setting.months:
            both = (_questions(setting, month, questions, made), _agent_tasks(setting, month, agents, made))
            yield from merge(*both, key=lambda task: task.start_us)

    def findings() -> Findings:
        return Findings(_figures(made), (_economics(setting, made), _each_task(made)))

    planned = len(setting.months) * (setting.whole("questions") + calls * setting.whole("agent_tasks"))
    return Story(TEAM, (QUESTIONS, AGENTS), (_MODEL,), {}, tasks(), findings, planned)


def _questions(setting: Setting, month: Month, worker: Worker, made: _Tasks) -> Iterator[Task]:
    tokens = setting.whole("question_tokens")
    for start_us in starts(month, setting.whole("questions")):
        task_id = worker.task_id()
        told = {"task_id": task_id, "outcome": "success"}
        calls = [worker.call(_MODEL, at_us, _used(tokens), **told) for at_us in ends(start_us, 1)]
        cost = sum(map(worker.cost, calls))
        made.told.append(_TaskTold(month, QUESTIONS, task_id, 1, 1, 1, 0, tokens, cost, "success"))
        yield Task(start_us, calls)


def _agent_tasks(setting: Setting, month: Month, worker: Worker, made: _Tasks) -> Iterator[Task]:
    """Yield tasks whose tokens lie evenly between the least and the most, in an order of chance."""
    count_, least, most = (setting.whole(name) for name in ("agent_tasks", "agent_tokens_least", "agent_tokens_most"))
    sizes = [least + (most - least) * place // max(1, count_ - 1) for place in range(count_)]
    setting.chance.shuffle(sizes)
    failed = round(count_ * setting.values["failed_percent"] / 100)
    for number, (start_us, tokens) in enumerate(zip(starts(month, count_), sizes, strict=True)):
        is_failure = (number + 1) * failed // count_ > number * failed // count_
        yield _agent_task(setting, worker, made, month, start_us, tokens, "failure" if is_failure else "success")


def _agent_task(
    setting: Setting, worker: Worker, made: _Tasks, month: Month, start_us: int, tokens: int, outcome: str
) -> Task:
    """Return a task: the agent's first call leads to its others and to the first of each helper's."""
    helpers, count_ = setting.whole("helpers"), setting.whole("agent_calls")
    task_id = worker.task_id()
    # Prompts grow, so each call has more tokens than the one before, and each has one at least.
    sizes = [1 + extra for extra in shares(tokens - count_, range(1, count_ + 1))]
    agent_of = [place for place, calls in enumerate(evenly(count_, helpers + 1)) for _ in range(calls)]
    calls: list[Call] = []
    first_of: dict[int, str] = {}
    below: dict[str, int] = {}
    for number, (at_us, size) in enumerate(zip(ends(start_us, count_), sizes, strict=True)):
        agent = agent_of[number]
        told: dict[str, Any] = {"task_id": task_id, "agent": f"helper-{agent}" if agent else "lead"}
        parent = first_of.get(agent, first_of.get(0))
        if parent is not None:
            told["parent_call_id"] = parent
            below[parent] = below.get(parent, 0) + 1
        if number == count_ - 1:
            told["outcome"] = outcome
        calls.append(worker.call(_MODEL, at_us, _used(size), **told))
        first_of.setdefault(agent, calls[-1].dimensions["call_id"])
    helper_calls = evenly(count_, helpers + 1)[1:]
    depth = 3 if any(each > 1 for each in helper_calls) else 2 if count_ > 1 else 1
    cost = sum(map(worker.cost, calls))
    width = max(below.values(), default=0)
    made.told.append(_TaskTold(month, AGENTS, task_id, count_, helpers + 1, depth, width, tokens, cost, outcome))
    return Task(start_us, calls)


def _used(tokens: int) -> Quantities:
    """Return so many tokens: output, and input that is read from a cache in part."""
    output = tokens * _OUTPUT_PERCENT // 100
    read = (tokens - output) * _CACHED_PERCENT // 100
    return Quantities(uncached_input=tokens - output - read, cache_read=read, output=output)


def _figures(made: _Tasks) -> dict[str, str]:
    tokens = {name: [each.tokens for each in made.told if each.workflow == name] for name in (QUESTIONS, AGENTS)}
    return {
        "tokens_per_question": str(max(tokens[QUESTIONS])),
        "tokens_per_agent_task_least": str(min(tokens[AGENTS])),
        "tokens_per_agent_task_most": str(max(tokens[AGENTS])),
    }


def _economics(setting: Setting, made: _Tasks) -> Expected:
    rows = []
    for month in setting.months:
        for workflow in (AGENTS, QUESTIONS):
            told = [each for each in made.told if each.month == month and each.workflow == workflow]
            costs = sorted(each.cost for each in told)
            failed = [each.cost for each in told if each.outcome == "failure"]
            good = len(told) - len(failed)
            row: dict[str, Any] = {
                "billing_period_start": month.first_day,
                "workflow": workflow,
                "tasks": len(told),
                "succeeded_tasks": good,
                "failed_tasks": len(failed),
                "calls": sum(each.calls for each in told),
                "total_tokens": sum(each.tokens for each in told),
                "effective_cost": usd(sum(costs)),
                "failed_cost": usd(sum(failed)) if failed else None,
                "cost_per_task": usd(half_up(sum(costs), len(told))),
                "cost_per_successful_task": usd(half_up(sum(costs), good)) if good else None,
                "largest_task_cost": usd(costs[-1]),
            }
            row |= {name: usd(_percentile(costs, percent)) for name, percent in _PERCENTILES}
            rows.append(row)
    where = {"team": TEAM.name, "cohort_kind": "workflow"}
    return Expected("engineering.fct_task_economics", where, ("billing_period_start", "workflow"), rows)


def _percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest amount that so many percent of them do not exceed."""
    return ordered[-(-Fraction(len(ordered) * percent, 100) // 1) - 1]


def _each_task(made: _Tasks) -> Expected:
    rows = [
        {
            "workflow": each.workflow,
            "task_id": each.task_id,
            "calls": each.calls,
            "agents": each.agents,
            "depth": each.depth,
            "width": each.width,
            "total_tokens": each.tokens,
            "effective_cost": usd(each.cost),
            "outcome": each.outcome,
        }
        for each in made.told
    ]
    return Expected("engineering.fct_tasks", {"team": TEAM.name}, ("workflow", "task_id"), rows)


SCENARIO: Final = Scenario(
    NAME, "A question takes 2,000 tokens, a task of agents 50,000 to 500,000", PARAMETERS, 1, make
)
