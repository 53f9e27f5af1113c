"""How a scenario's calls are made: when tasks begin, and calls that use exactly so many tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tollbook.simulate.calls import MICROSECONDS_PER_DAY, MICROSECONDS_PER_MILLISECOND, MICROSECONDS_PER_SECOND, Call
from tollbook.simulate.prices import OwnPrices, Quantities, list_cost_pico_usd
from tollbook.simulate.randomness import Chance
from tollbook.simulate.scenarios.story import PROVIDER, Month, PricedModel

_FIRST_HOUR: Final = 6
_HOURS: Final = 10
_HOUR_US: Final = 3_600 * MICROSECONDS_PER_SECOND
_LONGEST_MS: Final = 5 * 3_600_000
_GAP_MS: Final = 20_000
_LATENCY_MS: Final = (400, 9_000)


@dataclass(frozen=True, slots=True)
class Worker:
    """Makes the calls of one workflow.

    Attributes:
        chance: Where chance comes from.
        team: Team that callers write.
        workflow: The workflow.
        prices: What its models cost.
    """

    chance: Chance
    team: str
    workflow: str
    prices: OwnPrices

    def task_id(self) -> str:
        """Return the id of a new task."""
        return f"task-{self.chance.hex(20)}"

    def call(self, model: PricedModel, at_us: int, used: Quantities, **told: Any) -> Call:
        """Return a call.

        Args:
            model: Its model.
            at_us: When it ends. Unit: Microseconds since 1970-01-01T00:00:00Z.
            used: What it used.
            told: Fields of its event beside those that every call has; None for one that is not told.
        """
        chance = self.chance
        dimensions: dict[str, Any] = {
            "path": "model_api",
            "environment": "production",
            "team": self.team,
            "workflow": self.workflow,
            "agent": "assistant",
            "operation_id": f"op-{chance.hex(16)}",
            "attempt": 1,
            "call_id": chance.hex(16),
            "operation_name": "chat",
            "purpose": "generation",
            "status": "ok",
            "latency_ms": chance.between(*_LATENCY_MS),
        }
        dimensions |= told
        return Call(
            event_id=f"ex_{chance.hex(24)}",
            occurred_us=at_us,
            provider=PROVIDER,
            model=model.name,
            used=used,
            reports_parts=True,
            dimensions={name: value for name, value in dimensions.items() if value is not None},
            streamed=dimensions["operation_name"] == "chat",
        )

    def cost(self, call: Call) -> int:
        """Return what a call costs. Unit: pico-USD."""
        cost = list_cost_pico_usd(call.provider, call.model, call.tier, call.occurred_us, call.used, self.prices)
        if cost is None:
            raise ValueError(f"expected a price of every token of {call.model}, found none")
        return cost


def starts(month: Month, tasks: int) -> Iterator[int]:
    """Yield when tasks begin: evenly through the working hours of a month, so that each ends on its day, UTC.

    Args:
        month: The month.
        tasks: How many.

    Yields:
        Unit: Microseconds since 1970-01-01T00:00:00Z, whole milliseconds, in order.
    """
    open_us = _HOURS * _HOUR_US
    for number in range(tasks):
        day, rest = divmod(number * month.days * open_us // tasks, open_us)
        rest -= rest % MICROSECONDS_PER_MILLISECOND
        yield month.start_us + day * MICROSECONDS_PER_DAY + _FIRST_HOUR * _HOUR_US + rest


def ends(start_us: int, calls: int) -> Iterator[int]:
    """Yield when the calls of a task end, one after another, within hours of its start.

    Yields:
        Unit: Microseconds since 1970-01-01T00:00:00Z.
    """
    gap_us = min(_GAP_MS, _LONGEST_MS // calls) * MICROSECONDS_PER_MILLISECOND
    for number in range(1, calls + 1):
        yield start_us + number * gap_us


def shares(whole: int, weights: Sequence[int]) -> list[int]:
    """Return a whole in parts by weight that sum to it, each as near below or above its share as whole numbers are.

    Args:
        whole: Zero or more.
        weights: Zero or more each, not all zero, shape (n_parts,).
    """
    total, passed, given = sum(weights), 0, 0
    parts = []
    for weight in weights:
        passed += weight
        upto = whole * passed // total
        parts.append(upto - given)
        given = upto
    return parts


def evenly(whole: int, parts: int) -> list[int]:
    """Return a whole in equal parts but for one unit, shape (parts,)."""
    return shares(whole, [1] * parts)
