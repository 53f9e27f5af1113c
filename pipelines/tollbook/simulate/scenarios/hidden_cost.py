"""Beside raw inference, work costs 40 to 60 % more: retrieval, guardrails, retries, context sent again and the like.

Each purpose costs so many percent of generation. The mart must tell them apart by what calls say, and by what their
tokens were for: context that an agent had sent before, and cache writes that nothing read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
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
    prices_of,
    ratio,
    usd,
)
from tollbook.simulate.scenarios.work import Worker, ends, evenly, starts

NAME: Final = "hidden-cost"
TEAM: Final = Team(NAME, "CC-9300", "Scenarios")
WORKFLOW: Final = "hidden-cost-assistant"
_MODEL: Final = PricedModel(f"{NAME}-model", ((None, Rates(Decimal(1), Decimal("0.1"), Decimal("1.25"), Decimal(5))),))
_UNIT: Final = 10**5
"""What a token read from a cache costs; in it fresh input costs 10, output 50, and a cache write 2.5 above input.
Unit: pico-USD."""

_INPUT, _OUTPUT = 10, 50
_TOKENS_PER_USD: Final = 10**6
_MOST_TOKENS: Final = 10**9
"""As many tokens an event may tell, by schemas/usage_event."""

_LONGEST_PROMPT: Final = Fraction(2, 5)
"""Of what a task's generation costs, what its longest prompt may: the rest is left for output and cache writes."""

GENERATION, CONTEXT, CACHE_WRITE = "generation", "context", "cache_write_unread"
_TOLD: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "retrieval": ("operation_told", {"operation_name": "rerank", "purpose": None}),
    "embedding": ("purpose_told", {"operation_name": "embeddings", "purpose": "embedding"}),
    "guardrail": ("purpose_told", {"purpose": "guardrail"}),
    "evaluation": ("purpose_told", {"purpose": "evaluation"}),
    "aborted": ("did_not_end_well", {"status": "cancelled", "usage_basis": "estimated"}),
    "retry": ("repeats_an_attempt", {"purpose": "retry", "attempt": 2}),
}
"""Purpose of whole calls to the rule that finds it, and what such a call tells."""

_RULES: Final = {name: rule for name, (rule, _) in _TOLD.items()} | {
    GENERATION: "purpose_told",
    CONTEXT: "carried_again",
    CACHE_WRITE: "written_and_not_read",
}

PARAMETERS: Final = (
    count("tasks", 40, 1, 20_000, "tasks in a month"),
    amount("generation_usd", "20", "1", "100000", "what raw inference costs in a month, in all tasks"),
    amount("retrieval_percent", "8", "0", "300", "cost of retrieval, of that of raw inference"),
    amount("embedding_percent", "2", "0", "300", "cost of embeddings"),
    amount("context_percent", "20", "0", "300", "cost of context that is sent again"),
    amount("retry_percent", "5", "0", "300", "cost of retries"),
    amount("guardrail_percent", "5", "0", "300", "cost of guardrails"),
    amount("evaluation_percent", "4", "0", "300", "cost of evaluation"),
    amount("aborted_percent", "3", "0", "300", "cost of streams that were broken off"),
    amount("cache_write_percent", "3", "0", "10", "cost of cache writes never read, above that of plain input"),
    amount("cached_context_percent", "50", "0", "100", "of the context's cost, that of what a cache held, about"),
)


@dataclass(slots=True)
class _Purpose:
    """What one purpose comes to. Units: calls, Tokens, pico-USD."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0

    def add(self, calls: int, tokens: int, cost: int) -> None:
        self.calls += calls
        self.tokens += tokens
        self.cost += cost


@dataclass(slots=True)
class _Ledger:
    """Purposes of one month, and what rounding to whole tokens still owes each. Unit of what is owed: `_UNIT`."""

    purposes: dict[str, _Purpose] = field(default_factory=dict)
    owed: dict[str, Fraction] = field(default_factory=dict)

    def of(self, purpose: str) -> _Purpose:
        return self.purposes.setdefault(purpose, _Purpose())

    def due(self, purpose: str, share: Fraction) -> Fraction:
        """Return a task's share of a purpose and what is owed of those before it."""
        return share + self.owed.get(purpose, Fraction(0))


