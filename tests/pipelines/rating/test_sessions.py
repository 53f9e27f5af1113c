"""Real coding sessions, call by call, at the list prices of their models."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate, rate_by_book

MakeEvents = Callable[..., pa.RecordBatch]
SESSIONS: Final = "claude-code-sessions/requests_0001_0480.csv.gz"
RATE_KEYS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
# USD a million: input, output, cache read, cache write.
OPUS, SONNET = ("5", "25", "0.5", "6.25"), ("3", "15", "0.3", "3.75")
CONSTANT_PRICES: Final = {
    "claude-opus-4-5-20251101": OPUS,
    "claude-opus-4-6": OPUS,
    "claude-sonnet-4-20250514": SONNET,
    "claude-sonnet-4-5-20250929": SONNET,
    "claude-opus-4-1-20250805": ("15", "75", "1.5", "18.75"),
    "claude-haiku-4-5-20251001": ("1", "5", "0.1", "1.25"),
}
LONG_SONNET: Final = ("6", "22.5", "0.6", "7.5")
LONG_CONTEXT: Final = 200_000


def read_calls(path: Path) -> list[dict[str, str]]:
    """Return the calls of all sessions as they were recorded; `input_tokens` is all input, cached or not."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def constant_prices(*, tiers: bool) -> Catalogue:
    """Return the constant prices of the four readings, with the tier of long contexts or without."""

    def price(model: str, usd: tuple[str, ...], above: int | None = None) -> Price:
        # USD a million tokens are micro-USD a token: a million times as many pico-USD.
        rates = {key: int(Decimal(each) * 10**6) for key, each in zip(RATE_KEYS, usd, strict=True)}
        return Price("anthropic", model, rates, above_input_tokens=above)

    prices = [price(model, usd) for model, usd in CONSTANT_PRICES.items()]
    if tiers:
        prices += [price(model, LONG_SONNET, LONG_CONTEXT) for model, usd in CONSTANT_PRICES.items() if usd == SONNET]
    return Catalogue.from_rows(prices, version="constant")


@pytest.mark.parametrize(
    ("read_bucket", "write_bucket", "tiers", "expected"),
    [
        ("uncached_input_tokens", "uncached_input_tokens", False, "15677.5581"),
        ("cache_read_tokens", "uncached_input_tokens", False, "2352.5942"),
        ("cache_read_tokens", "cache_write_5m_tokens", False, "2503.1147"),
        ("cache_read_tokens", "cache_write_5m_tokens", True, "3217.4016"),
    ],
    ids=["no cache", "cache read", "cache read and write", "with long contexts"],
)
def test_four_readings_of_the_real_sessions_cost_what_their_constant_prices_say(
    make_events: MakeEvents,
    shared_data: Callable[[str], Path],
    read_bucket: str,
    write_bucket: str,
    tiers: bool,
    expected: str,
) -> None:
    """The same 29,336 calls cost 15,677 USD or 2,353, by whether a meter knows the cache (pitfalls 1 and 17)."""
    events: list[dict[str, Any]] = []
    for call in read_calls(shared_data(SESSIONS)):
        cached = int(call["reusable_prefix_tokens"])
        buckets = {"text_output_tokens": int(call["output_tokens"])}
        for bucket, count in ((read_bucket, cached), (write_bucket, int(call["input_tokens"]) - cached)):
            buckets[bucket] = buckets.get(bucket, 0) + count
        events.append({"provider": "anthropic", "model": call["model"], **buckets})
    rated = rate_by_book(make_events(events), PriceBook.of(constant_prices(tiers=tiers)))
    assert rated.num_rows == 29_336
    assert set(rated["cost_basis"].to_pylist()) == {"rated"}
    total = Decimal(sum(rated["list_cost_pico_usd"].to_pylist())).scaleb(-12)
    assert total.quantize(Decimal("0.0001")) == Decimal(expected)
    assert rated["contracted_cost_pico_usd"] == rated["list_cost_pico_usd"]


def test_real_coding_sessions_cost_what_their_prices_say(
    make_events: MakeEvents, genai_catalogue: Catalogue, shared_data: Callable[[str], Path]
) -> None:
    """29,336 real calls with caches: 3,124.83577620 USD, of which a reading without long contexts lacks a fifth."""
    calls = read_calls(shared_data(SESSIONS))
    start = datetime(2026, 6, 1, tzinfo=UTC)
    events = [
        {
            "provider": "anthropic",
            "model": call["model"],
            "occurred_at": start + timedelta(seconds=float(call["t"])),
            "cache_read_tokens": int(call["reusable_prefix_tokens"]),
            "cache_write_5m_tokens": int(call["input_tokens"]) - int(call["reusable_prefix_tokens"]),
            "text_output_tokens": int(call["output_tokens"]),
        }
        for call in calls
    ]
    rated = rate(make_events(events), genai_catalogue)
    costs = rated["list_cost_pico_usd"].to_pylist()
    assert set(rated["cost_basis"].to_pylist()) == {"rated"}
    assert sum(costs) == 3_124_835_776_200_000
    by_model: defaultdict[str, int] = defaultdict(int)
    for sku, cost in zip(rated["sku_price_id"].to_pylist(), costs, strict=True):
        by_model[sku.split("/")[2]] += cost
    assert dict(by_model) == {
        "claude-opus-4-5": 1_252_863_124_250_000,
        "claude-sonnet-4-5": 1_589_167_612_050_000,
        "claude-sonnet-4-0": 154_569_484_950_000,
        "claude-opus-4-1": 66_237_024_750_000,
        "claude-opus-4-6": 51_225_201_250_000,
        "claude-haiku-4-5": 10_773_328_950_000,
    }
