"""What seats and flat plans are worth: usage at API prices against fees, by person, and what another plan would cost.

Amounts are whole pico-USD. Fees are attributed so that persons and what nobody uses sum to them; usage under a plan is
held against the plan's own terms and against plans on offer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import decimal_of, money
from tollbook.chargeback.remainder import largest_remainder
from tollbook.insight.concentration import Concentration, lorenz_shares
from tollbook.insight.plan_mix import Choice, cheapest_mix
from tollbook.insight.plan_terms import PICO, Terms, Usage

UNKNOWN: Final = "unknown"
"""Person of calls that name none."""
UNUSED: Final = "unallocated"
"""Bears the fees of seats that nobody used, and of plans without usage."""

_COST: Final = pa.decimal128(38, 12)
_RATIO: Final = pa.decimal128(38, 12)
_KEY: Final = [("billing_period_start", pa.date32()), ("subscription_id", pa.string())]

PERSONS_SCHEMA: Final = pa.schema(
    [
        *_KEY,
        ("person", pa.string()),
        *((name, pa.int64()) for name in ("calls", "unpriced_calls", "unpriced_tokens", "total_tokens")),
        ("list_cost", _COST),
    ]
)
"""Usage under subscriptions, one row for each billing period, subscription and person."""

FEES_SCHEMA: Final = pa.schema([*_KEY, ("seats_cost", _COST), ("fee_cost", _COST)])
"""Fees of subscriptions, one row for each billing period and subscription; null where they are not known in USD."""

SUBSIDIES_SCHEMA: Final = pa.schema(
    [
        *PERSONS_SCHEMA,
        ("vendor", pa.string()),
        ("plan", pa.string()),
        *((name, _COST) for name in ("fee_cost", "own_terms_cost", "cheapest_cost")),
        ("cheapest_plan", pa.string()),
        ("subsidy_multiple", _RATIO),
        ("usage_rank", pa.int64()),
        *((name, _RATIO) for name in ("usage_share", "lorenz_persons", "lorenz_usage")),
        ("persons", pa.int64()),
        *((name, _RATIO) for name in ("seats", "unused_seats")),
        *((name, _COST) for name in ("plan_list_cost", "plan_fee_cost")),
        *((name, _RATIO) for name in ("plan_multiple", "gini", "top_1_percent_share", "top_10_percent_share")),
        ("offer_id", pa.string()),
        *((name, pa.int64()) for name in ("offer_persons", "offer_seats")),
        *((name, _COST) for name in ("offer_mix_cost", "offer_uniform_cost")),
    ]
)
"""Persons under plans; and, where `offer_id` is told and no person is, plans on offer in their cheapest mix."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan on offer.

    Attributes:
        plan_id: Its name.
        terms: What it costs a person.
        replaces: Subscriptions that it could take the place of; None for every one.
    """

    plan_id: str
    terms: Terms
    replaces: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What reference data say of a subscription in a billing period.

    Attributes:
        vendor: Who bills it.
        plan: Its name.
        seats: Seats paid for, on average over the days that it was in force; None where it has none.
        terms: What it says of usage, without fees, with what it covers in all; None where its prices have no exchange
            rate.
    """

    vendor: str
    plan: str
    seats: Fraction | None
    terms: Terms | None


@dataclass(slots=True)
class _Person:
    """One row in the making; costs in pico-USD."""

    body: dict[str, Any]
    usage: Usage
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        return bool(self.body["person"] != UNKNOWN)


