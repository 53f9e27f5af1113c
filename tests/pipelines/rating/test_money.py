"""Pico-USD stay exact: as integers, as decimals, and when a rate is finer than they are."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollbook.rating.money import MAX_COST_PICO_USD, multiply_half_even, pico_to_decimal, usd


def test_pico_usd_become_decimals_digit_by_digit() -> None:
    """The lake stores decimals; a float on the way would lose the last digits of a large cost."""
    costs = pa.array([0, 1, 2_500_000, None, MAX_COST_PICO_USD], pa.int64())
    decimals = pico_to_decimal(costs)
    assert decimals.type == pa.decimal128(18, 12)
    assert decimals.to_pylist() == [
        Decimal("0.000000000000"),
        Decimal("0.000000000001"),
        Decimal("0.000002500000"),
        None,
        Decimal("999999.999999999999"),
    ]


def test_slices_of_pico_usd_become_the_decimals_of_the_slice() -> None:
    """Batches are sliced on their way; a view that forgot the offset would give one call the cost of another."""
    costs = pa.array([1, None, 3, 4, None, 6], pa.int64())
    assert pico_to_decimal(costs.slice(2, 3)).to_pylist() == [
        Decimal("0.000000000003"),
        Decimal("0.000000000004"),
        None,
    ]


def test_an_amount_that_does_not_fit_is_refused_rather_than_cut() -> None:
    """A view does not check its digits, so a cost of a million USD would be stored as something else."""
    with pytest.raises(ValueError, match="999999999999999999"):
        pico_to_decimal(pa.array([MAX_COST_PICO_USD + 1], pa.int64()))
    assert pico_to_decimal(pa.array([], pa.int64())).to_pylist() == []
    assert pico_to_decimal(pa.nulls(2, pa.int64())).to_pylist() == [None, None]


def test_half_a_pico_goes_to_the_even_neighbour() -> None:
    """Half-up would bias every bucket of a fine rate upwards, and the sums with it."""
    count = np.array([1, 3, 5, 7, 2, 0], np.int64)
    half = np.full(6, 1, np.int64), np.full(6, 2, np.int64)
    # 0.5, 1.5, 2.5, 3.5, 1, 0 by hand, half to even.
    assert multiply_half_even(count, np.zeros(6, np.int64), *half).tolist() == [0, 2, 2, 4, 1, 0]
    # With a whole pico beside the half: 1.5, 4.5, 7.5, 10.5, 3, 0.
    assert multiply_half_even(count, np.ones(6, np.int64), *half).tolist() == [2, 4, 8, 10, 3, 0]


@example(count=10**9, rate=Fraction(18_000_000_000_000_002, 10**11))
@example(count=10**9 - 1, rate=Fraction(10**11 - 1, 10**11))
@given(
    count=st.integers(0, 10**9),
    rate=st.fractions(min_value=0, max_value=10**8, max_denominator=10**11),
)
def test_products_equal_exact_rational_arithmetic(count: int, rate: Fraction) -> None:
    """Prices like 0.18000000000000002 USD a million have remainders that overflow int64 when multiplied out."""
    whole, rest = divmod(rate.numerator, rate.denominator)
    one = [np.array([value], np.int64) for value in (count, whole, rest, rate.denominator)]
    assert multiply_half_even(*one).tolist() == [round(count * rate)]


def test_prices_are_shown_with_every_digit_and_no_exponent() -> None:
    """A price list that shows 1E+1 or 0.29999 is not one that finance can compare."""
    assert f"{usd(Fraction(10_000_000), per=1_000_000):f}" == "10"
    assert f"{usd(Fraction(3_625), per=1_000_000):f}" == "0.003625"
    # 0.111 USD an hour is no whole number of pico-USD a second.
    assert f"{usd(Fraction(111 * 10**9, 3600), per=3600):f}" == "0.111"
