"""`units.yml` and `price_lookup.yml` say what rating rests on; a misspelt key in them must not pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from genai_prices.units import _get_registry

from tollbook.contracts import shipped_folder, usage_event
from tollbook.errors import ReferenceDataError
from tollbook.formats.buckets import INPUT_BUCKETS, OUTPUT_BUCKETS
from tollbook.rating.units import load_document, load_names, load_units

# What each bucket is, in the dimensions of genai-prices, written down independently of units.yml.
TOKENS = {"family": "tokens"}
DIMENSIONS = {
    "uncached_input_tokens": {"direction": "input", "modality": "text"},
    "cache_read_tokens": {"direction": "input", "token_type": "cache_read"},
    "cache_read_audio_tokens": {"direction": "input", "token_type": "cache_read", "modality": "audio"},
    "cache_write_5m_tokens": {"direction": "input", "token_type": "cache_write", "cache_ttl": "5m"},
    "cache_write_1h_tokens": {"direction": "input", "token_type": "cache_write", "cache_ttl": "1h"},
    "audio_input_tokens": {"direction": "input", "modality": "audio"},
    "image_input_tokens": {"direction": "input", "modality": "image"},
    "video_input_tokens": {"direction": "input", "modality": "video"},
    "text_output_tokens": {"direction": "output", "modality": "text"},
    "reasoning_tokens": {"direction": "output", "token_type": "reasoning"},
    "audio_output_tokens": {"direction": "output", "modality": "audio"},
    "image_output_tokens": {"direction": "output", "modality": "image"},
}


def test_the_buckets_are_those_that_decoding_makes_disjoint() -> None:
    """A bucket that decoding knows and rating does not would be free of charge."""
    assert {unit.name for unit in load_units().buckets} == {*INPUT_BUCKETS, *OUTPUT_BUCKETS}
    assert {unit.name for unit in load_units().buckets} <= set(usage_event().names)


def test_every_bucket_is_priced_by_the_units_that_contain_it() -> None:
    """A missing step in the chain charges an audio token as text; a wrong one charges a read as a write."""
    registry = _get_registry().units
    for unit in load_units().buckets:
        dimensions = (TOKENS | DIMENSIONS[unit.name]).items()
        containing = {key for key, each in registry.items() if each.dimensions.items() <= dimensions}
        assert set(unit.rates) == containing, unit.name
        depths = [len(registry[key].dimensions) for key in unit.rates]
        assert depths == sorted(depths, reverse=True), unit.name


def test_amounts_are_those_of_the_published_prices() -> None:
    """A price for a thousand searches that is read as one for a million is wrong by three powers of ten."""
    registry = _get_registry().units
    for unit in load_units().all:
        assert {registry[key].per for key in unit.rates} == {unit.per}, unit.name


def test_every_published_rate_prices_some_unit() -> None:
    """A rate in the catalogue that no unit can reach is a charge we would never make."""
    from genai_prices.data import providers
    from genai_prices.types import ModelPrice

    used = set()
    for model in (model for provider in providers for model in provider.models):
        prices = [model.prices] if isinstance(model.prices, ModelPrice) else [each.prices for each in model.prices]
        prices += [variant.prices for variant in model.price_variants or ()]
        used |= {key for price in prices for key in vars(price)}
    assert {_get_registry().unit_for_price_key(key).usage_key for key in used} <= load_units().rate_keys


def misspell_a_key(document: dict[str, Any]) -> None:
    """Write `perr` beside `per`."""
    document["web_searches"]["perr"] = 1000


def forget_the_amount(document: dict[str, Any]) -> None:
    """Leave out what the price is per."""
    del document["cache_read_tokens"]["per"]


def invent_a_direction(document: dict[str, Any]) -> None:
    """Give tokens a direction that there is not."""
    document["cache_read_tokens"]["token_direction"] = "Sideways"


@pytest.mark.parametrize("spoil", [misspell_a_key, forget_the_amount, invent_a_direction])
def test_units_that_break_their_schema_are_refused(spoil: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    """A misspelt keyword guards nothing, so unknown keys are errors, told with their place."""
    document = copy.deepcopy(load_document("units"))
    spoil(document)
    path = tmp_path / "units.yml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ReferenceDataError, match=r"units\.yml:\d+: (web_searches|cache_read_tokens)"):
        load_document("units", path=path)


def test_a_lookup_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """The table of aliases decides who bills; a key that nothing reads would look like an alias and be none."""
    document = copy.deepcopy(load_document("price_lookup"))
    document["service_tiers"]["batch"]["alias"] = ["bulk"]
    path = tmp_path / "price_lookup.yml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ReferenceDataError, match="service_tiers/batch"):
        load_document("price_lookup", path=path)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("aws.bedrock", "aws"),
        ("azure.ai.openai", "azure"),
        ("azure.ai.inference", "azure"),
        ("gcp.gemini", "google"),
        ("gcp.vertex_ai", "google"),
        ("gcp.gen_ai", "google"),
        ("x_ai", "x-ai"),
        ("mistral_ai", "mistral"),
        ("moonshot_ai", "moonshotai"),
        (" AWS.Bedrock ", "aws"),
        ("on_prem", "on_prem"),
    ],
)
def test_opentelemetry_provider_names_lead_to_the_price_list(told: str, meant: str) -> None:
    """By parts of its name, azure.ai.openai would be billed by OpenAI's list, and gcp.gen_ai by none."""
    assert load_names().provider(told) == meant


def test_every_alias_leads_to_a_provider_that_has_prices() -> None:
    """An alias to a misspelt provider would turn priced calls into unpriced ones."""
    from genai_prices.data import providers

    assert set(load_names().providers.values()) <= {provider.id for provider in providers}


def test_the_schemas_of_the_documents_forbid_unknown_keys() -> None:
    """The guard itself is seen to be there."""
    for name in ("units", "price_lookup"):
        text = (shipped_folder("schemas") / "documents" / f"{name}.schema.json").read_text()
        assert text.count('"additionalProperties": false') == (1 if name == "units" else 2)