def subsidies(
    persons: pa.Table,
    fees: pa.Table,
    plans: Mapping[tuple[date, str], Plan],
    offers: Mapping[date, Sequence[Offer]],
) -> pa.Table:
    """Return what plans are worth to those who use them.

    Args:
        persons: `PERSONS_SCHEMA`, shape (n_persons,).
        fees: `FEES_SCHEMA`, shape (n_fees,).
        plans: What is known of subscriptions, by first day of the billing period and name.
        offers: Plans on offer, by first day of the billing period, in the order in which equals are taken.

    Returns:
        `SUBSIDIES_SCHEMA`. Fees of the rows of a subscription and period sum to the plan's, exactly.
    """
    used: dict[tuple[date, str], list[_Person]] = {}
    for row in persons.to_pylist():
        listed = None if row["list_cost"] is None else _pico(row["list_cost"])
        used.setdefault((row["billing_period_start"], row["subscription_id"]), []).append(
            _Person(row, Usage(listed, row["total_tokens"] or 0))
        )
    paid = {(row["billing_period_start"], row["subscription_id"]): row for row in fees.to_pylist()}
    rows = [
        row
        for key in sorted({*used, *paid})
        for row in _subscription(key, used.get(key, []), paid.get(key), plans.get(key), offers.get(key[0], ()))
    ]
    return pa.Table.from_pylist(rows, schema=SUBSIDIES_SCHEMA)


def _subscription(
    key: tuple[date, str],
    persons: list[_Person],
    paid: Mapping[str, Any] | None,
    plan: Plan | None,
    offers: Sequence[Offer],
) -> Iterator[dict[str, Any]]:
    persons.sort(key=lambda each: (each.usage.list_cost or 0, each.body["person"]))
    known = [each for each in persons if each.is_known]
    of_plan = {"billing_period_start": key[0], "subscription_id": key[1]}
    of_plan |= {} if plan is None else {"vendor": plan.vendor, "plan": plan.plan}
    unused = _attribute(persons, known, paid, None if plan is None else plan.seats)
    of_plan |= _of_plan(persons, known, paid, plan)
    _rank(known)
    _own_terms(persons, plan)
    yield from _with_offers(persons, known, [each for each in offers if _could_be(each, key[1])], of_plan)
    if unused or not persons:
        nothing = dict.fromkeys(("calls", "unpriced_calls", "unpriced_tokens", "total_tokens"), 0)
        fee = None if unused is None else decimal_of(unused)
        yield of_plan | nothing | {"person": UNUSED, "fee_cost": fee, "own_terms_cost": fee}


def _could_be(offer: Offer, subscription: str) -> bool:
    return offer.replaces is None or subscription in offer.replaces


def _attribute(
    persons: list[_Person], known: list[_Person], paid: Mapping[str, Any] | None, seats: Fraction | None
) -> int | None:
    """Give fees to persons; return what nobody bears, None where that is not known. Unit: pico-USD."""
    if paid is None:
        return 0
    if paid["seats_cost"] is None or paid["fee_cost"] is None:
        return None
    fees = dict.fromkeys(range(len(persons)), 0)
    free = max(Fraction(0), (seats or Fraction(len(known))) - len(known))
    by_seat: list[Fraction | int] = [*(int(each.is_known) for each in persons), free]
    by_usage: list[Fraction | int] = [*(max(0, each.usage.list_cost or 0) for each in persons), 0]
    left = 0
    for amount, weights in ((_pico(paid["seats_cost"]), by_seat), (_pico(paid["fee_cost"]), by_usage)):
        if not any(weights):
            left += amount
            continue
        *parts, nobody = largest_remainder(amount, weights)
        left += nobody
        for place, part in enumerate(parts):
            fees[place] += part
    for place, each in enumerate(persons):
        fee = fees[place]
        each.told["fee_cost"] = decimal_of(fee)
        if fee > 0 and each.usage.list_cost is not None:
            each.told["subsidy_multiple"] = money(Fraction(each.usage.list_cost, fee))
    return left


