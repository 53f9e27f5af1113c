"""What usage costs under the terms of a plan: a fee, usage that it covers, and prices of usage beyond, in tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

PICO: Final = 10**12
SPEND, TOKENS, CREDITS, ALL = "spend", "tokens", "credits", "all"
_PER_TOKENS: Final = 10**6
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one who uses a plan, in one billing period.

    Attributes:
        list_cost: What it costs at list prices, None where no call has a known price. Unit: pico-USD.
        tokens: Tokens of all calls. Unit: Tokens.
    """

    list_cost: int | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Tier:
    """A price of usage beyond what a plan covers.

    Attributes:
        up_to: First quantity beyond at which it no longer holds; None for the last tier.
        price: USD for one unit.
    """

    up_to: Fraction | None
    price: Fraction


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of a plan.

    Attributes:
        fee: Fee of one seat for a billing period. Unit: pico-USD.
        minimum_seats: Seats that are paid for whenever one is; 1 where there is no such rule.
        unit: What is counted of usage: `spend` (USD of list cost), `tokens`, `credits`, or `all` that is covered.
        covered: How much of it is covered, by the fee of a seat where there is one.
        credit_value: USD of list cost that one credit pays for.
        tiers: Prices of what is beyond, in order; none where it costs its list cost.
    """

    fee: int
    minimum_seats: int = 1
    unit: str = SPEND
    covered: Fraction = Fraction(0)
    credit_value: Fraction = Fraction(1)
    tiers: tuple[Tier, ...] = ()

    def used(self, usage: Usage) -> Fraction | None:
        """Return how much usage is in the unit that is counted; None where that is not known."""
        if self.unit in {TOKENS, ALL}:
            return Fraction(usage.tokens)
        if usage.list_cost is None:
            return None
        return Fraction(usage.list_cost, PICO) / (self.credit_value if self.unit == CREDITS else 1)

    def beyond(self, usage: Usage) -> int | None:
        """Return what usage costs beside the fee, rounded half-even once; None where unknown. Unit: pico-USD."""
        if self.unit == ALL:
            return 0
        used = self.used(usage)
        if used is None:
            return None
        left = max(Fraction(0), used - self.covered)
        if not left:
            return 0
        if self.tiers:
            return round(tiered(left, self.tiers) * PICO / (_PER_TOKENS if self.unit == TOKENS else 1))
        return None if usage.list_cost is None else round(usage.list_cost * left / used)


def tiered(quantity: Fraction, tiers: Sequence[Tier]) -> Fraction:
    """Return what a quantity costs where each part of it has the price of the tier that it lies in."""
    cost, begin = Fraction(0), Fraction(0)
    for tier in tiers:
        end = quantity if tier.up_to is None else min(quantity, tier.up_to)
        if end > begin:
            cost += (end - begin) * tier.price
            begin = end
    return cost


def terms_of_offer(body: Mapping[str, Any], usd: Fraction) -> Terms:
    """Return the terms of a plan that is on offer.

    Args:
        body: An entry of `schemas/documents/plan_offers.schema.json`.
        usd: USD for one unit of its currency.
    """
    fee = Fraction(body["fee"]) / (_MONTHS if body["per"] == "year" else 1)
    return Terms(
        fee=round(fee * usd * PICO),
        minimum_seats=body.get("minimum_seats", 1),
        **_covered(body.get("included", {})),
        tiers=_tiers(body.get("overage", {}), usd),
    )


def terms_of_subscription(body: Mapping[str, Any], usd: Fraction) -> Terms:
    """Return what a subscription says of usage, without its fees, which are charged by days, and what they cover.

    Args:
        body: An entry of `schemas/documents/subscriptions.schema.json`.
        usd: USD for one unit of its currency.
    """
    told = _covered(body.get("included", {})) | {"covered": Fraction(0)}
    return Terms(fee=0, **told, tiers=_tiers(body.get("overage", {}), usd))


def _covered(included: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "unit": included.get("unit", SPEND),
        "covered": Fraction(included.get("quantity", 0)),
        "credit_value": Fraction(included.get("credit_value", 1)),
    }


def _tiers(overage: Mapping[str, Any], usd: Fraction) -> tuple[Tier, ...]:
    if "price" in overage:
        return (Tier(None, Fraction(overage["price"]) * usd),)
    return tuple(
        Tier(Fraction(each["up_to"]) if "up_to" in each else None, Fraction(each["price"]) * usd)
        for each in overage.get("tiers", ())
    )
