"""What could come otherwise than it is expected: the assumptions of scenarios, read from reference data.

Names of teams and workflows are whole; `*` in those of providers and models stands for any text, and case does not
matter there. Days are those of UTC, as in all of a forecast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from tollbook.reference.dated.entries import DatedEntry

TASKS: Final = "tasks"
TOKENS_PER_TASK: Final = "tokens_per_task"
PRICE: Final = "price"
MOVED: Final = "moved"
NEW: Final = "new"

Span = tuple[date, date]
"""Days `[first, beyond)` on which no assumption begins, ends or grows."""

_KINDS: Final = (TASKS, TOKENS_PER_TASK, PRICE, MOVED, NEW)
_PICO_PER_MILLIONTH: Final = 10**6


@dataclass(frozen=True, slots=True)
class Assumption:
    """One assumption.

    Attributes:
        kind: `tasks`, `tokens_per_task`, `price`, `moved` or `new`.
        since: First day on which it holds.
        until: First day on which it no longer holds; None while it is open.
        team: Team that it is about; None for every one.
        workflow: The same of workflows.
        models: Providers and models that it is about, as patterns of `provider/model`; empty for every one.
        told: What the kind says, as in `schemas/documents/forecast_scenarios.schema.json`.
    """

    kind: str
    since: date
    until: date | None
    team: str | None
    workflow: str | None
    models: tuple[re.Pattern[str], ...]
    told: Mapping[str, Any]

    def holds_on(self, day: date) -> bool:
        """Return whether it holds on a day."""
        return self.since <= day and (self.until is None or day < self.until)

    def is_about(self, team: str, workflow: str | None) -> bool:
        """Return whether it is about a workflow of a team."""
        return self.team in {None, team} and self.workflow in {None, workflow}

    def is_about_model(self, provider: str | None, model: str | None) -> bool:
        """Return whether it is about a model."""
        name = f"{provider or ''}/{model or ''}"
        return not self.models or any(each.fullmatch(name) for each in self.models)

    def factor_on(self, day: date) -> Fraction:
        """Return how many times as much there is on a day on which it holds: of tasks, tokens of a task, or the price.

        A factor per month counts once in the month in which it begins, and once more in each month after.
        """
        if "factor" in self.told:
            return Fraction(self.told["factor"])
        months = (day.year - self.since.year) * 12 + day.month - self.since.month + 1
        return Fraction(self.told["factor_per_month"]) ** months


@dataclass(frozen=True, slots=True)
class Added:
    """What usage that nobody has yet comes to.

    Attributes:
        tasks: Its tasks, exact.
        tokens: Its tokens, exact.
        cost: Its cost, exact. Unit: pico-units of the currency.
    """

    tasks: Fraction = Fraction(0)
    tokens: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario.

    Attributes:
        name: Its name.
        entry_id: Entry of the reference data that says it.
        assumptions: What it says, in the order of the file.
    """

    name: str
    entry_id: str
    assumptions: tuple[Assumption, ...]

    def touches(self, team: str, span: Span) -> bool:
        """Return whether anything is assumed of a team on any of the days."""
        first, beyond = span
        return any(
            each.team in {None, team} and each.since < beyond and (each.until is None or first < each.until)
            for each in self.assumptions
        )

    def spans(self, first: date, beyond: date) -> list[Span]:
        """Return days of one month in spans of which each has the same assumptions throughout; none for no days."""
        borders = {each.since for each in self.assumptions} | {each.until for each in self.assumptions if each.until}
        days = [first, *sorted(day for day in borders if first < day < beyond), beyond]
        return [(start, end) for start, end in pairwise(days) if start < end]

    def holding(self, kind: str, day: date) -> list[Assumption]:
        """Return the assumptions of a kind that hold on a day."""
        return [each for each in self.assumptions if each.kind == kind and each.holds_on(day)]

    def new_teams(self) -> set[tuple[str, str]]:
        """Return the teams that have new usage, with its currency."""
        return {
            (each.team, each.told["currency"])
            for each in self.assumptions
            if each.kind == NEW and each.team is not None
        }

    def added(self, team: str, currency: str, spans: Iterable[Span]) -> Added:
        """Return what the new usage of a team in a currency comes to on the days of spans."""
        tasks, tokens, cost = Fraction(0), Fraction(0), Fraction(0)
        for first, beyond in spans:
            for each in self.holding(NEW, first):
                if each.team == team and each.told["currency"] == currency:
                    begun = (beyond - first).days * Fraction(each.told["tasks_per_day"])
                    used = begun * Fraction(each.told["tokens_per_task"])
                    tasks, tokens = tasks + begun, tokens + used
                    cost += used * Fraction(each.told["price_per_million_tokens"]) * _PICO_PER_MILLIONTH
        return Added(tasks, tokens, cost)


def scenarios_of(entries: Sequence[DatedEntry], day: date) -> list[Scenario]:
    """Return the scenarios that are computed when a day is the first that is forecast, by name.

    Args:
        entries: Entries of `forecast_scenarios` in force by what is known.
        day: The first day that is forecast.
    """
    held = (
        Scenario(entry.body["scenario"], entry.entry_id, tuple(_assumption(told) for told in entry.body["assumptions"]))
        for entry in entries
        if entry.holds_on(day)
    )
    return sorted(held, key=lambda each: each.name)


def _assumption(told: Mapping[str, Any]) -> Assumption:
    (kind,) = (each for each in _KINDS if each in told)
    return Assumption(
        kind=kind,
        since=date.fromisoformat(told["from"]),
        until=date.fromisoformat(told["until"]) if "until" in told else None,
        team=told.get("team"),
        workflow=told.get("workflow"),
        models=tuple(_patterns(told)),
        told=told[kind],
    )


def _patterns(told: Mapping[str, Any]) -> Iterable[re.Pattern[str]]:
    if "provider" in told or "models" in told:
        for model in told.get("models", ["*"]):
            text = ".*".join(re.escape(part) for part in f"{told.get('provider', '*')}/{model}".split("*"))
            yield re.compile(text, re.IGNORECASE | re.DOTALL)
