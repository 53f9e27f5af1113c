"""How usage is spread over customers, worked by hand: ties, nothing, nobody, costs that are known of some alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.insight.customer_concentration import CUSTOMERS_SCHEMA, customer_concentration

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
Row = dict[str, Any]


def used(
    customer: str, calls: int, *, product: str = "chat", cost: str | None = "0", period: date = JUNE, tokens: int = 0
) -> Row:
    """Return what a customer used."""
    return {
        "billing_period_start": period,
        "product": product,
        "customer_id": customer,
        "calls": calls,
        "total_tokens": tokens,
        "list_cost": None if cost is None else Decimal(cost),
    }


def spread(*rows: Row) -> dict[tuple[str, str], Row]:
    """Return the rows of June by product and measure."""
    told = customer_concentration(pa.Table.from_pylist(list(rows), CUSTOMERS_SCHEMA)).to_pylist()
    return {(row["product"], row["measure"]): row for row in told if row["billing_period_start"] == JUNE}


def test_four_customers_by_hand() -> None:
    """1, 2, 3 and 4 calls of ten: Gini (-3 x 1 - 1 x 2 + 1 x 3 + 3 x 4) / (4 x 10) = 0.25.

    The largest has 0.4, and as one of four is the top tenth and the top hundredth too. Two have 7 of 10, so half; three
    have 9 of 10. Of the Lorenz curve's 101 places, the 25th has the smallest of four, the 50th two, the 75th three; the
    10th lies two fifths of the way to the first: 0.04.
    """
    row = spread(used("a", 3), used("b", 1), used("c", 4), used("d", 2))["chat", "calls"]

    assert (row["customers"], row["quantity"], row["unknown_quantity"]) == (4, 10, None)
    assert (row["gini"], row["largest_share"]) == (Decimal("0.25"), Decimal("0.4"))
    assert row["top_1_percent_share"] == row["top_10_percent_share"] == Decimal("0.4")
    assert (row["customers_with_half"], row["customers_with_90_percent"]) == (2, 3)
    curve = row["lorenz_shares"]
    assert len(curve) == 101
    assert [curve[place] for place in (0, 10, 25, 50, 75, 100)] == [
        *(0, Decimal("0.04"), Decimal("0.1"), Decimal("0.3"), Decimal("0.6"), 1)
    ]


def test_of_eleven_customers_a_tenth_is_two() -> None:
    """One has 10 calls and ten have 1 each: the top tenth, rounded up, are two of eleven, with 11 of 20."""
    row = spread(used("big", 10), *(used(f"small-{place}", 1) for place in range(10)))["chat", "calls"]

    assert (row["top_1_percent_share"], row["top_10_percent_share"]) == (Decimal("0.5"), Decimal("0.55"))
    assert (row["customers_with_half"], row["customers_with_90_percent"]) == (1, 9)


def test_ties_are_even() -> None:
    """Five customers with the same: no inequality, each a fifth, a straight curve; half needs three of them."""
    row = spread(*(used(name, 7) for name in "abcde"))["chat", "calls"]

    assert (row["gini"], row["largest_share"]) == (0, Decimal("0.2"))
    assert (row["customers_with_half"], row["customers_with_90_percent"]) == (3, 5)
    assert row["lorenz_shares"] == [Decimal(place) / 100 for place in range(101)]


def test_ratios_that_do_not_end_are_rounded_half_even_at_twelve_places() -> None:
    """Two thirds of one of two customers: Gini (2 - 1) / (2 x 3)."""
    row = spread(used("a", 1), used("b", 2))["chat", "calls"]

    assert (row["largest_share"], row["gini"]) == (Decimal("0.666666666667"), Decimal("0.166666666667"))


def test_one_customer_has_all_and_is_as_even_as_can_be() -> None:
    """Nobody has less than another."""
    row = spread(used("only", 5))["chat", "calls"]

    assert (row["customers"], row["gini"], row["largest_share"]) == (1, 0, 1)
    assert (row["customers_with_half"], row["customers_with_90_percent"]) == (1, 1)


def test_of_nothing_shares_are_unknown() -> None:
    """Customers whose calls have no tokens and cost nothing: a total of zero, and no share of it."""
    told = spread(used("a", 1), used("b", 1))

    for measure in ("total_tokens", "list_cost"):
        row = told["chat", measure]
        assert (row["customers"], row["quantity"]) == (2, 0)
        shares = ("gini", "largest_share", "top_1_percent_share", "top_10_percent_share", "lorenz_shares")
        counts = ("customers_with_half", "customers_with_90_percent")
        assert {row[name] for name in (*shares, *counts)} == {None}
    assert told["chat", "calls"]["gini"] == 0


def test_calls_of_nobody_stand_beside_and_in_no_share() -> None:
    """6 calls name no customer: of the other 4 the larger has 3."""
    row = spread(used("a", 3), used("b", 1), used("unknown", 6))["chat", "calls"]

    assert (row["customers"], row["quantity"], row["unknown_quantity"]) == (2, 4, 6)
    assert row["largest_share"] == Decimal("0.75")


def test_a_product_of_unnamed_customers_alone_has_no_rows() -> None:
    """Its usage is in the row of all products, as unknown."""
    told = spread(used("a", 3), used("unknown", 2, product="search"))

    assert {product for product, _ in told} == {"chat", "all"}
    assert told["all", "calls"]["unknown_quantity"] == 2
    assert spread(used("unknown", 2)) == {}


def test_an_unknown_cost_is_no_cost_of_zero() -> None:
    """Of three customers two have a known cost: 1 and 3 USD. None of b's is known, of c's a part."""
    row = spread(used("a", 1, cost="1"), used("b", 1, cost=None), used("c", 1, cost="3"))["chat", "list_cost"]
    nothing_known = spread(used("a", 1, cost=None))["chat", "list_cost"]

    assert (row["customers"], row["quantity"], row["largest_share"]) == (2, 4, Decimal("0.75"))
    assert (nothing_known["customers"], nothing_known["quantity"], nothing_known["gini"]) == (0, None, None)


def test_a_customer_of_two_products_is_one_of_all() -> None:
    """A has 1 and 2 calls, b has 3: of all products both have half, though in each one has more."""
    told = spread(used("a", 1), used("b", 3), used("a", 2, product="search"))

    assert told["chat", "calls"]["largest_share"] == Decimal("0.75")
    assert (told["all", "calls"]["customers"], told["all", "calls"]["gini"]) == (2, 0)


def test_a_product_that_is_named_all_counts_once() -> None:
    """Its name is that of the sum: it stands in the sum, and has no row of its own."""
    told = spread(used("a", 1, product="all"), used("b", 3))

    assert told["all", "calls"]["quantity"] == 4
    assert told["chat", "calls"]["quantity"] == 3


def test_periods_do_not_mix() -> None:
    """July's usage is in no row of June."""
    assert spread(used("a", 1), used("a", 5, period=JULY), used("b", 1, period=JULY))["chat", "calls"]["quantity"] == 1


@pytest.mark.parametrize("tokens", [10**15, 10**18])
def test_counts_of_a_year_stay_whole(tokens: int) -> None:
    """Billions of billions of tokens have every digit: no float is on the way."""
    row = spread(used("a", 1, tokens=tokens + 1), used("b", 1, tokens=tokens))["chat", "total_tokens"]

    assert row["quantity"] == 2 * tokens + 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 10**12)), max_size=20))
def test_products_sum_to_all(calls: list[tuple[str, str, int]]) -> None:
    """What customers used of each product is what they used of all; order does not matter."""
    rows = [used(customer, count, product=product) for customer, product, count in calls]
    told, again = spread(*rows), spread(*reversed(rows))

    assert told == again
    if rows:
        products = [row["quantity"] for (name, measure), row in told.items() if name != "all" and measure == "calls"]
        assert sum(products) == told["all", "calls"]["quantity"] == sum(count for *_, count in calls)
