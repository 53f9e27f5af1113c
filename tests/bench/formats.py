"""Decoding alone, format by format, in blocks as the meter reads them; prints one JSON line.

Records are as tools send them: an id, a time and counts of their own in each, content of some hundred characters where
a tool puts content, spans and log records in exports of 64 as a Collector batches them. Figures are of events.
"""

from __future__ import annotations

import argparse
import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollbook.formats.decoder import BLOCK_RECORDS
from tollbook.formats.route import RecordRouter

NOW = datetime(2026, 11, 24, tzinfo=UTC)
START_SECONDS = 1_780_308_000
"""2026-06-01T10:00:00Z."""

EXPORTED_TOGETHER = 64
CONTENT = "What was asked and what was answered, which is no business of a ledger. " * 8
CLAUDE, GPT = "claude-opus-4-5-20251101", "gpt-5-2025-08-07"
Json = dict[str, Any]


@dataclass(frozen=True)
class Traffic:
    """Records of one format.

    Attributes:
        format: Name of the format.
        record: Makes the record that holds the events from a number on.
        events: Events in each record.
        headers: Headers of each record.
    """

    format: str
    record: Callable[[int], bytes]
    events: int = 1
    headers: Mapping[str, bytes] | None = None


def when(number: int) -> str:
    """Return the time of a call."""
    return datetime.fromtimestamp(START_SECONDS + number % 86_400, UTC).isoformat().replace("+00:00", "Z")


def usage(number: int) -> Json:
    """Return Anthropic's usage object of a call."""
    return {
        "input_tokens": 200 + number % 700,
        "cache_read_input_tokens": 600 + number % 11,
        "cache_creation_input_tokens": 200,
        "output_tokens": 100 + number % 300,
    }


def counts(number: int) -> Json:
    """Return OpenAI's usage object of a call."""
    return {
        "prompt_tokens": 1000 + number % 700,
        "completion_tokens": 100 + number % 300,
        "total_tokens": 1100 + number % 700 + number % 300,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 64},
    }


def native(number: int) -> Json:
    """Return a native event."""
    return {
        "source": "anthropic",
        "event_id": f"msg_{number:024}",
        "occurred_at": when(number),
        "provider": "anthropic",
        "model": CLAUDE,
        "team": f"team-{number % 20}",
        "workflow": f"workflow-{number % 90}",
        "task_id": f"task-{number // 12}",
        "agent": "planner",
        "input_tokens": 1000 + number % 700,
        "cache_read_tokens": 600,
        "output_tokens": 100 + number % 300,
        "reasoning_tokens": 64,
        "latency_ms": 900 + number % 4000,
    }


def cloudevent(number: int, data: Json) -> Json:
    """Return a structured event."""
    told = {"specversion": "1.0", "id": f"e-{number}", "source": "chat-app", "type": "prompt", "subject": "customer-1"}
    return {**told, "time": when(number), "data": data}


def anthropic_body(number: int) -> Json:
    """Return an answer of Anthropic."""
    told = {"id": f"msg_{number:024}", "type": "message", "role": "assistant", "model": CLAUDE}
    return {**told, "content": [{"type": "text", "text": CONTENT}], "stop_reason": "end_turn", "usage": usage(number)}


def wrapped(number: int) -> Json:
    """Return an answer wrapped with who asked."""
    asked = {"provider": "anthropic", "occurred_at": when(number), "team": f"team-{number % 20}", "workflow": "answers"}
    return {**asked, "body": anthropic_body(number)}


def litellm(number: int) -> Json:
    """Return what LiteLLM logs of a call."""
    model, used = GPT, counts(number)
    answer = {"id": f"chatcmpl-{number:029}", "model": model, "choices": [{"message": {"content": CONTENT}}]}
    return {
        "id": answer["id"],
        "litellm_call_id": f"call-{number}",
        "trace_id": f"trace-{number // 12}",
        "call_type": "acompletion",
        "stream": False,
        "status": "success",
        "custom_llm_provider": "openai",
        "model": model,
        "model_group": "best",
        **{name: used[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        "startTime": START_SECONDS + number % 86_400 - 2.5,
        "endTime": START_SECONDS + number % 86_400 + 0.25,
        "response_cost": 0.001575 + number % 7 * 1e-6,
        "cache_hit": False,
        "request_tags": ["feature:triage"],
        "messages": [{"role": "user", "content": CONTENT}],
        "response": answer,
        "metadata": {"user_api_key_team_alias": f"team-{number % 20}", "usage_object": used},
    }


def line(number: int) -> Json:
    """Return a line of a session file of Claude Code."""
    told = {"type": "assistant", "uuid": f"line-{number}", "sessionId": "session-1", "requestId": f"req_{number}"}
    return {**told, "timestamp": when(number), "cwd": "/home/work", "message": anthropic_body(number)}


def values_of(told: Json) -> list[Json]:
    """Return attributes as OTLP/JSON writes them."""
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in told.items()
    ]


def span(number: int) -> Json:
    """Return a span of a call as OTLP/JSON."""
    end = (START_SECONDS + number % 86_400) * 10**9
    told = {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "claude-opus-4-5",
        "gen_ai.response.model": CLAUDE,
        "gen_ai.response.id": f"msg_{number:024}",
        "gen_ai.usage.input_tokens": 1000 + number % 700,
        "gen_ai.usage.output_tokens": 100 + number % 300,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.agent.name": "planner",
        "gen_ai.workflow.name": f"workflow-{number % 90}",
        "gen_ai.input.messages": CONTENT,
    }
    ids = {"traceId": f"{number // 12 + 1:032x}", "spanId": f"{number + 1:016x}", "name": "chat", "kind": 3}
    times = {"startTimeUnixNano": str(end - 2 * 10**9), "endTimeUnixNano": str(end)}
    return {**ids, **times, "attributes": values_of(told), "status": {}}


def spans(number: int) -> Json:
    """Return an export of spans."""
    together = [span(each) for each in range(number, number + EXPORTED_TOGETHER)]
    resource = {"attributes": values_of({"service.name": "checkout", "team.id": "search"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "app"}, "spans": together}]}]}


