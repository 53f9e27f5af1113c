"""Largest remainder: parts are whole and sum to the whole, whatever the weights."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.chargeback.remainder import largest_remainder, signed_remainder

WEIGHTS = st.lists(st.fractions(min_value=0, max_value=10**9), min_size=1, max_size=40).filter(any)


def test_what_flooring_leaves_goes_to_those_who_lost_most() -> None:
    """100 by 1, 1 and 1 is 34, 33, 33; by 1, 2 and 4 it is 14.29, 28.57, 57.14: the second lost most."""
    assert largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    assert largest_remainder(100, [1, 2, 4]) == [14, 29, 57]
    assert largest_remainder(-100, [1, 2, 4]) == [-14, -29, -57]
    assert largest_remainder(5, [0, Fraction(1, 3), Fraction(2, 3)]) == [0, 2, 3]
    assert largest_remainder(0, [3, 4]) == [0, 0]


@given(amount=st.integers(-(10**30), 10**30), weights=WEIGHTS)
def test_parts_sum_to_the_whole_and_lie_within_a_unit_of_their_share(amount: int, weights: list[Fraction]) -> None:
    """Nothing is lost or made by splitting, at any size (pitfall 18)."""
    parts = largest_remainder(amount, weights)
    total = sum(weights, Fraction(0))
    assert sum(parts) == amount
    assert all(abs(part - amount * weight / total) < 1 for part, weight in zip(parts, weights, strict=True))
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if not weight)


@given(amount=st.integers(0, 10**20), weights=WEIGHTS)
def test_a_reversal_cancels_part_by_part(amount: int, weights: list[Fraction]) -> None:
    """A credit note takes from each team what the charge gave it."""
    assert largest_remainder(-amount, weights) == [-part for part in largest_remainder(amount, weights)]


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [2, -1]])
def test_weights_that_say_nothing_are_refused(weights: list[int]) -> None:
    """Whoever asks must say who bears it; a charge does not vanish."""
    with pytest.raises(ValueError, match="expected weights of zero or more that are not all zero"):
        largest_remainder(1, weights)


@given(amount=st.integers(-(10**30), 10**30), weights=st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=30))
def test_reversals_take_their_part_of_an_invoice_back(amount: int, weights: list[int]) -> None:
    """5 by 6 and -1 is 6 and -1: what was charged and moved away is billed and moved away."""
    assert signed_remainder(5, [6, -1]) == [6, -1]
    total = sum(weights)
    if total <= 0:
        with pytest.raises(ValueError, match="expected weights that sum to more than zero"):
            signed_remainder(amount, weights)
        return
    parts = signed_remainder(amount, weights)
    assert sum(parts) == amount
    assert all(abs(part - Fraction(amount * weight, total)) < 1 for part, weight in zip(parts, weights, strict=True))
