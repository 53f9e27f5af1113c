"""OTLP/JSON: which fields of an export are read, and how they become items.

An export says itself which signal it is, so one of another signal on a topic is still read right. An export that is
wrong somewhere is read again span by span, so that one bad span does not take its neighbours with it.

Source: OTLP specification 1.9, JSON Protobuf Encoding (ids in hexadecimal, 64-bit integers as texts or numbers, enums
as numbers; names are taken too), read 2026-11-25.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec

from tollbook.errors import RejectedRecordError
from tollbook.formats.telemetry.item import ATTRIBUTE, Item, Value, Wanted, hex_id
from tollbook.formats.typed_json import read_typed

Int64 = int | str
_KINDS: Final = {"SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3, "SPAN_KIND_PRODUCER": 4}
_STATUSES: Final = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_PLAIN: Final = frozenset(
    {"traceId", "spanId", "parentSpanId", "name", "version", "eventName", "kind", "code", "severityText", "schemaUrl"}
    | {"startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano"}
)
"""Fields of texts that say what was called and when, not what was said."""

_FIELD: Final = re.compile(r"[A-Za-z_]{1,64}")
_NS: Final = 2**64
_NOTHING: Final = msgspec.Raw(b"")
T = TypeVar("T")


class AnyValue(msgspec.Struct, rename="camel", gc=False):
    """Value of an attribute. A list is read only where its first entry is asked for."""

    string_value: str | None = None
    int_value: Int64 | None = None
    double_value: float | str | None = None
    bool_value: bool | None = None
    array_value: msgspec.Raw = _NOTHING


class ArrayValue(msgspec.Struct, rename="camel", gc=False):
    """List of values."""

    values: list[AnyValue] = []


class KeyValue(msgspec.Struct, rename="camel", gc=False):
    """One attribute."""

    key: str = ""
    value: AnyValue | None = None


class Resource(msgspec.Struct, rename="camel", gc=False):
    """What a process says of itself."""

    attributes: list[KeyValue] = []


class Scope(msgspec.Struct, rename="camel", gc=False):
    """The library that made spans."""

    name: str = ""


class Status(msgspec.Struct, rename="camel", gc=False):
    """How a span ended. Its message is not read: it is text of errors."""

    code: Int64 = 0


class Span(msgspec.Struct, rename="camel", gc=False):
    """One span. Its events and links are not read."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    trace_state: str = ""
    name: str = ""
    kind: Int64 = 0
    start_time_unix_nano: Int64 = 0
    end_time_unix_nano: Int64 = 0
    attributes: list[KeyValue] = []
    status: Status | None = None


class LogRecord(msgspec.Struct, rename="camel", gc=False):
    """One log record. Of its body only a name of an event is kept."""

    time_unix_nano: Int64 = 0
    observed_time_unix_nano: Int64 = 0
    event_name: str = ""
    body: AnyValue | None = None
    attributes: list[KeyValue] = []
    trace_id: str = ""
    span_id: str = ""


class ScopeSpans(msgspec.Struct, Generic[T], rename="camel", gc=False):
    """Spans of one scope."""

    scope: Scope | None = None
    spans: list[T] = []


class ScopeLogs(msgspec.Struct, Generic[T], rename="camel", gc=False):
    """Log records of one scope."""

    scope: Scope | None = None
    log_records: list[T] = []


