"""Rounding on statements: parts sum to the rounded whole, each within one minor unit of itself."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.chargeback.rounding import from_minor, minor_digits, round_half_even, rounded_parts, to_pico
from tollbook.chargeback.statement_lines import Row, round_lines

CENT = 10**10
AMOUNTS = st.lists(st.integers(-(10**24), 10**24), min_size=1, max_size=30)


@given(AMOUNTS, st.booleans())
def test_parts_sum_to_the_total_and_stay_within_a_unit(amounts: list[int], up: bool) -> None:
    """However much a credit cancels, no line is moved by a cent or more."""
    down, rest = divmod(sum(amounts), CENT)
    total = down + 1 if up and rest else down

    parts = rounded_parts(amounts, total, CENT)

    assert sum(parts) == total
    assert all(abs(part * CENT - amount) < CENT for part, amount in zip(parts, amounts, strict=True))


def test_what_cancels_keeps_its_size() -> None:
    """1,000.00 USD and a credit of 999.996: together 0.004, nothing; each is still what it is.

    Splitting the nothing by weights would make both lines nothing.
    """
    amounts = [to_pico(Decimal(1000)), to_pico(Decimal("-999.996"))]

    assert rounded_parts(amounts, round_half_even(sum(amounts), CENT), CENT) == [100_000, -100_000]


def test_a_total_that_is_no_rounding_is_refused() -> None:
    """0.02 USD is not 0.05 USD, whatever the lines get."""
    with pytest.raises(ValueError, match="expected a total that rounds"):
        rounded_parts([CENT, CENT], 5, CENT)


@pytest.mark.parametrize(
    ("amount", "units"),
    [("0.005", 0), ("0.015", 2), ("0.025", 2), ("-0.005", 0), ("-0.015", -2), ("0.005000000001", 1)],
)
def test_a_half_goes_to_the_even_cent(amount: str, units: int) -> None:
    """The same way up and down."""
    assert round_half_even(to_pico(Decimal(amount)), CENT) == units


@pytest.mark.parametrize(
    ("currency", "shown"), [("USD", "12.34"), ("JPY", "1234"), ("KWD", "1.234"), ("CLF", "0.1234")]
)
def test_each_currency_has_its_own_minor_unit(currency: str, shown: str) -> None:
    """There are no yen cents, and a dinar has a thousand fils."""
    assert str(from_minor(1234, currency)) == shown
    assert minor_digits(currency) == len(shown.partition(".")[2])


COSTS = st.none() | st.decimals("-1000", "1000", places=12)
LINES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["USD", "JPY", "KWD"]), COSTS), min_size=1, max_size=25
)


@given(LINES)
def test_teams_sum_to_the_whole_and_unknown_stays_unknown(told: list[tuple[str, str, Decimal | None]]) -> None:
    """For every currency; a line of unknown cost takes no part."""
    lines: list[Row] = [
        {"team": team, "billing_currency": currency, "list_cost": cost}
        | dict.fromkeys(("contracted_cost", "effective_cost", "billed_cost"))
        for team, currency, cost in told
    ]

    round_lines(lines)

    for currency in ("USD", "JPY", "KWD"):
        known = [line for line in lines if line["billing_currency"] == currency and line["list_cost"] is not None]
        whole = sum((line["list_cost"] for line in known), Decimal())
        assert sum((line["list_amount"] for line in known), Decimal()) == round(whole, minor_digits(currency))
        for team in "abc":
            own = [line for line in known if line["team"] == team]
            difference = sum((line["list_amount"] - line["list_cost"] for line in own), Decimal())
            assert abs(difference) < Decimal(1).scaleb(-minor_digits(currency))
    assert all((line["list_amount"] is None) == (line["list_cost"] is None) for line in lines)
    assert all(line["effective_amount"] is None for line in lines)
