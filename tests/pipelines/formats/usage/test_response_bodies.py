"""789 response bodies that real APIs gave, read by our table and priced, against what genai-prices made of them.

The file holds each body with every reading of it: the same body is read as each provider's that could have answered in
its shape, and priced where that provider sells the model. So 789 bodies make thousands of readings. Each must give the
file's tokens and the file's price, or differ for a reason that stands in `REASONS`.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollbook.contracts import shipped_folder, usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.buckets import INPUT_BUCKETS, OUTPUT_BUCKETS
from tollbook.formats.usage import Flavour, Usage, UsageTable, read_body
from tollbook.formats.usage.table import read_table
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rate import rate

# The file's prices are of this time: the snapshot's newest entries were checked on 2026-08-13, and claude-sonnet-5
# still has the price that ends with August.
PRICED_AT = datetime(2026, 8, 20, 12, tzinfo=UTC)
PICO = 10**12

REASONS = {
    "read_further": "the library does not read this field of this provider; its wider count, and so its price, is ours",
    "written_cache": "the library does not read cache writes of this provider, and prices them as plain input",
    "reasoning_beside": "xAI tells reasoning beside completion_tokens; in this body of another provider it is inside",
    "advisor_beside": "an advisor's call stands in `iterations`, at its own model's price; the library leaves it out",
    "flex": "the provider says that it billed flex, of which the snapshot has no price: null, not the default's price",
    "no_rates": "the price has no rates at all: null, where the library says 0",
    "search_without_rate": "the snapshot has no rate for web searches: null, where the library leaves them out",
    "one_output_rate": "the snapshot has one output rate for this model; the file's release also has one for images",
    "not_in_snapshot": "the snapshot does not have the model or the provider; the file's release did",
    "gateway_name": "we find a model under the prefix that a gateway or Google puts before it; the library does not",
}
"""Why a reading differs from the file, by name."""

API_FLAVOURS = {
    ("anthropic", "default"): "anthropic.messages",
    ("aws", "default"): "bedrock.converse",
    ("cohere", "default"): "cohere.chat",
    ("cohere", "embeddings"): "cohere.meta",
    ("google", "default"): "google.generate_content",
    ("groq", "default"): "groq.chat",
    ("minimax", "default"): "anthropic.messages",
    ("mistral", "default"): "mistral.chat",
    ("perplexity", "default"): "perplexity.chat",
    ("x-ai", "default"): "xai.chat",
}
"""The library's name of a provider's API to our flavour, where it is not the name of the API."""

# Cohere bills `billed_units`; the library's second reading of the same body is of what it does not bill.
NOT_BILLED = {("cohere", "tokens")}


@dataclass(frozen=True)
class Reading:
    """One body read as one provider's: what the file expects, and what we make of it."""

    body: int
    provider: str
    api: str
    expected_usage: dict[str, int]
    expected_price: tuple[Decimal, Decimal] | None
    usage: Usage

    def event(self) -> dict[str, Any]:
        """Return the event to price."""
        return {"provider": self.provider, "occurred_at": PRICED_AT, **self.usage.fields}


def flavour_of(table: UsageTable, provider: str, api: str) -> Flavour:
    """Return our flavour of a provider's API by the library's name of it."""
    if (provider, api) in API_FLAVOURS:
        return table.flavours[API_FLAVOURS[provider, api]]
    ours = table.flavour(provider, "messages" if api == "anthropic" else api)
    return ours or table.flavours[f"openai.{api}"]


def read_all(table: UsageTable, path: Path) -> Iterator[Reading]:
    """Yield every reading of every body."""
    for place, entry in enumerate(json.loads(gzip.decompress(path.read_bytes()))):
        for extracted in entry["extracted"]:
            for reader in extracted["extractors"]:
                provider, api = reader["provider_id"], reader["api_flavor"]
                if (provider, api) in NOT_BILLED:
                    continue
                price = None
                if "input_price" in reader:
                    price = Decimal(reader["input_price"]), Decimal(reader["output_price"])
                usage = read_body(entry["body"], flavour_of(table, provider, api))
                yield Reading(place, provider, api, extracted["usage"], price, usage)


@pytest.fixture(scope="module")
def readings(table: UsageTable, shared_data: Callable[[str], Path]) -> list[Reading]:
    """Return every reading of the 789 bodies."""
    return list(read_all(table, shared_data("vendor-usage-api/genai_prices_usages.json.gz")))


