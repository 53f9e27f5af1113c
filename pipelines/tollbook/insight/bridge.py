"""The bridge from one period's cost to another's, read from the published file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from tollbook.closing.closes import first_day, period_name
from tollbook.errors import MisuseError
from tollbook.insight.effects import EFFECTS, NEW_WORKFLOW, RETIRED_WORKFLOW
from tollbook.settings import Settings
from tollbook.trace.literals import bound
from tollbook.warehouse.query import ask, ask_each

_PERIODS: Final = "select distinct billing_period_start from insight.fct_cost_drivers order by all desc limit 13"
_SIDES: Final = """
    select
        billing_currency,
        billing_period_start,
        sum(effective_cost)::decimal(38, 12) as effective_cost,
        sum(usage_cost)::decimal(38, 12) as usage_cost,
        sum(tasks + calls_without_task)::bigint as tasks,
        sum(calls)::bigint as calls,
        sum(total_tokens)::bigint as total_tokens,
        sum(unpriced_calls)::bigint as unpriced_calls,
        sum(unpriced_tokens)::bigint as unpriced_tokens
    from insight.fct_cost_drivers
    where billing_period_start in (?, ?) and (? is null or team = ?) and (? is null or workflow = ?)
    group by all
    order by all
"""
_EFFECTS: Final = """
    select
        billing_currency,
        effect,
        sum(effect_cost)::decimal(38, 12) as cost,
        count(*) filter (where effect_cost is null) as unknown
    from insight.fct_price_volume_mix
    where from_period_start = ? and to_period_start = ?
        and (? is null or team = ?) and (? is null or workflow = ?)
    group by all
"""
_TURNED: Final = {NEW_WORKFLOW: RETIRED_WORKFLOW, RETIRED_WORKFLOW: NEW_WORKFLOW}
_TENTH: Final = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a bridge.

    Attributes:
        period: `YYYY-MM`.
        effective_cost: What was charged; None where nothing has a known cost. Unit: the bridge's currency.
        usage_cost: Of it, what the calls cost by themselves.
        tasks: Tasks, and calls without one.
        calls: Calls.
        total_tokens: Unit: Tokens.
        unpriced_calls: Of the calls, those of unknown cost.
        unpriced_tokens: Their tokens.
    """

    period: str
    effective_cost: Decimal | None = None
    usage_cost: Decimal | None = None
    tasks: int | None = 0
    calls: int = 0
    total_tokens: int = 0
    unpriced_calls: int = 0
    unpriced_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Bridge:
    """Why a cost changed.

    Attributes:
        billing_currency: Currency of all amounts.
        before: The period that is explained from.
        after: The period that is explained.
        effects: Every effect in its fixed order and what it did; their sum is the change.
        unknown_workflows: Workflows of teams of which no cost is known on either side: no amount tells of them.
    """

    billing_currency: str
    before: Side
    after: Side
    effects: Mapping[str, Decimal]
    unknown_workflows: int

    def percent(self, amount: Decimal | None) -> Decimal | None:
        """Return an amount in percent of the cost before, to a tenth; None where that is zero or not known."""
        if amount is None or not self.before.effective_cost:
            return None
        return (amount * 100 / self.before.effective_cost).quantize(_TENTH, ROUND_HALF_EVEN)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON: amounts as text with every digit."""
        return {
            "billing_currency": self.billing_currency,
            "from": _plain(self.before),
            "to": _plain(self.after),
            "effects": [
                {"effect": effect, "effect_cost": f"{amount:f}", "percent_of_from": _text(self.percent(amount))}
                for effect, amount in self.effects.items()
            ],
            "unknown_workflows": self.unknown_workflows,
        }


def read_bridges(
    settings: Settings,
    *,
    before: str | None = None,
    after: str | None = None,
    team: str | None = None,
    workflow: str | None = None,
) -> list[Bridge]:
    """Return the bridge between two periods of the published file, one for each currency.

    Args:
        settings: Where the book lives.
        before: Period that is explained from, `YYYY-MM`; by default the one before the other. It may be the later one.
        after: Period that is explained; by default the newest.
        team: The team alone.
        workflow: The workflow alone, of every team that has it.

    Raises:
        MisuseError: There are no two such periods, or nothing was charged to the team and workflow in them.
        NothingPublishedError: There is no published file yet.
        QueryError: The published file was made by a version that did not explain changes.
    """
    first, last = _chosen([row[0] for row in ask(settings, _PERIODS).rows], before, after)
    of = (team, team, workflow, workflow)
    pair = sorted((first, last))
    sides, effects = ask_each(settings, (bound(_SIDES, (*pair, *of)), bound(_EFFECTS, (*pair, *of))))
    if not sides.rows:
        told = " and ".join(f"{name} {value!r}" for name, value in (("team", team), ("workflow", workflow)) if value)
        periods = " or ".join(period_name(day) for day in (first, last))
        raise MisuseError(f"expected a {told} that was charged in {periods}, found none")
    is_turned = first > last
    bridges = []
    for currency in sorted({row[0] for row in sides.rows}):
        ends = {row[1]: Side(period_name(row[1]), *row[2:]) for row in sides.rows if row[0] == currency}
        found = {row[1]: row for row in effects.rows if row[0] == currency}
        amounts = {effect: (row[2] or Decimal(0)) * (-1 if is_turned else 1) for effect, row in found.items()}
        bridges.append(
            Bridge(
                billing_currency=currency,
                before=ends.get(first, Side(period_name(first))),
                after=ends.get(last, Side(period_name(last))),
                effects={
                    effect: amounts.get(_TURNED.get(effect, effect) if is_turned else effect, Decimal(0))
                    for effect in EFFECTS
                },
                unknown_workflows=sum(row[3] for row in found.values()),
            )
        )
    return bridges


def _chosen(periods: Sequence[date], before: str | None, after: str | None) -> tuple[date, date]:
    """Return the two periods that are asked for, of those that are there, the newest first."""
    there = {period_name(day) for day in periods}
    told = ", ".join(sorted(there)) or "none"
    for each in (before, after):
        if each is not None and each not in there:
            raise MisuseError(f"expected one of the last billing periods with charges ({told}), got {each!r}")
    if len(there) < 2:
        raise MisuseError(f"expected two billing periods with charges, found {told}")
    last = after or max(each for each in there if each != before)
    earlier = [each for each in there if each < last]
    first = before or max(earlier, default=last)
    if first == last:
        raise MisuseError(f"expected two different billing periods of {told}, got {first} and {last}")
    return first_day(first), first_day(last)


def _plain(side: Side) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, Decimal) else value for name, value in asdict(side).items()}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
