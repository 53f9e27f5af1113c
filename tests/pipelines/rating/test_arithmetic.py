"""Rounding, range and units beside tokens, worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import Any

import pyarrow as pa

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate

MakeEvents = Callable[..., pa.RecordBatch]
RateOne = Callable[..., dict[str, Any]]

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
USD = 10**12


def test_searches_are_priced_by_call_beside_the_tokens(rate_one: RateOne) -> None:
    """Tool calls of a provider are on its invoice too."""
    rated = rate_one(
        provider="anthropic", model="claude-sonnet-4-5", uncached_input_tokens=1, tool_calls={"web_searches": 3}
    )
    # 10 USD a thousand searches.
    assert rated["bucket_cost_pico_usd"]["tool_calls"] == 3 * USD // 100
    assert rated["list_cost_pico_usd"] == 3 * USD // 100 + 3_000_000


def test_a_fee_for_each_request_is_charged_once_a_request(rate_one: RateOne) -> None:
    """Perplexity bills each request beside its tokens: sonar 1 USD a million tokens and 12 USD a thousand."""
    rated = rate_one(provider="perplexity", model="sonar", uncached_input_tokens=100, text_output_tokens=100)
    assert rated["bucket_cost_pico_usd"]["requests"] == 12 * USD // 1_000
    assert rated["list_cost_pico_usd"] == 12 * USD // 1_000 + 200 * 1_000_000


def test_audio_is_billed_by_the_hour_with_the_least_that_is_billed(
    make_events: MakeEvents, genai_catalogue: Catalogue
) -> None:
    """Groq bills ten seconds at least: 0.111 USD an hour is 30,833,333.3 pico-USD a second."""
    call = {"provider": "groq", "model": "whisper-large-v3"}
    lengths = (3, 10, 11, 3_600, 0)
    rated = rate(make_events([{**call, "other_units": {"audio_seconds": n}} for n in lengths]), genai_catalogue)
    ten, eleven = 308_333_333, 339_166_667  # 308,333,333.3 and 339,166,666.7
    assert rated["list_cost_pico_usd"].to_pylist() == [ten, ten, eleven, 111 * USD // 1_000, 0]


def test_a_rate_finer_than_a_pico_is_rounded_once_for_each_bucket(rate_one: RateOne) -> None:
    """Rounding the rate instead of the cost would be wrong by half a pico for every token."""
    price = Price("p", "m", {"input_tokens": Fraction(1, 2), "output_tokens": Fraction(5, 2)})
    catalogue = Catalogue.from_rows([price], version="half")
    rated = rate_one(
        catalogue,
        provider="p",
        model="m",
        uncached_input_tokens=3,
        cache_read_tokens=1,
        text_output_tokens=1,
        reasoning_tokens=3,
    )
    # 1.5 -> 2, 0.5 -> 0, 2.5 -> 2, 7.5 -> 8, each half to even.
    by_bucket = {name: cost for name, cost in rated["bucket_cost_pico_usd"].items() if cost}
    assert by_bucket == {"uncached_input_tokens": 2, "text_output_tokens": 2, "reasoning_tokens": 8}
    assert rated["list_cost_pico_usd"] == 12


def test_costs_at_the_edge_of_the_range_are_exact_and_beyond_it_refused(make_events: MakeEvents) -> None:
    """int64 wraps silently in numpy; a wrapped cost would be a plausible small number."""
    rates = {"input_tokens": 10**9, "output_tokens": 10**9}
    catalogue = Catalogue.from_rows([Price("p", "m", rates)], version="dear")
    call = {"provider": "p", "model": "m"}
    counts = [(10**9 - 1, 0), (10**9, 0), (5 * 10**8, 5 * 10**8 - 1), (5 * 10**8, 5 * 10**8), (1, 0), (2**62, 2**62)]
    events = [{**call, "uncached_input_tokens": read, "text_output_tokens": written} for read, written in counts]
    rated = rate(make_events(events), catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [
        999_999_999_000_000_000,
        None,
        999_999_999_000_000_000,
        None,
        10**9,
        None,
    ]
    assert rated["unpriced_reason"].to_pylist() == [None, "cost_out_of_range"] * 2 + [None, "cost_out_of_range"]


def test_dear_searches_do_not_wrap_either(make_events: MakeEvents) -> None:
    """Units are guarded like tokens: 10^9 searches of 1 USD are above the range."""
    catalogue = Catalogue.from_rows([Price("p", "m", {"web_searches": USD, "input_tokens": 1})], version="dear")
    call = {"provider": "p", "model": "m", "uncached_input_tokens": 7}
    rated = rate(make_events([{**call, "tool_calls": {"web_searches": n}} for n in (2, 10**9, 10**5)]), catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [2 * USD + 7, None, 10**5 * USD + 7]
    assert rated["unpriced_reason"].to_pylist() == [None, "cost_out_of_range", None]


def test_the_period_before_the_first_price_is_estimated_and_a_gap_has_no_price(make_events: MakeEvents) -> None:
    """Half-open periods: each instant has one price, or a reason for having none."""
    days = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)]
    catalogue = Catalogue.from_rows(
        [
            Price("p", "m", {"input_tokens": 10}, valid_from=days[1], valid_to=days[2]),
            Price("p", "m", {"input_tokens": 20}, valid_from=days[3], valid_to=days[4]),
        ],
        version="gap",
    )
    instants = [days[0], days[1], days[2] - timedelta(microseconds=1), days[2], days[3], days[4]]
    calls = [{"provider": "p", "model": "m", "uncached_input_tokens": 1, "occurred_at": at} for at in instants]
    rated = rate(make_events(calls), catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [10, 10, 10, None, 20, None]
    assert rated["cost_basis"].to_pylist() == ["estimated", "rated", "rated", "unpriced", "rated", "unpriced"]
    assert rated["unpriced_reason"].to_pylist()[3::2] == ["no_price_in_force"] * 2


def test_rows_by_time_of_day_and_context_are_found_together(make_events: MakeEvents) -> None:
    """All three levels of a price at once: the period, the hour, the length of the request."""
    rows = [
        Price("p", "m", {"input_tokens": 1}),
        Price("p", "m", {"input_tokens": 2}, above_input_tokens=100),
        Price("p", "m", {"input_tokens": 3}, daily_from=time(12)),
        Price("p", "m", {"input_tokens": 4}, daily_from=time(12), above_input_tokens=50),
    ]
    catalogue = Catalogue.from_rows(rows, version="levels")
    calls = [
        {"provider": "p", "model": "m", "uncached_input_tokens": n, "occurred_at": JUNE + timedelta(hours=hour)}
        for hour, n in ((11, 100), (11, 101), (12, 50), (12, 51))
    ]
    assert rate(make_events(calls), catalogue)["list_cost_pico_usd"].to_pylist() == [100, 202, 150, 204]


def with_tool_calls(events: pa.RecordBatch, calls: pa.Array) -> pa.RecordBatch:
    """Return the events with another `tool_calls` column."""
    return events.set_column(events.schema.get_field_index("tool_calls"), "tool_calls", calls)


def test_a_unit_that_a_map_names_twice_is_rounded_once(make_events: MakeEvents) -> None:
    """An Arrow map may hold a key twice; half a pico for each of two calls is one pico, not none."""
    catalogue = Catalogue.from_rows([Price("p", "m", {"web_searches": Fraction(1, 2)})], version="half")
    events = make_events([{"provider": "p", "model": "m"}] * 3)
    names = pa.array(["web_searches"] * 4)
    calls = pa.MapArray.from_arrays(pa.array([0, 2, 3, 4], pa.int32()), names, pa.array([1, 1, 1, 3], pa.int64()))
    rated = rate(with_tool_calls(events, calls), catalogue)
    # 1.0, 0.5 and 1.5, half to even.
    assert rated["list_cost_pico_usd"].to_pylist() == [1, 0, 2]


def test_a_null_map_counts_nothing_whatever_lies_beneath_it(make_events: MakeEvents) -> None:
    """Arrow lets a null hide entries of the child arrays; they belong to no event."""
    catalogue = Catalogue.from_rows([Price("p", "m", {"web_searches": 7, "input_tokens": 1})], version="hidden")
    events = make_events([{"provider": "p", "model": "m", "uncached_input_tokens": 1}] * 3)
    calls = pa.MapArray.from_arrays(
        pa.array([0, 1, 3, 4], pa.int32()),
        pa.array(["web_searches"] * 4),
        pa.array([1, 100, 100, 2], pa.int64()),
        mask=pa.array([False, True, False]),
    )
    rated = rate(with_tool_calls(events, calls), catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [8, 1, 15]
