"""Real pains of the tools that people use today, each a promise here. Numbers are those of the project's list."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tollbook.formats.native import NativeDecoder
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.columns import cost_columns
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate, rate_by_book

MakeEvents = Callable[..., pa.RecordBatch]
RateOne = Callable[..., dict[str, Any]]
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
SONNET = {"provider": "anthropic", "model": "claude-sonnet-4-5"}


def decoded(**told: Any) -> tuple[pa.RecordBatch, list[str]]:
    """Return the events and the codes of the rejects of one native record, as the stream reads it."""
    event = {"source": "s", "event_id": "e", "occurred_at": "2026-06-01T00:00:00Z", **SONNET, **told}
    outcome = NativeDecoder().decode(pa.array([json.dumps(event).encode()], pa.binary()), now=JUNE)
    return outcome.events, [reject.error.reason for reject in outcome.rejected]


def test_cached_tokens_are_not_counted_or_charged_twice(genai_catalogue: Catalogue) -> None:
    """Pitfall 1, litellm#9812, #11364: input as told holds the cached tokens; a bill must hold them once."""
    events, rejects = decoded(input_tokens=10_000, cache_read_tokens=8_000, cache_write_5m_tokens=500, output_tokens=10)
    assert rejects == []
    rated = rate(events, genai_catalogue).to_pylist()[0]
    # 1,500 x 3 + 8,000 x 0.30 + 500 x 3.75 + 10 x 15 USD a million; charged twice it would be 10,000 x 3 and more.
    assert rated["list_cost_pico_usd"] == 4_500_000_000 + 2_400_000_000 + 1_875_000_000 + 150_000_000
    assert decoded(input_tokens=7_000, cache_read_tokens=8_000)[1] == ["part_exceeds_whole"]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        # A price that knows one write charges both for it; one that knows none charges them as plain input.
        ({"cache_write_tokens": 3_750_000}, (3_750_000, 3_750_000)),
        ({"cache_write_5m_tokens": 3_750_000, "cache_write_1h_tokens": 6_000_000}, (3_750_000, 6_000_000)),
        ({"cache_write_tokens": 3_750_000, "cache_write_1h_tokens": 6_000_000}, (3_750_000, 6_000_000)),
        ({}, (3_000_000, 3_000_000)),
    ],
)
def test_a_cache_write_by_any_name_is_neither_free_nor_doubled(
    make_events: MakeEvents, rates: dict[str, int], expected: tuple[int, int]
) -> None:
    """Pitfall 2, langfuse#10592, #12306: an alias that nobody knew made cache writes cost nothing, or twice."""
    prices = [Price("p", "m", {"input_tokens": 3_000_000, "output_tokens": 0, **rates})]
    catalogue = Catalogue.from_rows(prices, version="writes")
    calls = [{"provider": "p", "model": "m", f"cache_write_{each}_tokens": 1_000} for each in ("5m", "1h")]
    costs = rate(make_events(calls), catalogue)["list_cost_pico_usd"].to_pylist()
    assert costs == [1_000 * each for each in expected]


def test_an_unknown_usage_key_is_shown_and_not_free(rate_one: RateOne) -> None:
    """Pitfall 2, langfuse#17117: a key that no table has is a reason, not a zero."""
    rated = rate_one(uncached_input_tokens=10, other_units={"cache_creation_2h_tokens": 5})
    assert (rated["list_cost_pico_usd"], rated["unpriced_reason"]) == (None, "unknown_unit")


def test_a_provider_reported_cost_is_not_ignored_and_every_cost_tells_its_basis(make_events: MakeEvents) -> None:
    """Pitfall 12, litellm#27588: what the provider said is charged where we know nothing, and is kept where we do."""
    told = {"provider_cost": Decimal("0.5"), "provider_cost_currency": "USD"}
    call = {"provider": "p", "uncached_input_tokens": 1_000, "text_output_tokens": 0, **told}
    price = Price("p", "m", {"input_tokens": 3_000_000, "output_tokens": 1}, valid_from=JUNE)
    events = make_events(
        [
            {**call, "model": "m", "occurred_at": JUNE},
            {**call, "model": "m", "occurred_at": JUNE - timedelta(days=1)},
            {**call, "model": "not-listed"},
            {**call, "model": "not-listed", "provider_cost": None},
        ]
    )
    rated = rate_by_book(events, PriceBook.of(Catalogue.from_rows([price], version="basis")))
    assert rated["cost_basis"].to_pylist() == ["rated", "estimated", "provider_reported", "unpriced"]
    assert rated["list_cost_pico_usd"].to_pylist() == [3_000_000_000, 3_000_000_000, 500_000_000_000, None]


