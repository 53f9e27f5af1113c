"""One conversation of two calls, as each format tells of it: an answer of Anthropic and a chat completion of OpenAI."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

CONTENT: Final = "the launch is on Tuesday"
"""What was asked and answered; it stands wherever a tool puts content."""

WHEN: Final = "2026-06-01T10:00:02Z"
END_SECONDS: Final = 1_780_308_002
"""`WHEN`, in seconds since 1970."""

ANTHROPIC: Final[dict[str, Any]] = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-5-20251101",
    "content": [{"type": "text", "text": CONTENT}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 200,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 200,
        "output_tokens": 100,
    },
}
OPENAI: Final[dict[str, Any]] = {
    "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
    "object": "chat.completion",
    "model": "gpt-5-2025-08-07",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": CONTENT}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 64},
    },
}
NATIVE: Final[Mapping[str, dict[str, Any]]] = {
    "anthropic": {
        "source": "anthropic",
        "event_id": ANTHROPIC["id"],
        "occurred_at": WHEN,
        "provider": "anthropic",
        "model": ANTHROPIC["model"],
        "input_tokens": 1000,
        "cache_read_tokens": 600,
        "cache_write_5m_tokens": 200,
        "output_tokens": 100,
        "prompt": CONTENT,
    },
    "openai": {
        "source": "openai",
        "event_id": OPENAI["id"],
        "occurred_at": WHEN,
        "provider": "openai",
        "model": OPENAI["model"],
        "input_tokens": 1000,
        "cache_read_tokens": 600,
        "output_tokens": 100,
        "reasoning_tokens": 64,
        "prompt": CONTENT,
    },
}
SPANS: Final[Mapping[str, dict[str, Any]]] = {
    "anthropic": {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "claude-opus-4-5",
        "gen_ai.response.model": ANTHROPIC["model"],
        "gen_ai.response.id": ANTHROPIC["id"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_creation.input_tokens": 200,
        "gen_ai.input.messages": CONTENT,
    },
    "openai": {
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": OPENAI["model"],
        "gen_ai.response.id": OPENAI["id"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.reasoning.output_tokens": 64,
        "gen_ai.input.messages": CONTENT,
    },
}


@dataclass(frozen=True)
class Record:
    """One record as it would stand on a topic."""

    format: str
    value: bytes
    headers: dict[str, bytes] = field(default_factory=dict)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _cloudevent(data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "ce-1", "source": "chat", "type": "prompt", "time": WHEN, "data": data}


def _wrapped(body: dict[str, Any], provider: str) -> dict[str, Any]:
    return {"provider": provider, "occurred_at": WHEN, "team": "search", "body": body}


def _litellm(body: dict[str, Any], provider: str, usage: dict[str, Any]) -> dict[str, Any]:
    """Return what LiteLLM logs of a call: it tells Anthropic's counts in OpenAI's shape, with Anthropic's beside."""
    return {
        "id": body["id"],
        "litellm_call_id": f"call-of-{provider}",
        "trace_id": "trace-1",
        "call_type": "acompletion",
        "stream": False,
        "status": "success",
        "custom_llm_provider": provider,
        "model": body["model"],
        "model_group": "best",
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "startTime": END_SECONDS - 2.0,
        "endTime": float(END_SECONDS),
        "response_cost": 0.00505 if provider == "anthropic" else 0.001575,
        "cache_hit": False,
        "request_tags": [],
        "messages": [{"role": "user", "content": CONTENT}],
        "response": {"id": body["id"], "model": body["model"], "choices": [{"message": {"content": CONTENT}}]},
        "metadata": {"user_api_key_team_alias": "search", "usage_object": usage},
    }


def _line(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "assistant",
        "uuid": "line-1",
        "parentUuid": "line-0",
        "sessionId": "session-1",
        "requestId": "req_1",
        "timestamp": WHEN,
        "cwd": "/home",
        "message": body,
    }


