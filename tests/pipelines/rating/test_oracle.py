"""Our figures against those of genai-prices' own calculation, over random and over real usage."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider, StartDateConstraint, TieredPrices, Usage
from genai_prices.units import _get_registry

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rate import rate
from tollbook.rating.spellings import spellings

MakeEvents = Callable[..., pa.RecordBatch]

SNAPSHOT = DataSnapshot(providers, from_auto_update=False)
REGISTRY = _get_registry()

CONTEXTS = {
    None: {},
    "default": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
# Our disjoint quantities, and the usage keys of genai-prices in which each is counted.
INPUT: Final = {
    "uncached_input_tokens": (),
    "cache_read_tokens": ("cache_read_tokens",),
    "cache_read_audio_tokens": ("cache_read_tokens", "input_audio_tokens", "cache_audio_read_tokens"),
    "cache_write_5m_tokens": ("cache_write_tokens", "cache_write_5m_tokens"),
    "cache_write_1h_tokens": ("cache_write_tokens", "cache_write_1h_tokens"),
    "audio_input_tokens": ("input_audio_tokens",),
    "image_input_tokens": ("input_image_tokens",),
    "video_input_tokens": ("input_video_tokens",),
}
OUTPUT: Final = {
    "text_output_tokens": (),
    "reasoning_tokens": ("output_reasoning_tokens",),
    "audio_output_tokens": ("output_audio_tokens",),
    "image_output_tokens": ("output_image_tokens",),
}
OTHER: Final = {
    "output_citation_tokens": ("output_tokens", "output_citation_tokens"),
    "output_video_tokens": ("output_tokens", "output_video_tokens"),
    "input_characters": ("input_characters",),
    "input_text_messages": ("input_text_messages",),
    "audio_seconds": ("audio_seconds",),
    "input_audio_seconds": ("audio_seconds", "input_audio_seconds"),
    "input_document_pages": ("input_document_pages",),
    "input_annotated_document_pages": ("input_document_pages", "input_annotated_document_pages"),
}
TOOLS: Final = ("web_searches", "storage_searches")


def as_usage(event: dict[str, Any]) -> Usage:
    """Return the usage of an event in genai-prices' overlapping counts, every key told."""
    counts = dict.fromkeys((key for key in REGISTRY.units if key != "requests"), 0)
    for bucket, keys in (INPUT | OUTPUT).items():
        whole = "input_tokens" if bucket in INPUT else "output_tokens"
        for key in (whole, *keys):
            counts[key] += event.get(bucket) or 0
    for unit, quantity in (event.get("other_units") or {}).items():
        for key in OTHER[unit]:
            counts[key] += quantity
    for unit, quantity in (event.get("tool_calls") or {}).items():
        counts[unit] += quantity
    return Usage(**counts)


def outcome_of(rated: dict[str, Any]) -> tuple[str, str | None, int | None]:
    """Return basis, reason and cost of a rated event."""
    return rated["cost_basis"], rated["unpriced_reason"], rated["list_cost_pico_usd"]


def parts_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an event for each bucket and unit that it used, since each of them is rounded by itself."""
    parts = [{bucket: event[bucket]} for bucket in INPUT | OUTPUT if event.get(bucket)]
    for column in ("tool_calls", "other_units"):
        parts += [{column: {unit: quantity}} for unit, quantity in (event.get(column) or {}).items() if quantity]
    return parts


def pico(usd: Decimal) -> Fraction:
    """Return USD as pico-USD, exact."""
    return Fraction(usd) * 10**12


def expected(event: dict[str, Any]) -> tuple[str, str | None, Fraction | int | None]:
    """Return basis, reason and cost by genai-prices and the named differences."""
    provider, model = SNAPSHOT.find_provider_model(event["model"], None, event["provider"], None)
    context, at, basis = CONTEXTS[event["service_tier"]], event["occurred_at"], "rated"
    if context:
        variants = [] if model not in provider.models else matching(model, context)
        if not variants:
            return "unpriced", "unknown_service_tier", None
        first = min(starts(variants))
        if at.date() < first:
            at, basis = datetime.combine(first, at.time(), UTC), "estimated"
    in_force = model.get_prices(at, context)
    if lacks_a_rate(in_force, event, free=model.id.endswith(":free")):
        return "unpriced", "missing_rate", None
    if any(not tells(event, direction) and charges_for(in_force, direction) for direction in (INPUT, OUTPUT)):
        basis = "estimated"
    total = model.calc_price(as_usage(event), provider, genai_request_timestamp=at, price_context=context or None)
    if pico(total.total_price).denominator == 1:
        return basis, None, pico(total.total_price)
    # Finer than a pico: rounded once for each bucket. None of these prices has context tiers or a fee.
    assert all(isinstance(price, Decimal) for price in vars(in_force).values())
    assert "requests_kcount" not in vars(in_force)
    by_part = (
        model.calc_price(as_usage(part), provider, genai_request_timestamp=at, price_context=context or None)
        for part in parts_of(event)
    )
    return basis, None, sum(round(pico(part.total_price)) for part in by_part)


def tells(event: dict[str, Any], direction: dict[str, tuple[str, ...]]) -> bool:
    """Whether an event tells any tokens of a direction, a zero too."""
    units = {unit for unit in event.get("other_units") or {} if unit.endswith("_tokens") and direction is OUTPUT}
    return bool(units) or any(event.get(bucket) is not None for bucket in direction)


def charges_for(price: ModelPrice, direction: dict[str, tuple[str, ...]]) -> bool:
    """Whether a price charges for any bucket of a direction; of a tiered price the first tier."""
    whole = "input" if direction is INPUT else "output"
    keys = {f"{whole}_tokens", f"{whole}_text_tokens", *(key for used in direction.values() for key in used)}
    return any(
        REGISTRY.unit_for_price_key(name).usage_key in keys and (each.base if isinstance(each, TieredPrices) else each)
        for name, each in vars(price).items()
        if each is not None
    )


def matching(model: ModelInfo, context: dict[str, str]) -> list[PriceVariant]:
    """Return the price variants that a service tier's context selects."""
    return [
        variant
        for variant in model.price_variants or ()
        if all(context.get(key) == value for key, value in variant.when.items())
    ]