@pytest.mark.parametrize(
    ("tier", "input_tokens", "expected"),
    [
        (None, 200_000, 200_000 * 3_000_000),
        (None, 200_001, 200_001 * 6_000_000),
        ("batch", 200_000, 200_000 * 1_500_000),
        ("batch", 200_001, 200_001 * 3_000_000),
        ("flex", 200_001, 200_001 * 1_600_000),
        ("priority", 200_001, 200_001 * 9_000_000),
    ],
)
def test_long_context_batch_flex_and_priority_are_priced_by_the_request(
    make_events: MakeEvents, tier: str | None, input_tokens: int, expected: int
) -> None:
    """Pitfall 17, litellm PR#39861, opik#6982: tiers that nobody priced, or priced on a sum of requests."""

    def price(rate_of: int, *, tier: str = "default", above: int | None = None) -> Price:
        rates = {"input_tokens": rate_of, "output_tokens": 15_000_000}
        return Price("p", "m", rates, service_tier=tier, above_input_tokens=above)

    catalogue = Catalogue.from_rows(
        [
            *(price(3_000_000), price(6_000_000, above=200_000)),
            *(price(1_500_000, tier="batch"), price(3_000_000, tier="batch", above=200_000)),
            *(price(1_600_000, tier="flex"), price(9_000_000, tier="priority")),
        ],
        version="tiers",
    )
    call = {"provider": "p", "model": "m", "service_tier": tier, "text_output_tokens": 0}
    rated = rate(make_events([{**call, "uncached_input_tokens": input_tokens}] * 100), catalogue)
    # A hundred requests of a length stay a hundred requests of that length.
    assert rated["list_cost_pico_usd"].to_pylist() == [expected] * 100


def test_pitfall_18_small_amounts_add_up_without_a_float(make_events: MakeEvents) -> None:
    """Pitfall 18, litellm#8867, langfuse#1041: a float's 0.1 a token, summed, is 0.09999 or 0.10001; ours is exact."""
    tenth = Price("p", "m", {"input_tokens": 100_000, "output_tokens": 0})
    book = PriceBook.of(Catalogue.from_rows([tenth], version="tenth"))
    calls = make_events([{"provider": "p", "model": "m", "uncached_input_tokens": 1, "text_output_tokens": 0}] * 10_000)
    columns = cost_columns(calls, book)
    costs = [columns[name] for name in ("list_cost", "contracted_cost", "rated_list_cost")]
    assert {cost.type for cost in costs} == {pa.decimal128(18, 12)}
    # 10,000 tokens at 0.1 USD a million.
    assert pc.sum(columns["list_cost"].cast(pa.decimal128(38, 12))).as_py() == Decimal("0.001")
    assert sum([0.1 / 10**6] * 10_000) != 0.001


def test_pitfall_18_a_bucket_is_rounded_once_half_to_even(make_events: MakeEvents) -> None:
    """Pitfall 18: a third of a micro-dollar a token has no end; each bucket is rounded once, not each token."""
    # 1/3 pico-USD a token of input, 1/2 a token of cache, 3/2 a token of output.
    rates = {"input_tokens": Fraction(1, 3), "cache_read_tokens": Fraction(1, 2), "output_tokens": Fraction(3, 2)}
    catalogue = Catalogue.from_rows([Price("p", "m", rates)], version="once")
    counts = [(3, 0, 0), (4, 0, 0), (0, 1, 0), (0, 3, 0), (0, 0, 1), (1, 1, 1), (100, 5, 3)]
    names = ("uncached_input_tokens", "cache_read_tokens", "text_output_tokens")
    calls = [{"provider": "p", "model": "m", **dict(zip(names, each, strict=True))} for each in counts]
    costs = rate(make_events(calls), catalogue)["list_cost_pico_usd"].to_pylist()
    # 1; 4/3 is 1; 1/2 is 0; 3/2 is 2; 3/2 is 2; 0 + 0 + 2; 100/3 is 33, 5/2 is 2, 9/2 is 4.
    assert costs == [1, 1, 0, 2, 2, 2, 39]
