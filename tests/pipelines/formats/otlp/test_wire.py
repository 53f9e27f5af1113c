"""Exports as bytes: many items in a record, bad ones alone, other signals, other bytes, and none of them lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollbook.formats.decoder import Decoded
from tollbook.formats.otlp import LogsDecoder, MetricsDecoder, TracesDecoder
from tollbook.formats.registry import FORMATS

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SPAN: dict[str, Any] = {
    "traceId": "0AF7651916CD43DD8448EB211C80319C",
    "spanId": "00f067aa0ba902b7",
    "name": "chat",
    "kind": "SPAN_KIND_CLIENT",
    "startTimeUnixNano": 1780000000000000000,
    "endTimeUnixNano": "1780000001000000000",
    "status": {"code": "STATUS_CODE_OK"},
    "droppedAttributesCount": 0,
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.system", "value": {"stringValue": "openai"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 20}},
        {"key": "gen_ai.prompt", "value": {"stringValue": "my-secret"}},
        {"key": "gen_ai.input.messages", "value": {"arrayValue": {"values": [{"stringValue": "my-secret"}]}}},
    ],
}


def export(*spans: Any) -> bytes:
    """Return spans as an export in JSON."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]}]}).encode()


def span(**changes: Any) -> dict[str, Any]:
    """Return the span with changes."""
    return deepcopy(SPAN) | changes


def with_attribute(key: str, value: Any) -> dict[str, Any]:
    """Return the span with one attribute set."""
    kept = [each for each in SPAN["attributes"] if each["key"] != key]
    return span(attributes=[*kept, {"key": key, "value": value}])


def test_numbers_as_texts_enums_as_names_and_ids_in_capitals_are_read(decode: Callable[..., Decoded]) -> None:
    """OTLP/JSON leaves all of these open, and exporters differ."""
    (event,) = decode(export(SPAN)).events.to_pylist()
    assert event["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (event["input_tokens"], event["output_tokens"], event["latency_ms"]) == (100, 20, 1_000)
    assert event["occurred_at"].isoformat() == "2026-05-28T20:26:41+00:00"
    assert event["status"] == "ok"


@pytest.mark.parametrize(
    ("bad", "reason", "field"),
    [
        (span(traceId=7), "wrong_type", "traceId"),
        (span(endTimeUnixNano="noon"), "wrong_type", None),
        (span(attributes="none"), "wrong_type", "attributes"),
        ("text", "not_an_object", None),
        (span(endTimeUnixNano=0), "missing_field", "occurred_at"),
        (span(spanId=""), "missing_field", "event_id"),
        (
            with_attribute("gen_ai.usage.input_tokens", {"stringValue": "many"}),
            "wrong_type",
            "gen_ai.usage.input_tokens",
        ),
        (with_attribute("gen_ai.usage.input_tokens", {"intValue": "-1"}), "out_of_range", "gen_ai.usage.input_tokens"),
        (
            with_attribute("gen_ai.usage.input_tokens", {"intValue": 10**30}),
            "out_of_range",
            "gen_ai.usage.input_tokens",
        ),
        (with_attribute("gen_ai.usage.input_tokens", {"intValue": "x"}), "wrong_type", None),
        (
            with_attribute("gen_ai.usage.cached_tokens", {"intValue": 101}),
            "part_exceeds_whole",
            "gen_ai.usage.input_tokens",
        ),
    ],
)
def test_one_bad_span_is_one_reject_and_its_neighbours_go_on(
    bad: Any, reason: str, field: str | None, decode: Callable[..., Decoded]
) -> None:
    """An export holds the spans of many callers; one that is wrong must not take the others' bills with it."""
    decoded = decode(export(span(spanId="aa"), bad, span(spanId="bb")), export(span(spanId="cc")))
    assert decoded.events.column("call_id").to_pylist() == ["aa", "bb", "cc"]
    assert decoded.record_items.tolist() == [0, 2, 0]
    assert decoded.rows.tolist() == [0, 0, 1]
    (rejected,) = decoded.rejected
    assert (rejected.row, rejected.record_item, rejected.error.reason, rejected.error.field) == (0, 1, reason, field)
    assert rejected.value_state == "scrubbed"
    assert b"my-secret" not in (rejected.value or b"")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty_value"),
        (b" \n", "empty_value"),
        (b"{", "invalid_json"),
        (b'{"resourceSpans":[]} {}', "invalid_json"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (b"{}", "unknown_shape"),
        (b'{"resourceSpans":{}}', "wrong_type"),
        (b"\x00\x01\x02", "invalid_protobuf"),
        (b"[]", "invalid_protobuf"),
        (b"null", "invalid_protobuf"),
        (b'{"resourceSpans":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "wrong_type"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
        (export(SPAN) + b" " * (8 * 1024 * 1024), "record_too_large"),
    ],
)
def test_a_record_that_is_no_export_is_one_reject(value: bytes, reason: str, decode: Callable[..., Decoded]) -> None:
    """A topic takes whatever is sent to it."""
    decoded = decode(export(SPAN), value, export(SPAN))
    assert [(each.row, each.record_item, each.error.reason) for each in decoded.rejected] == [(1, None, reason)]
    assert decoded.rows.tolist() == [0, 2]


def call_in_protobuf(name: str) -> bytes:
    """Return an export of one span of a call that says little."""
    request = ExportTraceServiceRequest()
    added = request.resource_spans.add().scope_spans.add().spans.add()
    added.trace_id, added.span_id, added.name = b"t" * 16, b"s" * 8, name
    added.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
    value: bytes = request.SerializeToString()
    return value


def test_an_export_in_protobuf_that_looks_like_json_is_read_as_protobuf(decode: Callable[..., Decoded]) -> None:
    """Every export begins with a line feed to JSON's eye, and one of 123 bytes goes on with a brace."""
    value = next(each for n in range(100) if (each := call_in_protobuf("n" * n))[1] == ord("{"))
    assert value[:2] == b"\n{"
    assert [each.error.field for each in decode(value).rejected] == ["occurred_at"]


def test_an_export_of_another_signal_is_read_in_json_and_rejected_in_protobuf(
    recorder: Any, decode: Callable[..., Decoded], decode_logs: Callable[..., Decoded]
) -> None:
    """JSON says what it is; protobuf does not, and must not come out as nothing."""
    recorder.span("chat", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "m"})
    recorder.log(None, {"event.name": "codex.user_prompt"})
    spans, text = recorder.exports()
    logs, log_text = recorder.log_exports()
    assert decode_logs(text).events.num_rows == 1
    assert decode(log_text).ignored == {"other_event": 1}
    assert {each.error.reason for each in decode_logs(spans).rejected} <= {"unknown_shape", "invalid_protobuf"}
    assert {each.error.reason for each in decode(logs).rejected} <= {"unknown_shape", "invalid_protobuf"}
    assert len(decode_logs(spans).rejected) == len(decode(logs).rejected) == 1


