"""What one event costs, worked by hand, and why some cost nothing that we could name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tollbook.errors import MisuseError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rate import input_columns, rate
from tollbook.rating.rated import RATED_SCHEMA
from tollbook.rating.reasons import UNPRICED_REASONS

MakeEvents = Callable[..., pa.RecordBatch]
RateOne = Callable[..., dict[str, Any]]

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
USD = 10**12


def unpriced(reason: str) -> dict[str, Any]:
    """Return the whole outcome of an event without a cost."""
    return {
        "list_cost_pico_usd": None,
        "cost_basis": "unpriced",
        "unpriced_reason": reason,
        "sku_price_id": None,
        "bucket_cost_pico_usd": None,
    }


def test_each_bucket_is_priced_once_by_its_own_rate(rate_one: RateOne) -> None:
    """Cached tokens counted or charged twice: the defect that metering tools are best known for (pitfall 1)."""
    rated = rate_one(
        provider="anthropic",
        model="claude-opus-4-5-20251101",
        uncached_input_tokens=1_000,
        cache_read_tokens=20_000,
        cache_write_5m_tokens=400,
        cache_write_1h_tokens=30,
        text_output_tokens=500,
    )
    # USD a million: 5 input, 0.5 cache read, 6.25 five-minute write, 10 one-hour write, 25 output.
    by_bucket = {
        "uncached_input_tokens": 5_000_000_000,
        "cache_read_tokens": 10_000_000_000,
        "cache_write_5m_tokens": 2_500_000_000,
        "cache_write_1h_tokens": 300_000_000,
        "text_output_tokens": 12_500_000_000,
    }
    assert rated["list_cost_pico_usd"] == 30_300_000_000
    assert {name: cost for name, cost in rated["bucket_cost_pico_usd"].items() if cost} == by_bucket
    assert rated["cost_basis"] == "rated"
    assert rated["sku_price_id"] == "genai-prices/anthropic/claude-opus-4-5/default/undated/base"


def test_reasoning_without_a_rate_of_its_own_is_output(rate_one: RateOne) -> None:
    """Reasoning is billed as output; billed beside it, o3 would cost more than it does."""
    rated = rate_one(model="o3", uncached_input_tokens=0, text_output_tokens=100, reasoning_tokens=900)
    assert rated["list_cost_pico_usd"] == 1_000 * 8_000_000


@pytest.mark.parametrize(
    ("input_tokens", "expected", "context"),
    [
        # USD a million: 3 and 15, above 200,000 input tokens 6 and 22.50.
        (200_000, 200_000 * 3_000_000 + 100 * 15_000_000, "base"),
        (200_001, 200_001 * 6_000_000 + 100 * 22_500_000, "above-200000"),
    ],
)
def test_a_context_tier_is_a_cliff_by_the_request(
    rate_one: RateOne, input_tokens: int, expected: int, context: str
) -> None:
    """Tiers apply to the request, and to all of its tokens (pitfall 17)."""
    rated = rate_one(
        provider="anthropic", model="claude-sonnet-4-5", uncached_input_tokens=input_tokens, text_output_tokens=100
    )
    assert rated["list_cost_pico_usd"] == expected
    assert rated["sku_price_id"].endswith(context)


def test_a_context_tier_counts_cached_tokens_and_never_a_sum_of_requests(
    make_events: MakeEvents, genai_catalogue: Catalogue
) -> None:
    """Priced on a sum of tokens instead of its requests, one workload came to 56.55 instead of 33.90 USD."""
    call = {"provider": "anthropic", "model": "claude-sonnet-4-5", "uncached_input_tokens": 1_000}
    rated = rate(make_events([{**call, "cache_read_tokens": 199_000}] * 10), genai_catalogue)
    # 1,000 x 3 + 199,000 x 0.30 USD a million, ten times over.
    assert rated["list_cost_pico_usd"].to_pylist() == [1_000 * 3_000_000 + 199_000 * 300_000] * 10
    above = rate(make_events([{**call, "cache_read_tokens": 199_001}]), genai_catalogue)
    assert above["list_cost_pico_usd"].to_pylist() == [1_000 * 6_000_000 + 199_001 * 600_000]


def test_a_price_changes_at_midnight_utc_and_not_before(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """History is priced at the price of its own day, never at today's (pitfall 4): o3 went from 10 to 2 USD."""
    change = datetime(2025, 6, 10, tzinfo=UTC)
    calls = [
        {"model": "o3", "uncached_input_tokens": 1, "occurred_at": change + shift}
        for shift in (timedelta(microseconds=-1), timedelta(0))
    ]
    rated = rate(make_events(calls), genai_catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [10_000_000, 2_000_000]
    assert [price.rsplit("/", 2)[1] for price in rated["sku_price_id"].to_pylist()] == ["undated", "2025-06-10"]


def test_a_price_by_time_of_day_holds_every_day(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """DeepSeek's day price of 0.27 USD holds from 00:30 to 16:30 UTC; at night it is half."""
    day = datetime(2025, 3, 8, tzinfo=UTC)
    instants = [
        day + shift
        for shift in (
            timedelta(minutes=30, microseconds=-1),
            timedelta(minutes=30),
            timedelta(hours=16, minutes=30, microseconds=-1),
            timedelta(hours=16, minutes=30),
        )
    ]
    call = {"provider": "deepseek", "model": "deepseek-chat", "uncached_input_tokens": 1_000}
    rated = rate(make_events([{**call, "occurred_at": at} for at in instants]), genai_catalogue)
    night, daytime = 1_000 * 135_000, 1_000 * 270_000
    assert rated["list_cost_pico_usd"].to_pylist() == [night, daytime, daytime, night]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"provider": "on_prem"}, "unknown_provider"),
        ({"provider": None}, "unknown_provider"),
        ({"provider": "", "model": "gpt-4o"}, "unknown_provider"),
        ({"model": "gpt-4o-imaginary-model"}, "unknown_model"),
        ({"model": None}, "unknown_model"),
        ({"service_tier": "scale"}, "unknown_service_tier"),
        ({"service_tier": "auto"}, "unknown_service_tier"),
        ({"service_tier": "flex"}, "unknown_service_tier"),
        ({"provider": "azure", "service_tier": "batch"}, "unknown_service_tier"),
        ({"uncached_input_tokens": None}, "no_usage"),
        ({"uncached_input_tokens": -1}, "negative_count"),
        ({"uncached_input_tokens": 9, "input_tokens": 10}, "buckets_disagree"),
        ({"uncached_input_tokens": None, "input_tokens": 10}, "buckets_disagree"),
        ({"model": "text-embedding-3-small", "text_output_tokens": 1}, "missing_rate"),
        ({"model": "moderation"}, "missing_rate"),
        ({"tool_calls": {"code_executions": 1}}, "missing_rate"),
        ({"tool_calls": {"teleportations": 1}}, "unknown_unit"),
        ({"other_units": {"web_searches": 1}}, "unknown_unit"),
        ({"uncached_input_tokens": 10**18}, "cost_out_of_range"),
    ],
)
def test_what_cannot_be_priced_costs_null_with_a_reason(rate_one: RateOne, told: dict[str, Any], reason: str) -> None:
    """Missing models silently at zero, or priced by a fallback, hide real money (pitfall 3)."""
    assert rate_one(**{"uncached_input_tokens": 10, **told}) == unpriced(reason)
    assert reason in UNPRICED_REASONS


