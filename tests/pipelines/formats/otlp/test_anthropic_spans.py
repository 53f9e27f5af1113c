"""Spans of Claude's SDK, made by the SDK itself over a canned answer, beside the API's span of the same request."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tollbook.formats.decoder import Decoded

Told = Callable[[Any], list[dict[str, Any]]]
MESSAGE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-test-1-20260101",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 25, "ephemeral_1h_input_tokens": 15},
        "output_tokens": 20,
        "service_tier": "standard",
    },
}
API_SPAN: dict[str, Any] = {
    "gen_ai.provider.name": "anthropic",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "claude-test-1",
    "gen_ai.response.model": "claude-test-1-20260101",
    "gen_ai.response.id": "msg_01",
    "gen_ai.usage.input_tokens": 350,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "gen_ai.usage.cache_write.input_tokens": 40,
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 25,
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 15,
    "gen_ai.usage.output_tokens": 20,
    "anthropic.request.id": "req_01",
    "anthropic.workspace.id": "wrkspc_01",
}
CONTENT: tuple[str, ...] = (
    "source",
    "event_id",
    "revision",
    "provider",
    "model",
    "uncached_input_tokens",
    "cache_read_tokens",
)
CONTENT += ("cache_write_5m_tokens", "cache_write_1h_tokens", "input_tokens", "output_tokens", "reasoning_tokens")


def call_sdk(recorder: Any, *, status: int = 200) -> None:
    """Make a call with the SDK; the answer is canned, the span is the SDK's own."""
    body = MESSAGE if status == 200 else {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=json.dumps(body), headers=HEADERS)

    client = anthropic.Anthropic(
        api_key="none",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
        open_telemetry={"tracer_provider": recorder.provider},
    )
    ask: Any = client.messages.create
    try:
        ask(model="claude-test-1", max_tokens=8, messages=[{"role": "user", "content": "my-secret"}])
    except anthropic.BadRequestError:
        assert status == 400


HEADERS = {"request-id": "req_01", "content-type": "application/json", "anthropic-workspace-id": "wrkspc_01"}


@pytest.fixture
def told_any_time(decode: Callable[..., Decoded]) -> Told:
    """Return how to get events of spans of the time of the test."""

    def events(recorder: Any) -> list[dict[str, Any]]:
        protobuf, text = (decode(value, now=datetime(2100, 1, 1, tzinfo=UTC)) for value in recorder.exports())
        assert protobuf.events.equals(text.events)
        assert protobuf.rejected == []
        rows: list[dict[str, Any]] = protobuf.events.to_pylist()
        return rows

    return events


def test_pitfall_27_client_and_server_span_of_one_request_are_one_event(recorder: Any, told_any_time: Told) -> None:
    """Both carry the usage; the message's id makes them one. 350 in of which 25 and 15 are written, 300 read."""
    call_sdk(recorder)
    scope = "com.anthropic.claude-platform"
    recorder.span("anthropic.messages.create", API_SPAN, scope=scope, kind=SpanKind.SERVER, status=StatusCode.OK)
    client, server = told_any_time(recorder)
    assert [client[name] for name in CONTENT] == [server[name] for name in CONTENT]
    assert [client[name] for name in CONTENT] == [
        "anthropic", "msg_01", 0, "anthropic", "claude-test-1-20260101", 10, 300, 25, 15, 350, 20, None,
    ]  # fmt: skip
    assert (client["reporter"], server["reporter"]) == ("anthropic_sdk", "anthropic_api")
    assert (client["request_id"], client["project_id"], client["status"]) == ("req_01", "wrkspc_01", "ok")
    assert (client["finish_reason"], client["service_tier"]) == ("end_turn", None)
    assert "my-secret" not in str(client)


def test_pitfall_27_a_failed_request_is_one_event_by_the_requests_id(recorder: Any, told_any_time: Told) -> None:
    """There is no message then, but both spans know the request."""
    call_sdk(recorder, status=400)
    failed = {name: value for name, value in API_SPAN.items() if "usage" not in name and "response" not in name}
    scope = "com.anthropic.claude-platform"
    recorder.span("anthropic.messages.create", failed, scope=scope, kind=SpanKind.SERVER, status=StatusCode.ERROR)
    client, server = told_any_time(recorder)
    assert (client["source"], client["event_id"]) == (server["source"], server["event_id"]) == ("anthropic", "req_01")
    assert (client["status"], client["input_tokens"]) == ("error", None)


def test_a_cancelled_stream_and_spans_of_tools_are_what_they_are(
    recorder: Any, told: Told, decode: Callable[..., Decoded]
) -> None:
    """A span left unset was cancelled; tools and token counts are no calls of a model."""
    scope = "com.anthropic.sdk.python"
    recorder.span("anthropic.messages.create", API_SPAN, scope=scope)
    recorder.span("anthropic.tool_use bash", {"gen_ai.operation.name": "execute_tool"}, scope=scope)
    recorder.span("anthropic.messages.count_tokens", {"gen_ai.request.model": "claude"}, scope=scope)
    (event,) = told(recorder)
    assert event["status"] == "cancelled"
    assert decode(recorder.exports()[0]).ignored == {"no_model_call": 2}


def test_compactions_beside_the_usage_are_shown(recorder: Any, told: Told) -> None:
    """The usage leaves their tokens out, so they must not go unseen."""
    attributes = API_SPAN | {"anthropic.usage.compaction.input_tokens": 900}
    recorder.span("anthropic.messages.create", attributes, scope="com.anthropic.sdk.python", status=StatusCode.OK)
    (event,) = told(recorder)
    assert event["flags"] == ["unknown_usage_field"]
    assert event["input_tokens"] == 350
