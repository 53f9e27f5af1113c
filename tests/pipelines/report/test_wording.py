"""Numbers and sentences: rounded to be read, and never a zero for what is unknown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tollbook.report import wording
from tollbook.report.facts import Month


def a_month(start: str, *, cost: str | None, tokens: int, tasks: int = 1, last_day: str | None = None) -> Month:
    """Return a month whose tokens are all priced, unless the cost is unknown."""
    first = date.fromisoformat(start)
    return Month(
        start=first,
        last_day=date.fromisoformat(last_day) if last_day else first,
        is_whole=last_day is None,
        calls=1,
        unpriced_calls=int(cost is None),
        total_tokens=tokens,
        unpriced_tokens=tokens if cost is None else 0,
        list_cost=None if cost is None else Decimal(cost),
        tasks=tasks,
        task_tokens=tokens,
        task_cost=None if cost is None else Decimal(cost),
    )


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        ("1852.743828005", "$1,852.74"),
        ("0.005", "$0.00"),
        ("0.004999", "<$0.01"),
        ("0.000000000001", "<$0.01"),
        ("0", "$0.00"),
        ("1234567.895", "$1,234,567.90"),
    ],
)
def test_costs_have_two_decimals_and_less_than_a_cent_is_not_nothing(cost: str, shown: str) -> None:
    """Half a cent rounds to even; what is smaller still was paid for."""
    assert wording.usd(Decimal(cost)) == shown


def test_what_is_unknown_is_called_unknown() -> None:
    """A zero would be a claim."""
    assert wording.usd(None) == wording.price(None) == wording.tokens(None) == "unknown"
    assert wording.share(1, 0) == "unknown"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (912, "912"),
        (1_000, "1.00 k"),
        (185_634, "186 k"),
        (4_426_332_503, "4.43 B"),
        (1_629_694, "1.63 M"),
        (12_345_678_901_234, "12.3 T"),
    ],
)
def test_tokens_have_three_figures_and_a_letter(count: int, shown: str) -> None:
    """Nobody reads ten digits."""
    assert wording.tokens(count) == shown


def test_the_price_of_a_million_tokens_keeps_two_figures_when_it_is_small() -> None:
    """Cents would make two prices alike that differ by half."""
    assert wording.price(Decimal("0.4185731")) == "$0.42"
    assert wording.price(Decimal("0.0212")) == "$0.021"
    assert wording.price(Decimal("0.000345")) == "$0.00034"


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [("6", "4", "+50 %"), ("1", "4", "−75 %"), ("4", "4", "±0 %"), ("44", "4", "+1,000 %"), (None, "4", None)],
)
def test_changes_are_in_percent_with_their_sign(now: str | None, before: str, shown: str | None) -> None:
    """A change from or to something unknown is not told."""
    assert wording.change(None if now is None else Decimal(now), Decimal(before)) == shown
    assert wording.change(Decimal(1), None) is None
    assert wording.change(Decimal(1), Decimal(0)) is None


def test_shares_of_less_than_a_hundredth_percent_are_not_nothing() -> None:
    """375 of 100,000 calls are 0.38 %; one of a million still is one."""
    assert wording.share(375, 100_000) == "0.38 %"
    assert wording.share(1, 1_000_000) == "<0.01 %"
    assert wording.share(0, 7) == "0 %"
    assert wording.share(Decimal("2529.37"), Decimal("3512.92")) == "72 %"


def test_the_mean_of_seven_days_takes_the_days_that_are_known() -> None:
    """A day of which no cost is known is not a day without cost. 7 + 0 = 7 over one day, 10 over two, then 3 alone."""
    days = [(date(2026, 8, 1), Decimal(7)), (date(2026, 8, 2), None), (date(2026, 8, 3), Decimal(3))]
    assert wording.daily_means(days, width=7) == [Decimal(7), Decimal(7), Decimal(5)]
    assert wording.daily_means(days, width=1) == [Decimal(7), None, Decimal(3)]


def test_a_month_that_has_not_ended_says_so() -> None:
    """Its bill would otherwise look like a fall."""
    assert wording.month_label(a_month("2026-10-01", cost="1", tokens=1)) == "Oct\N{NO-BREAK SPACE}2026"
    assert "(1–12)" in wording.month_label(a_month("2026-10-01", cost="1", tokens=1, last_day="2026-10-12"))


def test_a_span_names_a_year_once() -> None:
    """Titles are short."""
    months = [a_month("2025-12-01", cost="1", tokens=1), a_month("2026-01-01", cost="1", tokens=1)]
    assert wording.span(months) == "December 2025 to January 2026"
    assert wording.span(months[1:]) == "January 2026"
    assert wording.span([*months[1:], a_month("2026-03-01", cost="1", tokens=1)]) == "January to March 2026"
    assert wording.span([]) == "no usage yet"
