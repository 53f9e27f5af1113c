"""The simulator's own prices, against the catalogue that they were copied from and by hand."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from tollbook.simulate.prices import (
    BATCH,
    ROWS,
    STANDARD,
    UNPRICED_MODELS,
    Quantities,
    list_cost_pico_usd,
)

SECOND_US = 1_000_000
EDGES = ("2026-03-13", "2026-07-30", "2026-08-21", "2026-10-14", "2027-01-01")
MOMENTS = [
    at
    for day in EDGES
    for edge in [datetime.fromisoformat(day).replace(tzinfo=UTC)]
    for at in (datetime.fromtimestamp(edge.timestamp() - 1, UTC), edge)
]
MODELS = sorted({(row[0], row[1]) for row in ROWS})
BATCH_MODELS = {(row[0], row[1]) for row in ROWS if row[2] == BATCH}
LENGTHS = (0, 1, 99_000, 100_000, 100_001, 200_000, 200_001, 272_000, 272_001, 900_000)


def microseconds(moment: datetime) -> int:
    """Return a time as the simulator has it."""
    return int(moment.timestamp()) * SECOND_US


def theirs(provider: str, model: str, tier: str, moment: datetime, used: Quantities) -> Decimal:
    """Return what genai-prices makes of a call. Unit: USD."""
    usage = Usage(
        input_tokens=used.input,
        cache_read_tokens=used.cache_read,
        cache_write_tokens=used.cache_write_5m + used.cache_write_1h,
        cache_write_1h_tokens=used.cache_write_1h,
        output_tokens=used.output,
        web_searches=used.web_searches,
    )
    context = {"processing": "batch"} if tier == BATCH else None
    return calc_price(
        usage, model, provider_id=provider, genai_request_timestamp=moment, price_context=context
    ).total_price


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_each_price_is_that_of_genai_prices_at_every_edge_of_time_and_length(provider: str, model: str) -> None:
    """The truth is worth something only if its prices are facts."""
    chance = random.Random(f"{provider}/{model}")
    row = next(each for each in ROWS if (each[0], each[1]) == (provider, model))
    _, read, write, hour, output, search = row[5:]
    for moment in MOMENTS:
        tiers = [STANDARD]
        if (provider, model) in BATCH_MODELS and moment >= datetime(2026, 10, 14, tzinfo=UTC):
            tiers.append(BATCH)
        for tier in tiers:
            for length in LENGTHS:
                parts = [chance.randint(0, length) for _ in range(3)]
                cached = [part // 3 if rate else 0 for part, rate in zip(parts, (read, write, hour), strict=True)]
                used = Quantities(
                    uncached_input=length - sum(cached),
                    cache_read=cached[0],
                    cache_write_5m=cached[1],
                    cache_write_1h=cached[2],
                    output=chance.randint(0, 5_000) if output else 0,
                    web_searches=chance.randint(0, 3) if search and tier == STANDARD else 0,
                )
                ours = list_cost_pico_usd(provider, model, tier, microseconds(moment), used)
                assert ours == theirs(provider, model, tier, moment, used) * 10**12


def test_the_catalogue_is_the_version_that_was_copied() -> None:
    """A newer one may have other prices; then the table and its date are to be looked at again."""
    assert genai_prices.__version__ == "0.2.3"


@pytest.mark.parametrize(("provider", "model"), UNPRICED_MODELS)
def test_an_unpriced_model_is_known_to_nobody(provider: str, model: str) -> None:
    """Its calls must be unpriced in the product as they are here."""
    with pytest.raises(LookupError):
        calc_price(Usage(input_tokens=1), model, provider_id=provider)
    assert list_cost_pico_usd(provider, model, STANDARD, 0, Quantities(1)) is None


def test_a_cost_worked_by_hand() -> None:
    """claude-sonnet-5 at 2, 0.2, 2.5, 4 and 10 USD a million tokens and 10 USD a thousand searches.

    10 x 2 + 1,000 x 0.2 + 200 x 2.5 + 100 x 4 + 300 x 10 micro-USD = 4,120 micro-USD; two searches 20,000 more.
    """
    used = Quantities(10, 1_000, 200, 100, 300, 2)
    assert list_cost_pico_usd("anthropic", "claude-sonnet-5", STANDARD, 0, used) == 24_120 * 10**6


def test_a_long_prompt_makes_every_token_of_its_call_dearer() -> None:
    """gemini-3.1-pro-preview: 2 and 12 USD up to 200,000 tokens of input, 4 and 18 above, for all of them."""
    cost = [
        list_cost_pico_usd("google", "gemini-3.1-pro-preview", STANDARD, 0, Quantities(tokens, output=1_000))
        for tokens in (200_000, 200_001)
    ]
    assert cost == [(400_000 + 12_000) * 10**6, (800_004 + 18_000) * 10**6]


def test_a_price_holds_from_midnight_utc_of_its_first_day() -> None:
    """gpt-5.6-sol fell from 5 to 4 USD a million tokens of input on 2026-08-21."""
    midnight = microseconds(datetime(2026, 8, 21, tzinfo=UTC))
    cost = [
        list_cost_pico_usd("openai", "gpt-5.6-sol", STANDARD, at, Quantities(1_000)) for at in (midnight - 1, midnight)
    ]
    assert cost == [5_000 * 10**6, 4_000 * 10**6]


def test_a_quantity_without_a_price_leaves_the_whole_call_without_one() -> None:
    """A cost that left it out would be too low, and look like a cost."""
    assert list_cost_pico_usd("openai", "text-embedding-3-small", STANDARD, 0, Quantities(5, output=1)) is None
    assert list_cost_pico_usd("openai", "gpt-5.6-terra", BATCH, 0, Quantities(5)) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_costs_below_a_tier_add_up_over_tokens(first: int, second: int) -> None:
    """claude-opus-5-5 has no tier: twice the tokens cost twice as much, to the pico-USD."""
    costs = [
        list_cost_pico_usd("anthropic", "claude-opus-5-5", STANDARD, 0, Quantities(tokens, tokens // 7))
        for tokens in (first, second)
    ]
    both = Quantities(first + second, first // 7 + second // 7)
    assert sum(filter(None, costs)) == (list_cost_pico_usd("anthropic", "claude-opus-5-5", STANDARD, 0, both) or 0)
