"""Allocation: every origin charge becomes lines of those who bear it, which sum to it in each of its costs, exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.adjustments import ADJUSTED, split_of_adjustment
from tollbook.chargeback.contracts import CONTRACT, UNTAGGED, UNTAGGED_MOVED
from tollbook.chargeback.estimates import ESTIMATE, UNPRICED_TOKENS
from tollbook.chargeback.fleets import FLEET, IDLE, INTERNAL_RATE, USED, measure_of, served_by
from tollbook.chargeback.methods import Methods, Share, Split, nobody
from tollbook.chargeback.origins import (
    COSTS,
    CURRENCY_COSTS,
    ORIGIN_SCHEMA,
    PICO,
    Origin,
    decimal_of,
    digest,
    pico_of,
)
from tollbook.chargeback.platforms import PLATFORM
from tollbook.chargeback.remainder import largest_remainder, whole_weights
from tollbook.chargeback.subscriptions import SEATS, SUBSCRIPTION
from tollbook.chargeback.usage_lines import Receiver, Where
from tollbook.closing.adjustments import NO_ADJUSTMENTS, Adjustments
from tollbook.reconcile.booking import RECONCILIATION
from tollbook.reconcile.residuals import UNLOGGED
from tollbook.reference.dated.entries import DatedEntry

ALLOCATED_SCHEMA: Final = pa.schema(
    [
        *(each for each in ORIGIN_SCHEMA if each.name != "first_day"),
        pa.field("origin_charge_id", pa.string()),
        pa.field("team", pa.string()),
        pa.field("cost_center", pa.string()),
        pa.field("business_unit", pa.string()),
        pa.field("workflow", pa.string()),
        pa.field("allocated_method_id", pa.string()),
        pa.field("allocated_method_details", pa.string()),
        pa.field("allocated_ratio", pa.decimal128(38, 12)),
    ]
)
"""Allocated charges: an origin's columns, those who bear the part, and how it came to be theirs."""
IDLE_POOL: Final = "idle"
_AMOUNTS: Final = (*COSTS, *CURRENCY_COSTS)
_OF_LINES: Final = tuple(ALLOCATED_SCHEMA.names[len(ORIGIN_SCHEMA) - 1 :])
# Billed by an account's provider, whose name in events may be one of several.
ProvidersOf = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of allocation in force, and the entries that charges follow from.

    Attributes:
        rules: Allocation rules.
        entries: Subscriptions and fleets by their kind, as sources are named, and entry_id.
    """

    rules: Sequence[DatedEntry]
    entries: Mapping[tuple[str, str], DatedEntry]

    def on(self, what: str, name: str, day: date) -> DatedEntry | None:
        """Return the rule of a pool on a day, None where there is none."""
        return next((rule for rule in self.rules if rule.key == ("pool", what, name) and rule.holds_on(day)), None)

    def cuts(self) -> frozenset[date]:
        """Return the days on which a rule begins or ends: a charge may pass through the rules of several pools."""
        return frozenset(day for rule in self.rules for day in (rule.valid_from, rule.valid_to) if day is not None)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a charge on its way to those who bear it."""

    amounts: tuple[int | None, ...]
    ratio: Fraction
    receiver: Receiver
    way: tuple[str, ...]
    split: Split


