"""Spans by the GenAI conventions: which of them are calls, what their attributes mean, and what is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from tollbook.formats.decoder import Decoded

Told = Callable[[Any], list[dict[str, Any]]]
CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}


def test_a_span_is_told_with_all_it_says(recorder_of: Callable[[dict[str, str]], Any], told: Told) -> None:
    """Who, what, when, where and under whose roof: chargeback rests on each of these."""
    recorder = recorder_of({"service.name": "checkout", "team.id": "payments"})
    parent = recorder.span("invoke_agent planner", {"gen_ai.operation.name": "invoke_agent"}, kind=SpanKind.INTERNAL)
    span = recorder.span(
        "chat gpt-4o",
        CALL
        | {
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_write.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 5,
            "gen_ai.conversation.id": "conv-1",
            "gen_ai.agent.name": "planner",
            "gen_ai.workflow.name": "answers",
            "gen_ai.response.finish_reasons": ["stop", "length"],
            "gen_ai.request.stream": True,
            "openai.response.service_tier": "flex",
            "server.address": "eu.api.openai.com",
            "enduser.id": "ann@example.com",
        },
        parent=parent,
        seconds=3,
    )
    (event,) = told(recorder)
    assert {name: value for name, value in event.items() if value is not None} == {
        "source": "openai",
        "event_id": "chatcmpl-1",
        "revision": 0,
        "action": "record",
        "reporter": "opentelemetry",
        "schema_version": 1,
        "occurred_at": event["occurred_at"],
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "requested_model": "gpt-4o",
        "operation_name": "chat",
        "service_tier": "flex",
        "region": "eu",
        "path": "model_api",
        "team": "payments",
        "workflow": "answers",
        "agent": "planner",
        "task_id": f"{span.get_span_context().trace_id:032x}",
        "trace_id": f"{span.get_span_context().trace_id:032x}",
        "call_id": f"{span.get_span_context().span_id:016x}",
        "parent_call_id": f"{parent.get_span_context().span_id:016x}",
        "principal_id": "sha256:" + "71d4f55f72fa128dfb468a1a3901507c",
        "conversation_id": "conv-1",
        "tags": [("service", "checkout")],
        "status": "ok",
        "finish_reason": "stop",
        "streamed": True,
        "usage_basis": "reported",
        "input_tokens": 100,
        "uncached_input_tokens": 30,
        "cache_read_tokens": 60,
        "cache_write_5m_tokens": 10,
        "output_tokens": 20,
        "text_output_tokens": 15,
        "reasoning_tokens": 5,
        "raw_usage": [
            ("gen_ai.usage.cache_read.input_tokens", 60),
            ("gen_ai.usage.cache_write.input_tokens", 10),
            ("gen_ai.usage.input_tokens", 100),
            ("gen_ai.usage.output_tokens", 20),
            ("gen_ai.usage.reasoning.output_tokens", 5),
        ],
        "latency_ms": 3_000,
    }
    assert event["occurred_at"].isoformat() == "2026-05-28T20:26:43+00:00"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 4}, (9, None, None, 9, 4)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_read_input_tokens": 3}, (6, 3, None, 9, None)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cached_tokens": 3}, (6, 3, None, 9, None)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_creation.input_tokens": 2}, (7, None, 2, 9, None)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_creation_input_tokens": 2}, (7, None, 2, 9, None)),
        ({"gen_ai.usage.input_tokens": "9", "llm.usage.total_tokens": 9}, (9, None, None, 9, None)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.prompt_tokens": 9}, (9, None, None, 9, None)),
    ],
)
def test_pitfall_2_every_alias_of_a_count_means_the_same(
    usage: dict[str, Any], expected: tuple[int | None, ...], recorder: Any, told: Told
) -> None:
    """An alias that is not known is money that is not seen, or seen twice."""
    recorder.span("chat", {name: value for name, value in CALL.items() if ".usage." not in name} | usage)
    (event,) = told(recorder)
    names = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "input_tokens", "output_tokens")
    assert tuple(event[name] for name in names) == expected


def test_pitfall_2_a_usage_attribute_of_no_known_meaning_is_shown(
    recorder: Any, decode: Callable[..., Decoded]
) -> None:
    """What is not understood must be seen, since it may cost."""
    recorder.span("chat", CALL | {"gen_ai.usage.telepathy_tokens": 7})
    decoded = decode(recorder.exports()[0])
    (event,) = decoded.events.to_pylist()
    assert event["flags"] == ["unknown_usage_field"]
    assert ("gen_ai.usage.telepathy_tokens", 7) in event["raw_usage"]
    assert decoded.unknown_fields == {"gen_ai.usage.telepathy_tokens": 1}


def test_pitfall_10_zero_is_zero_and_what_is_missing_is_null(recorder: Any, told: Told) -> None:
    """A missing count priced as 0 is a call for nothing; a told 0 is one that cost nothing."""
    recorder.span("chat", CALL | {"gen_ai.usage.output_tokens": 0})
    recorder.span("embeddings", {**CALL, "gen_ai.operation.name": "embeddings", "gen_ai.response.id": "e"})
    recorder.span("chat", {name: value for name, value in CALL.items() if ".usage." not in name})
    zero, _, missing = told(recorder)
    assert (zero["input_tokens"], zero["output_tokens"], zero["reasoning_tokens"]) == (100, 0, None)
    assert (missing["input_tokens"], missing["output_tokens"]) == (None, None)


def test_pitfall_10_an_instrumentation_that_counts_from_zero_has_told_nothing(recorder: Any, told: Told) -> None:
    """The one for OpenAI writes 0 and 0 for a stream without usage; no call has no input at all."""
    nothing = CALL | {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    recorder.span("chat", nothing, scope="opentelemetry.instrumentation.openai_v2")
    (event,) = told(recorder)
    assert (event["input_tokens"], event["output_tokens"], event["raw_usage"]) == (None, None, None)


@pytest.mark.parametrize("operation", ["invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "plan"])
def test_pitfall_14_a_parent_that_sums_up_its_children_is_not_counted(
    operation: str, recorder: Any, decode: Callable[..., Decoded]
) -> None:
    """Frameworks put the sum of the calls on the agent's span: counted too, an agent's work costs twice."""
    total = {"gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 200, "gen_ai.request.model": "gpt-4o"}
    parent = recorder.span(operation, total, kind=SpanKind.INTERNAL)
    for number in range(2):
        recorder.span("chat", CALL | {"gen_ai.response.id": f"chatcmpl-{number}"}, parent=parent)
    for value in recorder.exports():
        decoded = decode(value)
        assert sum(event["input_tokens"] for event in decoded.events.to_pylist()) == 200
        assert decoded.ignored == {"rollup_span": 1}


def test_pitfall_14_a_parent_is_not_counted_when_its_children_come_in_another_record(
    recorder: Any, decode: Callable[..., Decoded]
) -> None:
    """An exporter sends a long-lived agent's span minutes after its calls, alone."""
    alone = {name: value for name, value in CALL.items() if name != "gen_ai.response.id"}
    recorder.span("invoke_agent", alone | {"gen_ai.operation.name": "invoke_agent"})
    for value in recorder.exports():
        decoded = decode(value)
        assert (decoded.events.num_rows, decoded.rejected, decoded.ignored) == (0, [], {"rollup_span": 1})


