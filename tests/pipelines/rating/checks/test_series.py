"""The prices of one model in time. Amounts are USD a million tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from tollbook.rating.checks.finding import Finding
from tollbook.rating.checks.series import check_series
from tollbook.rating.prices import Price

MakePrice = Callable[..., Price]


def found(*prices: Price, today: str = "2026-11-24", check_days: int = 90) -> list[Finding]:
    """Return what is found on a day."""
    return list(check_series(prices, today=date.fromisoformat(today), check_days=check_days))


def two(price: MakePrice, before: str, after: str) -> list[Price]:
    """Return two prices of one model that follow each other."""
    return [
        price(rates={"input_tokens": before}, until="2026-02-01"),
        price(rates={"input_tokens": after}, since="2026-02-01"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("0.35", "3.5", ["power_of_ten_jump"]),
        ("135000", "1.35", ["power_of_ten_jump"]),
        ("5", "0.50001", ["power_of_ten_jump"]),
        ("0.03125", "0.5", ["price_jump"]),
        ("0.1", "0.8", ["price_jump"]),
        ("10", "2", []),
        ("2", "2", []),
        ("0", "2", ["price_rose_from_zero"]),
        ("2", "0", ["price_fell_to_zero"]),
        ("0", "0", []),
    ],
)
def test_a_jump_is_told_from_a_cut(price: MakePrice, before: str, after: str, expected: list[str]) -> None:
    """o3 really went from 10 to 2 USD; gemini-1.5-pro never cost 0.35. Factors of ten and 100,000 are slips."""
    assert [each.code for each in found(*two(price, before, after))] == expected


def test_a_jump_tells_both_prices_and_the_day(price: MakePrice) -> None:
    """Which of the two is wrong a person must decide, from what the finding says."""
    (jump,) = found(*two(price, "0.35", "3.5"))

    assert (jump.value, jump.expected) == (Decimal("3.5"), Decimal("0.35"))
    assert "went up by a factor of 10, from 0.35 to 3.5 USD on 2026-02-01" in jump.message


def test_a_jump_over_a_price_without_the_rate_is_found(price: MakePrice) -> None:
    """claude-3-5-haiku's cache read was left out for a month and came back eight times as dear."""
    prices = [
        price(rates={"input_tokens": "1", "cache_read_tokens": "0.1"}, until="2026-02-01"),
        price(rates={"input_tokens": "1"}, since="2026-02-01", until="2026-03-01"),
        price(rates={"input_tokens": "1", "cache_read_tokens": "0.8"}, since="2026-03-01"),
    ]

    assert ("price_jump", "cache_read_tokens") in [(each.code, each.unit) for each in found(*prices)]


def test_a_price_that_falls_to_zero_would_charge_nothing_and_is_an_error(price: MakePrice) -> None:
    """A field that was left out became a zero, and the usage of months was free: no factor tells that."""
    (fell,) = found(*two(price, "0.3", "0"))

    assert (fell.severity, fell.unit, fell.expected, fell.value) == (
        "error",
        "input_tokens",
        Decimal("0.3"),
        Decimal(0),
    )
    assert fell.message == "input_tokens fell from 0.3 USD to zero on 2026-02-01: usage of it is free since"


def test_what_a_vendor_calls_free_may_fall_to_zero(price: MakePrice) -> None:
    """OpenRouter tells free models by their name; a check that cries wolf is switched off."""
    prices = [
        price("qwen/qwen3:free", rates={"input_tokens": "1"}, until="2026-02-01"),
        price("qwen/qwen3:free", rates={"input_tokens": "0"}, since="2026-02-01"),
    ]

    assert found(*prices) == []


def test_a_rate_that_vanishes_from_a_price_that_goes_on_is_noted(price: MakePrice) -> None:
    """Cache reads were 0.10 USD, and from one day on are billed as input or not at all."""
    prices = [
        price(rates={"input_tokens": "1", "cache_read_tokens": "0.1"}, until="2026-02-01"),
        price(rates={"input_tokens": "1"}, since="2026-02-01"),
    ]

    (gone,) = found(*prices)

    assert (gone.code, gone.severity, gone.unit, gone.value, gone.expected) == (
        "rate_vanished",
        "note",
        "cache_read_tokens",
        None,
        Decimal("0.1"),
    )


def test_tiers_are_series_of_their_own(price: MakePrice) -> None:
    """A batch price is no change of the default price."""
    assert found(price(rates={"input_tokens": "8"}), price(rates={"input_tokens": "0.8"}, service_tier="batch")) == []


def test_a_gap_is_told_with_its_bounds(price: MakePrice) -> None:
    """Calls in a gap have no price. Prices in another order, and one that ends within another, make none."""
    prices = [
        price(since="2026-05-01"),
        price(since="2026-01-01", until="2026-03-01"),
        price(since=None, until="2026-01-01"),
    ]

    (gap,) = found(*prices)

    assert (gap.code, gap.valid_from, gap.valid_to) == ("validity_gap", prices[1].valid_to, prices[0].valid_from)


def test_prices_that_follow_each_other_have_no_gap_and_no_overlap(price: MakePrice) -> None:
    """Periods are half-open: an end and the next beginning are one instant."""
    assert found(*two(price, "2", "1")) == []


@pytest.mark.parametrize(("since", "until"), [("2026-01-15", None), ("2026-01-15", "2026-01-20"), (None, "2026-01-02")])
def test_an_overlap_is_found(price: MakePrice, since: str | None, until: str | None) -> None:
    """Two prices that hold at once give two answers."""
    assert [each.code for each in found(price(until="2026-02-01"), price(since=since, until=until))] == [
        "periods_overlap"
    ]


def test_an_overlap_with_an_earlier_long_period_is_found(price: MakePrice) -> None:
    """The period that overlaps need not be the one just before."""
    prices = [
        price(until="2026-12-01"),
        price(since="2026-02-01", until="2026-03-01"),
        price(since="2026-04-01", until="2026-05-01"),
    ]

    assert [each.code for each in found(*prices)] == ["periods_overlap", "periods_overlap"]


def test_a_price_that_nobody_checked_for_long_is_told_while_it_holds(price: MakePrice) -> None:
    """90 days before 24 November is 26 August: a check on that day is not yet old."""
    old, young = price(checked_on="2026-08-25"), price("b", checked_on="2026-08-26")
    ended = price("c", until="2026-06-01", checked_on="2026-01-01")

    assert [(each.code, each.model) for each in found(old, young, ended)] == [("not_checked_lately", "model-a")]
