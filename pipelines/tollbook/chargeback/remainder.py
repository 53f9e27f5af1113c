"""Splitting a whole amount by weights, so that the parts are whole and sum to it: largest remainder."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm


def largest_remainder(amount: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Return parts of an amount in proportion to weights, each within one unit of its exact share.

    What flooring leaves over goes, a unit each, to the parts that lost most by it; among equals the first gets it. A
    negative amount is split as its opposite, so that a charge and its reversal cancel part by part.

    Args:
        amount: What is split. Unit: the smallest that there is, such as pico-USD.
        weights: Zero or more each, not all zero, shape (n_parts,).

    Returns:
        The parts, shape (n_parts,); their sum is `amount`, exactly, and a part of weight zero is zero.

    Raises:
        ValueError: A weight is below zero, or none is above it.
    """
    whole = whole_weights(weights)
    total = sum(whole)
    if total <= 0 or min(whole) < 0:
        raise ValueError(f"expected weights of zero or more that are not all zero, got {list(weights)}")
    sign = -1 if amount < 0 else 1
    shares = [divmod(abs(amount) * weight, total) for weight in whole]
    parts = [part for part, _ in shares]
    left = abs(amount) - sum(parts)
    by_loss = sorted(range(len(shares)), key=lambda place: (-shares[place][1], place))
    for place in by_loss[:left]:
        parts[place] += 1
    return [sign * part for part in parts]


def signed_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Return parts of an amount in proportion to weights of either sign, each within one unit of its exact share.

    So a reversal among charges gives back its part of an invoice too.

    Args:
        amount: What is split.
        weights: Weights whose sum is above zero, shape (n_parts,).

    Returns:
        The parts, shape (n_parts,); their sum is `amount`, exactly.

    Raises:
        ValueError: The weights sum to zero or less.
    """
    total = sum(weights)
    if total <= 0:
        raise ValueError(f"expected weights that sum to more than zero, got {list(weights)}")
    shares = [divmod(amount * weight, total) for weight in weights]
    parts = [part for part, _ in shares]
    by_loss = sorted(range(len(shares)), key=lambda place: (-shares[place][1], place))
    for place in by_loss[: amount - sum(parts)]:
        parts[place] += 1
    return parts


def whole_weights(weights: Sequence[int | Fraction]) -> list[int]:
    """Return weights in one unit, as whole numbers."""
    common = lcm(*(weight.denominator for weight in weights))
    return [int(weight * common) for weight in weights]
