"""Methods of allocation: who bears a charge, and with which weight. Weights are exact; nothing is split here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tollbook.chargeback.places import Places
from tollbook.chargeback.usage_lines import NOBODY, UNALLOCATED, Receiver, UsageLines, Where
from tollbook.reference.dated.checks.hierarchy import COST_CENTER, TEAM
from tollbook.reference.dated.entries import Body, DatedEntry


@dataclass(frozen=True, slots=True)
class Share:
    """A weight, and who has it: a receiver, or a platform that passes it on."""

    weight: Fraction
    receiver: Receiver = NOBODY
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """How a charge is split.

    Attributes:
        method_id: Entry of the rule, or the name of a method that needs none.
        method: What it does: `even`, `fixed`, `proportional`, `tiered`, `seats`, `measured` or `unallocated`.
        driver: What was measured, None for methods that measure nothing.
        shares: Weights, which are not all zero.
    """

    method_id: str
    method: str
    driver: str | None
    shares: tuple[Share, ...]

    def passed_on(self, split: Split) -> Split:
        """Return the split in which what falls on usage that nobody owns is split as another says, and named so."""
        if all(share.platform is not None or share.receiver.team != UNALLOCATED for share in self.shares):
            return self
        shares: list[Share] = []
        total = sum((each.weight for each in split.shares), Fraction(0))
        for share in self.shares:
            if share.platform is not None or share.receiver.team != UNALLOCATED:
                shares.append(share)
            else:
                shares += [replace(each, weight=share.weight * each.weight / total) for each in split.shares]
        return replace(self, method_id=f"{self.method_id}, untagged by {split.method_id}", shares=tuple(shares))


def nobody(reason: str) -> Split:
    """Return the split of what cannot be placed: it stays visible as `unallocated`, with the reason."""
    return Split(reason, UNALLOCATED, None, (Share(Fraction(1)),))


@dataclass(frozen=True, slots=True)
class Methods:
    """Applies methods.

    Attributes:
        usage: Usage of billing periods.
        places: The hierarchy.
    """

    usage: UsageLines
    places: Places

    def by_rule(self, rule: DatedEntry, period: date, day: date) -> Split:
        """Return how a rule splits a charge of a billing period; to nobody where nothing was measured."""
        body = rule.body
        if body["method"] == "fixed":
            shares = tuple(self._fixed(each, period, day) for each in body["shares"])
            return Split(rule.entry_id, "fixed", None, shares)
        if body["method"] == "even":
            teams = body.get("receivers") or self._teams(Where.of(body.get("measured", {}), owned=True), period)
            shares = tuple(Share(Fraction(1), self.of_team(team, period, day)) for team in sorted(teams))
            return Split(rule.entry_id, "even", None, shares) if shares else nobody(f"{rule.entry_id}: no team used it")
        where = Where.of(body.get("measured", {}), receivers=tuple(body.get("receivers", ())), owned=True)
        measured = self.usage.by_receiver(body["driver"], where).get(period, {})
        weights = _tiered(measured, body) if body["method"] == "tiered" else _plain(measured)
        shares = tuple(Share(weight, receiver) for receiver, weight in sorted(weights.items()) if weight)
        if not shares:
            return nobody(f"{rule.entry_id}: no {body['driver']} measured")
        return Split(rule.entry_id, body["method"], body["driver"], shares)

    def by_measure(self, method_id: str, measure: str, where: Where, period: date) -> Split | None:
        """Return the split in proportion to a measure of usage, whoever owns it; None where there is none."""
        measured = self.usage.by_receiver(measure, where).get(period, {})
        shares = tuple(Share(Fraction(amount), receiver) for receiver, amount in sorted(measured.items()))
        return Split(method_id, "measured", measure, _told_as_nobody(shares)) if shares else None

    def by_seats(self, entry: DatedEntry, rest: Split, period: date, day: date) -> Split:
        """Return the split of a fee by seats given out; what nobody has is split as `rest` says."""
        seats = entry.body["seats"]
        shares = [
            Share(Fraction(each["seats"]), self.of_team(each["team"], period, day, each.get("workflow")))
            for each in seats.get("assigned", ())
        ]
        left = Fraction(seats["purchased"] - sum(each["seats"] for each in seats.get("assigned", ())))
        if left:
            total = sum((each.weight for each in rest.shares), Fraction(0))
            shares += [Share(left * each.weight / total, each.receiver, each.platform) for each in rest.shares]
        return Split("seats", "seats", None, tuple(shares))

    def of_team(self, team: str, period: date, day: date, workflow: str | None = None) -> Receiver:
        """Return a team as a receiver, where the hierarchy places it on a day; else where most of its calls stand."""
        cost_center = self.places.parent(TEAM, team, day)
        usual = self.usage.usual_place(team, period)
        unit = self.places.parent(COST_CENTER, cost_center or usual[0], day)
        if cost_center is None:
            return Receiver(team, usual[0], unit or usual[1], workflow or UNALLOCATED)
        return Receiver(team, cost_center, unit or UNALLOCATED, workflow or UNALLOCATED)

    def _fixed(self, told: Body, period: date, day: date) -> Share:
        if "platform" in told:
            return Share(Fraction(told["ratio"]), platform=told["platform"])
        return Share(Fraction(told["ratio"]), self.of_team(told["team"], period, day, told.get("workflow")))

    def _teams(self, where: Where, period: date) -> Iterable[str]:
        return {receiver.team for receiver in self.usage.by_receiver("calls", where).get(period, {})}


def _told_as_nobody(shares: Sequence[Share]) -> tuple[Share, ...]:
    """Return shares with those of usage that nobody owns as one."""
    owned = [share for share in shares if share.receiver.team != UNALLOCATED]
    rest = sum((share.weight for share in shares if share.receiver.team == UNALLOCATED), Fraction(0))
    return (*owned, Share(rest)) if rest else tuple(owned)


def _plain(measured: Mapping[Receiver, int]) -> dict[Receiver, Fraction]:
    return {receiver: Fraction(amount) for receiver, amount in measured.items()}


def _tiered(measured: Mapping[Receiver, int], body: Body) -> dict[Receiver, Fraction]:
    """Return weights by tiers of what a team has in all, spread over its workflows in proportion."""
    scale = 10**12 if body["driver"] in {"list_cost", "contracted_cost", "accelerator_seconds"} else 1
    teams: defaultdict[str, int] = defaultdict(int)
    for receiver, amount in measured.items():
        teams[receiver.team] += amount
    weights = {team: _graduated(Fraction(amount, scale), body["tiers"]) for team, amount in teams.items()}
    return {
        receiver: weights[receiver.team] * Fraction(amount, teams[receiver.team])
        for receiver, amount in measured.items()
    }


def _graduated(quantity: Fraction, tiers: Sequence[Mapping[str, Any]]) -> Fraction:
    """Return the weight of a quantity, of which each tier weighs what lies in it."""
    weight = Fraction(0)
    for tier, following in pairwise([*tiers, None]):
        if tier is not None:
            start = Fraction(tier["from"])
            end = quantity if following is None else min(quantity, Fraction(following["from"]))
            weight += max(Fraction(0), end - start) * Fraction(tier["weight"])
    return weight
