"""Quantities and unit prices of a charge, so that a unit price times the quantity is the cost."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from tollbook.chargeback.statement_lines import Row

TOKENS: Final = "Tokens"
REQUESTS: Final = "Requests"
UNITS: Final = "Units"
USED_BY_CALLS: Final = "usage"
"""Kind of the charges that calls bear by themselves."""
_PRICED: Final = {TOKENS: ("1000000 Tokens", Decimal("0.000001")), REQUESTS: (REQUESTS, Decimal(1))}
_PRICE_DIGITS: Final = Decimal("1e-18")
_EXACT: Final = Context(prec=76, rounding=ROUND_HALF_EVEN)


def consumed(charge: Row) -> tuple[Decimal, str]:
    """Return what a charge of usage consumed, and its unit.

    Only usage that calls made has tokens or requests: what is charged besides, such as the usage that a plan covers, is
    about the same tokens again.
    """
    if charge["charge_kind"] != USED_BY_CALLS:
        return Decimal(1), UNITS
    if charge["total_tokens"]:
        return Decimal(charge["total_tokens"]), TOKENS
    return Decimal(charge["calls"]), REQUESTS


def priced(
    quantity: Decimal, unit: str, costs: tuple[Decimal, Decimal]
) -> tuple[Decimal, str, tuple[Decimal, Decimal]]:
    """Return the pricing quantity of costs, its unit, and list and contracted unit price, none of which is below zero.

    Where no unit price of the consumed quantity makes the costs, as of a correction that changes a price and no
    quantity, it is one unit at the cost.

    Args:
        quantity: Consumed quantity.
        unit: Its unit.
        costs: List and contracted cost, none above zero where the other is below.

    Returns:
        Unit prices have 18 digits: their product with the quantity is the cost within half a millionth of a millionth.
    """
    sign = next((1 if cost > 0 else -1 for cost in costs if cost), 1)
    told = _PRICED.get(unit)
    if told is not None and quantity * sign > 0:
        pricing_unit, per = told
        amount = quantity * per
        prices = [_EXACT.quantize(_EXACT.divide(cost, amount), _PRICE_DIGITS) for cost in costs]
        return amount, pricing_unit, (prices[0], prices[1])
    return Decimal(sign), UNITS, (abs(costs[0]), abs(costs[1]))


def before_conversion(price: Decimal, exchange_rate: Decimal | None) -> Decimal | None:
    """Return a unit price in the currency it was agreed in, None where what that is worth is not known.

    Args:
        price: Unit price in the billing currency.
        exchange_rate: Price of one unit of the pricing currency in the billing currency.
    """
    if not price:
        return price
    return None if exchange_rate is None else _EXACT.quantize(_EXACT.divide(price, exchange_rate), _PRICE_DIGITS)
