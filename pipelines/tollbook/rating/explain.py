"""Which price is in force, and what it says: for people who ask before or after a charge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np

from tollbook.errors import MisuseError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.money import usd
from tollbook.rating.prices import Price
from tollbook.rating.rated import ESTIMATED, RATED
from tollbook.rating.schedule import DAY_MICROSECONDS, SINCE_EVER, Steps, microseconds

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
        basis: `rated`, or `estimated` where it is only the earliest known one.
        valid_from: First instant of the period that it is applied to; None when there is no beginning.
        valid_to: First instant after that period; None while it is open.
        daily_to: Time of day, in UTC, at which the day's next price begins; None where it holds all day.
        rates: What each unit costs; a unit without a rate is absent.
    """

    price: Price
    basis: str
    valid_from: datetime | None
    valid_to: datetime | None
    daily_to: time | None
    rates: tuple[UnitRate, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the price as it is printed in JSON."""
        price = self.price
        return {
            "provider": price.provider,
            "model": price.model,
            "service_tier": price.service_tier,
            "above_input_tokens": price.above_input_tokens,
            "daily_from": f"{price.daily_from:%H:%M}",
            "daily_to": None if self.daily_to is None else f"{self.daily_to:%H:%M}",
            "basis": self.basis,
            "valid_from": _text(self.valid_from),
            "valid_to": _text(self.valid_to),
            "sku_price_id": price.sku_price_id,
            "source": price.source,
            "checked_on": price.checked_on,
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
    except ValueError as error:
        raise MisuseError(f"expected a time such as 2026-06-01T09:00:00Z, got {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def prices_in_force(
    catalogue: Catalogue, model: str, at: datetime, *, provider: str | None = None
) -> list[PriceInForce]:
    """Return what a model costs at an instant: every service tier and length of context.

    Args:
        catalogue: Prices.
        model: Model, as an event would name it.
        at: Instant, with a time zone.
        provider: Provider, by any of its names; None for every provider that has the model itself.

    Returns:
        Prices by provider, service tier and context. Empty when the catalogue knows no such model, or no
        price of it is in force.
    """
    lookup = catalogue.lookup
    wanted = list(lookup.providers()) if provider is None else [provider]
    found = [lookup.find(each, model) for each in wanted]
    prices: list[PriceInForce] = []
    for each in found:
        if each is None or (provider is None and not each.own):
            continue
        groups = [catalogue.group_of(each, tier) for tier in catalogue.names.tier_contexts]
        prices += [price for group in groups if group > 0 for price in _of_group(catalogue, group, at)]
    return prices


def _of_group(catalogue: Catalogue, group: int, at: datetime) -> list[PriceInForce]:
    schedule = catalogue.schedule
    instant = np.array([microseconds(at)], np.int64)
    period = schedule.periods.find(np.array([group]), instant)
    hour = schedule.hours.find(period, instant, period=DAY_MICROSECONDS)
    valid_from, valid_to = _bounds(schedule.periods, group, int(period[0]))
    first, beyond = schedule.contexts.offsets[hour[0]], schedule.contexts.offsets[hour[0] + 1]
    daily_to = _daily_to(schedule.hours, int(period[0]), int(hour[0]))
    prices = []
    for line in schedule.lines[first:beyond]:
        if line.price is not None:
            basis = ESTIMATED if line.estimated else RATED
            rates = _rates(catalogue, line.price)
            prices.append(PriceInForce(line.price, basis, valid_from, valid_to, daily_to, rates))
    return prices


def _daily_to(hours: Steps, period: int, hour: int) -> time | None:
    """Return the time of day at which the next price of a day begins, None where one holds all day."""
    first, beyond = int(hours.offsets[period]), int(hours.offsets[period + 1])
    if beyond - first == 1:
        return None
    following = hour + 1 if hour + 1 < beyond else first
    return (_EPOCH + timedelta(microseconds=int(hours.starts[following]))).time()


def _rates(catalogue: Catalogue, price: Price) -> tuple[UnitRate, ...]:
    rates = []
    for unit in catalogue.units.all:
        key = unit.priced_as(price.rates)
        if key is not None:
            amount = usd(Fraction(price.rates[key]), per=unit.per)
            rates.append(UnitRate(unit.name, amount, unit.per, unit.consumed_unit, key))
    return tuple(rates)


def _bounds(periods: Steps, group: int, period: int) -> tuple[datetime | None, datetime | None]:
    start = int(periods.starts[period])
    last = period + 1 == int(periods.offsets[group + 1])
    return (
        None if start == SINCE_EVER else _EPOCH + timedelta(microseconds=start),
        None if last else _EPOCH + timedelta(microseconds=int(periods.starts[period + 1])),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