def starts(variants: list[PriceVariant]) -> list[date]:
    """Return the first day of each variant; an undated one always held."""
    return [
        variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else date.min
        for variant in variants
    ]


def lacks_a_rate(price: ModelPrice, event: dict[str, Any], *, free: bool) -> bool:
    """Whether a used quantity is in no key that the price names; genai-prices bills such a one at zero."""
    priced = {REGISTRY.unit_for_price_key(key).usage_key for key in vars(price)}
    if free and not priced:
        priced = {"input_tokens", "output_tokens"}
    for part in parts_of(event):
        used = {key for key, value in as_usage(part)._reported_values().items() if value}
        if not used & priced:
            return True
    return False


def some_counts(seed: random.Random) -> dict[str, Any]:
    """Return random disjoint counts, often at the edge of a context tier."""
    edge = seed.choice((128_000, 200_000, 256_000, 272_000)) + seed.choice((-1, 0, 1))
    left = seed.choice((edge, seed.randint(0, 2_000), seed.randint(0, 400_000)))
    counts: dict[str, Any] = {}
    for bucket in seed.sample(list(INPUT), seed.randint(1, len(INPUT))):
        counts[bucket] = seed.randint(0, left)
        left -= counts[bucket]
    counts["uncached_input_tokens"] = counts.get("uncached_input_tokens", 0) + left
    counts["text_output_tokens"] = seed.randint(0, 20_000)
    if seed.random() < 0.3:
        counts |= {bucket: seed.randint(0, 5_000) for bucket in OUTPUT if seed.random() < 0.5}
    return counts


def some_event(seed: random.Random, provider: Provider, model: str, edges: list[datetime]) -> dict[str, Any]:
    """Return a random call, often at an instant at which some price changes."""
    near = seed.choice(edges) + seed.choice((timedelta(microseconds=-1), timedelta(0), timedelta(hours=5)))
    anywhere = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=seed.randint(0, 4 * 365 * 86_400))
    hours = (0, 1, 4, 6, 10, 16)
    daily = anywhere.replace(hour=seed.choice(hours), minute=seed.choice((0, 30)), second=0)
    event: dict[str, Any] = {
        "provider": provider.id,
        "model": model,
        "service_tier": seed.choice((*[None] * 6, "default", *["batch"] * 4, "flex", "priority", "fast")),
        "occurred_at": seed.choice((near, anywhere, daily, daily - timedelta(microseconds=1))),
    }
    if seed.random() < 0.95:
        event |= some_counts(seed)
    if seed.random() < 0.07 or "text_output_tokens" not in event:
        event["other_units"] = {unit: seed.randint(0, 5_000) for unit in seed.sample(list(OTHER), 1)}
    if seed.random() < 0.1:
        event["tool_calls"] = {unit: seed.randint(0, 9) for unit in TOOLS if seed.random() < 0.7}
    return event