@dataclass(frozen=True, slots=True)
class Allocation:
    """Splits origin charges.

    Attributes:
        methods: Measures and places.
        rules: Rules in force.
        providers_of: Names of a provider in events, by any of its names.
        adjustments: What approvers moved.
    """

    methods: Methods
    rules: Rules
    providers_of: ProvidersOf = lambda name: (name,)
    adjustments: Adjustments = NO_ADJUSTMENTS

    def lines(self, origins: pa.Table) -> pa.Table:
        """Return the lines of charges, `ALLOCATED_SCHEMA`, shape (n_lines,).

        The lines of a charge sum to it in each cost; a cost that is not known is so in every line.

        Args:
            origins: `ORIGIN_SCHEMA`, shape (n_charges,).
        """
        places: list[int] = []
        columns: dict[str, list[Any]] = {name: [] for name in (*_AMOUNTS, "charge_id", *_OF_LINES)}
        for place, row in enumerate(origins.to_pylist()):
            origin = Origin(**row)
            amounts = tuple(None if row[name] is None else pico_of(row[name]) for name in _AMOUNTS)
            for part in self._parts(origin, amounts, Fraction(1), self._split(origin), ()):
                places.append(place)
                for name, told in _told(origin, part):
                    columns[name].append(told)
        told_once = origins.take(pa.array(places, pa.int64()))
        arrays = [
            pa.array(columns[each.name], each.type) if each.name in columns else told_once.column(each.name)
            for each in ALLOCATED_SCHEMA
        ]
        return pa.table(arrays, schema=ALLOCATED_SCHEMA)

    def _parts(
        self,
        origin: Origin,
        amounts: tuple[int | None, ...],
        ratio: Fraction,
        split: Split,
        way: tuple[str, ...],
    ) -> Iterator[_Part]:
        """Yield the parts of amounts; what goes to a platform is passed on by the platform's own rule."""
        merged: dict[tuple[Receiver, str | None], Fraction] = {}
        for share in split.shares:
            key = (share.receiver, share.platform)
            merged[key] = merged[key] + share.weight if key in merged else share.weight
        weights = whole_weights(list(merged.values()))
        total = sum(weights)
        made: dict[int | None, list[Any]] = {None: [None] * len(weights)}
        for amount in set(amounts) - {None}:
            made[amount] = largest_remainder(amount or 0, weights)
        for place, (receiver, platform) in enumerate(merged):
            mine = tuple(made[amount][place] for amount in amounts)
            share_of_all = ratio * Fraction(weights[place], total)
            if platform is None:
                yield _Part(mine, share_of_all, receiver, way, split)
            else:
                passed_on = self._of_pool(PLATFORM, platform, origin)
                yield from self._parts(origin, mine, share_of_all, passed_on, (*way, platform))

    def _split(self, origin: Origin) -> Split:
        period, kind = origin.billing_period_start, origin.charge_kind
        if kind == UNTAGGED_MOVED:
            return nobody("as it was told")
        if origin.source_kind == UNTAGGED:
            return self._of_pool("usage", UNTAGGED, origin)
        if origin.source_kind == PLATFORM:
            return self._of_pool(PLATFORM, origin.source_id, origin)
        if origin.source_kind == CONTRACT:
            return self._of_contract(origin)
        if origin.source_kind == RECONCILIATION:
            return self._of_residual(origin)
        if origin.source_kind == ADJUSTED:
            return split_of_adjustment(self.adjustments, origin)
        if origin.source_kind == ESTIMATE:
            where = Where(providers=(origin.provider or "",), models=(origin.model or "",))
            found = self.methods.by_measure("estimated usage", UNPRICED_TOKENS, where, period)
            return found or nobody("no usage without a price")
        entry = self.rules.entries[origin.source_kind, origin.reference_entry or ""]
        if origin.source_kind == FLEET:
            return self._of_fleet(origin, entry)
        if kind in {"included_usage", "subscription_overage"}:
            providers = (origin.provider or "",) if kind == "included_usage" else ()
            where = Where(providers=providers, subscription_id=origin.source_id)
            found = self.methods.by_measure("usage of the subscription", "contracted_cost", where, period)
            return found or nobody("no usage of the subscription")
        rule = self.rules.on(SUBSCRIPTION, origin.source_id, origin.first_day)
        rest = nobody("seats of nobody") if rule is None else self._by_rule(rule, origin)
        if "seats" in entry.body and (origin.charge_component == SEATS or rule is None):
            return self.methods.by_seats(entry, rest, period, origin.first_day)
        return nobody(f"no rule for subscription {origin.source_id}") if rule is None else rest

    def _of_contract(self, origin: Origin) -> Split:
        rule = self.rules.on(CONTRACT, origin.source_id, origin.first_day)
        if rule is not None:
            return self._by_rule(rule, origin)
        period = origin.corrects_period_start or origin.billing_period_start
        providers = () if origin.provider is None else self.providers_of(origin.provider)
        found = self._by_usage(providers, origin.model, period)
        return found or nobody(f"no usage of {origin.provider or 'any provider'} in the billing period")

    def _of_residual(self, origin: Origin) -> Split:
        """What an invoice says beyond its usage: of calls that nobody told of by a rule alone, else by cost."""
        if origin.charge_component == UNLOGGED:
            rule = self.rules.on("usage", "unlogged", origin.first_day)
            return nobody("calls that no event told of") if rule is None else self._by_rule(rule, origin)
        providers, period = self.providers_of(origin.source_id), origin.billing_period_start
        found = self._by_usage(providers, origin.model, period)
        return found or nobody(f"no usage of {origin.source_id} in the billing period")

    def _by_usage(self, providers: tuple[str, ...], model: str | None, period: date) -> Split | None:
        """Return the split by what usage of providers costs, of the model where it has some; None where there is none.

        What falls on usage that nobody owns is borne by those who bear that usage.
        """
        for models in ((model,), ()) if model is not None else ((),):
            where = Where(providers=providers, models=models)
            found = self.methods.by_measure("usage of the provider", "contracted_cost", where, period)
            if found is not None:
                rule = self.rules.on("usage", UNTAGGED, period)
                return found if rule is None else found.passed_on(self.methods.by_rule(rule, period, period))
        return None

    def _of_fleet(self, origin: Origin, entry: DatedEntry) -> Split:
        period, where = origin.billing_period_start, served_by(entry.body)
        if origin.charge_kind == USED:
            found = self.methods.by_measure("measured use of the fleet", measure_of(entry.body), where, period)
            return found or nobody("no use of the fleet")
        if origin.charge_kind == INTERNAL_RATE:
            mine = replace(where, providers=(origin.provider or "",))
            found = self.methods.by_measure("usage on the fleet", "contracted_cost", mine, period)
            return found or nobody("no usage on the fleet")
        rule = self.rules.on(IDLE_POOL, origin.source_id, origin.first_day)
        team = entry.body.get("idle_team")
        if rule is not None:
            return self._by_rule(rule, origin)
        if team is None:
            return nobody("idle" if origin.charge_kind == IDLE else "purchase")
        return Split(
            "idle team", "fixed", None, (Share(Fraction(1), self.methods.of_team(team, period, origin.first_day)),)
        )

    def _of_pool(self, what: str, name: str, origin: Origin) -> Split:
        rule = self.rules.on(what, name, origin.first_day)
        return nobody(f"no rule for {what} {name}") if rule is None else self._by_rule(rule, origin)

    def _by_rule(self, rule: DatedEntry, origin: Origin) -> Split:
        return self.methods.by_rule(rule, origin.billing_period_start, origin.first_day)


def _told(origin: Origin, part: _Part) -> Iterator[tuple[str, Any]]:
    """Yield what a line says that its origin does not."""
    for name, pico in zip(_AMOUNTS, part.amounts, strict=True):
        yield name, None if pico is None else decimal_of(pico)
    yield "charge_id", digest((origin.charge_id, *part.receiver, *part.way))
    yield "origin_charge_id", origin.charge_id
    yield from zip(Receiver._fields, part.receiver, strict=True)
    yield "allocated_method_id", part.split.method_id
    details = {
        "method": part.split.method,
        "driver": part.split.driver,
        "ratio": f"{part.ratio.numerator}/{part.ratio.denominator}",
        "through": list(part.way),
    }
    yield "allocated_method_details", json.dumps(details)
    yield "allocated_ratio", decimal_of(round(part.ratio * PICO))
