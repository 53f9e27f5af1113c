"""The exact truth of a simulation: what must stand in the book when all its lines were read.

Counts follow the ledger's identity: lines = accepted + duplicates + conflicts + rejected, and accepted = events +
superseded + voids. Tokens and cost are those of `events`, the calls that count: each call once, by its last telling,
unless that voids it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tollbook.simulate.calls import MICROSECONDS_PER_DAY, Call, date_text
from tollbook.simulate.organisation import DIMENSION_ORDER, UNALLOCATED, Organisation
from tollbook.simulate.prices import OwnPrices, Quantities, list_cost_pico_usd


@dataclass(slots=True)
class Sums:
    """Sums over events. Units: events, Tokens, pico-USD.

    Attributes:
        events: Calls that count.
        input_tokens: All input.
        uncached_input_tokens: Input neither read from nor written to a cache.
        cache_read_tokens: Input read from a cache.
        cache_write_tokens: Input written to a cache.
        output_tokens: All output.
        reasoning_tokens: The part of it that is reasoning.
        list_cost_pico_usd: List cost of the events that have a price.
        unpriced_events: Events that have none.
        unpriced_tokens: Their input and output.
    """

    events: int = 0
    input_tokens: int = 0
    uncached_input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    list_cost_pico_usd: int = 0
    unpriced_events: int = 0
    unpriced_tokens: int = 0

    def add(self, used: Quantities, reasoning: int, cost: int | None) -> None:
        """Add one event; a `cost` of None is unknown, not zero."""
        self.events += 1
        self.input_tokens += used.input
        self.uncached_input_tokens += used.uncached_input
        self.cache_read_tokens += used.cache_read
        self.cache_write_tokens += used.cache_write_5m + used.cache_write_1h
        self.output_tokens += used.output
        self.reasoning_tokens += reasoning
        if cost is None:
            self.unpriced_events += 1
            self.unpriced_tokens += used.input + used.output
        else:
            self.list_cost_pico_usd += cost

    def as_dict(self) -> dict[str, int]:
        """Return the sums by name."""
        return {name: getattr(self, name) for name in Sums.__slots__}


@dataclass(slots=True)
class Truth:
    """What a simulation sent.

    Attributes:
        organisation: Who owns what, when.
        own_prices: Prices of models that are made up.
        lines: Lines of the file.
        duplicates: Lines that tell again what an earlier line told.
        conflicts: Lines that tell otherwise, under the same identity and revision, what an earlier line told.
        superseded: Tellings that a higher revision replaces.
        voids: Tellings that void their call, for good.
        rejected: Reason to how many lines no decoder may accept for it.
        total: Sums over all events.
        tasks: Tasks of the events.
    """

    organisation: Organisation
    own_prices: OwnPrices = field(default_factory=dict)
    lines: int = 0
    duplicates: int = 0
    conflicts: int = 0
    superseded: int = 0
    voids: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    total: Sums = field(default_factory=Sums)
    tasks: set[str] = field(default_factory=set)
    _by_month: dict[str, Sums] = field(default_factory=dict)
    _by_team: dict[tuple[str, str, str, str], Sums] = field(default_factory=dict)
    _by_workflow: dict[tuple[str, str, str], Sums] = field(default_factory=dict)

    def stand(self, call: Call, used: Quantities) -> None:
        """Count a call that counts.

        Args:
            call: The call.
            used: What it used by its last telling.
        """
        cost = list_cost_pico_usd(call.provider, call.model, call.tier, call.occurred_us, used, self.own_prices)
        month = date_text(call.occurred_us // MICROSECONDS_PER_DAY)[:7]
        dimensions = {name: call.dimensions.get(name) for name in DIMENSION_ORDER}
        rule = self.organisation.owner_rule(dimensions, call.occurred_us)
        owner = (
            (UNALLOCATED, "", "")
            if rule is None
            else (
                rule.owner.name,
                rule.owner.cost_center,
                rule.owner.business_unit,
            )
        )
        workflow = call.dimensions.get("workflow") or ""
        for sums in (
            self.total,
            self._by_month.setdefault(month, Sums()),
            self._by_team.setdefault((month, *owner), Sums()),
            self._by_workflow.setdefault((month, owner[0], workflow), Sums()),
        ):
            sums.add(used, call.reasoning, cost)
        if call.task_id is not None:
            self.tasks.add(call.task_id)

    def reject(self, reason: str) -> None:
        """Count a line that no decoder may accept."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return the truth as the truth file has it; an empty name stands for none."""
        rejected = sum(self.rejected.values())
        return {
            "lines": self.lines,
            "accepted": self.lines - self.duplicates - self.conflicts - rejected,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "rejected": rejected,
            "superseded": self.superseded,
            "voids": self.voids,
            "tasks": len(self.tasks),
            **self.total.as_dict(),
            "rejected_by_reason": dict(sorted(self.rejected.items())),
            "by_month": [{"month": month, **sums.as_dict()} for month, sums in sorted(self._by_month.items())],
            "by_team": [
                {
                    "month": month,
                    "team": team,
                    "cost_center": cost_center or None,
                    "business_unit": business_unit or None,
                    **sums.as_dict(),
                }
                for (month, team, cost_center, business_unit), sums in sorted(self._by_team.items())
            ],
            "by_workflow": [
                {"month": month, "team": team, "workflow": workflow or None, **sums.as_dict()}
                for (month, team, workflow), sums in sorted(self._by_workflow.items())
            ],
        }