def _of_plan(
    persons: list[_Person], known: list[_Person], paid: Mapping[str, Any] | None, plan: Plan | None
) -> dict[str, Any]:
    listed = [each.usage.list_cost for each in persons if each.usage.list_cost is not None]
    whole = sum(listed) if listed else None
    fee = None
    if paid is not None and paid["seats_cost"] is not None and paid["fee_cost"] is not None:
        fee = _pico(paid["seats_cost"]) + _pico(paid["fee_cost"])
    seats = None if plan is None else plan.seats
    spread = Concentration.of(max(0, each.usage.list_cost) for each in known if each.usage.list_cost is not None)
    return {
        "persons": len(known),
        "seats": _ratio(seats),
        "unused_seats": None if seats is None else _ratio(max(Fraction(0), seats - len(known))),
        "plan_list_cost": None if whole is None else decimal_of(whole),
        "plan_fee_cost": None if fee is None else decimal_of(fee),
        "plan_multiple": None if whole is None or not fee else _ratio(Fraction(whole, fee)),
        "gini": _ratio(spread.gini()),
        "top_1_percent_share": _ratio(spread.share_of_top(1)),
        "top_10_percent_share": _ratio(spread.share_of_top(10)),
    }


def _rank(known: list[_Person]) -> None:
    """Tell persons whose usage has a known cost where they stand; they come in ascending order of it."""
    priced = [each for each in known if each.usage.list_cost is not None]
    amounts = [max(0, each.usage.list_cost or 0) for each in priced]
    if not any(amounts):
        return
    whole = sum(amounts)
    for place, (each, amount, share) in enumerate(zip(priced, amounts, lorenz_shares(amounts), strict=True), start=1):
        each.told |= {
            "usage_rank": len(priced) - place + 1,
            "usage_share": _ratio(Fraction(amount, whole)),
            "lorenz_persons": _ratio(Fraction(place, len(priced))),
            "lorenz_usage": _ratio(share),
        }


def _own_terms(persons: list[_Person], plan: Plan | None) -> None:
    """Add what usage costs by the subscription's own terms: what is covered is of all together, as it is charged."""
    if plan is None or plan.terms is None:
        return
    listed = [each.usage.list_cost for each in persons if each.usage.list_cost is not None]
    together = Usage(sum(listed) if listed else None, sum(each.usage.tokens for each in persons))
    beyond = plan.terms.beyond(together)
    weights = [max(Fraction(0), plan.terms.used(each.usage) or Fraction(0)) for each in persons]
    parts = [0] * len(persons) if not any(weights) else largest_remainder(beyond or 0, weights)
    for each, part in zip(persons, parts, strict=True):
        fee = each.told.get("fee_cost")
        if beyond is not None and fee is not None and plan.terms.used(each.usage) is not None:
            each.told["own_terms_cost"] = fee + decimal_of(part)


def _with_offers(
    persons: list[_Person], known: list[_Person], offers: Sequence[Offer], of_plan: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield persons with the plan that is theirs in the cheapest mix, and the plans of the mix."""
    priced = [each for each in known if each.usage.list_cost is not None]
    choices = [_choice(offer, priced) for offer in offers]
    if choices and priced:
        mix = cheapest_mix(choices)
        for person, (each, place) in enumerate(zip(priced, mix, strict=True)):
            cost = choices[place].fee + choices[place].usage_costs[person]
            each.told |= {"cheapest_plan": offers[place].plan_id, "cheapest_cost": decimal_of(cost)}
        for place, (offer, choice) in enumerate(zip(offers, choices, strict=True)):
            on_it = [person for person, plan in enumerate(mix) if plan == place]
            yield of_plan | {
                "offer_id": offer.plan_id,
                "offer_persons": len(on_it),
                "offer_seats": choice.seats_for(len(on_it)),
                "offer_mix_cost": decimal_of(choice.cost_of(on_it)),
                "offer_uniform_cost": decimal_of(choice.uniform_cost()),
            }
    for each in persons:
        yield each.body | of_plan | each.told


def _choice(offer: Offer, priced: Sequence[_Person]) -> Choice:
    costs = [offer.terms.beyond(each.usage) or 0 for each in priced]
    return Choice(offer.terms.fee, offer.terms.minimum_seats, costs)


def _pico(amount: Any) -> int:
    return int(Fraction(amount) * PICO)


def _ratio(value: Fraction | None) -> Any:
    return None if value is None else money(value)