def make(setting: Setting) -> Story:
    """Return the story of a setting.

    Raises:
        MisuseError: A call would have more tokens than an event may tell.
    """
    largest = max(Fraction(1), *(_percent(setting, f"{each}_percent") for each in _TOLD))
    tokens = Fraction(setting.values["generation_usd"]) * _TOKENS_PER_USD * largest
    if tokens > _MOST_TOKENS * setting.whole("tasks"):
        fewest = -(-tokens // _MOST_TOKENS)
        raise MisuseError(
            f"expected --set tasks of {fewest} or more with these costs, so that no call has more than "
            f"{_MOST_TOKENS:,} tokens, got {setting.whole('tasks')}"
        )
    worker = Worker(setting.chance, TEAM.name, WORKFLOW, prices_of((_MODEL,)))
    ledgers = [_Ledger() for _ in setting.months]

    def tasks() -> Iterator[Task]:
        count_ = setting.whole("tasks")
        # In whole tokens of input, so that what output leaves can be paid for.
        generation = evenly(int(setting.values["generation_usd"] * 10**12) // (_UNIT * _INPUT), count_)
        for month, ledger in zip(setting.months, ledgers, strict=True):
            for start_us, share in zip(starts(month, count_), generation, strict=True):
                yield _task(setting, worker, ledger, start_us, share * _INPUT)

    def findings() -> Findings:
        return Findings(_figures(ledgers), (_expected(setting.months, ledgers),))

    a_task = len(_TOLD) + 3 + _carrying_calls(setting, Fraction(1))
    return Story(
        TEAM, (WORKFLOW,), (_MODEL,), {}, tasks(), findings, a_task * setting.whole("tasks") * len(setting.months)
    )


def _task(setting: Setting, worker: Worker, ledger: _Ledger, start_us: int, generation: int) -> Task:
    """Return a task whose raw inference costs `generation`, and what it costs beside. Unit: `_UNIT`."""
    asked = [(each, _percent(setting, f"{each}_percent") * generation) for each in _TOLD]
    plans = [*_beside(ledger, asked), *_inference(setting, ledger, generation)]
    common = {"task_id": worker.task_id()}
    calls: list[Call] = []
    operation: str | None = None
    for (used, told), at_us in zip(plans, ends(start_us, len(plans)), strict=True):
        again = {"operation_id": operation} if told.get("attempt") == 2 else {}
        calls.append(worker.call(_MODEL, at_us, used, **common, **told, **again))
        operation = calls[-1].dimensions["operation_id"]
    calls[-1].dimensions["outcome"] = "success"
    return Task(start_us, calls)


def _beside(ledger: _Ledger, asked: Sequence[tuple[str, Fraction]]) -> Iterator[tuple[Quantities, dict[str, Any]]]:
    """Yield calls that are for something else as a whole: what they use and tell."""
    for purpose, share in asked:
        due = ledger.due(purpose, share)
        tokens = due // _INPUT
        ledger.owed[purpose] = due - tokens * _INPUT
        if not tokens:
            continue
        told = {"agent": purpose, **_TOLD[purpose][1]}
        if purpose == "retry":
            # The attempt that is repeated failed before it used anything.
            yield Quantities(), {"agent": purpose, "status": "error", "error_type": "server_error"}
            ledger.of("aborted").add(1, 0, 0)
        yield Quantities(uncached_input=tokens), told
        ledger.of(purpose).add(1, tokens, tokens * _INPUT * _UNIT)


def _inference(setting: Setting, ledger: _Ledger, generation: int) -> Iterator[tuple[Quantities, dict[str, Any]]]:
    """Yield the agent's calls, each of which sends the first one's prompt again, and one that writes to a cache."""
    context = ledger.due(CONTEXT, _percent(setting, "context_percent") * generation)
    carrying = _carrying_calls(setting, context / generation) if context else 0
    cached = _percent(setting, "cached_context_percent")
    prompt = -(-context * (1 + 9 * cached) // (_INPUT * carrying)) if carrying else 0
    reads = min(max(0, (_INPUT * carrying * prompt - context) // (_INPUT - 1)), carrying * prompt)
    carried = _INPUT * carrying * prompt - (_INPUT - 1) * reads
    ledger.owed[CONTEXT] = context - carried
    due = ledger.due(CACHE_WRITE, _percent(setting, "cache_write_percent") * generation)
    written = due * 2 // 5
    ledger.owed[CACHE_WRITE] = due - Fraction(5 * written, 2)
    left = generation - _INPUT * (prompt + written)
    outputs = evenly(left // _OUTPUT, carrying + 2)
    fresh = left % _OUTPUT // _INPUT
    yield Quantities(uncached_input=prompt, output=outputs[0]), {}
    for read, output in zip(evenly(reads, carrying) if carrying else (), outputs[1:-1], strict=True):
        yield Quantities(uncached_input=prompt - read, cache_read=read, output=output), {}
    yield Quantities(uncached_input=fresh, cache_write_5m=written, output=outputs[-1]), {"agent": "notes"}
    tokens = prompt + fresh + written + sum(outputs)
    ledger.of(GENERATION).add(carrying + 2, tokens, generation * _UNIT)
    ledger.of(CONTEXT).add(0, carrying * prompt, carried * _UNIT)
    ledger.of(CACHE_WRITE).add(0, 0, written * 5 * _UNIT // 2)


def _carrying_calls(setting: Setting, share: Fraction) -> int:
    """Return how many calls send a prompt again, so that it need not be longer than generation can pay for.

    Args:
        setting: The parameters.
        share: What is due of context, of generation.
    """
    prompt = share * (1 + 9 * _percent(setting, "cached_context_percent"))
    return max(1, -(-prompt // _LONGEST_PROMPT))


def _percent(setting: Setting, name: str) -> Fraction:
    return Fraction(setting.values[name]) / 100


def _figures(ledgers: Sequence[_Ledger]) -> dict[str, str]:
    generation = sum(ledger.of(GENERATION).cost for ledger in ledgers)
    whole = sum(each.cost for ledger in ledgers for each in ledger.purposes.values())
    return {"hidden_over_generation": ratio(whole - generation, generation)}


def _expected(months: Sequence[Month], ledgers: Sequence[_Ledger]) -> Expected:
    rows = []
    for month, ledger in zip(months, ledgers, strict=True):
        for purpose, told in sorted(ledger.purposes.items()):
            if purpose in (CONTEXT, CACHE_WRITE) and not told.cost:
                continue
            rows.append(
                {
                    "billing_period_start": month.first_day,
                    "purpose": purpose,
                    "rule": _RULES[purpose],
                    "calls": told.calls,
                    "total_tokens": told.tokens,
                    "effective_cost": usd(told.cost),
                    "share_of_generation": ratio(told.cost, ledger.of(GENERATION).cost, 6),
                }
            )
    where = {"team": TEAM.name, "workflow": WORKFLOW}
    # The mart's share is a quotient of floats, rounded.
    within = {"share_of_generation": "0.000001"}
    return Expected("engineering.fct_hidden_cost", where, ("billing_period_start", "purpose"), rows, within)


SCENARIO: Final = Scenario(NAME, "Beside raw inference, work costs 50 % more", PARAMETERS, 1, make)