def test_pitfall_14_a_parent_that_repeats_the_last_answers_id_is_not_counted(
    recorder: Any, decode: Callable[..., Decoded]
) -> None:
    """Its sum under the answer's own id would stand in conflict with the answer, or take its place."""
    recorder.span("invoke_agent", CALL | {"gen_ai.operation.name": "invoke_agent"}, kind=SpanKind.CLIENT)
    for value in recorder.exports():
        decoded = decode(value)
        assert (decoded.events.num_rows, decoded.rejected, decoded.ignored) == (0, [], {"rollup_span": 1})


def test_pitfall_14_older_parents_without_an_operation_are_not_counted(
    recorder: Any, decode: Callable[..., Decoded]
) -> None:
    """Before there were agents in the conventions, frameworks had names of their own for them."""
    usage = {"gen_ai.usage.input_tokens": 100, "gen_ai.request.model": "gpt-4o"}
    parent = recorder.span("agent run", usage, kind=SpanKind.INTERNAL)
    recorder.span("task", usage | {"traceloop.span.kind": "task"}, kind=SpanKind.CLIENT)
    recorder.span("chat", CALL, parent=parent)
    decoded = decode(recorder.exports()[0])
    assert decoded.events.column("event_id").to_pylist() == ["chatcmpl-1"]
    assert decoded.ignored == {"rollup_span": 2}


