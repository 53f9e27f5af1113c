"""The prices of one model in time: jumps, gaps and overlaps."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from tollbook.rating.checks.finding import Finding, finding, shown, told_date
from tollbook.rating.checks.order import overlap
from tollbook.rating.model_names import is_free_variant
from tollbook.rating.prices import Price

# Price lists are cut by half, by three quarters, in a new generation by more; a factor of eight is a new model.
# What is cut by 80 % within a name (o3, 10 to 2 USD) stays below.
JUMP: Final = 8
# How near to a power of ten a factor must be: 0.59 to 0.05 is a new price, 5 to 0.50001 a slip of the point.
_NEAR: Final = 0.01
_POWER_OF_TEN: Final = 10


def check_series(prices: Sequence[Price], *, today: date, check_days: int) -> Iterator[Finding]:
    """Yield jumps, zeros, gaps and overlaps in the prices of each model, and prices that nobody has checked for long.

    Args:
        prices: Prices, in any order.
        today: Date by which a check is old.
        check_days: A check older than this is told.
    """
    series: defaultdict[tuple[Any, ...], list[Price]] = defaultdict(list)
    for price in prices:
        requests = (price.service_tier, price.above_input_tokens, price.daily_from)
        series[price.provider, price.model, *requests, price.region, price.billing_account_id].append(price)
    for members in series.values():
        members.sort(key=_since)
        yield from _jumps(members)
        yield from _vanished(members)
        yield from _overlaps(members)
        if members[0].above_input_tokens is None:
            yield from _gaps(members)
    for price in prices:
        yield from _unchecked(price, today, check_days)


def _jumps(members: Sequence[Price]) -> Iterator[Finding]:
    last: dict[str, Fraction] = {}
    for price in members:
        for key, rate in price.rates.items():
            if key in last:
                yield from _change(price, key, last[key], Fraction(rate))
            last[key] = Fraction(rate)


def _change(price: Price, key: str, before: Fraction, rate: Fraction) -> Iterator[Finding]:
    if before and rate:
        yield from _jump(price, key, before, rate)
    elif before and not is_free_variant(price.model):
        text = f"{key} fell from {shown(before, key):,f} USD to zero on {_since_when(price)}: usage of it is free since"
        yield finding("price_fell_to_zero", price, text, unit=key, expected=before)
    elif rate:
        text = f"{key} was zero and costs {shown(rate, key):,f} USD from {_since_when(price)} on"
        yield finding("price_rose_from_zero", price, text, unit=key, expected=before)


def _vanished(members: Sequence[Price]) -> Iterator[Finding]:
    """Yield rates that the price before had; a price without any rate says by that that it knows none."""
    for before, price in pairwise(members):
        for key in before.rates if price.rates else ():
            if key not in price.rates:
                text = (
                    f"{key} cost {shown(before.rates[key], key):,f} USD until {_since_when(price)}, and has no rate of "
                    "its own since"
                )
                yield finding("rate_vanished", price, text, unit=key, expected=before.rates[key])


def _jump(price: Price, key: str, before: Fraction, rate: Fraction) -> Iterator[Finding]:
    factor = rate / before if rate > before else before / rate
    if factor < JUMP - _NEAR:
        return
    power = round(math.log10(factor))
    exact = power >= 1 and abs(float(factor / _POWER_OF_TEN**power) - 1) <= _NEAR
    step = f"from {shown(before, key):,f} to {shown(rate, key):,f} USD on {_since_when(price)}"
    direction = "up" if rate > before else "down"
    if exact:
        text = f"{key} went {direction} by a factor of {_POWER_OF_TEN**power:,}, {step}: likely a slip of the point"
        yield finding("power_of_ten_jump", price, text, unit=key, expected=before)
    else:
        text = f"{key} went {direction} {float(factor):,.1f} times, {step}: one of the two is likely wrong"
        yield finding("price_jump", price, text, unit=key, expected=before)


def _overlaps(members: Sequence[Price]) -> Iterator[Finding]:
    longest = members[0]
    for price in members[1:]:
        if overlap(longest, price):
            until = told_date(longest.valid_to, otherwise="further notice")
            text = (
                f"a price since {told_date(longest.valid_from, otherwise='ever')} holds until {until}, and another "
                f"since {told_date(price.valid_from, otherwise='ever')}"
            )
            yield finding("periods_overlap", price, text)
        if longest.valid_to is not None and (price.valid_to is None or price.valid_to > longest.valid_to):
            longest = price


def _gaps(members: Sequence[Price]) -> Iterator[Finding]:
    end: datetime | None = None
    for place, price in enumerate(members):
        if place and end is not None and price.valid_from is not None and price.valid_from > end:
            text = (
                f"no price holds from {end:%Y-%m-%d} to {price.valid_from:%Y-%m-%d}, where one ends and the next begins"
            )
            yield Finding(
                code="validity_gap",
                provider=price.provider,
                model=price.model,
                message=text,
                service_tier=price.service_tier,
                valid_from=end,
                valid_to=price.valid_from,
            )
        if place == 0 or (end is not None and (price.valid_to is None or price.valid_to > end)):
            end = price.valid_to


def _unchecked(price: Price, today: date, check_days: int) -> Iterator[Finding]:
    """Yield an open price whose check is old. A price list that never says when it was checked is not asked."""
    if price.checked_on is None or price.valid_to is not None:
        return
    age = (today - date.fromisoformat(price.checked_on)).days
    if age > check_days:
        where = "" if price.source is None else f" ({price.source})"
        text = f"last compared with its source{where} on {price.checked_on}, {age} days ago"
        yield finding("not_checked_lately", price, text)


def _since_when(price: Price) -> str:
    return told_date(price.valid_from, otherwise="?")


def _since(price: Price) -> tuple[bool, float]:
    return (price.valid_from is not None, 0.0 if price.valid_from is None else price.valid_from.timestamp())