class ResourceSpans(msgspec.Struct, Generic[T], rename="camel", gc=False):
    """Spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans[T]] = []


class ResourceLogs(msgspec.Struct, Generic[T], rename="camel", gc=False):
    """Log records of one resource."""

    resource: Resource | None = None
    scope_logs: list[ScopeLogs[T]] = []


class ScopeMetrics(msgspec.Struct, rename="camel", gc=False):
    """Metrics of one scope, unread."""

    metrics: list[msgspec.Raw] = []


class ResourceMetrics(msgspec.Struct, rename="camel", gc=False):
    """Metrics of one resource."""

    scope_metrics: list[ScopeMetrics] = []


class Export(msgspec.Struct, rename="camel", gc=False):
    """An export of any signal."""

    resource_spans: list[ResourceSpans[Span]] | None = None
    resource_logs: list[ResourceLogs[LogRecord]] | None = None
    resource_metrics: list[ResourceMetrics] | None = None


class RawExport(msgspec.Struct, rename="camel", gc=False):
    """An export whose spans and log records are still unread."""

    resource_spans: list[ResourceSpans[msgspec.Raw]] | None = None
    resource_logs: list[ResourceLogs[msgspec.Raw]] | None = None
    resource_metrics: list[ResourceMetrics] | None = None


Wrong = tuple[int, RejectedRecordError, bytes]
"""Place of a span or log record that cannot be read, why, and what of it is kept."""

_READ: Final = msgspec.json.Decoder(Export).decode
_READ_RAW: Final = msgspec.json.Decoder(RawExport).decode
_READ_SPAN: Final = msgspec.json.Decoder(Span).decode
_READ_LOG: Final = msgspec.json.Decoder(LogRecord).decode
_READ_ARRAY: Final = msgspec.json.Decoder(ArrayValue).decode


def read_json(value: bytes, row: int, wanted: Wanted, *, max_record_bytes: int) -> tuple[list[Item], list[Wrong], int]:
    """Return the items of an export, what of it cannot be read, and the number of metrics in it.

    Raises:
        RejectedRecordError: The record is no export as a whole.
    """
    try:
        export = read_typed(value, _READ, max_record_bytes=max_record_bytes)
    except RejectedRecordError as error:
        if error.reason not in {"wrong_type", "missing_field"}:
            raise
        return _read_one_by_one(value, row, wanted, max_record_bytes)
    try:
        items = [*_spans(export, row, wanted), *_logs(export, row, wanted)]
    except ValueError:
        return _read_one_by_one(value, row, wanted, max_record_bytes)
    return items, [], metrics_in(export)


def metrics_in(export: Export | RawExport) -> int:
    """Return how many metrics an export holds.

    Raises:
        RejectedRecordError: It is an export of no signal.
    """
    if export.resource_spans is None and export.resource_logs is None and export.resource_metrics is None:
        raise RejectedRecordError(
            "unknown_shape", None, "resourceSpans, resourceLogs or resource_metrics", "an object without them"
        )
    return sum(len(scope.metrics) for each in export.resource_metrics or () for scope in each.scope_metrics)


def scrubbed(value: bytes, wanted: Wanted) -> bytes | None:
    """Return an export without texts that nobody asked for; None when it is not JSON."""
    try:
        return msgspec.json.encode(_without_texts(msgspec.json.decode(value), wanted))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _read_one_by_one(
    value: bytes, row: int, wanted: Wanted, max_record_bytes: int
) -> tuple[list[Item], list[Wrong], int]:
    export = read_typed(value, _READ_RAW, max_record_bytes=max_record_bytes)
    items: list[Item] = []
    wrong: list[Wrong] = []

    def take(raw: msgspec.Raw, decode: Any, to_item: Any, scope: Scope | None, resource: dict[str, Value]) -> None:
        place = len(items) + len(wrong)
        try:
            read = read_typed(bytes(raw), decode, check_utf8=False, max_record_bytes=max_record_bytes)
            items.append(to_item(read, row, place, scope.name if scope else "", resource, wanted))
        except RejectedRecordError as error:
            wrong.append((place, error, scrubbed(bytes(raw), wanted) or b"{}"))
        except ValueError:
            not_numbers = RejectedRecordError("wrong_type", None, "numbers where OTLP has numbers", "another text")
            wrong.append((place, not_numbers, scrubbed(bytes(raw), wanted) or b"{}"))

    for spans in export.resource_spans or ():
        resource = _resource(spans.resource, wanted)
        for scope_spans in spans.scope_spans:
            for raw in scope_spans.spans:
                take(raw, _READ_SPAN, _span, scope_spans.scope, resource)
    for logs in export.resource_logs or ():
        resource = _resource(logs.resource, wanted)
        for scope_logs in logs.scope_logs:
            for raw in scope_logs.log_records:
                take(raw, _READ_LOG, _log, scope_logs.scope, resource)
    return items, wrong, metrics_in(export)


def _spans(export: Export, row: int, wanted: Wanted) -> Iterator[Item]:
    place = 0
    for each in export.resource_spans or ():
        resource = _resource(each.resource, wanted)
        for spans in each.scope_spans:
            scope = spans.scope.name if spans.scope else ""
            for span in spans.spans:
                yield _span(span, row, place, scope, resource, wanted)
                place += 1


def _logs(export: Export, row: int, wanted: Wanted) -> Iterator[Item]:
    spans = (spans for each in export.resource_spans or () for spans in each.scope_spans)
    place = sum(len(each.spans) for each in spans)
    for each in export.resource_logs or ():
        resource = _resource(each.resource, wanted)
        for logs in each.scope_logs:
            scope = logs.scope.name if logs.scope else ""
            for log in logs.log_records:
                yield _log(log, row, place, scope, resource, wanted)
                place += 1


def _span(span: Span, row: int, place: int, scope: str, resource: dict[str, Value], wanted: Wanted) -> Item:
    attributes, usage = _taken(span.attributes, wanted)
    status = span.status.code if span.status else 0
    return Item(
        row,
        place,
        True,
        span.name,
        scope,
        hex_id(span.trace_id),
        hex_id(span.span_id),
        hex_id(span.parent_span_id),
        _enum(span.kind, _KINDS),
        _nanoseconds(span.start_time_unix_nano),
        _nanoseconds(span.end_time_unix_nano),
        _enum(status, _STATUSES),
        span.trace_state,
        attributes,
        usage,
        resource,
    )


def _log(log: LogRecord, row: int, place: int, scope: str, resource: dict[str, Value], wanted: Wanted) -> Item:
    attributes, usage = _taken(log.attributes, wanted)
    body = log.body.string_value if log.body else None
    return Item(
        row,
        place,
        False,
        event_name(log.event_name, attributes.get("event.name"), body),
        scope,
        hex_id(log.trace_id),
        hex_id(log.span_id),
        None,
        0,
        0,
        _nanoseconds(log.time_unix_nano) or _nanoseconds(log.observed_time_unix_nano),
        0,
        "",
        attributes,
        usage,
        resource,
    )


def event_name(named: str, attribute: Value | None, body: str | None) -> str:
    """Return the name of an event: the longest told of a dotted kind, since Claude Code shortens its attribute.

    Args:
        named: Field of the log record.
        attribute: Attribute `event.name`.
        body: Body of the log record, which is a name only where it begins as those of coding agents do.
    """
    if body is not None and len(body) <= 64 and body.startswith(("claude_code.", "codex.")):
        return body
    return named or (attribute if isinstance(attribute, str) else "")


def _taken(told: list[KeyValue], wanted: Wanted) -> tuple[dict[str, Value], dict[str, Value]]:
    attributes: dict[str, Value] = {}
    usage: dict[str, Value] = {}
    use_of = wanted.use_of
    for each in told:
        use = use_of(each.key)
        if use and each.value is not None:
            value = _plain(each.value)
            if value is not None:
                (attributes if use == ATTRIBUTE else usage)[each.key] = value
    return attributes, usage


def _resource(resource: Resource | None, wanted: Wanted) -> dict[str, Value]:
    if resource is None:
        return {}
    told = ((each.key, each.value) for each in resource.attributes if each.key in wanted.resources)
    plain = ((key, _plain(value)) for key, value in told if value is not None)
    return {key: value for key, value in plain if value is not None}


def _plain(value: AnyValue) -> Value | None:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.bool_value is not None:
        return value.bool_value
    if not bytes(value.array_value):
        return None
    try:
        entries = _READ_ARRAY(value.array_value).values
    except (msgspec.DecodeError, RecursionError):
        return None
    return entries[0].string_value if entries else None


def _nanoseconds(told: Int64) -> int:
    number = told if isinstance(told, int) else int(told or 0)
    return number if 0 <= number < _NS else 0


def _enum(told: Int64, names: dict[str, int]) -> int:
    if isinstance(told, int):
        return told
    return names.get(told, int(told) if told.isdecimal() else 0)


def _without_texts(value: Any, wanted: Wanted, name: str = "") -> Any:
    """Return a document with the attributes that are asked for, its numbers, and texts where OTLP has ids and times."""
    if isinstance(value, list):
        return [_without_texts(each, wanted, name) for each in value]
    if isinstance(value, str):
        return value if name in _PLAIN and len(value) <= 128 else f"{len(value)} characters"
    if not isinstance(value, dict):
        return value
    if "key" in value or "value" in value:
        key = value.get("key")
        if not isinstance(key, str):
            return {}
        asked = wanted.use_of(key) or key in wanted.resources
        return value if asked else {"key": key[:128]}
    left_out = {"body", "message", "events", "links", "metrics"}
    return {
        inner: _without_texts(each, wanted, inner)
        for inner, each in value.items()
        if inner not in left_out and _FIELD.fullmatch(inner)
    }
