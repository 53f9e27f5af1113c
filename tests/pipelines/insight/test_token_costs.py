"""Known costs split over kinds of tokens, worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.insight.token_costs import TokenCosts, split_over_tokens


def test_a_cost_follows_tokens_times_price() -> None:
    """100 tokens at 2, 50 at 0.5 and 10 at 8 weigh 200, 25 and 80 of 305; 610 pico-USD are twice as much of each."""
    prices = [Decimal(2), Decimal("0.5"), Decimal(8)]

    assert split_over_tokens(610, [100, 50, 10], prices) == TokenCosts((400, 50, 160), by_price=True)


def test_what_does_not_divide_goes_to_the_largest_remainders() -> None:
    """A third of 100 each is 33.3: one unit is left, and among equals the first has it."""
    assert split_over_tokens(100, [7, 7, 7], [1, 1, 1]) == TokenCosts((34, 33, 33), by_price=True)


def test_a_kind_without_a_price_makes_all_tokens_bear_the_same() -> None:
    """The price of 30 of 40 tokens says nothing of the other 10: a quarter of 80 is theirs, and it is marked so."""
    assert split_over_tokens(80, [30, 10], [5, None]) == TokenCosts((60, 20), by_price=False)


def test_a_missing_price_of_what_was_not_used_is_not_missed() -> None:
    """No tokens were written to a cache, so their price does not matter."""
    assert split_over_tokens(80, [30, 0], [5, None]) == TokenCosts((80, 0), by_price=True)


def test_a_cost_of_tokens_that_are_free_by_the_list_is_borne_by_each_alike() -> None:
    """A provider charged for a model whose list price is zero: weights of zero would say nothing."""
    assert split_over_tokens(9, [1, 2], [0, 0]) == TokenCosts((3, 6), by_price=False)


def test_a_cost_without_tokens_is_not_split() -> None:
    """An image that was paid by the piece has no kind of token to go to."""
    assert split_over_tokens(9, [0, 0], [1, 1]) is None


def test_a_count_below_zero_is_refused() -> None:
    """A share below zero would be money made up."""
    with pytest.raises(ValueError, match="expected weights of zero or more"):
        split_over_tokens(9, [-1, 2], [1, 1])


@given(
    st.integers(-(10**24), 10**24),
    st.lists(
        st.tuples(st.integers(0, 10**12), st.one_of(st.none(), st.decimals(0, 10**9, places=12, allow_nan=False))),
        min_size=1,
        max_size=12,
    ),
)
def test_parts_sum_to_the_cost_and_a_reversal_cancels_part_by_part(
    cost: int, kinds: list[tuple[int, Decimal | None]]
) -> None:
    """Whatever the prices, nothing is lost, and a kind without tokens bears nothing."""
    tokens, prices = [count for count, _ in kinds], [price for _, price in kinds]

    split, reversed_ = split_over_tokens(cost, tokens, prices), split_over_tokens(-cost, tokens, prices)

    if split is None or reversed_ is None:
        assert split is reversed_ is None
        assert not any(tokens)
        return
    assert sum(split.parts) == cost
    assert [-part for part in reversed_.parts] == list(split.parts)
    assert all(part == 0 for part, count in zip(split.parts, tokens, strict=True) if not count)
