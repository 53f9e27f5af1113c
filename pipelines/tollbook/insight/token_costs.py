"""A known cost, split over the tokens that it was paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tollbook.chargeback.remainder import largest_remainder


@dataclass(frozen=True, slots=True)
class TokenCosts:
    """A cost by kind of token.

    Attributes:
        parts: Cost of each kind, in the order in which the kinds were given. Unit: pico-USD.
        by_price: Whether the kinds were weighed by their prices; without prices each token bears the same.
    """

    parts: tuple[int, ...]
    by_price: bool


def split_over_tokens(
    cost: int, tokens: Sequence[int], unit_prices: Sequence[Decimal | Fraction | int | None]
) -> TokenCosts | None:
    """Return a known cost by kind of token, in proportion to tokens times unit price, by largest remainder.

    The cost itself is not computed anew: discounts, tiers of context and contracts are in it, and list prices only say
    how much of it each kind of token bears. Where a kind that was used has no price, or all that was used is free by
    the list, every token bears the same, and the result says so.

    Args:
        cost: What was paid, of either sign. Unit: pico-USD.
        tokens: Tokens of each disjoint kind, zero or more, shape (n_kinds,).
        unit_prices: List price of a token of each kind, None where none is known, shape (n_kinds,); in any unit, the
            same for all.

    Returns:
        Parts that sum to `cost`, exactly; a kind without tokens has none of it. None where there are no tokens at all.

    Raises:
        ValueError: A count or a price is below zero, or the shapes differ.
    """
    if not any(tokens):
        return None
    used = [(count, price) for count, price in zip(tokens, unit_prices, strict=True) if count]
    if all(price is not None for _, price in used) and any(price for _, price in used):
        weights = [Fraction(price or 0) * count for count, price in zip(tokens, unit_prices, strict=True)]
        return TokenCosts(tuple(largest_remainder(cost, weights)), by_price=True)
    return TokenCosts(tuple(largest_remainder(cost, tokens)), by_price=False)
