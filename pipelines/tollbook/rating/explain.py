"""Which price is in force, and what it says: for people who ask before or after a charge."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np

from tollbook.errors import MisuseError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.daily import daily_window
from tollbook.rating.lookup import FoundModel
from tollbook.rating.money import usd
from tollbook.rating.prices import Price, time_of_day
from tollbook.rating.rated import ESTIMATED, RATED, UNPRICED
from tollbook.rating.schedule import (
    DAY_MICROSECONDS,
    SINCE_EVER,
    Indices,
    Line,
    Schedule,
    Steps,
    microseconds,
    since_midnight,
)
from tollbook.rating.units import DEFAULT_TIER
from tollbook.rating.words import words, written

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = DAY_MICROSECONDS


@dataclass(frozen=True, slots=True)
class UnitRate:
    """What one unit costs by a price.

    Attributes:
        unit: Unit of `units.yml`.
        price: List unit price of `per` units. Unit: USD, exact.
        per: Units in the amount that is priced.
        consumed_unit: FOCUS ConsumedUnit, such as `Tokens`.
        rate_key: Published rate that prices the unit; a wider one where the unit has none of its own.
    """

    unit: str
    price: Decimal
    per: int
    consumed_unit: str
    rate_key: str


@dataclass(frozen=True, slots=True)
class PriceInForce:
    """A price that is in force at an instant, for the requests it is for.

    Attributes:
        price: The price.
        basis: `rated`, `estimated` where it is only the earliest known one, or `unpriced` where it has no rates.
        valid_from: First instant of the period that it is applied to; None when there is no beginning.
        valid_to: First instant after that period; None while it is open.
        daily_from: Time of day, in UTC, from which it holds: it may be cut at midnight, and begin on the day before.
        daily_to: Time of day, in UTC, at which other rates begin; None where it holds all day.
        rates: What each unit costs; a unit without a rate is absent.
        superseded_by: `sku_price_id` of the price that takes its place at `valid_to`, where one does.
        superseded: `sku_price_id` of the price whose place it took at `valid_from`, where there was one.
        contract_author: Who wrote the contract that made it, where that is known.
        contract_reason: Why, likewise.
    """

    price: Price
    basis: str
    valid_from: datetime | None
    valid_to: datetime | None
    daily_from: time
    daily_to: time | None
    rates: tuple[UnitRate, ...]
    superseded_by: str | None = None
    superseded: str | None = None
    contract_author: str | None = None
    contract_reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the price as it is printed in JSON."""
        price = self.price
        return {
            "provider": price.provider,
            "model": price.model,
            "service_tier": price.service_tier,
            "region": price.region,
            "billing_account_id": price.billing_account_id,
            "contract_id": price.contract_id,
            "above_input_tokens": price.above_input_tokens,
            "daily_from": time_of_day(self.daily_from),
            "daily_to": None if self.daily_to is None else time_of_day(self.daily_to),
            "basis": self.basis,
            "valid_from": written(self.valid_from),
            "valid_to": written(self.valid_to),
            "sku_price_id": price.sku_price_id,
            "superseded": self.superseded,
            "superseded_by": self.superseded_by,
            "source": price.source,
            "contract_author": self.contract_author,
            "contract_reason": self.contract_reason,
            "checked_on": price.checked_on,
            "words": words(self),
            "rates": [
                {
                    "unit": rate.unit,
                    "price_usd": f"{rate.price:f}",
                    "per": rate.per,
                    "consumed_unit": rate.consumed_unit,
                    "priced_as": rate.rate_key,
                }
                for rate in self.rates
            ],
        }


