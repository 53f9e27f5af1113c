"""List prices of the simulator's own models, and what a call costs by them.

A small dated table apart from the product's catalogue, so that the truth does not lean on what it is to judge. The
arithmetic is of fractions, each bucket rounded once, half to even, to whole pico-USD.

Source: pydantic/genai-prices 0.2.3 (MIT), its price facts, checked on 2026-11-24; a test compares every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from typing import Final

PICO_USD_PER_USD = 10**12
MICROSECONDS_PER_SECOND = 1_000_000
STANDARD = "default"
BATCH = "batch"

ROWS: tuple[
    tuple[str, str, str, str | None, int, str, str | None, str | None, str | None, str | None, str | None], ...
] = (
    # provider, model, tier, valid from, for more input tokens than, then USD for a million tokens of uncached input,
    # cache read, cache write 5 min, cache write 1 h and output, and for a thousand web searches
    ("anthropic", "claude-sonnet-4-6", STANDARD, None, 0, "3", "0.3", "3.75", "6", "15", "10"),
    ("anthropic", "claude-sonnet-4-6", STANDARD, None, 200_000, "6", "0.6", "7.5", "12", "22.5", "10"),
    ("anthropic", "claude-sonnet-4-6", STANDARD, "2026-03-13", 0, "3", "0.3", "3.75", "6", "15", "10"),
    ("anthropic", "claude-sonnet-5", STANDARD, None, 0, "2", "0.2", "2.5", "4", "10", "10"),
    ("anthropic", "claude-sonnet-5-5", STANDARD, None, 0, "2", "0.1", "2.5", "4", "10", "10"),
    ("anthropic", "claude-opus-4-8", STANDARD, None, 0, "5", "0.5", "6.25", "10", "25", "10"),
    ("anthropic", "claude-opus-5-5", STANDARD, None, 0, "4", "0.2", "5", "8", "20", "10"),
    ("anthropic", "claude-haiku-4-5", STANDARD, None, 0, "1", "0.1", "1.25", "2", "5", "10"),
    ("anthropic", "claude-haiku-5-5", STANDARD, None, 0, "0.1", "0.01", "0.125", "0.2", "0.5", "10"),
    ("anthropic", "claude-haiku-5-5", STANDARD, None, 100_000, "0.5", "0.05", "0.625", "1", "2.5", "10"),
    ("google", "gemini-3.5-flash", STANDARD, None, 0, "1.5", "0.15", None, None, "9", "14"),
    ("google", "gemini-3.6-flash", STANDARD, None, 0, "0.75", "0.075", None, None, "3.75", "14"),
    ("google", "gemini-3.6-flash", STANDARD, "2027-01-01", 0, "1.5", "0.15", None, None, "7.5", "14"),
    ("google", "gemini-3.1-flash-lite", STANDARD, None, 0, "0.25", "0.025", None, None, "1.5", "14"),
    ("google", "gemini-3.1-flash-lite", BATCH, "2026-10-14", 0, "0.125", "0.0125", None, None, "0.75", None),
    ("google", "gemini-3.1-pro-preview", STANDARD, None, 0, "2", "0.2", None, None, "12", "14"),
    ("google", "gemini-3.1-pro-preview", STANDARD, None, 200_000, "4", "0.4", None, None, "18", "14"),
    ("openai", "gpt-5.4-mini", STANDARD, None, 0, "0.75", "0.075", None, None, "4.5", "10"),
    ("openai", "gpt-5.6-luna", STANDARD, None, 0, "1", "0.1", "1.25", None, "6", "10"),
    ("openai", "gpt-5.6-luna", STANDARD, None, 272_000, "2", "0.2", "2.5", None, "9", "10"),
    ("openai", "gpt-5.6-luna", STANDARD, "2026-07-30", 0, "0.2", "0.02", "0.25", None, "1.2", "10"),
    ("openai", "gpt-5.6-luna", STANDARD, "2026-07-30", 272_000, "0.4", "0.04", "0.5", None, "1.8", "10"),
    ("openai", "gpt-6-luna", STANDARD, None, 0, "0.1", "0.01", "0.125", None, "0.5", "10"),
    ("openai", "gpt-6-luna", STANDARD, None, 272_000, "0.2", "0.02", "0.25", None, "0.75", "10"),
    ("openai", "gpt-5.6-sol", STANDARD, None, 0, "5", "0.5", "6.25", None, "30", "10"),
    ("openai", "gpt-5.6-sol", STANDARD, None, 272_000, "10", "1", "12.5", None, "45", "10"),
    ("openai", "gpt-5.6-sol", STANDARD, "2026-08-21", 0, "4", "0.4", "5", None, "20", "10"),
    ("openai", "gpt-5.6-sol", STANDARD, "2026-08-21", 272_000, "8", "0.8", "10", None, "30", "10"),
    ("openai", "gpt-6-sol", STANDARD, None, 0, "2", "0.2", "2.5", None, "10", "10"),
    ("openai", "gpt-6-sol", STANDARD, None, 272_000, "4", "0.4", "5", None, "15", "10"),
    ("openai", "gpt-5.6-terra", STANDARD, None, 0, "2.5", "0.25", "3.125", None, "15", "10"),
    ("openai", "gpt-5.6-terra", STANDARD, None, 272_000, "5", "0.5", "6.25", None, "22.5", "10"),
    ("openai", "gpt-5.6-terra", STANDARD, "2026-07-30", 0, "2", "0.2", "2.5", None, "12", "10"),
    ("openai", "gpt-5.6-terra", STANDARD, "2026-07-30", 272_000, "4", "0.4", "5", None, "18", "10"),
    ("openai", "gpt-5.6-terra", BATCH, "2026-10-14", 0, "1", "0.1", "1.25", None, "6", None),
    ("openai", "gpt-5.6-terra", BATCH, "2026-10-14", 272_000, "2", "0.2", "2.5", None, "9", None),
    ("openai", "text-embedding-3-small", STANDARD, None, 0, "0.02", None, None, None, None, None),
)

UNPRICED_MODELS = (("nimbus", "nimbus-large-2"), ("mistral", "atlas-prototype-1"))
"""Provider and model that no catalogue knows."""


Rate = Fraction | int | None
"""Price of one token or search, exact; None when it has none. Unit: pico-USD/Token, pico-USD/Call."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a call costs from one moment on, above one length of prompt.

    Attributes:
        valid_from_us: From when; None for as long as the model is sold. Unit: Microseconds since 1970-01-01T00:00:00Z.
        above_input_tokens: For calls with more input than this. Unit: Tokens.
        uncached_input: Rate of a token that no cache has to do with.
        cache_read: Rate of a token read from the cache.
        cache_write_5m: Rate of a token written to the cache for five minutes.
        cache_write_1h: Rate of a token written to the cache for an hour.
        output: Rate of a token of output.
        web_search: Rate of one search.
    """

    valid_from_us: int | None
    above_input_tokens: int
    uncached_input: Rate
    cache_read: Rate
    cache_write_5m: Rate
    cache_write_1h: Rate
    output: Rate
    web_search: Rate


ModelKey = tuple[str, str, str]
"""Provider, model and tier."""

OwnPrices = Mapping[ModelKey, tuple[Price, ...]]
"""Prices of models that a simulation makes up, in the order of time and then of length."""

NO_PRICES: Final[OwnPrices] = {}


@dataclass(frozen=True, slots=True)
class Quantities:
    """What one call used. Buckets are disjoint. Unit: Tokens, and searches."""

    uncached_input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    web_searches: int = 0

    @property
    def input(self) -> int:
        """All input tokens."""
        return self.uncached_input + self.cache_read + self.cache_write_5m + self.cache_write_1h


def list_cost_pico_usd(
    provider: str, model: str, tier: str, occurred_us: int, used: Quantities, own: OwnPrices = NO_PRICES
) -> int | None:
    """Return the list cost of one call, or None where a quantity has no price.

    Args:
        provider: Who bills it.
        model: Its model.
        tier: `STANDARD` or `BATCH`.
        occurred_us: When. Unit: Microseconds since 1970-01-01T00:00:00Z.
        used: What it used.
        own: Prices of models that are made up.

    Returns:
        Unit: pico-USD.

    Source:
        The prompt's length decides the price of all its tokens, as the three vendors bill long prompts.
    """
    price = price_of(provider, model, tier, occurred_us, used.input, own)
    if price is None:
        return None
    parts = (
        (used.uncached_input, price.uncached_input),
        (used.cache_read, price.cache_read),
        (used.cache_write_5m, price.cache_write_5m),
        (used.cache_write_1h, price.cache_write_1h),
        (used.output, price.output),
        (used.web_searches, price.web_search),
    )
    cost = 0
    for quantity, each in parts:
        if quantity:
            if each is None:
                return None
            cost += round(each * quantity)  # a Fraction rounds half to even
    return cost


def price_of(
    provider: str, model: str, tier: str, occurred_us: int, input_tokens: int, own: OwnPrices = NO_PRICES
) -> Price | None:
    """Return the price in force at a moment for a prompt of a length, or None where there is none."""
    found = None
    for price in own.get((provider, model, tier)) or _prices(
        provider, model, tier
    ):  # in the order of time, then of length: the last that fits holds
        begun = price.valid_from_us is None or price.valid_from_us <= occurred_us
        if begun and (price.above_input_tokens == 0 or input_tokens > price.above_input_tokens):
            found = price
    return found


@cache
def _prices(provider: str, model: str, tier: str) -> tuple[Price, ...]:
    """Return the prices of a model at a tier, in the order of time and then of length."""
    return tuple(
        Price(
            valid_from_us=None if start is None else _microseconds(start),
            above_input_tokens=above,
            uncached_input=_each(uncached, 1_000_000),
            cache_read=_each(read, 1_000_000),
            cache_write_5m=_each(write_5m, 1_000_000),
            cache_write_1h=_each(write_1h, 1_000_000),
            output=_each(output, 1_000_000),
            web_search=_each(search, 1_000),
        )
        for (of, name, at, start, above, uncached, read, write_5m, write_1h, output, search) in ROWS
        if (of, name, at) == (provider, model, tier)
    )


def _each(usd: str | None, quantity: int) -> Rate:
    """Return the price of one, given that of `quantity` in USD; an integer where it is whole."""
    if usd is None:
        return None
    rate = Fraction(usd) * PICO_USD_PER_USD / quantity
    return rate.numerator if rate.denominator == 1 else rate


def _microseconds(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * MICROSECONDS_PER_SECOND
