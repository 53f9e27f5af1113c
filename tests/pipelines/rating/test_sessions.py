"""Real coding sessions, call by call, at the list prices of their models."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rate import rate

MakeEvents = Callable[..., pa.RecordBatch]


def test_real_coding_sessions_cost_what_their_prices_say(
    make_events: MakeEvents, genai_catalogue: Catalogue, shared_data: Callable[[str], Path]
) -> None:
    """29,336 real calls with caches: 3,124.83577620 USD, of which a reading without long contexts lacks a fifth."""
    path = shared_data("claude-code-sessions/requests_0001_0480.csv.gz")
    start = datetime(2026, 6, 1, tzinfo=UTC)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        calls = list(csv.DictReader(lines))
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