def test_pitfall_14_parent_and_child_of_one_answer_are_one_event_by_its_id(recorder: Any, told: Told) -> None:
    """Two instrumentations of one call: the ledger keeps one of each (source, event_id)."""
    parent = recorder.span("chat", CALL, scope="framework")
    recorder.span("chat", CALL, parent=parent, scope="library")
    first, second = told(recorder)
    content = ("source", "event_id", "revision", "provider", "model", "input_tokens", "output_tokens")
    assert [first[name] for name in content] == [second[name] for name in content]


def test_pitfall_14_a_framework_span_without_an_id_gives_way_to_its_child(
    recorder: Any, decode: Callable[..., Decoded]
) -> None:
    """Without an id the two could not be known for one call."""
    outer = {name: value for name, value in CALL.items() if name != "gen_ai.response.id"}
    parent = recorder.span("chat", outer, scope="framework")
    recorder.span("chat", CALL, parent=parent, scope="library")
    decoded = decode(recorder.exports()[0])
    assert decoded.events.column("event_id").to_pylist() == ["chatcmpl-1"]
    assert decoded.ignored == {"rollup_span": 1}


def test_a_call_without_an_id_is_known_by_its_span(recorder: Any, told: Told) -> None:
    """The same span told again must be the same event, so its id is made of the span's."""
    attributes = {name: value for name, value in CALL.items() if name != "gen_ai.response.id"}
    recorder.span("chat", attributes)
    (event,) = told(recorder)
    assert event["source"] == "opentelemetry"
    assert len(event["event_id"]) == 32
    assert told(recorder)[0]["event_id"] == event["event_id"]
    assert event["task_id"] is None, "a span that stands alone is no task"


@pytest.mark.parametrize(
    ("error", "status"),
    [("TimeoutError", "timeout"), ("asyncio.CancelledError", "cancelled"), ("500", "error"), ("a long story", "error")],
)
def test_a_failed_call_is_an_event_with_its_class_of_error(error: str, status: str, recorder: Any, told: Told) -> None:
    """Failed calls can cost; the text of an error may hold what a person wrote."""
    attributes = {name: value for name, value in CALL.items() if "response" not in name and "usage" not in name}
    recorder.span("chat", attributes | {"error.type": error}, status=StatusCode.ERROR)
    (event,) = told(recorder)
    assert (event["status"], event["input_tokens"], event["model"]) == (status, None, "gpt-4o")
    assert event["error_type"] == (error if " " not in error else "_OTHER")