@pytest.fixture(scope="module")
def snapshot(shared_data: Callable[[str], Path]) -> Catalogue:
    """Return the catalogue of the snapshot that the file's commit published."""
    return Catalogue.from_genai_prices(snapshot=shared_data("genai-prices/data.json.gz"))


def as_the_library_counts(usage: Usage) -> dict[str, int]:
    """Return our disjoint counts by the library's keys, whose wider ones hold the narrower; 0 is left out as there."""
    told = usage.fields
    raw = told.get("raw_usage", {})
    cached = {
        kind: sum(raw.get(f"cacheTokensDetails[modality={name}].tokenCount", 0) for name in names)
        for kind, names in {"image": ("IMAGE", "DOCUMENT"), "video": ("VIDEO",)}.items()
    }
    counts = {
        "input_tokens": told.get("input_tokens", 0),
        "output_tokens": told.get("output_tokens", 0),
        "cache_read_tokens": told.get("cache_read_tokens", 0) + told.get("cache_read_audio_tokens", 0),
        "cache_audio_read_tokens": told.get("cache_read_audio_tokens", 0),
        "cache_image_read_tokens": cached["image"],
        "cache_video_read_tokens": cached["video"],
        "cache_write_tokens": told.get("cache_write_5m_tokens", 0) + told.get("cache_write_1h_tokens", 0),
        "input_audio_tokens": told.get("audio_input_tokens", 0) + told.get("cache_read_audio_tokens", 0),
        "input_image_tokens": told.get("image_input_tokens", 0) + cached["image"],
        "input_video_tokens": told.get("video_input_tokens", 0) + cached["video"],
        "output_reasoning_tokens": told.get("reasoning_tokens", 0),
        "output_image_tokens": told.get("image_output_tokens", 0),
        "web_searches": told.get("tool_calls", {}).get("web_searches", 0),
    }
    return {name: count for name, count in counts.items() if count}


# Text is told again by what is left of the whole; tools' input is input; the file tells the times to live of a cache
# write for one API alone.
RESTATED = {
    "input_text_tokens",
    "output_text_tokens",
    "cache_text_read_tokens",
    "input_tool_tokens",
    "input_text_tool_tokens",
    "cache_write_5m_tokens",
}


def why_tokens_differ(reading: Reading) -> str | None:
    """Return the reason for which our counts are not the file's, None where they are; fail where there is none."""
    ours = as_the_library_counts(reading.usage)
    theirs = {name: count for name, count in reading.expected_usage.items() if name not in RESTATED}
    if ours == theirs:
        return None
    changed = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    if "output_tokens" in changed:
        reasoning = reading.usage.fields["reasoning_tokens"]
        assert (reading.provider, reading.api) == ("x-ai", "default"), reading
        assert ours["output_tokens"] == theirs["output_tokens"] + reasoning, reading
        return "reasoning_beside"
    assert "input_tokens" not in changed, reading
    assert not changed & theirs.keys(), f"counted otherwise: {reading}"
    return "written_cache" if "cache_write_tokens" in changed else "read_further"


def priced(readings: list[Reading], catalogue: Catalogue, *, tools: bool = True) -> list[dict[str, Any]]:
    """Return what rating says of each reading."""
    contract = usage_event()
    rows = [{name: reading.event().get(name) for name in contract.names} for reading in readings]
    if not tools:
        rows = [{**row, "tool_calls": None} for row in rows]
    batch = pa.RecordBatch.from_pylist(rows, schema=contract.arrow_schema)
    return rate(batch, catalogue, buckets=True).to_pylist()  # type: ignore[no-any-return]


def token_costs(rated: dict[str, Any]) -> tuple[Decimal, Decimal] | None:
    """Return what input and output cost in USD, None where there is no price."""
    costs = rated["bucket_cost_pico_usd"]
    if costs is None:
        return None
    return (
        Decimal(sum(costs[name] or 0 for name in INPUT_BUCKETS)) / PICO,
        Decimal(sum(costs[name] or 0 for name in OUTPUT_BUCKETS)) / PICO,
    )