def test_a_provider_is_never_guessed_from_the_model(rate_one: RateOne) -> None:
    """The same model costs differently elsewhere, and on own hardware it costs no tokens at all."""
    assert rate_one(provider="my-own-gateway", uncached_input_tokens=10) == unpriced("unknown_provider")


def test_a_total_of_zero_is_priced_and_a_missing_one_is_not(rate_one: RateOne) -> None:
    """An explicit 0 read as missing, or a missing count read as 0, is pitfall 10."""
    assert rate_one(uncached_input_tokens=0, text_output_tokens=0)["list_cost_pico_usd"] == 0
    assert rate_one(tool_calls={}, other_units={}) == unpriced("no_usage")


def test_a_model_that_its_vendor_calls_free_is_rated_at_zero(rate_one: RateOne) -> None:
    """Free is a price. An empty price row alone is none, and genai-prices bills both at zero."""
    call = {"provider": "openrouter", "uncached_input_tokens": 10, "text_output_tokens": 5}
    free = rate_one(**call, model="agentica-org/deepcoder-14b-preview:free")
    assert (free["list_cost_pico_usd"], free["cost_basis"]) == (0, "rated")
    assert rate_one(**call, model="stealth/crouton-alpha") == unpriced("missing_rate")


def test_a_call_that_a_gateway_answered_costs_nothing_and_says_why(rate_one: RateOne) -> None:
    """No provider tokens were bought; the price id says so, and the tokens stay countable."""
    for model in ("gpt-4o", "no-such-model"):
        hit = rate_one(model=model, uncached_input_tokens=10, gateway_cache_hit=True)
        assert (hit["list_cost_pico_usd"], hit["cost_basis"]) == (0, "rated")
        assert hit["sku_price_id"] == "tollbook/gateway_cache_hit"
        assert sum(hit["bucket_cost_pico_usd"].values()) == 0
    assert rate_one(uncached_input_tokens=10, gateway_cache_hit=False)["list_cost_pico_usd"] == 25_000_000


