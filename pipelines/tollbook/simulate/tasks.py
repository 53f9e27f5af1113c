"""Tasks: the calls that one run of a workflow makes, through the agents that it calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tollbook.simulate.calls import MICROSECONDS_PER_MILLISECOND, MICROSECONDS_PER_SECOND, Call
from tollbook.simulate.distributions import (
    MICROSECONDS_PER_OUTPUT_TOKEN,
    SESSION_GAP_MS,
    SUBAGENT_CALLS,
    SUBAGENT_FIRST_INPUT,
    SUBAGENT_GROWTH,
    SUBAGENT_OUTPUT,
    Quantiles,
)
from tollbook.simulate.prices import BATCH, STANDARD, UNPRICED_MODELS, Quantities, price_of
from tollbook.simulate.randomness import Chance
from tollbook.simulate.workflows import (
    CACHE_1H,
    CACHE_5M,
    CACHE_NONE,
    EMBEDDING_INPUT,
    EMBEDDING_MODEL,
    Model,
    Workflow,
)

CONTEXT_LIMIT_TOKENS = 600_000
"""Above it an agent sums up and begins a fresh prompt."""

DEEPEST = (1, 1, 2)
"""How deep agents call agents in each phase, the main agent being at 0."""

_RETRY_MILLIONTHS = 15_000
_MOST_ATTEMPTS = 3
_UNSOLVED_PERCENT = 14
_SMALLEST_CACHED_TOKENS = 1_024
_CACHE_BLOCK_TOKENS = 128
_LIVES_US = {CACHE_5M: 300 * MICROSECONDS_PER_SECOND, CACHE_1H: 3_600 * MICROSECONDS_PER_SECOND}
_AUTOMATIC_LIVES_US = 600 * MICROSECONDS_PER_SECOND
_AUTOMATIC_HIT_MILLIONTHS = 850_000
_FIRST_TOKEN_MS = (250, 1_500)
CUSTOMERS = (("northwind", 45), ("contoso", 70), ("fabrikam", 84), ("initech", 93), ("umbrella", 98), ("globex", 100))
"""Customers, and what they ask for together with those before. Unit: Percent of tasks."""

_PEOPLE = 400
_PEOPLE_WITH_SEATS = 44
_RELEASES = ("2026.07.3", "2026.08.1", "2026.09.0", "2026.10.2")
_EVENT_ID_PREFIX = {"anthropic": "msg_01", "openai": "resp_", "google": "", "nimbus": "nb-", "mistral": "cmpl-"}
_FAILURES = (("rate_limited", 5), ("server_error", 3), ("timeout", 2))


@dataclass(slots=True)
class _Agent:
    """An agent at work: what it is asked to do with which model, and what its prompt cache holds."""

    name: str
    model: Model
    calls: int
    first_input: Quantiles
    growth: Quantiles
    output: Quantiles
    depth: int
    caller: str | None
    cached: int = 0
    cached_us: int = 0


class TaskRunner:
    """Runs tasks of one phase, one after another."""

    def __init__(self, chance: Chance, phase: int, end_us: int) -> None:
        """Begin.

        Args:
            chance: Where chance comes from.
            phase: From 0 to 2.
            end_us: When the simulation ends; no call ends later. Unit: Microseconds since 1970-01-01T00:00:00Z.
        """
        self._chance = chance
        self._phase = phase
        self._end_us = end_us

    def run(self, workflow: Workflow, start_us: int) -> Iterator[Call]:
        """Yield the calls of one task, each agent's in the order of time."""
        chance = self._chance
        common: dict[str, Any] = {
            "path": "model_api",
            "environment": workflow.environment,
            "credential_id": workflow.credential_id,
            "project_id": workflow.project_id,
            **_whom(workflow, chance.below(_PEOPLE)),
        }
        if workflow.team is not None:
            common["team"] = workflow.team
        if workflow.name is not None:
            common["workflow"] = workflow.name
            common["release"] = _RELEASES[min(self._phase, len(_RELEASES) - 1)]
        if workflow.has_task:
            common["task_id"] = f"task-{chance.hex(20)}"
        calls = max(1, chance.quantile(workflow.calls) * workflow.call_scale[self._phase] // 100)
        agent = _Agent(
            name=workflow.agent,
            model=chance.weighted(workflow.models[self._phase]),
            calls=calls,
            first_input=workflow.first_input,
            growth=workflow.growth,
            output=workflow.output,
            depth=0,
            caller=None,
        )
        yield from self._work(workflow, agent, common, start_us)

    def _work(self, workflow: Workflow, agent: _Agent, common: dict[str, Any], start_us: int) -> Iterator[Call]:
        """Yield the calls of an agent and of those it calls."""
        chance = self._chance
        now_us, root, prompt = start_us, agent.caller, chance.quantile(agent.first_input)
        for number in range(agent.calls):
            if number:
                now_us += chance.quantile(SESSION_GAP_MS) * MICROSECONDS_PER_MILLISECOND
                prompt += chance.quantile(agent.growth)
                if prompt > CONTEXT_LIMIT_TOKENS:
                    prompt = chance.quantile(agent.first_input)
            if workflow.embeds:
                yield from self._embed(agent, common, root, now_us)
            told = None
            for told in self._attempts(workflow, agent, common, root, prompt, now_us):
                if told.occurred_us >= self._end_us:
                    return
                if not agent.depth and workflow.has_task:
                    _tell_outcome(told, is_last=number == agent.calls - 1)
                yield told
                now_us = told.occurred_us
            if told is None or told.dimensions["status"] != "ok":
                return
            root = root or told.dimensions["call_id"]
            helpers = self._helpers(workflow, agent, told.dimensions["call_id"])
            begun_us = now_us
            for helper in helpers:
                for told in self._work(workflow, helper, common, begun_us):
                    yield told
                    now_us = max(now_us, told.occurred_us)

    def _helpers(self, workflow: Workflow, agent: _Agent, call_id: str) -> list[_Agent]:
        chance = self._chance
        if workflow.helpers is None or agent.depth >= DEEPEST[self._phase]:
            return []
        if not chance.happens(workflow.spawns[self._phase]):
            return []
        return [
            _Agent(
                name=f"{'helper' if agent.depth else 'explorer'}-{number + 1}",
                model=chance.weighted(workflow.helpers[self._phase]),
                calls=chance.quantile(SUBAGENT_CALLS),
                first_input=SUBAGENT_FIRST_INPUT,
                growth=SUBAGENT_GROWTH,
                output=SUBAGENT_OUTPUT,
                depth=agent.depth + 1,
                caller=call_id,
            )
            for number in range(chance.between(1, 3))
        ]

    def _attempts(
        self, workflow: Workflow, agent: _Agent, common: dict[str, Any], root: str | None, prompt: int, now_us: int
    ) -> Iterator[Call]:
        """Yield the attempts at one operation: failed ones, then the one that comes through or the last."""
        chance = self._chance
        operation = f"op-{chance.hex(16)}"
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            failed = chance.happens(_RETRY_MILLIONTHS)
            call = self._call(workflow, agent, prompt, now_us)
            purpose = workflow.purpose if attempt == 1 else "retry"
            call.dimensions |= common | self._identity(agent, root, purpose, operation, attempt)
            if failed:
                _fail(call, chance.weighted(_FAILURES))
            elif workflow.searches and chance.happens(workflow.searches):
                searches = chance.between(1, 4)
                call.used = _with_searches(call.used, searches)
            yield call
            if not failed:
                return
            now_us = call.occurred_us + attempt * 2 * MICROSECONDS_PER_SECOND

    def _identity(self, agent: _Agent, root: str | None, purpose: str, operation: str, attempt: int) -> dict[str, Any]:
        identity = {
            "agent": agent.name,
            "operation_id": operation,
            "attempt": attempt,
            "call_id": self._chance.hex(16),
            "purpose": purpose,
        }
        if root is not None:
            identity["parent_call_id"] = root
        return identity

    def _call(self, workflow: Workflow, agent: _Agent, prompt: int, now_us: int) -> Call:
        chance = self._chance
        provider, model = agent.model
        output = max(1, chance.quantile(agent.output))
        first_token_ms = chance.between(*_FIRST_TOKEN_MS)
        latency_ms = first_token_ms + output * chance.quantile(MICROSECONDS_PER_OUTPUT_TOKEN) // 1_000
        ended_us = now_us + latency_ms * MICROSECONDS_PER_MILLISECOND
        low, high = workflow.reasoning_permille
        reasoning = output * chance.between(low, high) // 1_000 if high and agent.model not in UNPRICED_MODELS else 0
        tier = STANDARD
        if workflow.prefers_batch and price_of(provider, model, BATCH, ended_us, prompt) is not None:
            tier = BATCH
        used = self._quantities(workflow, agent, prompt, output, now_us)
        dimensions: dict[str, Any] = {
            "operation_name": "generate_content" if provider == "google" else "chat",
            "status": "ok",
            "finish_reason": "tool_calls" if agent.depth or agent.calls > 1 else "stop",
            "latency_ms": latency_ms,
        }
        if workflow.streamed:
            dimensions["time_to_first_token_ms"] = first_token_ms
        return Call(
            event_id=self._event_id(provider),
            occurred_us=ended_us,
            provider=provider,
            model=model,
            used=used,
            reports_parts=provider == "anthropic",
            dimensions=dimensions,
            tier=tier,
            reasoning=reasoning,
            streamed=workflow.streamed,
        )

    def _quantities(self, workflow: Workflow, agent: _Agent, prompt: int, output: int, now_us: int) -> Quantities:
        """Divide a prompt among the cache's buckets, and remember what the cache then holds."""
        chance = self._chance
        if workflow.cache == CACHE_NONE or prompt < _SMALLEST_CACHED_TOKENS:
            return Quantities(uncached_input=prompt, output=output)
        lives_us = _LIVES_US.get(workflow.cache, _AUTOMATIC_LIVES_US)
        held = agent.cached if now_us - agent.cached_us <= lives_us and agent.cached <= prompt else 0
        agent.cached_us = now_us
        if workflow.cache in _LIVES_US and agent.model[0] == "anthropic":
            fresh = chance.between(3, 12)
            agent.cached = prompt - fresh
            read = min(held, agent.cached)
            written = agent.cached - read
            if workflow.cache == CACHE_1H:
                return Quantities(uncached_input=fresh, cache_read=read, cache_write_1h=written, output=output)
            return Quantities(uncached_input=fresh, cache_read=read, cache_write_5m=written, output=output)
        read = held if chance.happens(_AUTOMATIC_HIT_MILLIONTHS) else 0
        agent.cached = prompt // _CACHE_BLOCK_TOKENS * _CACHE_BLOCK_TOKENS
        return Quantities(uncached_input=prompt - read, cache_read=read, output=output)

    def _embed(self, agent: _Agent, common: dict[str, Any], root: str | None, now_us: int) -> Iterator[Call]:
        """Yield the embedding of a question, which comes before its answer."""
        provider, model = EMBEDDING_MODEL
        if now_us >= self._end_us:
            return
        dimensions = {"operation_name": "embeddings", "status": "ok", "latency_ms": self._chance.between(20, 200)}
        operation = f"op-{self._chance.hex(16)}"
        dimensions |= common | self._identity(agent, root, "embedding", operation, 1)
        yield Call(
            event_id=self._event_id(provider),
            occurred_us=now_us,
            provider=provider,
            model=model,
            used=Quantities(uncached_input=self._chance.quantile(EMBEDDING_INPUT)),
            reports_parts=False,
            dimensions=dimensions,
        )

    def _event_id(self, provider: str) -> str:
        return f"{_EVENT_ID_PREFIX[provider]}{self._chance.hex(24)}"


def _whom(workflow: Workflow, number: int) -> dict[str, str]:
    """Return who asks for a task, and for whom: a few of those who have seats use most, a few customers too.

    Args:
        workflow: The kind of work.
        number: Number of a person, each as likely, below `_PEOPLE`.
    """
    if workflow.subscription_id is not None:
        seat = number * number * _PEOPLE_WITH_SEATS // _PEOPLE**2
        return {"principal_id": f"p-{seat:04d}", "subscription_id": workflow.subscription_id}
    whom = {"principal_id": f"p-{number:04d}"}
    if workflow.product is not None:
        whom["product"] = workflow.product
    if workflow.has_customers:
        whom["customer_id"] = next(name for name, below in CUSTOMERS if number * 100 < below * _PEOPLE)
    return whom


def _tell_outcome(call: Call, *, is_last: bool) -> None:
    """Let a call of a task's main agent tell what came of the task, if it decides that.

    A task that cannot go on has failed, and so has one in some that came to their end: by the task's id, so that chance
    decides nothing else than before.
    """
    if call.dimensions["status"] != "ok":
        if call.dimensions["attempt"] == _MOST_ATTEMPTS:
            call.dimensions["outcome"] = "failure"
    elif is_last:
        failed = int(call.dimensions["task_id"][-6:], 16) % 100 < _UNSOLVED_PERCENT
        call.dimensions["outcome"] = "failure" if failed else "success"


def _fail(call: Call, error_type: str) -> None:
    """Make a call one that failed: a timeout bills its prompt and a guess of its output, the others bill nothing."""
    call.dimensions["status"] = "timeout" if error_type == "timeout" else "error"
    call.dimensions["error_type"] = error_type
    call.dimensions.pop("finish_reason", None)
    if error_type == "timeout":
        call.dimensions["usage_basis"] = "estimated"
    else:
        call.used = Quantities()
        call.reasoning = 0


def _with_searches(used: Quantities, searches: int) -> Quantities:
    return Quantities(
        used.uncached_input, used.cache_read, used.cache_write_5m, used.cache_write_1h, used.output, searches
    )
