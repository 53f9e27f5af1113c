"""Spans and log records made with the OpenTelemetry SDK, exported as the SDK's own exporter writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._internal._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common._internal.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context

from tollbook.formats.decoder import Decoded
from tollbook.formats.otlp import LogsDecoder, MetricsDecoder, OtlpDecoder, TracesDecoder

NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
START_NS: Final = 1_780_000_000_000_000_000
"""2026-05-28T20:26:40Z."""
SECOND_NS: Final = 1_000_000_000
_IDS: Final = {"traceId", "spanId", "parentSpanId"}
Event = dict[str, Any]


@dataclass
class Recorder:
    """An application with the OpenTelemetry SDK; what it records stays in memory."""

    resource: dict[str, str] = field(default_factory=lambda: {"service.name": "checkout"})

    def __post_init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(resource=Resource(self.resource))
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.log_exporter = InMemoryLogRecordExporter()
        self.log_provider = LoggerProvider(resource=Resource(self.resource))
        self.log_provider.add_log_record_processor(SimpleLogRecordProcessor(self.log_exporter))

    def span(
        self,
        name: str,
        attributes: dict[str, Any],
        *,
        parent: Span | None = None,
        scope: str = "test",
        kind: SpanKind = SpanKind.CLIENT,
        status: StatusCode = StatusCode.UNSET,
        seconds: int = 2,
    ) -> Span:
        """Record a span that starts at `START_NS` and ends after some seconds."""
        context = None if parent is None else set_span_in_context(parent)
        span = self.provider.get_tracer(scope).start_span(
            name, context=context, kind=kind, attributes=attributes, start_time=START_NS
        )
        span.set_status(status)
        span.end(START_NS + seconds * SECOND_NS)
        return span

    def log(
        self, body: str | None, attributes: dict[str, Any], *, scope: str = "test", event: str | None = None
    ) -> None:
        """Record a log record at `START_NS`."""
        self.log_provider.get_logger(scope).emit(
            timestamp=START_NS, observed_timestamp=START_NS, body=body, attributes=attributes, event_name=event
        )

    def exports(self) -> tuple[bytes, bytes]:
        """Return the spans so far as one export, in protobuf and in JSON."""
        return both(encode_spans(self.exporter.get_finished_spans()))

    def log_exports(self) -> tuple[bytes, bytes]:
        """Return the log records so far as one export, in protobuf and in JSON."""
        return both(encode_logs(self.log_exporter.get_finished_logs()))


def both(request: Any) -> tuple[bytes, bytes]:
    """Return a message in protobuf and in OTLP/JSON, where ids are hexadecimal and not base64."""
    return request.SerializeToString(), json.dumps(_with_hex_ids(MessageToDict(request))).encode()


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: base64.b64decode(each).hex() if name in _IDS else _with_hex_ids(each) for name, each in value.items()}


@pytest.fixture
def recorder() -> Recorder:
    """Return an application that records."""
    return Recorder()


@pytest.fixture
def recorder_of() -> Callable[[dict[str, str]], Recorder]:
    """Return how to make an application with a resource of its own."""
    return Recorder


@pytest.fixture
def encode() -> Callable[[Sequence[ReadableSpan]], tuple[bytes, bytes]]:
    """Return how to export spans, in protobuf and in JSON."""
    return lambda spans: both(encode_spans(spans))


@pytest.fixture
def decode() -> Callable[..., Decoded]:
    """Return how to decode records of a topic of traces, or of another decoder's."""

    def decoded(*values: bytes, decoder: OtlpDecoder | None = None, now: datetime = NOW) -> Decoded:
        return (decoder or TracesDecoder()).decode(pa.array(values, pa.binary()), now=now)

    return decoded


@pytest.fixture
def decode_logs(decode: Callable[..., Decoded]) -> Callable[..., Decoded]:
    """Return how to decode records of a topic of logs."""
    return lambda *values: decode(*values, decoder=LogsDecoder())


@pytest.fixture
def decode_metrics(decode: Callable[..., Decoded]) -> Callable[..., Decoded]:
    """Return how to decode records of a topic of metrics."""
    return lambda *values: decode(*values, decoder=MetricsDecoder())


@pytest.fixture
def told(decode: Callable[..., Decoded]) -> Callable[[Recorder], list[Event]]:
    """Return how to get the events of an application's spans: the same from protobuf and from JSON."""

    def events(recorder: Recorder) -> list[Event]:
        protobuf, text = (decode(each) for each in recorder.exports())
        assert protobuf.events.equals(text.events)
        assert protobuf.ignored == text.ignored
        assert protobuf.rejected == text.rejected == []
        rows: list[Event] = protobuf.events.to_pylist()
        return rows

    return events
