"""OpenClaw's spans and the events of Claude Code and Codex, made with the OpenTelemetry SDK in each one's shape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.trace import SpanKind

from tollbook.formats.decoder import Decoded

Told = Callable[[Any], list[dict[str, Any]]]
MODEL_USAGE: dict[str, Any] = {
    "openclaw.channel": "telegram",
    "openclaw.agent": "main",
    "openclaw.provider": "anthropic",
    "openclaw.model": "claude-sonnet-4-5",
    "openclaw.tokens.input": 10,
    "openclaw.tokens.output": 20,
    "openclaw.tokens.cache_read": 300,
    "openclaw.tokens.cache_write": 40,
    "openclaw.tokens.total": 370,
    "gen_ai.system": "anthropic",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 350,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "gen_ai.usage.cache_creation.input_tokens": 40,
}
API_REQUEST: dict[str, Any] = {
    "event.name": "api_request",
    "event.timestamp": "2026-05-28T20:26:40.000Z",
    "event.sequence": 7,
    "session.id": "session-1",
    "prompt.id": "prompt-1",
    "user.id": "a1b2",
    "user.email": "ann@example.com",
    "model": "claude-sonnet-4-5-20250929",
    "request_id": "req_011",
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_tokens": 300,
    "cache_creation_tokens": 0,
    "cost_usd": 0.0123,
    "duration_ms": 1500,
    "speed": "normal",
    "query_source": "repl_main_thread",
}
COMPLETED: dict[str, Any] = {
    "event.name": "codex.sse_event",
    "event.kind": "response.completed",
    "event.timestamp": "2026-05-28T20:26:40.123Z",
    "conversation.id": "conversation-1",
    "model": "gpt-5-codex",
    "slug": "gpt-5-codex",
    "user.account_id": "account-1",
    "input_token_count": "1000",
    "output_token_count": "50",
    "cached_token_count": 800,
    "reasoning_token_count": 30,
    "tool_token_count": "1050",
}


def test_openclaw_tells_a_call_once_and_by_its_disjoint_counts(
    recorder: Any, told: Told, decode: Callable[..., Decoded]
) -> None:
    """Run, model call and usage span of one call say the same tokens in two ways: 10 + 300 + 40 in, 20 out."""
    run = recorder.span("openclaw.run", {"openclaw.outcome": "completed", "openclaw.provider": "anthropic"})
    spoken = {name: value for name, value in MODEL_USAGE.items() if name.startswith("gen_ai.")}
    recorder.span("openclaw.model.call", spoken | {"openclaw.provider": "anthropic"}, parent=run)
    recorder.span("chat claude-sonnet-4-5", spoken | {"openclaw.provider": "anthropic"}, parent=run)
    recorder.span("openclaw.model.usage", MODEL_USAGE, parent=run, kind=SpanKind.INTERNAL)
    (event,) = told(recorder)
    assert decode(recorder.exports()[0]).ignored == {"told_by_usage_span": 3}
    assert (event["uncached_input_tokens"], event["cache_read_tokens"], event["cache_write_5m_tokens"]) == (10, 300, 40)
    assert (event["input_tokens"], event["output_tokens"]) == (350, 20)
    assert (event["source"], event["reporter"], event["agent"]) == ("openclaw", "openclaw", "main")
    assert (event["provider"], event["model"]) == ("anthropic", "claude-sonnet-4-5")
    assert dict(event["tags"])["channel"] == "telegram"
    assert event["parent_call_id"] == f"{run.get_span_context().span_id:016x}"


def test_pitfall_10_a_zero_of_openclaw_is_untold(recorder: Any, told: Told) -> None:
    """Its plugin writes 0 for what the provider did not say."""
    recorder.span("openclaw.model.usage", MODEL_USAGE | {"openclaw.tokens.cache_write": 0, "openclaw.tokens.output": 0})
    (event,) = told(recorder)
    assert (event["cache_write_5m_tokens"], event["output_tokens"]) == (None, None)
    assert (event["cache_read_tokens"], event["input_tokens"]) == (300, 310)


@pytest.mark.parametrize(
    ("provider", "address", "path"),
    [
        ("nim-local", None, "on_prem"),
        ("vllm", "http://10.0.0.7:8000", "on_prem"),
        ("nvidia", "nim.models.svc", "on_prem"),
        ("nvidia", "https://inference.local/v1", None),
        ("nvidia", "integrate.api.nvidia.com", "model_api"),
        ("anthropic", None, None),
    ],
)
def test_the_endpoint_of_nemoclaw_decides_the_path(
    provider: str, address: str | None, path: str | None, recorder: Any, told: Told
) -> None:
    """One's own GPUs and a vendor's API have costs of different kinds; the gateway itself says neither."""
    attributes = MODEL_USAGE | {"openclaw.provider": provider} | ({"server.address": address} if address else {})
    recorder.span("openclaw.model.usage", attributes)
    (event,) = told(recorder)
    assert event["path"] == path


def test_the_resource_tells_path_and_region_where_the_endpoint_does_not(
    recorder_of: Callable[[dict[str, str]], Any], told: Told
) -> None:
    """NemoClaw's operator knows where the gateway leads."""
    recorder = recorder_of({"inference.path": "on_prem", "inference.region": "fra-1"})
    recorder.span("openclaw.model.usage", MODEL_USAGE | {"server.address": "inference.local"})
    (event,) = told(recorder)
    assert (event["path"], event["region"]) == ("on_prem", "fra-1")