def logs(number: int) -> Json:
    """Return an export of Claude Code's log records."""
    records = [
        {
            "timeUnixNano": str((START_SECONDS + each % 86_400) * 10**9),
            "body": {"stringValue": "claude_code.api_request"},
            "attributes": values_of(
                {
                    "event.name": "api_request",
                    "session.id": "session-1",
                    "model": CLAUDE,
                    "input_tokens": 200 + each % 700,
                    "cache_read_tokens": 600,
                    "cache_creation_tokens": 200,
                    "output_tokens": 100 + each % 300,
                    "duration_ms": 900 + each % 4000,
                    "request_id": f"req_{each}",
                }
            ),
        }
        for each in range(number, number + EXPORTED_TOGETHER)
    ]
    scope = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": records}
    return {"resourceLogs": [{"resource": {"attributes": values_of({"team": "search"})}, "scopeLogs": [scope]}]}


def as_json(make: Callable[[int], Any]) -> Callable[[int], bytes]:
    """Return how to make records in JSON."""
    return lambda number: json.dumps(make(number), separators=(",", ":")).encode()


def as_protobuf(make: Callable[[int], Json], message: type[Any]) -> Callable[[int], bytes]:
    """Return how to make exports in protobuf."""

    def encoded(number: int) -> bytes:
        document = json.loads(json.dumps(make(number)), object_hook=_with_base64_ids)
        written: bytes = ParseDict(document, message()).SerializeToString()
        return written

    return encoded


def _with_base64_ids(told: Json) -> Json:
    return {name: _base64(value) if name in {"traceId", "spanId"} else value for name, value in told.items()}


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


BINARY = {"ce_specversion": b"1.0", "ce_id": b"e-1", "ce_source": b"chat-app", "ce_type": b"prompt"}
TRAFFIC: Mapping[str, Traffic] = {
    "native": Traffic("native", as_json(native)),
    "CloudEvents, structured": Traffic("cloudevents", as_json(lambda n: cloudevent(n, native(n)))),
    "CloudEvents, binary": Traffic("cloudevents", as_json(native), headers=BINARY),
    "CloudEvents, OpenMeter's tokens": Traffic(
        "cloudevents",
        as_json(lambda n: cloudevent(n, {"tokens": str(n), "type": "input", "model": "gpt-5", "provider": "openai"})),
    ),
    "provider response, Anthropic": Traffic("provider_response", as_json(wrapped)),
    "LiteLLM": Traffic("litellm", as_json(litellm)),
    "Claude Code, session lines": Traffic("claude_code", as_json(line)),
    "OTLP spans, JSON": Traffic("otlp_traces", as_json(spans), EXPORTED_TOGETHER),
    "OTLP spans, protobuf": Traffic("otlp_traces", as_protobuf(spans, ExportTraceServiceRequest), EXPORTED_TOGETHER),
    "OTLP log records of Claude Code, protobuf": Traffic(
        "otlp_logs", as_protobuf(logs, ExportLogsServiceRequest), EXPORTED_TOGETHER
    ),
}


def measure(traffic: Traffic, min_cpu_seconds: float) -> tuple[int, int]:
    """Return events per CPU-second and bytes of an event; fail where an event is missed."""
    records = max(BLOCK_RECORDS // traffic.events, 1)
    values = pa.array([traffic.record(n * traffic.events) for n in range(records)], pa.binary())
    headers = None if traffic.headers is None else [traffic.headers] * records
    router = RecordRouter()
    router.decode(values.slice(0, 64), traffic.format, now=NOW, headers=headers and headers[:64])
    spent, events = 0.0, 0
    while spent < min_cpu_seconds:
        began = time.process_time()
        decoded = router.decode(values, traffic.format, now=NOW, headers=headers)
        spent += time.process_time() - began
        if decoded.events.num_rows != records * traffic.events:
            raise SystemExit(f"{traffic.format}: expected {records * traffic.events} events, {decoded.rejected[:1]}")
        events += decoded.events.num_rows
    return round(events / spent), round(values.nbytes / records / traffic.events)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--min-cpu-seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    rows = {}
    for name, traffic in TRAFFIC.items():
        speed, size = measure(traffic, arguments.min_cpu_seconds)
        rows[name] = {"events_per_cpu_s": speed, "bytes": size}
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
