"""The example mappings on the traces that they are for."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tollbook.contracts import shipped_folder
from tollbook.senders.lines import open_source
from tollbook.senders.mapping import load_mapping
from tollbook.senders.rows import mapped_records

MAPPINGS = shipped_folder("schemas") / "examples" / "mappings"
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def events_of(trace: str, mapping: str) -> list[dict[str, Any]]:
    """Return the events of a trace; skip where the trace is not at hand."""
    path = DATA / trace
    if not path.is_file():
        pytest.skip(f"the published trace {trace} is not beside the checkout, in ../shared/data")
    problems: list[str] = []
    events = []
    with open_source(str(path)) as source:
        told = load_mapping(MAPPINGS / f"{mapping}.mapping.yml")
        for records, _ in mapped_records(source, told, lambda line, error: problems.append(f"{line}: {error}")):
            events += [json.loads(value) for value in records.values]
    assert problems == []
    return events


def test_the_sessions_become_29336_events_that_add_up_to_their_authors_totals() -> None:
    """4,014,298,485 input and 13,265,189 output tokens in 451 sessions, as the trace's README and totals have it."""
    events = events_of("claude-code-sessions/requests_0001_0480.csv.gz", "claude-code-sessions")
    assert len(events) == len({event["event_id"] for event in events}) == 29_336
    assert sum(event["input_tokens"] for event in events) == 4_014_298_485
    assert sum(event["output_tokens"] for event in events) == 13_265_189
    assert len({event["task_id"] for event in events}) == 451
    for event in events:
        parts = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens")
        assert sum(event[part] for part in parts) == event["input_tokens"]


def test_a_session_has_one_team_and_one_workflow_and_a_workflow_one_team() -> None:
    """The hash is of the session, and the two lists belong together."""
    events = events_of("claude-code-sessions/requests_0001_0480.csv.gz", "claude-code-sessions")
    owners, teams = defaultdict(set), defaultdict(set)
    for event in events:
        owners[event["task_id"]].add((event["team"], event["workflow"]))
        teams[event["workflow"]].add(event["team"])
    assert {len(each) for each in owners.values()} == {1}
    assert len(teams) == 8
    assert {len(each) for each in teams.values()} == {1}


def test_the_first_call_of_the_sessions_is_as_the_row_says() -> None:
    """Row: trace_0001,0,main,,0.0,claude-opus-4-5-20251101,0,71175,169,0,1112,7.34,0.0,,tool_use,text,…."""
    first = events_of("claude-code-sessions/requests_0001_0480.csv.gz", "claude-code-sessions")[0]
    assert first == {
        "source": "anthropic",
        "event_id": "trace_0001-0-main",
        "reporter": "claude-code-sessions",
        "occurred_at": "2026-06-01T00:00:00Z",
        "provider": "anthropic",
        "model": "claude-opus-4-5-20251101",
        "operation_name": "chat",
        "path": "model_api",
        "environment": "development",
        "task_id": "trace_0001",
        "conversation_id": "trace_0001",
        "agent": "main",
        "workflow": "documentation",
        "team": "developer-relations",
        "input_tokens": 71_175,
        "uncached_input_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_5m_tokens": 71_175,
        "output_tokens": 169,
        "status": "ok",
        "streamed": False,
        "finish_reason": "tool_calls",
        "latency_ms": 7_340,
    }


def test_the_azure_trace_becomes_19366_events() -> None:
    """22,361,870 input and 4,088,665 output tokens; the seventh decimal of 18:15:46.6805900 is cut off."""
    events = events_of("azure-llm-2023/AzureLLMInferenceTrace_conv.csv", "azure-llm-2023")
    assert len(events) == len({event["event_id"] for event in events}) == 19_366
    assert sum(event["input_tokens"] for event in events) == 22_361_870
    assert sum(event["output_tokens"] for event in events) == 4_088_665
    assert events[0]["occurred_at"] == "2023-11-16T18:15:46.680590Z"
    assert events[-1]["occurred_at"] == "2023-11-16T19:14:08.402527Z"


def test_an_event_of_the_benchmark_keeps_what_decides_its_cost_and_its_size(tmp_path: Path) -> None:
    """The benchmark compares bytes a second too, so an event must not shrink on its way."""
    row = {
        "schema": "llm.usage.v1",
        "event_id": "9ce0772c-e7f4-4197-aa20-517d685f2996",
        "occurred_at": "2026-03-01T00:00:00.250Z",
        "received_at": "2026-03-01T00:00:02.860Z",
        "provider": "gemini",
        "model": "gemini-2.5-flash",
        "operation": "chat.completions",
        "service_tier": "batch",
        "region": "us-east-1",
        "request_id": "req_7664d21a7901995451d0e8f9",
        "trace_id": "7664d21a7901995451d0e8f9fb820153",
        "api_key_id": "key_000017",
        "user_id": "u_00035543",
        "environment": "prod",
        "streaming": True,
        "status": "ok",
        "latency_ms": 1150,
        "usage": {
            "input_tokens": 352,
            "cached_input_tokens": 100,
            "cache_write_tokens": 30,
            "output_tokens": 75,
            "reasoning_tokens": 45,
        },
        "attributes": {"feature": "agent-loop", "sdk": "python/1.42.0"},
    }
    path = tmp_path / "events.ndjson"
    line = json.dumps(row, separators=(",", ":"))
    path.write_text(line + "\n", encoding="utf-8")
    with open_source(str(path)) as source:
        told = load_mapping(MAPPINGS / "bench.mapping.yml")
        ((records, _),) = mapped_records(source, told, lambda line, error: pytest.fail(f"{line}: {error}"))
    event = json.loads(records.values[0])
    expected = {
        "event_id": row["event_id"],
        "occurred_at": "2026-03-01T00:00:00.250000Z",
        "provider": "google",
        "service_tier": "batch",
        "operation_name": "chat",
        "environment": "production",
        "credential_id": "key_000017",
        "workflow": "agent-loop",
        "input_tokens": 352,
        "cache_read_tokens": 100,
        "cache_write_5m_tokens": 30,
        "output_tokens": 75,
        "reasoning_tokens": 45,
    }
    assert event | expected == event
    assert event["tags"]["sdk"] == "python/1.42.0"
    assert 0.9 < len(records.values[0]) / len(line) < 1.1