def test_claude_codes_request_is_told_with_its_cost(recorder: Any, decode_logs: Callable[..., Decoded]) -> None:
    """Input leaves the cache out: 10 and 300 are 310. An explicit 0 of cache writes is 0."""
    recorder.log("claude_code.api_request", API_REQUEST, scope="com.anthropic.claude_code.events")
    protobuf, text = (decode_logs(value) for value in recorder.log_exports())
    assert protobuf.events.equals(text.events)
    (event,) = protobuf.events.to_pylist()
    assert (event["source"], event["event_id"], event["reporter"]) == ("anthropic", "req_011", "claude_code")
    assert (event["input_tokens"], event["uncached_input_tokens"], event["cache_read_tokens"]) == (310, 10, 300)
    assert (event["cache_write_5m_tokens"], event["output_tokens"]) == (0, 20)
    assert (event["provider_cost"], event["provider_cost_currency"]) == (Decimal("0.0123"), "USD")
    assert (event["conversation_id"], event["task_id"], event["principal_id"]) == ("session-1", "prompt-1", "a1b2")
    assert (event["latency_ms"], event["service_tier"]) == (1_500, None)
    assert "ann@example.com" not in str(event)


def test_claude_code_without_a_request_id_is_known_by_session_time_and_sequence(
    recorder: Any, decode_logs: Callable[..., Decoded]
) -> None:
    """Other backends give no id; the same event told again is the same, the next of the session another."""
    own = {name: value for name, value in API_REQUEST.items() if name != "request_id"}
    for sequence in (7, 8, 8):
        recorder.log("claude_code.api_request", own | {"event.sequence": sequence, "model": "eu.anthropic.claude-x"})
    events = decode_logs(recorder.log_exports()[0]).events.to_pylist()
    assert {event["source"] for event in events} == {"claude_code"}
    assert {event["provider"] for event in events} == {"aws"}
    first, second, again = (event["event_id"] for event in events)
    assert first != second == again


def test_other_events_of_claude_code_and_its_spans_are_ignored(
    recorder: Any, decode: Callable[..., Decoded], decode_logs: Callable[..., Decoded]
) -> None:
    """Prompts and tool results are no calls, and its spans tell the tokens of the event again."""
    recorder.log("claude_code.user_prompt", {"event.name": "user_prompt", "prompt": "secret"})
    recorder.log("claude_code.api_error", {"event.name": "api_error", "error": "overloaded"})
    recorder.span("claude_code.llm_request", {"input_tokens": 10, "gen_ai.response.id": "msg_1"})
    assert decode_logs(recorder.log_exports()[1]).ignored == {"other_event": 2}
    assert decode(recorder.exports()[1]).ignored == {"told_by_event": 1}


def test_codex_completed_response_is_told_with_its_parts(recorder: Any, decode_logs: Callable[..., Decoded]) -> None:
    """Input includes 800 of cache, output 30 of reasoning; `tool_token_count` is the sum and no count of its own."""
    recorder.log(None, COMPLETED)
    protobuf, text = (decode_logs(value) for value in recorder.log_exports())
    assert protobuf.events.equals(text.events)
    (event,) = protobuf.events.to_pylist()
    assert (event["input_tokens"], event["uncached_input_tokens"], event["cache_read_tokens"]) == (1_000, 200, 800)
    assert (event["output_tokens"], event["text_output_tokens"], event["reasoning_tokens"]) == (50, 20, 30)
    assert (event["source"], event["provider"], event["model"]) == ("codex", "openai", "gpt-5-codex")
    assert (event["conversation_id"], event["task_id"]) == ("conversation-1", "conversation-1")
    assert event["occurred_at"].isoformat() == "2026-05-28T20:26:40.123000+00:00"
    assert event["flags"] is None


def test_the_second_line_of_a_codex_response_is_not_counted(recorder: Any, decode_logs: Callable[..., Decoded]) -> None:
    """Codex logs each event of the stream, and then the completed one again with its tokens."""
    bare = {name: value for name, value in COMPLETED.items() if "token" not in name}
    recorder.log(None, bare | {"duration_ms": "12"})
    recorder.log(None, bare | {"event.kind": "response.created"})
    recorder.log(None, COMPLETED)
    decoded = decode_logs(recorder.log_exports()[0])
    assert decoded.events.num_rows == 1
    assert decoded.ignored == {"other_event": 2}


def test_counters_are_counted_and_never_usage(decode_metrics: Callable[..., Decoded]) -> None:
    """Metric and event of Claude Code tell the same tokens: one of them is enough."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    for name in ("claude_code.token.usage", "claude_code.cost.usage"):
        metrics.add().name = name
    text = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","sum":{}},{"name":"b"}]}]}]}'
    for value in (request.SerializeToString(), text):
        decoded = decode_metrics(value)
        assert (decoded.events.num_rows, decoded.rejected, decoded.silent_records) == (0, [], 1)
        assert decoded.ignored == {"metric": 2}