def _otlp_value(value: Any) -> dict[str, Any]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _spans(*attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return spans as OTLP/JSON."""
    spans = [
        {
            "traceId": f"{number + 1:032x}",
            "spanId": f"{number + 1:016x}",
            "name": "chat",
            "kind": 3,
            "startTimeUnixNano": str((END_SECONDS - 2) * 10**9),
            "endTimeUnixNano": str(END_SECONDS * 10**9),
            "attributes": [{"key": key, "value": _otlp_value(value)} for key, value in told.items()],
            "status": {},
        }
        for number, told in enumerate(attributes)
    ]
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}


def _protobuf(*attributes: Mapping[str, Any]) -> bytes:
    """Return spans as OTLP/protobuf."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, told in enumerate(attributes):
        span = scope.spans.add()
        span.trace_id, span.span_id = (number + 1).to_bytes(16, "big"), (number + 1).to_bytes(8, "big")
        span.name, span.kind = "chat", 3
        span.start_time_unix_nano, span.end_time_unix_nano = (END_SECONDS - 2) * 10**9, END_SECONDS * 10**9
        for key, value in told.items():
            read = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
            span.attributes.append(KeyValue(key=key, value=read))
    written: bytes = request.SerializeToString()
    return written


def _log(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log record as OTLP/JSON."""
    record = {
        "timeUnixNano": str(END_SECONDS * 10**9),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": [{"key": key, "value": _otlp_value(value)} for key, value in attributes.items()],
    }
    scope = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": [record]}
    return {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [scope]}]}


def _metric() -> dict[str, Any]:
    point = {"asInt": "100", "timeUnixNano": str(END_SECONDS * 10**9), "attributes": []}
    metric = {"name": "gen_ai.client.token.usage", "sum": {"dataPoints": [point], "isMonotonic": True}}
    return {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": {}, "metrics": [metric]}]}]}


_ANTHROPIC_IN_LITELLM: Final = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 200},
    "cache_read_input_tokens": 600,
    "cache_creation_input_tokens": 200,
}
_TELEMETRY: Final = {
    "event.name": "api_request",
    "session.id": "session-2",
    "model": ANTHROPIC["model"],
    "input_tokens": 200,
    "cache_read_tokens": 600,
    "cache_creation_tokens": 200,
    "output_tokens": 100,
    "request_id": "req_2",
    "prompt": CONTENT,
}

CONVERSATION: Final[Mapping[str, list[Record]]] = {
    "anthropic": [
        Record("native", _json(NATIVE["anthropic"])),
        Record("cloudevents", _json(_cloudevent(NATIVE["anthropic"]))),
        Record("provider_response", _json(_wrapped(ANTHROPIC, "anthropic"))),
        Record("litellm", _json(_litellm(ANTHROPIC, "anthropic", _ANTHROPIC_IN_LITELLM))),
        Record("otlp_traces", _json(_spans(SPANS["anthropic"]))),
        Record("otlp_traces", _protobuf(SPANS["anthropic"])),
        Record("claude_code", _json(_line(ANTHROPIC))),
    ],
    "openai": [
        Record("native", _json(NATIVE["openai"])),
        Record("cloudevents", _json(_cloudevent(NATIVE["openai"]))),
        Record("provider_response", _json(_wrapped(OPENAI, "openai"))),
        Record("litellm", _json(_litellm(OPENAI, "openai", OPENAI["usage"]))),
        Record("otlp_traces", _json(_spans(SPANS["openai"]))),
        Record("otlp_traces", _protobuf(SPANS["openai"])),
    ],
}
"""Call to the records that tell of it."""

SAMPLES: Final[Mapping[str, list[bytes]]] = {
    "native": [_json(NATIVE["anthropic"])],
    "cloudevents": [
        _json(_cloudevent(NATIVE["openai"])),
        _json(_cloudevent({"tokens": "12", "type": "input", "model": "gpt-5", "prompt": CONTENT})),
        _json(_cloudevent({"prompt_tokens": 3, "completion_tokens": 4, "model": "gpt-5", "messages": [CONTENT]})),
        _json([_cloudevent(_wrapped(ANTHROPIC, "anthropic")), _cloudevent(NATIVE["openai"])]),
    ],
    "provider_response": [_json(_wrapped(ANTHROPIC, "anthropic")), _json(_wrapped(OPENAI, "openai"))],
    "litellm": [_json(_litellm(OPENAI, "openai", OPENAI["usage"]))],
    "otlp_traces": [_json(_spans(*SPANS.values())), _protobuf(*SPANS.values())],
    "otlp_logs": [_json(_log(_TELEMETRY))],
    "otlp_metrics": [_json(_metric())],
    "claude_code": [_json(_line(ANTHROPIC))],
}
"""Format to records of it that are sound."""


@pytest.fixture(scope="session")
def conversation() -> Mapping[str, list[Record]]:
    """Return each call of the conversation with the records that tell of it."""
    return CONVERSATION


@pytest.fixture(scope="session")
def samples_of() -> Callable[[str], list[bytes]]:
    """Return a function from a format to sound records of it, which hold content."""
    return lambda name: SAMPLES[name]


@pytest.fixture(scope="session")
def content() -> str:
    """Return what stands in records wherever a tool puts content."""
    return CONTENT
