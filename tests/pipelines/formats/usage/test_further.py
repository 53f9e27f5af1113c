"""What a usage object tells beside tokens: tools, other units, costs, tiers, regions and calls within the call."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tollbook.errors import RejectedRecordError
from tollbook.formats.usage import Usage, UsageTable

Read = Callable[[str, dict[str, Any]], Usage]


def test_searches_tier_and_region_of_an_anthropic_message(read: Read) -> None:
    """A search is billed by the call, fetching a page by its tokens alone; the tier and the region decide the price."""
    usage = read(
        "anthropic.messages",
        {
            "input_tokens": 8_984,
            "output_tokens": 520,
            "output_tokens_details": {"thinking_tokens": 28},
            "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2},
            "service_tier": "priority",
            "inference_geo": "us",
        },
    )
    assert usage.fields["tool_calls"] == {"web_searches": 3}
    assert (usage.fields["service_tier"], usage.fields["region"]) == ("priority", "us")
    assert (usage.fields["text_output_tokens"], usage.fields["reasoning_tokens"]) == (492, 28)
    assert usage.flags == ()


def test_fast_mode_is_a_tier_and_standard_speed_is_none(read: Read) -> None:
    """`speed` overrules the tier only where it says something of the price."""
    message = {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard"}
    assert read("anthropic.messages", {**message, "speed": "fast"}).fields["service_tier"] == "fast"
    assert read("anthropic.messages", {**message, "speed": "standard"}).fields["service_tier"] == "standard"
    assert "region" not in read("anthropic.messages", {**message, "inference_geo": "not_available"}).fields


def test_compaction_within_a_call_is_a_call_of_its_own(read: Read) -> None:
    """The top tells 23,000 of input; compacting the 180,000 before it is billed beside, under the same model."""
    usage = read(
        "anthropic.messages",
        {
            "input_tokens": 23_000,
            "output_tokens": 1_000,
            "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
            ],
        },
    )
    assert usage.fields["input_tokens"] == 23_000
    (compaction,) = usage.further
    assert (compaction.kind, compaction.place) == ("compaction", 0)
    assert (compaction.usage.fields["input_tokens"], compaction.usage.fields["output_tokens"]) == (180_000, 3_500)
    assert "model" not in compaction.usage.fields
    assert usage.unknown == ()


def test_an_unknown_kind_of_iteration_is_shown(read: Read) -> None:
    """Whether the top holds it already cannot be known."""
    usage = read(
        "anthropic.messages",
        {"input_tokens": 1, "output_tokens": 1, "iterations": [{"type": "rehearsal", "input_tokens": 9}]},
    )
    assert (usage.unknown, usage.further) == (("iterations[type=rehearsal]",), ())


def test_a_fault_within_a_further_call_is_the_record_s(read: Read) -> None:
    """A record is accepted whole or not at all."""
    advisor = {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": -1, "output_tokens": 1}
    with pytest.raises(RejectedRecordError) as refused:
        read("anthropic.messages", {"input_tokens": 1, "output_tokens": 1, "iterations": [advisor]})
    assert (refused.value.reason, refused.value.field) == ("out_of_range", "iterations[].input_tokens")


def test_openrouter_s_own_cost_is_kept_beside_the_counts(read: Read) -> None:
    """What a gateway says that it charges is a fact of its own; its digits stay, to twelve places."""
    usage = read(
        "openrouter.chat",
        {
            "prompt_tokens": 900,
            "completion_tokens": 69,
            "total_tokens": 969,
            "cost": 0.0160614,
            "cost_details": {"upstream_inference_cost": 0.0001764},
            "is_byok": False,
        },
    )
    assert usage.fields["provider_cost"] == Decimal("0.016061400000")
    assert (usage.fields["provider_cost_currency"], usage.flags) == ("USD", ())
    finer = read("openrouter.chat", {"prompt_tokens": 1, "completion_tokens": 0, "cost": 1.23456e-08})
    assert (finer.fields["provider_cost"], finer.flags) == (Decimal("0.000000012346"), ("provider_cost_rounded",))


def test_perplexity_s_citations_and_reasoning_are_beside_its_completion(read: Read) -> None:
    """A deep research call: 33 in, 11,395 of answer, 193,964 of reasoning, 10,038 of citations, 21 searches."""
    usage = read(
        "perplexity.chat",
        {
            "prompt_tokens": 33,
            "completion_tokens": 11_395,
            "total_tokens": 11_428,
            "citation_tokens": 10_038,
            "num_search_queries": 21,
            "reasoning_tokens": 193_964,
            "cost": {"total_cost": 0.817, "output_tokens_cost": 0.091},
        },
    )
    assert usage.fields["output_tokens"] == 205_359
    assert usage.fields["other_units"] == {"output_citation_tokens": 10_038}
    assert usage.fields["tool_calls"] == {"web_searches": 21}
    assert (usage.fields["provider_cost"], usage.flags) == (Decimal("0.817"), ())


def test_realtime_audio_images_and_their_caches_stand_apart(read_response: Read) -> None:
    """132 of text, 60 of audio and 40 of images went in; of them 64, 32 and 16 from the cache."""
    usage = read_response(
        "openai.realtime",
        {
            "type": "response.done",
            "response": {
                "model": "gpt-realtime",
                "usage": {
                    "total_tokens": 260,
                    "input_tokens": 232,
                    "input_token_details": {
                        "text_tokens": 132,
                        "audio_tokens": 60,
                        "image_tokens": 40,
                        "cached_tokens": 112,
                        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 32, "image_tokens": 16},
                    },
                    "output_tokens": 28,
                    "output_token_details": {"text_tokens": 8, "audio_tokens": 20},
                },
            },
        },
    )
    assert {name: usage.fields[name] for name in usage.fields if name not in {"raw_usage", "model"}} == {
        "input_tokens": 232 - 16,
        "uncached_input_tokens": 132 - 64,
        "audio_input_tokens": 60 - 32,
        "image_input_tokens": 40 - 16,
        "cache_read_tokens": 64,
        "cache_read_audio_tokens": 32,
        "other_units": {"cache_image_read_tokens": 16},
        "output_tokens": 28,
        "text_output_tokens": 8,
        "audio_output_tokens": 20,
    }
    assert (usage.fields["model"], usage.flags) == ("gpt-realtime", ())


def test_tokens_cached_of_an_untold_kind_are_split_by_the_least_overlap(read: Read) -> None:
    """Of 1,200 tokens 1,000 are images and 1,100 cached: at least 900 are both. The sum is right, the split flagged."""
    usage = read(
        "google.generate_content",
        {
            "promptTokenCount": 1_200,
            "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 1_000}],
            "cachedContentTokenCount": 1_100,
        },
    )
    assert {name: count for name, count in usage.fields.items() if name != "raw_usage"} == {
        "input_tokens": 1_200,
        "uncached_input_tokens": 0,
        "image_input_tokens": 100,
        "cache_read_tokens": 1_100,
    }
    assert usage.flags == ("usage_split_assumed",)


@pytest.mark.parametrize(
    ("flavour", "usage", "units"),
    [
        ("openai.transcription_duration", {"type": "duration", "seconds": 8.2}, {"input_audio_seconds": 9}),
        ("mistral.ocr", {"pages_processed": 3, "doc_size_bytes": 90_000}, {"input_document_pages": 3}),
        ("mistral.ocr_annotated", {"pages_processed": 3}, {"input_annotated_document_pages": 3}),
        ("cohere.meta", {"billed_units": {"search_units": 1}}, {"rerank_searches": 1}),
    ],
)
def test_what_is_not_billed_by_tokens_is_counted_in_its_own_unit(
    read: Read, flavour: str, usage: dict[str, Any], units: dict[str, int]
) -> None:
    """Seconds, pages and searches have rates of their own."""
    assert read(flavour, usage).fields["other_units"] == units


def test_cohere_bills_its_billed_units(read: Read) -> None:
    """The framed prompt of 2,935 tokens is told too, and is not what is billed."""
    usage = read(
        "cohere.chat",
        {
            "billed_units": {"input_tokens": 2_406, "output_tokens": 2},
            "tokens": {"input_tokens": 2_935, "output_tokens": 4},
            "cached_tokens": 2_928,
        },
    )
    assert (usage.fields["input_tokens"], usage.fields["output_tokens"], usage.flags) == (2_406, 2, ())


def test_a_body_tells_its_model_and_the_tier_that_was_billed(read_response: Read) -> None:
    """OpenAI tells the tier outside the usage object; `auto` is what was asked for, not what was billed."""
    body = {"model": "gpt-5", "service_tier": "flex", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    told = read_response("openai.chat", body).fields
    assert (told["model"], told["service_tier"]) == ("gpt-5", "flex")
    assert "service_tier" not in read_response("openai.chat", {**body, "service_tier": "auto"}).fields
    with pytest.raises(RejectedRecordError) as refused:
        read_response("openai.chat", {"model": "gpt-5", "usage": None})
    assert (refused.value.reason, refused.value.field) == ("missing_field", "usage")


def test_a_provider_decides_what_a_shape_leaves_open(table: UsageTable) -> None:
    """One body is OpenAI's by its shape; only who sent it says where reasoning stands. No shape, no guess."""
    body = {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    names = {
        provider: flavour.name if (flavour := table.recognise(body, provider)) else None
        for provider in ("openai", "xai", "groq", "vllm", None, "cohere")
    }
    assert names == {
        "openai": "openai.chat",
        "xai": "xai.chat",
        "groq": "groq.chat",
        "vllm": "compatible.chat",
        None: "compatible.chat",
        "cohere": None,
    }
