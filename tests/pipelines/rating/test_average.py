"""What a unit cost on average over a period, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from fractions import Fraction
from typing import Any

from tollbook.rating.average import average_rate
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price

JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


def average(prices: Sequence[dict[str, Any]], unit: str = "uncached_input_tokens") -> Fraction | None:
    """Return the average of June."""
    rows = [Price(**{"provider": "acme", "model": "m", "rates": {"input_tokens": 10}, **told}) for told in prices]
    catalogue = Catalogue.from_rows(rows, version="test")
    return average_rate(catalogue, catalogue.group("acme", "m", None), unit, JUNE, JULY)


def test_one_price_is_its_own_average() -> None:
    """The price holds all month."""
    assert average([{}]) == 10


def test_prices_weigh_by_the_days_they_held() -> None:
    """10 for the first 6 of 30 days and 5 for 24: 2 + 4 = 6."""
    change = datetime(2026, 6, 7, tzinfo=UTC)

    assert average([{"valid_to": change}, {"valid_from": change, "rates": {"input_tokens": 5}}]) == 6


def test_prices_by_the_hour_weigh_by_their_hours() -> None:
    """4 for six hours from midnight and 8 for 18: 1 + 6 = 7. A change within a day counts to the hour.

    From 12 June 12:00 it is 8 all day: 11 days at 7, half a day of six hours at 4 and six at 8 (6), and 18.5 at 8:
    (77 + 3 + 148) / 30 = 7.6.
    """
    by_hour: list[dict[str, Any]] = [
        {"rates": {"input_tokens": 4}},
        {"rates": {"input_tokens": 8}, "daily_from": time(6)},
    ]
    assert average(by_hour) == 7

    noon = datetime(2026, 6, 12, 12, tzinfo=UTC)
    until = [{**each, "valid_to": noon} for each in by_hour]
    assert average([*until, {"valid_from": noon, "rates": {"input_tokens": 8}}]) == Fraction("7.6")


def test_time_without_a_price_has_no_weight() -> None:
    """A gap is no price of zero."""
    middle = datetime(2026, 6, 16, tzinfo=UTC)

    assert average([{"valid_to": middle}]) == 10
    assert average([{"valid_to": JUNE}]) is None
    assert average([{"valid_from": JULY}]) == 10, "before its first known date the earliest price stands in"


def test_a_unit_takes_the_most_specific_rate_and_none_where_there_is_none() -> None:
    """As in rating: a cache read has its own rate or that of input; output has no part in it."""
    prices = [{"rates": {"input_tokens": 10, "cache_read_tokens": Fraction(1, 3)}}]

    assert average(prices, "cache_read_tokens") == Fraction(1, 3)
    assert average(prices, "cache_write_5m_tokens") == 10
    assert average(prices, "text_output_tokens") is None
    assert average(prices, "holograms") is None


def test_the_price_of_short_requests_counts() -> None:
    """Usage by month does not tell the length of each request."""
    assert average([{}, {"above_input_tokens": 200_000, "rates": {"input_tokens": 20}}]) == 10
