"""Usage objects as each API writes them, made disjoint. Every expected count is worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tollbook.errors import RejectedRecordError
from tollbook.formats.usage import Usage

Read = Callable[[str, dict[str, Any]], Usage]


def counts(usage: Usage) -> dict[str, Any]:
    """Return what was counted, without the raw counts."""
    return {name: value for name, value in usage.fields.items() if name != "raw_usage"}


def test_pain_1_openai_s_cached_tokens_are_part_of_its_input_and_count_once(read: Read) -> None:
    """litellm#9812, #11364, #11789, #40006: a cached token counted beside the prompt is charged twice."""
    usage = read(
        "openai.chat",
        {
            "prompt_tokens": 2_006,
            "prompt_tokens_details": {"cached_tokens": 1_920, "audio_tokens": 0},
            "completion_tokens": 300,
            "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
            "total_tokens": 2_306,
        },
    )
    assert counts(usage) == {
        "input_tokens": 2_006,
        "uncached_input_tokens": 86,
        "cache_read_tokens": 1_920,
        "audio_input_tokens": 0,
        "output_tokens": 300,
        "text_output_tokens": 108,
        "reasoning_tokens": 192,
        "audio_output_tokens": 0,
    }
    assert usage.fields["raw_usage"] == {
        "completion_tokens": 300,
        "completion_tokens_details.audio_tokens": 0,
        "completion_tokens_details.reasoning_tokens": 192,
        "prompt_tokens": 2_006,
        "prompt_tokens_details.audio_tokens": 0,
        "prompt_tokens_details.cached_tokens": 1_920,
        "total_tokens": 2_306,
    }
    assert usage.flags == ()


def test_pain_1_anthropic_s_cached_tokens_are_beside_its_input_and_count_once(read: Read) -> None:
    """The same name, `input_tokens`, leaves the cache out here: 21 + 188,086 + 1,152 were read, not 21."""
    usage = read(
        "anthropic.messages",
        {
            "input_tokens": 21,
            "cache_read_input_tokens": 188_086,
            "cache_creation_input_tokens": 1_152,
            "output_tokens": 393,
        },
    )
    assert counts(usage) == {
        "input_tokens": 189_259,
        "uncached_input_tokens": 21,
        "cache_read_tokens": 188_086,
        "cache_write_5m_tokens": 1_152,
        "output_tokens": 393,
        "text_output_tokens": 393,
    }


def test_pain_1_gemini_s_cached_audio_is_neither_audio_nor_cache_twice(read: Read) -> None:
    """321 of audio, of which 284 cached; 2,918 cached in all: each token stands in one bucket, and they add up."""
    usage = read(
        "google.generate_content",
        {
            "promptTokenCount": 3_297,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 83},
                {"modality": "VIDEO", "tokenCount": 2_893},
                {"modality": "AUDIO", "tokenCount": 321},
            ],
            "cachedContentTokenCount": 2_918,
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 284},
                {"modality": "TEXT", "tokenCount": 73},
                {"modality": "VIDEO", "tokenCount": 2_561},
            ],
            "candidatesTokenCount": 55,
            "thoughtsTokenCount": 95,
            "totalTokenCount": 3_447,
        },
    )
    assert counts(usage) == {
        "input_tokens": 3_297,
        "uncached_input_tokens": 83 - 73,
        "audio_input_tokens": 321 - 284,
        "video_input_tokens": 2_893 - 2_561,
        "cache_read_audio_tokens": 284,
        "cache_read_tokens": 73 + 2_561,
        "output_tokens": 150,
        "text_output_tokens": 55,
        "reasoning_tokens": 95,
    }
    assert usage.flags == ()


@pytest.mark.parametrize(
    ("flavour", "usage", "whole"),
    [
        (
            "openai.chat",
            {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}, "completion_tokens": 1},
            "prompt_tokens",
        ),
        (
            "openai.responses",
            {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 6}},
            "output_tokens",
        ),
        (
            "anthropic.messages",
            {
                "input_tokens": 1,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 5},
                "output_tokens": 1,
            },
            "cache_creation_input_tokens",
        ),
    ],
)
def test_pain_1_a_part_above_its_whole_is_rejected(read: Read, flavour: str, usage: dict[str, Any], whole: str) -> None:
    """Such counts contradict themselves; clamping them would make up a number."""
    with pytest.raises(RejectedRecordError) as refused:
        read(flavour, usage)
    assert (refused.value.reason, refused.value.field) == ("part_exceeds_whole", whole)


def test_pain_2_cache_writes_are_told_apart_by_their_time_to_live(read: Read) -> None:
    """langfuse#10592, #12306, #17117: an hour's write costs 2 x input, five minutes' 1.25 x; the sum is not a third."""
    usage = read(
        "anthropic.messages",
        {
            "input_tokens": 4,
            "cache_creation_input_tokens": 1_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
            "output_tokens": 1,
        },
    )
    assert counts(usage) == {
        "input_tokens": 1_004,
        "uncached_input_tokens": 4,
        "cache_write_5m_tokens": 400,
        "cache_write_1h_tokens": 600,
        "output_tokens": 1,
        "text_output_tokens": 1,
    }


def test_pain_2_bedrock_tells_one_cache_write_under_two_names(read: Read) -> None:
    """Both names carry the same 2,074 tokens, and the details tell their time to live once more."""
    usage = read(
        "bedrock.converse",
        {
            "inputTokens": 3,
            "outputTokens": 288,
            "cacheReadInputTokens": 0,
            "cacheReadInputTokenCount": 0,
            "cacheWriteInputTokens": 2_074,
            "cacheWriteInputTokenCount": 2_074,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 2_000}],
            "serverToolUsage": {},
            "totalTokens": 2_365,
        },
    )
    assert counts(usage) == {
        "input_tokens": 2_077,
        "uncached_input_tokens": 3,
        "cache_read_tokens": 0,
        "cache_write_5m_tokens": 74,
        "cache_write_1h_tokens": 2_000,
        "output_tokens": 288,
        "text_output_tokens": 288,
    }
    assert usage.flags == ()