def why_price_differs(reading: Reading, rated: dict[str, Any], without_tools: dict[str, Any]) -> str | None:
    """Return the reason for which our price is not the file's, None where it is; fail where there is none."""
    ours, theirs = token_costs(rated), reading.expected_price
    if ours == theirs:
        return None
    fields, model = reading.usage.fields, reading.usage.fields.get("model", "")
    if theirs is None:
        assert "/" in model, reading
        return "gateway_name"
    if ours is None:
        return _why_unpriced(reading, rated["unpriced_reason"], token_costs(without_tools))
    if reading.provider == "azure" and fields.get("cache_write_5m_tokens"):
        assert ours[1] == theirs[1], reading
        return "written_cache"
    assert fields.get("image_output_tokens"), f"priced otherwise, {ours}: {reading}"
    assert ours[0] == theirs[0], reading
    return "one_output_rate"


def _why_unpriced(reading: Reading, reason: str, without_tools: tuple[Decimal, Decimal] | None) -> str:
    if reason == "unknown_service_tier":
        assert reading.usage.fields["service_tier"] == "flex", reading
        return "flex"
    if reason == "missing_rate" and reading.expected_price == (Decimal(0), Decimal(0)):
        return "no_rates"
    if reason == "missing_rate":
        assert without_tools == reading.expected_price, reading
        return "search_without_rate"
    assert reason in {"unknown_model", "unknown_provider"}, reading
    return "not_in_snapshot"


def verdicts(readings: list[Reading], catalogue: Catalogue) -> Iterator[tuple[Reading, str | None, str | None]]:
    """Yield each reading, why its tokens differ and why its price does."""
    rated = priced(readings, catalogue)
    without_tools = priced(readings, catalogue, tools=False)
    for reading, outcome, bare in zip(readings, rated, without_tools, strict=True):
        yield reading, why_tokens_differ(reading), why_price_differs(reading, outcome, bare)


def test_every_reading_counts_the_file_s_tokens_or_differs_for_a_reason(readings: list[Reading]) -> None:
    """Extraction is where caches are counted twice and reasoning is lost: no token may differ unexplained."""
    found = Counter(why_tokens_differ(reading) for reading in readings)
    assert found == {None: 9_230, "read_further": 191, "written_cache": 75, "reasoning_beside": 39}
    assert set(found) - {None} <= set(REASONS)


def test_every_reading_costs_the_file_s_price_or_differs_for_a_reason(
    readings: list[Reading], snapshot: Catalogue
) -> None:
    """1,731 readings have a price in the file. 1,710 of ours are the same to the last digit."""
    by_price = Counter(why for reading, _, why in verdicts(readings, snapshot) if reading.expected_price is not None)
    assert by_price == {
        None: 1_710,
        "search_without_rate": 8,
        "one_output_rate": 4,
        "not_in_snapshot": 4,
        "written_cache": 3,
        "flex": 1,
        "no_rates": 1,
    }
    elsewhere = {why for reading, _, why in verdicts(readings, snapshot) if reading.expected_price is None}
    assert elsewhere <= {None, "gateway_name"}


def test_bodies_are_as_the_file_says_or_differ_for_a_reason(readings: list[Reading], snapshot: Catalogue) -> None:
    """All 789: 647 that the file prices somewhere, by those readings, and 142 that it does not, by all of theirs."""
    reasons: defaultdict[int, set[str | None]] = defaultdict(set)
    priced_somewhere = {reading.body for reading in readings if reading.expected_price is not None}
    for reading, tokens, price in verdicts(readings, snapshot):
        if reading.expected_price is not None or reading.body not in priced_somewhere:
            reasons[reading.body] |= {tokens, price} - {None, "gateway_name"}
        if reading.usage.further:
            reasons[reading.body].add("advisor_beside")
    assert len(reasons) == 789
    with_price = Counter(tuple(sorted(filter(None, why))) for body, why in reasons.items() if body in priced_somewhere)
    without = Counter(tuple(sorted(filter(None, why))) for body, why in reasons.items() if body not in priced_somewhere)
    assert with_price == {
        (): 624,
        ("read_further",): 6,
        ("one_output_rate",): 4,
        ("not_in_snapshot",): 4,
        ("written_cache",): 3,
        ("advisor_beside", "read_further"): 2,
        ("read_further", "search_without_rate"): 2,
        ("flex",): 1,
        ("no_rates",): 1,
    }
    assert without == {(): 137, ("read_further", "reasoning_beside"): 4, ("written_cache",): 1}


