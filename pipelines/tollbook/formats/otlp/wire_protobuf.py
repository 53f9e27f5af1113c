"""OTLP/protobuf: an export of the signal that the topic has, read into items.

Protobuf does not say which message its bytes are of. An export of another signal comes out without what every span or
log record must have, and is rejected for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tollbook.errors import RejectedRecordError
from tollbook.formats.otlp.wire_json import event_name
from tollbook.formats.telemetry.item import ATTRIBUTE, Item, Value, Wanted

M = TypeVar("M", bound=Message)


def read_spans(value: bytes, row: int, wanted: Wanted) -> list[Item]:
    """Return the spans of an export of traces.

    Raises:
        RejectedRecordError: The bytes are no such export.
    """
    request = _parsed(value, ExportTraceServiceRequest())
    items = list(_spans(request, row, wanted))
    if not len(request.resource_spans) or any(item.trace_id is None for item in items):
        raise RejectedRecordError("unknown_shape", None, "an export of spans, each with a trace id", "another message")
    return items


def read_logs(value: bytes, row: int, wanted: Wanted) -> list[Item]:
    """Return the log records of an export of logs; errors as for `read_spans`."""
    request = _parsed(value, ExportLogsServiceRequest())
    items = list(_logs(request, row, wanted))
    if not len(request.resource_logs) or any(not item.end_ns for item in items):
        raise RejectedRecordError(
            "unknown_shape", None, "an export of log records, each with a time", "another message"
        )
    return items


def count_metrics(value: bytes) -> int:
    """Return the number of metrics of an export of metrics; errors as for `read_spans`."""
    request = _parsed(value, ExportMetricsServiceRequest())
    if not len(request.resource_metrics):
        raise RejectedRecordError("unknown_shape", None, "an export of metrics", "another message")
    return sum(len(scope.metrics) for each in request.resource_metrics for scope in each.scope_metrics)


def _parsed(value: bytes, message: M) -> M:
    try:
        message.ParseFromString(value)
    except DecodeError:
        name = message.DESCRIPTOR.name
        raise RejectedRecordError("invalid_protobuf", None, f"a message {name}", f"{len(value)} other bytes") from None
    return message


def _spans(request: ExportTraceServiceRequest, row: int, wanted: Wanted) -> Iterator[Item]:
    place = 0
    for each in request.resource_spans:
        resource = _resource(each.resource.attributes, wanted)
        for spans in each.scope_spans:
            scope = spans.scope.name
            for span in spans.spans:
                attributes, usage = _taken(span.attributes, wanted)
                yield Item(
                    row,
                    place,
                    True,
                    span.name,
                    scope,
                    _hex(span.trace_id),
                    _hex(span.span_id),
                    _hex(span.parent_span_id),
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code,
                    span.trace_state,
                    attributes,
                    usage,
                    resource,
                )
                place += 1


def _logs(request: ExportLogsServiceRequest, row: int, wanted: Wanted) -> Iterator[Item]:
    place = 0
    for each in request.resource_logs:
        resource = _resource(each.resource.attributes, wanted)
        for logs in each.scope_logs:
            scope = logs.scope.name
            for log in logs.log_records:
                attributes, usage = _taken(log.attributes, wanted)
                body = log.body.string_value if log.body.WhichOneof("value") == "string_value" else None
                yield Item(
                    row,
                    place,
                    False,
                    event_name(log.event_name, attributes.get("event.name"), body),
                    scope,
                    _hex(log.trace_id),
                    _hex(log.span_id),
                    None,
                    0,
                    0,
                    log.time_unix_nano or log.observed_time_unix_nano,
                    0,
                    "",
                    attributes,
                    usage,
                    resource,
                )
                place += 1


def _taken(told: Iterable[KeyValue], wanted: Wanted) -> tuple[dict[str, Value], dict[str, Value]]:
    attributes: dict[str, Value] = {}
    usage: dict[str, Value] = {}
    use_of = wanted.use_of
    for each in told:
        key = each.key
        use = use_of(key)
        if use:
            value = _plain(each.value)
            if value is not None:
                (attributes if use == ATTRIBUTE else usage)[key] = value
    return attributes, usage


def _resource(told: Iterable[KeyValue], wanted: Wanted) -> dict[str, Value]:
    plain = ((each.key, _plain(each.value)) for each in told if each.key in wanted.resources)
    return {key: value for key, value in plain if value is not None}


def _plain(value: AnyValue) -> Value | None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return value.int_value
    if kind == "double_value":
        return value.double_value
    if kind == "bool_value":
        return value.bool_value
    if kind != "array_value" or not len(value.array_value.values):
        return None
    first = value.array_value.values[0]
    return first.string_value if first.WhichOneof("value") == "string_value" else None


def _hex(told: bytes) -> str | None:
    return told.hex() if told.strip(b"\0") else None
