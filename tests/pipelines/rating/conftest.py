"""Catalogues and events for the tests of rating."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollbook.contracts import usage_event
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rate import rate

MakeEvents = Callable[[Sequence[dict[str, Any]]], pa.RecordBatch]
RateOne = Callable[..., dict[str, Any]]

INPUT = ("uncached_input", "cache_read", "cache_read_audio", "cache_write_5m", "cache_write_1h")
INPUT_BUCKETS = (
    *(f"{name}_tokens" for name in INPUT),
    *(f"{name}_input_tokens" for name in ("audio", "image", "video")),
)
OUTPUT_BUCKETS = ("text_output_tokens", "reasoning_tokens", "audio_output_tokens", "image_output_tokens")


def whole_event(told: dict[str, Any]) -> dict[str, Any]:
    """Return a valid event: what a test does not tell is filled in, and totals are the sums of their buckets."""
    event = {
        "source": "test",
        "event_id": "one",
        "occurred_at": datetime(2026, 6, 1, tzinfo=UTC),
        "provider": "openai",
        "model": "gpt-4o",
        **told,
    }
    for whole, buckets in (("input_tokens", INPUT_BUCKETS), ("output_tokens", OUTPUT_BUCKETS)):
        parts = [event[name] for name in buckets if event.get(name) is not None]
        if parts and whole not in event:
            event[whole] = sum(parts)
    return event


@pytest.fixture(scope="session")
def make_events() -> MakeEvents:
    """Return a function from rows to a batch of `usage_event/v1`, null where a row is silent."""

    def make(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([whole_event(row) for row in rows], schema=usage_event().arrow_schema)

    return make


@pytest.fixture(scope="session")
def genai_catalogue() -> Catalogue:
    """Return the catalogue of the installed genai-prices."""
    return Catalogue.from_genai_prices()


@pytest.fixture
def rate_one(make_events: MakeEvents, genai_catalogue: Catalogue) -> RateOne:
    """Return a function that rates one event, by the catalogue of genai-prices unless given another."""

    def rated(catalogue: Catalogue = genai_catalogue, /, **told: Any) -> dict[str, Any]:
        outcome: dict[str, Any] = rate(make_events([told]), catalogue, buckets=True).to_pylist()[0]
        return outcome

    return rated


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a function from a name to a file of the real data beside the project; it skips where that is absent."""
    folder = Path(__file__).parents[4] / "shared" / "data"

    def find(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"the real data is not on this machine: expected ../shared/data/{name} beside the project")
        return folder / name

    return find