def test_what_the_snapshot_lacks_costs_the_file_s_price_by_the_installed_release(
    readings: list[Reading], snapshot: Catalogue
) -> None:
    """The reasons that blame the snapshot are true: with rates for images and searches the amounts are the file's."""
    lacking = {"one_output_rate", "search_without_rate"}
    blamed = [reading for reading, _, why in verdicts(readings, snapshot) if why in lacking]
    installed = Catalogue.from_genai_prices()
    outcomes = Counter(
        (reading.provider, token_costs(outcome) == reading.expected_price)
        for reading, outcome in zip(blamed, priced(blamed, installed), strict=True)
    )
    # Neither Bedrock nor Vertex sells Claude's own web search, so a search there stays without a rate.
    assert outcomes == {
        ("google", True): 4,
        ("anthropic", True): 2,
        ("azure", True): 2,
        ("aws", False): 2,
        ("google", False): 2,
    }


def test_an_advisor_s_call_is_billed_beside_at_its_own_model_s_price(
    readings: list[Reading], snapshot: Catalogue
) -> None:
    """By the top of the usage object alone, 2,518 tokens of claude-opus-4-8 would be free."""
    (call,) = next(
        reading.usage.further
        for reading in readings
        if (reading.provider, reading.api) == ("anthropic", "default") and reading.usage.further
    )
    assert (call.kind, call.place, call.usage.fields["model"]) == ("advisor_message", 1, "claude-opus-4-8")
    asked = Reading(0, "anthropic", "default", {}, None, call.usage)
    # 2,518 x 5 USD and 22 x 25 USD a million.
    assert token_costs(priced([asked], snapshot)[0]) == (Decimal("0.01259"), Decimal("0.00055"))


def test_every_body_has_a_reading_without_unknown_fields(readings: list[Reading], table: UsageTable) -> None:
    """The table knows every field that these APIs told; what is foreign to an API is shown when read as its own."""
    flags: defaultdict[int, set[tuple[str, ...]]] = defaultdict(set)
    for reading in readings:
        flags[reading.body].add(reading.usage.flags)
        assert bool(reading.usage.unknown) == ("unknown_usage_field" in reading.usage.flags)
    (flagged,) = (body for body, found in flags.items() if () not in found)
    # OpenRouter tells its `cost` in OpenAI's responses too, an API of it that the file does not read.
    unknown = {reading.usage.unknown[0] for reading in readings if reading.body == flagged if reading.usage.unknown}
    assert unknown == {"cost"}
    assert "cost" not in {field.name for field in table.flavours["openai.responses"].costs}
    assert "cost" in {field.name for field in table.flavours["openrouter.responses"].costs}


def test_a_total_that_holds_more_than_its_counts_is_flagged(readings: list[Reading]) -> None:
    """Gemini's OpenAI-compatible API left out its thinking: 35 of prompt and 12 of completion, 109 in all."""
    (odd,) = (
        reading
        for reading in readings
        if (reading.provider, reading.api) == ("google", "chat") and "usage_total_differs" in reading.usage.flags
    )
    assert odd.usage.fields["raw_usage"] == {"completion_tokens": 12, "prompt_tokens": 35, "total_tokens": 109}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("cache_read_input_tokens: {counts: cache_read_tokens}", "cache_read_input_tokens: {known: broken}"),
        (
            "cached_tokens: {counts: cache_read_tokens, within: [prompt_tokens]}",
            "cached_tokens: {counts: cache_read_tokens}",
        ),
        (
            "thoughtsTokenCount: {counts: reasoning_tokens}",
            "thoughtsTokenCount: {counts: reasoning_tokens, within: [candidatesTokenCount]}",
        ),
        ("cacheWriteInputTokens: {counts: cache_write_5m_tokens", "cacheWriteInputTokens: {counts: cache_read_tokens"),
    ],
)
def test_a_wrong_mapping_is_found_by_these_bodies(
    right: str, wrong: str, tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    """A comparison that cannot fail proves nothing: each of these mistakes must show."""
    shipped = (shipped_folder("schemas") / "usage_fields.yml").read_text(encoding="utf-8")
    assert right in shipped
    broken = tmp_path / "usage_fields.yml"
    broken.write_text(shipped.replace(right, wrong), encoding="utf-8")
    path = shared_data("vendor-usage-api/genai_prices_usages.json.gz")
    readings = read_all(read_table(broken), path)
    with pytest.raises((AssertionError, RejectedRecordError)):
        Counter(why_tokens_differ(reading) for reading in readings)
