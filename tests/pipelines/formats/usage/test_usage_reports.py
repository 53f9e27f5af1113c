"""Usage as vendors report it by the day: the same table reads it, so that reconciliation compares like with like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from tollbook.formats.check import Faults
from tollbook.formats.usage import Usage, UsageTable, normalise_columns

Read = Callable[[str, dict[str, Any]], Usage]


def test_cached_and_audio_tokens_of_openai_s_usage_report_are_part_of_its_input(
    table: UsageTable, shared_data: Callable[[str], Path]
) -> None:
    """A month: 16,951,009 in, of which 168,128 cached and 49,963 audio. Counted beside, they would add 1.3 %.

    Audio output is beside: on 2025-01-24 there were 3,103 of it and 822 of output.
    """
    pages = json.loads(shared_data("vendor-usage-api/openai_usage_completions_30d.json").read_text(encoding="utf-8"))
    rows = [result for bucket in pages for result in bucket["results"]]
    assert (len(pages), len(rows)) == (31, 26)
    faults = Faults.none(len(rows))
    read = normalise_columns(pa.array(rows), table.flavours["openai.usage_report_2025"], faults)
    assert not faults
    assert (read.flags, read.unknown) == ({}, {})
    sums: Counter[str] = Counter()
    for name, column in read.columns.items():
        if pa.types.is_int64(column.type):
            assert column.null_count == 0
            sums[name] = sum(column.to_pylist())
    assert sums == {
        "input_tokens": 16_951_009,
        "uncached_input_tokens": 16_951_009 - 168_128 - 49_963,
        "cache_read_tokens": 168_128,
        "audio_input_tokens": 49_963,
        "output_tokens": 729_421 + 18_042,
        "text_output_tokens": 729_421,
        "audio_output_tokens": 18_042,
    }
    # A row that tells everything in its wholes cannot be such a day.
    inclusive = Faults.none(len(rows))
    normalise_columns(pa.array(rows), table.flavours["openai.usage_report"], inclusive)
    (day,) = (row for row, fault in zip(rows, inclusive.first.tolist(), strict=True) if fault >= 0)
    assert (day["output_tokens"], day["output_audio_tokens"]) == (822, 3_103)


def test_a_row_of_openai_s_present_usage_report_holds_everything_in_its_wholes(read: Read) -> None:
    """Cached audio is cached and audio: 1,000 in, of which 300 audio, 400 cached, and 120 both."""
    usage = read(
        "openai.usage_report",
        {
            "num_model_requests": 4,
            "input_tokens": 1_000,
            "input_uncached_tokens": 500,
            "input_cached_tokens": 400,
            "input_cache_write_tokens": 100,
            "input_text_tokens": 700,
            "input_audio_tokens": 300,
            "input_cached_audio_tokens": 120,
            "output_tokens": 50,
            "output_text_tokens": 40,
            "output_audio_tokens": 10,
        },
    )
    assert {name: count for name, count in usage.fields.items() if name != "raw_usage"} == {
        "input_tokens": 1_000,
        "uncached_input_tokens": 1_000 - 100 - 400 - 180,
        "audio_input_tokens": 180,
        "cache_read_tokens": 280,
        "cache_read_audio_tokens": 120,
        "cache_write_5m_tokens": 100,
        "output_tokens": 50,
        "text_output_tokens": 40,
        "audio_output_tokens": 10,
    }
    assert usage.flags == ()


def test_anthropic_s_usage_report_tells_disjoint_counts(table: UsageTable) -> None:
    """Its rows name what they leave out; the input is the sum of four."""
    row = {
        "uncached_input_tokens": 1_500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 500,
        "server_tool_use": {"web_search_requests": 10},
        "model": "claude-sonnet-4-20250514",
        "context_window": "0-200k",
    }
    faults = Faults.none(1)
    read = normalise_columns(pa.array([row]), table.flavours["anthropic.usage_report"], faults)
    assert not faults
    assert read.columns["input_tokens"].to_pylist() == [3_200]
    assert read.columns["tool_calls"].to_pylist() == [[("web_searches", 10)]]
    assert read.flags == {}
