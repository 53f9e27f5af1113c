"""Entries of inference paths as what they say of a billing period, with amounts as exact fractions.

Their shapes are those of `schemas/documents/inference_paths.schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any, Final

from tollbook.insight.path_offers import (
    FLEET,
    METERED,
    NO_EXCHANGE_RATE,
    NO_FLEET_COST,
    OWNED,
    RENTED,
    Assumptions,
    Figure,
    Instance,
    PathOffer,
    Residency,
    TokenPrices,
    Workload,
)
from tollbook.insight.path_running import Owned

_PER_TOKENS: Final = 10**6
_SECONDS_PER_HOUR: Final = 3600


def offer_of(
    body: Mapping[str, Any], usd: Fraction | None, period_seconds: Fraction, fleet: tuple[Fraction, Fraction] | None
) -> PathOffer:
    """Return an offer with its cost in a billing period.

    Args:
        body: An `offer` of the schema.
        usd: USD for one unit of its currency; None where there is no exchange rate.
        period_seconds: How long the billing period is. Unit: Seconds.
        fleet: Cost of its fleet in the period in USD, and the fleet's devices; None where either is not known.
    """
    kind = next(each for each in (METERED, RENTED, OWNED, FLEET) if each in body)
    return PathOffer(
        offer_id=body["offer_id"],
        path=body["path"],
        kind=kind,
        vendor=body["vendor"],
        region=body.get("region"),
        instance_name=body.get("instance"),
        source=body["source"],
        observed_on=date.fromisoformat(body["observed_on"]),
        terms=_terms(body, kind, usd, period_seconds, fleet),
    )


def figure_of(body: Mapping[str, Any]) -> Figure:
    """Return a figure of throughput from a `throughput` of the schema."""
    told = body.get("input_tokens_per_second")
    return Figure(
        figure_id=body["figure_id"],
        model=body["model"],
        accelerator=body["accelerator"],
        accelerators=body["accelerators"],
        output_rate=Fraction(body["output_tokens_per_second"]),
        input_rate=None if told is None else Fraction(told),
        basis=body["basis"],
        source=body["source"],
        observed_on=date.fromisoformat(body["observed_on"]),
    )


def workload_of(body: Mapping[str, Any]) -> Workload:
    """Return a workload from a `workload` of the schema."""
    return Workload(
        name=body["workload"],
        model=body.get("model"),
        hostable=body.get("hostable", True),
        utilisation=_share(body.get("utilisation")),
        minimum_instances=body.get("minimum_instances", 1),
    )


def residency_of(body: Mapping[str, Any]) -> Residency:
    """Return a rule from a `residency` of the schema."""
    return Residency(
        data_class=body["data_class"],
        paths=frozenset(body["paths"]) if "paths" in body else None,
        regions=tuple(body["regions"]) if "regions" in body else None,
    )


def assumptions_of(body: Mapping[str, Any]) -> Assumptions:
    """Return what is assumed from `assumptions` of the schema."""
    return Assumptions(
        utilisation=_share(body.get("utilisation")),
        api_price_decline=_share(body.get("api_price_decline_per_year")),
        life_months=body.get("hardware_life_months"),
    )


def _terms(
    body: Mapping[str, Any],
    kind: str,
    usd: Fraction | None,
    period_seconds: Fraction,
    fleet: tuple[Fraction, Fraction] | None,
) -> TokenPrices | Instance | str:
    if kind == FLEET:
        if fleet is None:
            return NO_FLEET_COST
        cost, devices = fleet
        count = body["accelerators"]
        return Instance(body["accelerator"], count, cost * count / devices, at_hand=int(devices // count))
    if usd is None:
        return NO_EXCHANGE_RATE
    told = body[kind]
    if kind == METERED:
        prices = {name: Fraction(told[name]) * usd / _PER_TOKENS for name in told if name != "model"}
        return TokenPrices(
            model=told["model"],
            input=prices["input"],
            cache_read=prices.get("cache_read", prices["input"]),
            cache_write=prices.get("cache_write", prices["input"]),
            output=prices["output"],
        )
    if kind == RENTED:
        rent = Fraction(told["hourly_rate"]) * usd * period_seconds / _SECONDS_PER_HOUR
        return Instance(body["accelerator"], body["accelerators"], rent)
    owned = Owned(
        purchase_price=Fraction(told["purchase_price"]) * usd,
        residual_value=Fraction(told.get("residual_value", 0)) * usd,
        life_months=told["useful_life_months"],
        running_cost=sum((Fraction(each["amount"]) * usd for each in told.get("running", ())), Fraction(0)),
    )
    return Instance(body["accelerator"], body["accelerators"], owned.period_cost(), owned)


def _share(told: str | None) -> Fraction | None:
    return None if told is None else Fraction(told)
