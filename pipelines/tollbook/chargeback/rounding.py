"""Amounts in a currency's minor unit that sum to the rounded whole: largest remainder on what flooring leaves over.

`chargeback.remainder` splits one amount by weights. Here every part has an exact amount of its own, of either sign, and
stays within one minor unit of it, however much parts of opposite signs cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Final

PICO_DIGITS: Final = 12
_EXACT: Final = Context(prec=80)
_USUAL_DIGITS: Final = 2
# Source: ISO 4217, minor units; every other currency has two digits.
_DIGITS_BY_CODES: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_OTHER_DIGITS: Final = {code: digits for digits, codes in _DIGITS_BY_CODES.items() for code in codes.split()}


def minor_digits(currency: str) -> int:
    """Return how many digits a currency has behind the point, by ISO 4217."""
    return _OTHER_DIGITS.get(currency, _USUAL_DIGITS)


def pico_per_minor_unit(currency: str) -> int:
    """Return how many millionths of a millionth of a currency its minor unit is."""
    return int(10 ** (PICO_DIGITS - minor_digits(currency)))


def to_pico(amount: Decimal) -> int:
    """Return an amount of at most 12 digits behind the point as an integer. Unit: a millionth of a millionth."""
    return int(_EXACT.scaleb(amount, PICO_DIGITS))


def from_minor(units: int, currency: str) -> Decimal:
    """Return an amount of whole minor units in the currency, with all digits of its minor unit."""
    return _EXACT.scaleb(Decimal(units), -minor_digits(currency))


def round_half_even(amount: int, unit: int) -> int:
    """Return how many units an amount is, a half to the even.

    Args:
        amount: What is rounded, of either sign.
        unit: Size of a unit, above zero.
    """
    units, rest = divmod(amount, unit)
    up = 2 * rest > unit or (2 * rest == unit and units % 2 == 1)
    return units + 1 if up else units


def rounded_parts(amounts: Sequence[int], total: int, unit: int) -> list[int]:
    """Return each amount in whole units, so that they sum to the total; the first of equals gets what is left over.

    Args:
        amounts: Exact amounts of either sign, shape (n_parts,).
        total: What the parts sum to: the sum of the amounts in units, rounded down or up. Unit: `unit`.
        unit: Size of a unit, above zero.

    Returns:
        Shape (n_parts,), each within one unit of its amount; one of whole units is not changed.

    Raises:
        ValueError: The total is no rounding of the sum.
    """
    shares = [divmod(amount, unit) for amount in amounts]
    parts = [part for part, _ in shares]
    left = total - sum(parts)
    if abs(total * unit - sum(amounts)) >= unit:
        raise ValueError(f"expected a total that rounds {sum(amounts)} to units of {unit}, got {total}")
    by_rest = sorted(range(len(shares)), key=lambda place: (-shares[place][1], place))
    for place in by_rest[:left]:
        parts[place] += 1
    return parts