def test_a_void_has_no_cost_and_is_not_an_unpriced_call(rate_one: RateOne) -> None:
    """A void never counted; shown as unpriced it would keep a period from closing."""
    void = rate_one(action="void", provider=None, model=None, gateway_cache_hit=True)
    assert void == {**unpriced("void"), "cost_basis": None}
    assert rate_one(action="replace", uncached_input_tokens=10)["list_cost_pico_usd"] == 25_000_000


def test_counts_that_the_reporter_estimated_give_an_estimated_cost(rate_one: RateOne) -> None:
    """A stream that broke off before its usage came is graded, not passed off as measured (pitfall 10)."""
    call = {"uncached_input_tokens": 10, "text_output_tokens": 0}
    guessed = rate_one(**call, usage_basis="estimated")
    assert (guessed["list_cost_pico_usd"], guessed["cost_basis"]) == (25_000_000, "estimated")
    assert rate_one(**call, usage_basis="reported")["cost_basis"] == "rated"


def test_a_tier_that_is_known_only_later_is_estimated_at_its_first_price(rate_one: RateOne) -> None:
    """genai-prices knows gpt-4o's batch price from 2026-10-14; before that it bills batch calls in full."""
    call = {"service_tier": "batch", "uncached_input_tokens": 1_000, "text_output_tokens": 0}
    first = datetime(2026, 10, 14, tzinfo=UTC)
    before = rate_one(**call, occurred_at=first - timedelta(microseconds=1))
    after = rate_one(**call, occurred_at=first)
    # Half of 2.50 USD a million, on both sides.
    assert before["list_cost_pico_usd"] == after["list_cost_pico_usd"] == 1_250_000_000
    assert (before["cost_basis"], after["cost_basis"]) == ("estimated", "rated")
    assert before["sku_price_id"] == after["sku_price_id"]


@pytest.mark.parametrize("tier", [None, "default", "standard", "on_demand", "DEFAULT"])
def test_names_of_the_default_tier_cost_the_same(rate_one: RateOne, tier: str | None) -> None:
    """Anthropic writes `standard` where OpenAI writes `default`; neither is an unknown tier."""
    assert rate_one(service_tier=tier, uncached_input_tokens=4)["list_cost_pico_usd"] == 10_000_000


def test_buckets_without_a_total_still_choose_their_context_tier(rate_one: RateOne) -> None:
    """A reporter that tells only buckets must not fall into the cheaper tier."""
    rated = rate_one(
        provider="anthropic",
        model="claude-sonnet-4-5",
        input_tokens=None,
        uncached_input_tokens=1,
        cache_read_tokens=200_000,
    )
    assert rated["list_cost_pico_usd"] == 6_000_000 + 200_000 * 600_000


def test_the_outcome_has_its_schema_whatever_comes(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """The lake's schema is fixed; a batch of one kind, or of no events, changes nothing in it."""
    for rows in ([], [{"model": "none"}], [{"uncached_input_tokens": 1}]):
        assert rate(make_events(rows), genai_catalogue).schema == RATED_SCHEMA
    table = pa.Table.from_batches([make_events([{"uncached_input_tokens": 4}])] * 3)
    assert rate(table, genai_catalogue)["list_cost_pico_usd"].to_pylist() == [10_000_000] * 3
    assert rate(table.slice(0, 0), genai_catalogue).num_rows == 0


def test_a_batch_without_a_column_is_refused(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """A misspelt column read as null would make its tokens free."""
    events = make_events([{"uncached_input_tokens": 1}])
    for name in input_columns():
        with pytest.raises(MisuseError, match=name):
            rate(events.drop_columns([name]), genai_catalogue)


def test_many_combinations_of_names_are_resolved_like_few(make_events: MakeEvents) -> None:
    """A batch with more names than the dense table holds takes another path to the same figures."""
    rows = [Price("p", f"m{place}", {"input_tokens": place}) for place in range(300)]
    catalogue = Catalogue.from_rows(rows, version="many")
    calls = [
        {
            "provider": "p" if place % 2 else f"unknown-{place}",
            "model": f"m{place}",
            "service_tier": f"tier-{place}" if place % 3 == 0 else None,
            "uncached_input_tokens": 2,
        }
        for place in range(300)
    ]
    rated = rate(make_events(calls), catalogue).to_pylist()
    for place, outcome in enumerate(rated):
        if place % 2 == 0:
            assert outcome["unpriced_reason"] == "unknown_provider"
        elif place % 3 == 0:
            assert outcome["unpriced_reason"] == "unknown_service_tier"
        else:
            assert outcome["list_cost_pico_usd"] == 2 * place
