"""The logarithmic mean, and what each factor of a product did to a change of it.

Additive logarithmic-mean Divisia decomposition (LMDI-I): of a product `y = x1 x2 ... v` the factor `x` caused
`L(y0, y1) ln(x1 / x0)` of the change. The parts sum to the change, whatever the order of the factors, and change sign
when the two sides are exchanged. All here is dimensionless: shares, ratios and logarithms; amounts are whole numbers
and are made elsewhere.

Source: B. W. Ang, "The LMDI approach to decomposition analysis: a practical guide", Energy Policy 33 (2005), and
"LMDI decomposition approach: a guide for implementation", Energy Policy 86 (2015), with its limits for zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Sides(NamedTuple):
    """One quantity before and after, each of shape (n,), zero or more."""

    before: Floats
    after: Floats


class Step(NamedTuple):
    """What the factors of a product did.

    Attributes:
        effects: Part of the change of each factor that was named, shape (n,) each.
        rest: Part of the last factor, shape (n,).
        scale: By what a change of the last factor is to be multiplied to be its part of the whole, shape (n,).
    """

    effects: tuple[Floats, ...]
    rest: Floats
    scale: Floats


def log_mean(sides: Sides) -> Floats:
    """Return the logarithmic mean of two quantities, `(b - a) / ln(b / a)`; zero where one of them is zero.

    Exchanging them gives the same number, to the last bit; equal ones give themselves.
    """
    low, high = np.minimum(*sides), np.maximum(*sides)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (high - low) / np.log1p((high - low) / low)
    return np.where(low <= 0, 0.0, np.where(high == low, low, mean))


def log_change(sides: Sides) -> Floats:
    """Return `ln(after / before)`; zero where one of them is zero. Exchanging them changes the sign alone."""
    low, high = np.minimum(*sides), np.maximum(*sides)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.copysign(np.log1p((high - low) / low), sides.after - sides.before)
    return np.where((low <= 0) | (high == low), 0.0, change)


def explain(scale: Floats | float, product: Sides, factors: Sequence[Sides], rest: Sides) -> Step:
    """Return what each factor did to the change of their product, times a scale.

    Where the product is zero on one side alone, the whole change belongs to the first factor that was zero there: that
    is the limit of the logarithmic mean as the factor goes to zero.

    Args:
        scale: What a unit of the product weighs in the whole, shape (n,).
        product: The product of all factors and the rest.
        factors: Factors, the first that can be zero by itself first: where one is zero, the later ones mean nothing.
        rest: The last factor.

    Returns:
        Effects that sum, with the rest, to `scale * (product.after - product.before)`.
    """
    mean = log_mean(product)
    alive = mean > 0
    effects = [np.where(alive, scale * mean * log_change(each), 0.0) for each in factors]
    left = np.where(alive, scale * mean * log_change(rest), 0.0)
    mean_of_rest = log_mean(rest)
    inner = np.where(alive, scale * _quotient(mean, mean_of_rest), 0.0)

    # One side is zero: the change goes whole to the first factor that is zero there.
    appears = (product.before <= 0) & (product.after > 0)
    open_ = appears | ((product.before > 0) & (product.after <= 0))
    change = scale * (product.after - product.before)
    for effect, each in zip(effects, factors, strict=True):
        taken = open_ & (np.where(appears, each.before, each.after) <= 0)
        effect[taken] = np.broadcast_to(change, taken.shape)[taken]
        open_ &= ~taken
    left[open_] = np.broadcast_to(change, open_.shape)[open_]
    living = np.where(appears, _quotient(product.after, rest.after), _quotient(product.before, rest.before))
    return Step(tuple(effects), left, np.where(open_, scale * living, inner))


def quotient(numerator: Sides, denominator: Sides) -> Sides:
    """Return a ratio on both sides; zero where the denominator is zero."""
    return Sides(_quotient(numerator.before, denominator.before), _quotient(numerator.after, denominator.after))


def _quotient(numerator: Any, denominator: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(denominator > 0, np.true_divide(numerator, denominator), 0.0)
