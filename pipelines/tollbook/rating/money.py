"""Money as integers: pico-USD in int64, and how they become decimals."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

PICO_PER_USD: Final = 10**12
# decimal128(18, 12), the type of a cost in the lake, holds no more than this.
MAX_COST_PICO_USD: Final = 10**18 - 1
_INT64_SAFE: Final = 2.0**62
_EXACT = Context(prec=60)

Integers = npt.NDArray[Any]


def pico_to_decimal(pico_usd: pa.Array) -> pa.Array:
    """Return pico-USD as decimal128(18, 12) USD, nulls kept, in the time of one cast.

    Args:
        pico_usd: int64 of shape (n,), sliced or not. Unit: pico-USD.

    Returns:
        decimal128(18, 12) of shape (n,). Unit: USD.

    Raises:
        ValueError: An amount has more than 18 digits; nothing is cut off silently.
    """
    bounds = pc.min_max(pico_usd).as_py()
    if bounds["max"] is not None and max(bounds["max"], -bounds["min"]) > MAX_COST_PICO_USD:
        raise ValueError(f"expected amounts of up to {MAX_COST_PICO_USD} pico-USD, got {bounds}")
    # The digits of an integer are those of the decimal; only the type's scale differs.
    return pico_usd.cast(pa.decimal128(19, 0)).view(pa.decimal128(18, 12))


def usd(pico_usd: Fraction, *, per: int = 1) -> Decimal:
    """Return the price of `per` units in USD as an exact decimal.

    Args:
        pico_usd: Price of one unit. Unit: pico-USD.
        per: Units in the amount that is priced.
    """
    exact = pico_usd * per / PICO_PER_USD
    quotient = _EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator)).normalize(_EXACT)
    return quotient.quantize(Decimal(1)) if quotient == quotient.to_integral_value() else quotient


def multiply_half_even(count: Integers, whole: Integers, numerator: Integers, denominator: Integers) -> Integers:
    """Return `count x (whole + numerator / denominator)`, rounded half-even to whole pico-USD.

    Args:
        count: Quantities of shape (n,), zero or more; int64, or Python integers in an object array.
        whole: Whole pico-USD of each rate, shape (n,), such that the product fits the type.
        numerator: What is left of each rate, shape (n,), at least 0 and below `denominator`.
        denominator: Shape (n,), 1 or more.
    """
    product = count * whole
    if not numerator.any():
        return product
    exact = count.dtype == object or float(count.max()) * float(numerator.max()) < _INT64_SAFE
    parts = count * numerator if exact else count.astype(object) * numerator.astype(object)
    quotient, remainder = parts // denominator, parts % denominator
    product = product + quotient.astype(count.dtype)
    twice = remainder * 2
    up = (twice > denominator) | ((twice == denominator) & (product % 2 == 1))
    return np.asarray(product + up.astype(count.dtype))
