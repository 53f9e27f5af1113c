"""Chance that is the same everywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollbook.simulate import distributions
from tollbook.simulate.randomness import QUANTILE_POINTS, Chance

TABLES = {name: table for name, table in vars(distributions).items() if isinstance(table, tuple) and name.isupper()}


def test_the_first_draws_are_those_of_every_machine() -> None:
    """Python promises the sequence of `random()` for a seed. Another result here breaks every seed in use."""
    chance = Chance(1, "test")
    assert [chance.below(1_000) for _ in range(5)] == [266, 255, 891, 841, 526]
    assert chance.hex(8) == "90e3c3ac"


def test_streams_of_one_seed_do_not_disturb_each_other() -> None:
    """More duplicates must not change which calls are made."""
    first, second = Chance(1, "a"), Chance(1, "b")
    alone = [Chance(1, "a").below(10**6)]
    second.below(10)
    assert [first.below(10**6)] == alone
    assert Chance(2, "a").below(10**6) != alone[0]


@given(st.integers(), st.integers(1, 10**9))
def test_a_number_stays_below_its_limit(seed: int, limit: int) -> None:
    """It serves as an index."""
    chance = Chance(seed, "x")
    assert all(0 <= chance.below(limit) < limit for _ in range(20))
    assert all(3 <= chance.between(3, 5) <= 5 for _ in range(20))


@given(st.integers())
def test_a_draw_lies_within_its_distribution(seed: int) -> None:
    """And half of the draws lie below its median."""
    chance = Chance(seed, "x")
    for table in TABLES.values():
        assert table[0] <= chance.quantile(table) <= table[-1]


def test_half_of_the_draws_lie_below_the_median() -> None:
    """The tables are quantiles; 20,000 draws come within a percent or so."""
    chance = Chance(5, "median")
    median = distributions.SESSION_OUTPUT[QUANTILE_POINTS.index(500_000)]
    below = sum(chance.quantile(distributions.SESSION_OUTPUT) < median for _ in range(20_000))
    assert 9_700 < below < 10_300


def test_each_distribution_rises_and_has_a_value_at_each_point() -> None:
    """A slip in a table would bend every simulation."""
    assert len(TABLES) >= 13
    for name, table in TABLES.items():
        assert len(table) == len(QUANTILE_POINTS), name
        assert list(table) == sorted(table), name


def test_weights_are_kept() -> None:
    """Nine to one, and never what weighs nothing."""
    chance = Chance(3, "weights")
    drawn = [chance.weighted((("a", 9), ("b", 1), ("c", 0))) for _ in range(10_000)]
    assert 8_800 < drawn.count("a") < 9_200
    assert "c" not in drawn
    assert 280_000 < sum(chance.happens(300_000) for _ in range(10_000)) * 100 < 320_000