def test_two_names_of_one_count_must_agree(read: Read) -> None:
    """Which of two different counts is right cannot be known, so neither is taken."""
    with pytest.raises(RejectedRecordError) as refused:
        read(
            "deepseek.chat",
            {
                "prompt_tokens": 100,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 64},
                "prompt_cache_hit_tokens": 65,
                "prompt_cache_miss_tokens": 35,
            },
        )
    assert (refused.value.reason, refused.value.field) == ("invalid_value", "prompt_cache_hit_tokens")


def test_pain_2_an_unknown_usage_field_is_shown_and_not_guessed(read: Read) -> None:
    """A new alias must not be lost in silence: it stays by its own name, flagged, and no bucket takes it."""
    usage = read(
        "openai.chat",
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cache_creation_tokens": 7},
            "cost_multiplier": 1.5,
            "by_model": [{"name": "a", "tokens": 3}, {"name": "b", "tokens": 4}],
            "note": "text is no number",
        },
    )
    assert counts(usage) == {
        "input_tokens": 10,
        "uncached_input_tokens": 10,
        "output_tokens": 2,
        "text_output_tokens": 2,
    }
    assert usage.flags == ("unknown_usage_field",)
    assert usage.unknown == ("by_model[].tokens", "cost_multiplier", "prompt_tokens_details.cache_creation_tokens")
    assert usage.fields["raw_usage"] == {
        "by_model[].tokens": 7,
        "completion_tokens": 2,
        "prompt_tokens": 10,
        "prompt_tokens_details.cache_creation_tokens": 7,
    }


def test_an_unknown_modality_is_an_unknown_field(read: Read) -> None:
    """Tokens of a modality that we do not know are input, and are shown."""
    usage = read(
        "google.generate_content",
        {"promptTokenCount": 9, "promptTokensDetails": [{"modality": "SMELL", "tokenCount": 4}]},
    )
    assert counts(usage) == {"input_tokens": 9, "uncached_input_tokens": 9}
    assert usage.unknown == ("promptTokensDetails[modality=SMELL].tokenCount",)


def test_pain_10_an_explicit_zero_is_zero_and_an_absent_count_is_not_told(read: Read) -> None:
    """litellm#13245, #37992: 0 cached tokens is a fact, and no word about caching is none."""
    told = read("anthropic.messages", {"input_tokens": 5, "output_tokens": 0, "cache_read_input_tokens": 0})
    assert (told.fields["output_tokens"], told.fields["cache_read_tokens"]) == (0, 0)
    silent = read("anthropic.messages", {"input_tokens": 5, "output_tokens": 0, "cache_read_input_tokens": None})
    assert "cache_read_tokens" not in silent.fields
    assert "reasoning_tokens" not in silent.fields


def test_pain_10_a_count_without_which_there_is_no_bill_must_be_told(read: Read) -> None:
    """A stream cut off before its usage arrived has no output count: that is no call of 0 tokens."""
    with pytest.raises(RejectedRecordError) as refused:
        read("openai.chat", {"prompt_tokens": 5, "completion_tokens": None})
    assert (refused.value.reason, refused.value.field) == ("missing_field", "completion_tokens")


@pytest.mark.parametrize(
    ("count", "reason"),
    [("12", "wrong_type"), (True, "wrong_type"), (1.5, "wrong_type"), (-1, "out_of_range"), (10**10, "out_of_range")],
)
def test_a_count_is_a_whole_number_within_reason(read: Read, count: Any, reason: str) -> None:
    """A count that is none is the record's fault, and never read as 0."""
    with pytest.raises(RejectedRecordError) as refused:
        read("openai.embeddings", {"prompt_tokens": count})
    assert (refused.value.reason, refused.value.field) == (reason, "prompt_tokens")
    assert "12" not in str(refused.value) or count != "12"


def test_a_whole_number_may_be_written_with_a_point(read: Read) -> None:
    """Some servers write 12.0."""
    assert read("openai.embeddings", {"prompt_tokens": 12.0}).fields["input_tokens"] == 12


def test_xai_tells_reasoning_beside_its_completion(read: Read) -> None:
    """9 of answer and 320 of thinking are 329 of output, as its own total says."""
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 361,
        "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 320},
        "cost_in_usd_ticks": 37_756_000,
    }
    told = read("xai.chat", usage)
    assert (told.fields["output_tokens"], told.fields["text_output_tokens"], told.flags) == (329, 9, ())
    # A tick is a ten-billionth of a dollar.
    assert told.fields["provider_cost"] == Decimal("0.0037756")
    with pytest.raises(RejectedRecordError):
        read("openai.chat", usage)


def test_gemini_s_thinking_and_tools_are_beside_candidates_and_prompt(read: Read) -> None:
    """17 + 119 went in, 201 + 213 came out: 550 in all."""
    usage = read(
        "google.generate_content",
        {
            "promptTokenCount": 17,
            "toolUsePromptTokenCount": 119,
            "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 119}],
            "candidatesTokenCount": 201,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1}],
            "thoughtsTokenCount": 213,
            "totalTokenCount": 550,
            "trafficType": "ON_DEMAND_FLEX",
        },
    )
    assert counts(usage) == {
        "input_tokens": 136,
        "uncached_input_tokens": 136,
        "output_tokens": 414,
        "text_output_tokens": 200,
        "image_output_tokens": 1,
        "reasoning_tokens": 213,
        "service_tier": "flex",
    }
    assert usage.flags == ()