def instant(text: str | None) -> datetime:
    """Return the instant that an RFC 3339 text means, in UTC; a text without a zone is UTC, None is now.

    Raises:
        MisuseError: It is no date and no time.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MisuseError(f"expected a time such as 2026-06-01T09:00:00Z, got {text!r}") from error


def prices_in_force(
    catalogue: Catalogue, model: str, at: datetime, *, provider: str | None = None, service_tier: str | None = None
) -> list[PriceInForce]:
    """Return what a model costs at an instant: every service tier and length of context.

    Args:
        catalogue: Prices.
        model: Model, as an event would name it.
        at: Instant, with a time zone.
        provider: Provider, by any of its names; None for every provider that has the model itself.
        service_tier: Service tier, by any of its names; None for every one.

    Returns:
        Prices by provider, service tier and context. Empty when the catalogue knows no such model, or no
        price of it is in force.

    Raises:
        MisuseError: There is no such service tier.
    """
    tier = None if service_tier is None else catalogue.names.service_tier(service_tier)
    if service_tier is not None and tier is None:
        raise MisuseError(
            f"expected a service tier of {', '.join(catalogue.names.tier_contexts)}, got {service_tier!r}"
        )
    wanted = list(catalogue.lookup.providers()) if provider is None else [provider]
    found = [catalogue.find(each, model) for each in wanted]
    prices: list[PriceInForce] = []
    for each in dict.fromkeys(found):
        if each is not None and (provider is not None or each.own):
            for group in _groups(catalogue, each):
                prices += _of_group(catalogue, group, at)
    return [each for each in prices if tier is None or each.price.service_tier == tier]


def book_prices_in_force(
    book: PriceBook, model: str, at: datetime, *, provider: str | None = None, service_tier: str | None = None
) -> list[PriceInForce]:
    """Return what a model costs at an instant by a book: list prices, and behind them what contracts make of them.

    A contracted price has the basis that a charge by it has: `estimated` where the list price beneath is.
    """
    listed = prices_in_force(book.list_prices, model, at, provider=provider, service_tier=service_tier)
    if book.contracted is None:
        return listed
    agreed = prices_in_force(book.contracted, model, at, provider=provider, service_tier=service_tier)
    begins = {price.sku_price_id: price.valid_from for price in reversed(book.list_prices.prices)}
    estimated = {each.price.sku_price_id for each in listed if each.basis == ESTIMATED}
    return listed + [_begun(_over(each, estimated), begins) for each in agreed if each.price.contract_id is not None]


def _over(told: PriceInForce, estimated: Collection[str]) -> PriceInForce:
    """Return a contracted price with the basis of the list price that it lies over, where it has rates at all."""
    agreement = told.price.agreement
    over_an_estimate = agreement is not None and agreement.supersedes in estimated
    return replace(told, basis=ESTIMATED) if over_an_estimate and told.basis == RATED else told


def _begun(told: PriceInForce, begins: Mapping[str, datetime | None]) -> PriceInForce:
    """Return a contracted price without neighbours that had not begun: before that they only were an estimate."""

    def had_begun(sku_price_id: str | None, at: datetime | None) -> str | None:
        since = None if sku_price_id is None else begins.get(sku_price_id)
        return sku_price_id if since is None or (at is not None and since <= at) else None

    return replace(
        told,
        superseded=had_begun(told.superseded, told.valid_from),
        superseded_by=had_begun(told.superseded_by, told.valid_to),
    )


def _groups(catalogue: Catalogue, found: FoundModel) -> list[int]:
    """Return the groups of a model by service tier, those of regions and accounts after the others."""
    tiers = list(catalogue.names.tier_contexts) if found.own else [DEFAULT_TIER]
    mine = [
        (tiers.index(tier), account or "", region or "", group)
        for (provider, model, tier, region, account), group in catalogue.schedule.groups.items()
        if (provider, model) == (found.provider, found.model) and tier in tiers
    ]
    return [group for *_, group in sorted(mine)]


def _of_group(catalogue: Catalogue, group: int, at: datetime) -> list[PriceInForce]:
    schedule = catalogue.schedule
    instant = np.array([microseconds(at)], np.int64)
    period = int(schedule.periods.find(np.array([group]), instant)[0])
    hour = int(schedule.hours.find(np.array([period]), instant, period=_DAY)[0])
    first, beyond = _same_prices(schedule, group, period)
    valid_from, valid_to = _bounds(schedule.periods, group, first, beyond)
    daily_from, daily_to = daily_window(schedule, period, hour)
    return [
        PriceInForce(
            line.price,
            UNPRICED if not line.price.rates else ESTIMATED if line.estimated else RATED,
            valid_from,
            valid_to,
            daily_from,
            daily_to,
            _rates(catalogue, line.price),
            superseded_by=_beside(schedule, group, beyond, line.price),
            superseded=_beside(schedule, group, first - 1, line.price),
        )
        for line in _lines(schedule, period, instant)
        if line.price is not None
    ]


def _lines(schedule: Schedule, period: int, instant: Indices) -> tuple[Line, ...]:
    """Return the lines of a period at an instant, by length of context."""
    hour = int(schedule.hours.find(np.array([period]), instant, period=_DAY)[0])
    return schedule.lines[schedule.contexts.offsets[hour] : schedule.contexts.offsets[hour + 1]]


def _same_prices(schedule: Schedule, group: int, period: int) -> tuple[int, int]:
    """Return the first of the periods around one that hold the same prices, and the one after the last."""
    first, beyond = period, period + 1
    told = _told(schedule, period)
    while first > schedule.periods.offsets[group] and _told(schedule, first - 1) == told:
        first -= 1
    while beyond < schedule.periods.offsets[group + 1] and _told(schedule, beyond) == told:
        beyond += 1
    return first, beyond


def _told(schedule: Schedule, period: int) -> list[tuple[str | None, bool]]:
    hours = schedule.hours.offsets[period], schedule.hours.offsets[period + 1]
    lines = schedule.lines[schedule.contexts.offsets[hours[0]] : schedule.contexts.offsets[hours[1]]]
    return [(None if line.price is None else line.price.sku_price_id, line.estimated) for line in lines]


def _beside(schedule: Schedule, group: int, period: int, price: Price) -> str | None:
    """Return which price of another period of a group is for the same time of day and context, None without one."""
    if not schedule.periods.offsets[group] <= period < schedule.periods.offsets[group + 1]:
        return None
    since = np.array([since_midnight(price.daily_from)], np.int64)
    beside = (line.price for line in _lines(schedule, period, since) if not line.estimated)
    ids = [each.sku_price_id for each in beside if each and each.above_input_tokens == price.above_input_tokens]
    return next((each for each in ids if each != price.sku_price_id), None)


def _rates(catalogue: Catalogue, price: Price) -> tuple[UnitRate, ...]:
    rates = []
    for unit in catalogue.units.all:
        key = price.key_of(unit)
        if key is not None:
            amount = usd(Fraction(price.rates[key]), per=unit.per)
            rates.append(UnitRate(unit.name, amount, unit.per, unit.consumed_unit, key))
    return tuple(rates)


def _bounds(periods: Steps, group: int, first: int, beyond: int) -> tuple[datetime | None, datetime | None]:
    start = int(periods.starts[first])
    last = beyond == int(periods.offsets[group + 1])
    return (
        None if start == SINCE_EVER else _EPOCH + timedelta(microseconds=start),
        None if last else _EPOCH + timedelta(microseconds=int(periods.starts[beyond])),
    )