def test_the_registry_makes_these_decoders() -> None:
    """A topic names its format, and the format its decoder."""
    made = [type(FORMATS[name].make()) for name in ("otlp_traces", "otlp_logs", "otlp_metrics")]
    assert made == [TracesDecoder, LogsDecoder, MetricsDecoder]


def test_many_exports_are_told_in_parts_and_in_order(decode: Callable[..., Decoded]) -> None:
    """Memory holds a part of a batch at a time; order and places must not show it."""
    value = export(*(span(spanId=f"{number + 1:016x}") for number in range(300)))
    decoded = decode(*[value] * 100)
    assert decoded.events.num_rows == 30_000
    assert np.array_equal(decoded.rows, np.repeat(np.arange(100), 300))
    assert np.array_equal(decoded.record_items, np.tile(np.arange(300), 100))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*SPAN, "resourceSpans", "scopeSpans", "spans", "key", "value"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
SPANS = st.lists(
    st.dictionaries(st.sampled_from(sorted(SPAN)), JSON, max_size=3).map(lambda changes: span(**changes)) | JSON
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(SPANS.map(lambda spans: export(*spans)) | st.binary(max_size=40) | JSON.map(json.dumps).map(str.encode))
)
def test_no_bytes_crash_a_decoder_and_no_span_is_lost(values: list[bytes]) -> None:
    """Each record is told, rejected or silent; each span that is one is an event, a reject or ignored."""
    for decoder in (TracesDecoder(), LogsDecoder(), MetricsDecoder()):
        decoded = decoder.decode(pa.array(values, pa.binary()), now=NOW)
        rejected = {each.row for each in decoded.rejected}
        assert len(rejected | set(decoded.rows.tolist())) + decoded.silent_records == len(values)


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.integers(0, 400), st.integers(0, 60))
def test_a_broken_export_in_protobuf_is_one_reject_or_other_spans(noise: bytes, at: int, cut: int) -> None:
    """A cut or overwritten message must neither crash nor vanish."""
    value = call_in_protobuf("chat")
    at %= len(value)
    for broken in (value[:at], value[:at] + noise + value[at + cut :]):
        decoded = TracesDecoder().decode(pa.array([broken], pa.binary()), now=NOW)
        assert len(decoded.rejected) + decoded.events.num_rows + sum(decoded.ignored.values()) >= 1
