"""How unevenly a whole is spread: worked by hand, properties, and the clients of a production cloud."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.insight.concentration import Concentration, lorenz_shares

CLIENTS = Path(__file__).parents[4] / "shared" / "data" / "servegen-clients" / "client_windows_m-large.csv.gz"
AMOUNTS = st.lists(st.integers(0, 10**20), min_size=1, max_size=40)


def test_four_members_by_hand() -> None:
    """1, 2, 3, 4: (-3*1 - 1*2 + 1*3 + 3*4) / (4 * 10) = 10/40. The largest has 4/10, two of four have 7/10."""
    spread = Concentration.of([3, 1, 4, 2])
    assert (spread.members, spread.total, spread.gini()) == (4, 10, Fraction(1, 4))
    assert [spread.share_of_largest(count) for count in range(5)] == [
        0,
        Fraction(4, 10),
        Fraction(7, 10),
        Fraction(9, 10),
        1,
    ]
    assert [spread.members_with(Fraction(share, 10)) for share in (4, 5, 7, 9, 10)] == [1, 2, 2, 3, 4]
    assert lorenz_shares([1, 2, 3, 4]) == [Fraction(1, 10), Fraction(3, 10), Fraction(6, 10), 1]


def test_the_curve_is_straight_between_two_members() -> None:
    """Of 1, 2, 3, 4 the smaller two have 3/10; of 1 and 3, a quarter of the members has half of 1, an eighth of all."""
    assert Concentration.of([3, 1, 4, 2]).lorenz_curve(2) == [0, Fraction(3, 10), 1]
    assert Concentration.of([3, 1]).lorenz_curve(4) == [0, Fraction(1, 8), Fraction(1, 4), Fraction(5, 8), 1]
    assert Concentration.of([7]).lorenz_curve(1) == [0, 1]
    assert Concentration.of([0, 0]).lorenz_curve(4) == Concentration.of([]).lorenz_curve(4) == []


def test_a_hundredth_and_a_tenth_are_one_member_at_least() -> None:
    """Of 15 members a hundredth is 0.15 and a tenth 1.5: the largest, and the two largest, 15 and 29 of 120."""
    spread = Concentration.of(range(1, 16))
    assert spread.share_of_top(1) == Fraction(15, 120)
    assert spread.share_of_top(10) == Fraction(29, 120)


def test_of_nothing_nobody_has_a_share() -> None:
    """A share of nothing is unknown, never zero or one; and nobody has less than nothing."""
    for nothing in ([], [0, 0]):
        spread = Concentration.of(nothing)
        assert spread.gini() is None
        assert spread.share_of_largest(1) is None
        assert spread.share_of_top(1) is None
        assert spread.members_with(Fraction(9, 10)) == 0
    with pytest.raises(ValueError, match="expected amounts of zero or more, got -1"):
        Concentration.of([2, -1])


@given(AMOUNTS)
def test_gini_lies_between_equality_and_one_who_has_it_all(amounts: list[int]) -> None:
    """0 <= gini <= (n - 1) / n, and it does not depend on the unit or on the order."""
    gini = Concentration.of(amounts).gini()
    if not sum(amounts):
        assert gini is None
        return
    assert gini is not None
    assert 0 <= gini <= Fraction(len(amounts) - 1, len(amounts))
    assert Concentration.of([amount * 3 for amount in reversed(amounts)]).gini() == gini
    # Half the mean difference of all pairs, over the mean: another way to say it.
    pairs = sum(abs(one - other) for one in amounts for other in amounts)
    assert gini == Fraction(pairs, 2 * len(amounts) * sum(amounts))


@given(AMOUNTS.filter(any))
def test_lorenz_curve_ends_at_one_and_bends_below_the_diagonal(amounts: list[int]) -> None:
    """Shares in ascending order never fall, sum up to one, and the poorest have no more than their number."""
    shares = lorenz_shares(sorted(amounts))
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert all(share <= Fraction(place, len(shares)) for place, share in enumerate(shares, start=1))


@given(AMOUNTS.filter(any))
def test_a_curve_with_a_step_for_each_member_goes_through_all_of_them(amounts: list[int]) -> None:
    """It is the same curve, seen at other places."""
    assert Concentration.of(amounts).lorenz_curve(len(amounts)) == [0, *lorenz_shares(sorted(amounts))]


@given(AMOUNTS.filter(any), st.fractions(Fraction(1, 100), 1))
def test_so_few_have_a_share_and_one_less_does_not(amounts: list[int], share: Fraction) -> None:
    """The number of members that make a share is the smallest there is."""
    spread = Concentration.of(amounts)
    members = spread.members_with(share)
    held, without_one = spread.share_of_largest(members), spread.share_of_largest(members - 1)
    assert held is not None
    assert without_one is not None
    assert held >= share > without_one


@pytest.mark.skipif(not CLIENTS.exists(), reason=f"the clients of a production cloud are not at {CLIENTS}")
def test_clients_of_a_production_cloud() -> None:
    """The largest of 162 clients makes 16.05 % of requests and 39 make 90 %: requests are rate times 600 seconds."""
    requests: defaultdict[str, int] = defaultdict(int)
    with gzip.open(CLIENTS, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            requests[row["client_id"]] += round(Fraction(row["requests_per_s"]) * 600)
    spread = Concentration.of(requests.values())
    largest = spread.share_of_largest(1)
    assert largest is not None
    assert spread.members == 162
    assert f"{float(largest * 100):.2f}" == "16.05"
    assert spread.members_with(Fraction(9, 10)) == 39