@pytest.mark.parametrize(
    ("state", "attributes", "rate"),
    [
        ("ot=th:c", {}, 0.25),
        ("a=b,ot=th:8;rv:00000000000001", {}, 0.5),
        ("ot=th:0", {}, 1.0),
        ("ot=p:3", {}, 0.125),
        ("a=b", {"sampling.probability": 0.2}, 0.2),
        ("", {"SampleRate": 4}, 0.25),
        ("", {"sampler.type": "probabilistic", "sampler.param": 0.1}, 0.1),
        ("ot=th:8", {"sampling.probability": 0.2}, 0.2),
    ],
)
def test_pitfall_26_sampled_spans_are_flagged_and_never_scaled_up(
    state: str, attributes: dict[str, Any], rate: float, recorder: Any, told: Told
) -> None:
    """A fifth of the calls taken for all of them is a bill of a fifth. 0xc of 0x10 are left out: a quarter is kept."""
    members = [(each.partition("=")[0], each.partition("=")[2]) for each in state.split(",") if each]
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1), trace_state=TraceState(members))
    span = recorder.provider.get_tracer("test").start_span("chat", attributes=CALL | attributes, start_time=1)
    span._context = context
    span.end(1_780_000_000_000_000_000)
    (event,) = told(recorder)
    assert event["sampling_rate"] == rate
    assert event["flags"] == (["sampled"] if rate < 1 else None)
    assert event["input_tokens"] == 100


@pytest.mark.parametrize(
    ("told_provider", "address", "expected"),
    [
        ("openai", "my-resource.openai.azure.com", ("azure", "hyperscaler", None)),
        ("aws.bedrock", "bedrock-runtime.eu-central-1.amazonaws.com", ("aws", "hyperscaler", "eu-central-1")),
        ("gcp.vertex_ai", "https://us-east5-aiplatform.googleapis.com/v1", ("google", "hyperscaler", "us-east5")),
        ("openai", "http://localhost:4000", ("openai", None, None)),
        (None, "api.openai.com", ("openai", "model_api", None)),
        ("anthropic", None, ("anthropic", None, None)),
    ],
)
def test_the_endpoint_tells_who_bills_and_where_only_where_that_is_clear(
    told_provider: str | None, address: str | None, expected: tuple[str | None, ...], recorder: Any, told: Told
) -> None:
    """OpenAI's library says `openai` whatever it talks to; a local address may be a gateway that buys outside."""
    attributes = {name: value for name, value in CALL.items() if name != "gen_ai.provider.name"}
    attributes |= {"gen_ai.system": told_provider} if told_provider else {}
    recorder.span("chat", attributes | ({"server.address": address} if address else {}))
    (event,) = told(recorder)
    assert (event["provider"], event["path"], event["region"]) == expected


def test_what_people_wrote_is_in_no_event_and_in_no_reject(recorder: Any, decode: Callable[..., Decoded]) -> None:
    """Prompts in a ledger are a leak."""
    secret = "my-secret"
    content = dict.fromkeys(
        ("gen_ai.input.messages", "gen_ai.prompt", "gen_ai.prompt.0.content", "gen_ai.completion.0.content"), secret
    )
    recorder.span("chat", CALL | content)
    recorder.span("chat", CALL | content | {"gen_ai.usage.cache_read.input_tokens": 101})
    for value in recorder.exports():
        decoded = decode(value)
        assert [each.error.reason for each in decoded.rejected] == ["part_exceeds_whole"]
        assert secret not in str(decoded.events.to_pylist())
        assert secret.encode() not in (decoded.rejected[0].value or b"")


def test_spans_of_no_model_are_ignored_and_counted(recorder: Any, decode: Callable[..., Decoded]) -> None:
    """A trace is mostly other things, and each must be accounted for."""
    recorder.span("GET /", {"http.request.method": "GET"})
    recorder.span("query", {"openinference.span.kind": "LLM", "llm.token_count.prompt": 5})
    decoded = decode(recorder.exports()[0])
    assert decoded.events.num_rows == 0
    assert decoded.silent_records == 1
    assert decoded.ignored == {"no_model_call": 1, "other_convention": 1}


def test_log_events_of_the_conventions_are_left_to_the_span(recorder: Any, decode_logs: Callable[..., Decoded]) -> None:
    """The event of a call's details has the same usage as its span."""
    recorder.log(None, CALL, event="gen_ai.client.inference.operation.details")
    for value in recorder.log_exports():
        decoded = decode_logs(value)
        assert decoded.events.num_rows == 0
        assert decoded.ignored == {"told_by_span": 1}