def test_random_calls_cost_what_genai_prices_says(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """5,000 random models, usages, instants and tiers agree to the pico, but for the differences we name."""
    seed = random.Random(20261124)
    own = [(provider, model.id) for provider in providers for model in provider.models]
    by_id = {provider.id: provider for provider in providers}
    elsewhere = [
        (provider, model.id)
        for provider in providers
        for other in provider.fallback_model_providers or ()
        for model in by_id[other].models
    ]
    special = [(provider, model) for provider, model in own if interesting(provider, model)]
    edges = sorted({datetime.combine(day, time(0), UTC) for day in price_changes()})
    events: list[dict[str, Any]] = []
    while len(events) < 5_000:
        provider, model = seed.choice(seed.choice((own, special, special, special, elsewhere)))
        try:
            SNAPSHOT.find_provider_model(model, None, provider.id, None)
        except LookupError:
            continue
        events.append(some_event(seed, provider, model, edges))

    rated = rate(make_events(events), genai_catalogue).to_pylist()
    seen: Counter[str] = Counter()
    for event, outcome in zip(events, rated, strict=True):
        basis, reason, cost = expected(event)
        assert outcome_of(outcome) == (basis, reason, cost), event
        seen[reason or basis] += 1
    # The comparison means something only where all kinds came up, and most calls had a price.
    assert seen["rated"] > 2_000
    assert min(seen[kind] for kind in ("estimated", "unknown_service_tier", "missing_rate")) > 100


def interesting(provider: Provider, model: str) -> bool:
    """Whether a model has dated, tiered or several prices, or rates beside input and output."""
    info = next(each for each in provider.models if each.id == model)
    return isinstance(info.prices, list) or bool(info.price_variants) or len(vars(info.prices)) > 3


def price_changes() -> set[date]:
    """Return every day on which some price begins."""
    constraints = [
        each.constraint
        for provider in providers
        for model in provider.models
        for each in (*(model.price_variants or ()), *(model.prices if isinstance(model.prices, list) else ()))
    ]
    return {each.start_date for each in constraints if isinstance(each, StartDateConstraint)}


def test_real_responses_of_vendors_cost_what_genai_prices_says(
    make_events: MakeEvents, genai_catalogue: Catalogue, shared_data: Callable[[str], Path]
) -> None:
    """Usage of 789 real responses, at every provider that could have sent them, agrees with the library's release."""
    path = shared_data("vendor-usage-api/genai_prices_usages.json.gz")
    with gzip.open(path, "rt", encoding="utf-8") as document:
        responses = json.load(document)
    told = {
        (extractor["provider_id"], response["model"], json.dumps(extracted["usage"], sort_keys=True))
        for response in responses
        if "model" in response
        for extracted in response["extracted"]
        for extractor in extracted["extractors"]
    }
    calls = [(provider, model, json.loads(usage)) for provider, model, usage in sorted(told)]
    events = [{"provider": provider, "model": model, **disjoint(usage)} for provider, model, usage in calls]
    rated = rate(make_events(events), genai_catalogue).to_pylist()
    seen: Counter[str] = Counter()
    for (provider, model, usage), event, outcome in zip(calls, events, rated, strict=True):
        # The library knows no `anthropic/claude-...` and no `models/gemini-...`; we take them apart and ask again.
        spelt = spellings(genai_catalogue.names, provider, model, genai_catalogue.knows)
        known = next((name for _, name in spelt if library_knows(provider, name)), None)
        if known is None:
            assert outcome["unpriced_reason"] == "unknown_model", (provider, model)
            continue
        at = datetime(2026, 6, 1, tzinfo=UTC)
        priced = expected({**event, "model": known, "service_tier": None, "occurred_at": at})
        assert outcome_of(outcome) == (priced if usage else ("unpriced", "no_usage", None)), (provider, model, usage)
        seen[priced[0]] += 1
    assert seen["rated"] > 1_000


def library_knows(provider: str, model: str) -> bool:
    """Return whether the library finds a model at a provider."""
    try:
        SNAPSHOT.find_provider_model(model, None, provider, None)
    except LookupError:
        return False
    return True


def disjoint(usage: dict[str, int]) -> dict[str, Any]:
    """Return the overlapping counts of genai-prices as our disjoint buckets; a cached image is a cached token."""
    if not usage:
        return {}
    get = usage.get
    cached_audio = get("cache_audio_read_tokens", 0)
    event: dict[str, Any] = {
        "cache_read_tokens": get("cache_read_tokens", 0) - cached_audio,
        "cache_read_audio_tokens": cached_audio,
        "cache_write_1h_tokens": get("cache_write_1h_tokens", 0),
        "cache_write_5m_tokens": get("cache_write_tokens", 0) - get("cache_write_1h_tokens", 0),
        "audio_input_tokens": get("input_audio_tokens", 0) - cached_audio,
        "image_input_tokens": get("input_image_tokens", 0) - get("cache_image_read_tokens", 0),
        "video_input_tokens": get("input_video_tokens", 0) - get("cache_video_read_tokens", 0),
        "reasoning_tokens": get("output_reasoning_tokens", 0),
        "image_output_tokens": get("output_image_tokens", 0),
    }
    parts = sum(event[bucket] for bucket in event if bucket in INPUT)
    event["uncached_input_tokens"] = usage["input_tokens"] - parts
    if "output_tokens" in usage:
        event["text_output_tokens"] = usage["output_tokens"] - event["reasoning_tokens"] - event["image_output_tokens"]
    if "web_searches" in usage:
        event["tool_calls"] = {"web_searches": usage["web_searches"]}
    return event
