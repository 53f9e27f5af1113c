"""Average list prices of units of tokens, worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.unit_prices import TOKEN_BUCKETS, token_bucket, unit_prices
from tollbook.rating.units import load_units
from tollbook.rating.used import UsedUnit

JUNE, MID_JUNE, JULY = (datetime(2026, *day, tzinfo=UTC) for day in ((6, 1), (6, 16), (7, 1)))


def used(unit: str, model: str = "alpha", quantity: int = 10) -> UsedUnit:
    """Return what was used of a unit in June."""
    return UsedUnit(JUNE, JULY, "openai", model, "default", unit, quantity)


def price(since: datetime | None, until: datetime | None, **usd: str) -> Price:
    """Return a price of alpha in USD a million tokens."""
    rates = {key: Fraction(value) * 1_000_000 for key, value in usd.items()}
    return Price(provider="openai", model="alpha", rates=rates, valid_from=since, valid_to=until)


CATALOGUE = Catalogue.from_rows(
    [
        price(None, MID_JUNE, input_tokens="3", output_tokens="10"),
        price(MID_JUNE, None, input_tokens="1", cache_read_tokens="0.1", output_tokens="10"),
    ],
    version="test",
)


def test_a_price_is_the_average_over_the_time_of_the_period() -> None:
    """Input cost 3 USD a million for 15 days of June and 1 for 15: 2 on average, 2,000,000 pico-USD a token.

    A cache read had no price of its own in the first half and cost as input: (3 + 0.1) / 2 = 1.55.
    """
    units = ["uncached_input_tokens", "cache_read_tokens", "text_output_tokens"]

    rows = unit_prices([used(unit) for unit in units], CATALOGUE).to_pylist()

    assert {row["unit"]: (row["token_bucket"], row["unit_price_pico_usd"]) for row in rows} == {
        "uncached_input_tokens": ("uncached_input_tokens", Decimal(2_000_000)),
        "cache_read_tokens": ("cache_read_tokens", Decimal(1_550_000)),
        "text_output_tokens": ("output_tokens", Decimal(10_000_000)),
    }
    assert {(row["billing_period_start"], row["consumed_quantity"]) for row in rows} == {(date(2026, 6, 1), 10)}


def test_a_model_without_a_price_has_none_rather_than_zero() -> None:
    """What nothing prices stands with a null, and searches are no tokens."""
    rows = unit_prices([used("text_output_tokens", model="own"), used("web_searches")], CATALOGUE).to_pylist()

    assert [(row["model"], row["unit_price_pico_usd"]) for row in rows] == [("own", None)]


def test_units_are_in_the_token_columns_that_the_models_sum_them_to() -> None:
    """The macro of the token columns and the buckets here are two places that say one thing."""
    counted: dict[str, set[str]] = {name: set() for name in TOKEN_BUCKETS}
    for unit in load_units().buckets:
        counted[token_bucket(unit)].add(unit.name)

    assert counted == {
        "uncached_input_tokens": {
            "uncached_input_tokens",
            "audio_input_tokens",
            "image_input_tokens",
            "video_input_tokens",
        },
        "cache_read_tokens": {"cache_read_tokens", "cache_read_audio_tokens"},
        "cache_write_tokens": {"cache_write_5m_tokens", "cache_write_1h_tokens"},
        "output_tokens": {"text_output_tokens", "reasoning_tokens", "audio_output_tokens", "image_output_tokens"},
    }
