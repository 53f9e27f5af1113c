"""From exports to tellings: each span or log record goes to its tool's dialect; calls of a kind are told together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import Contract
from tollbook.errors import RejectedRecordError
from tollbook.formats import anthropic_spans, claude_code_telemetry, codex, openclaw, otel_genai
from tollbook.formats.check import UTC_MICROSECONDS, Faults
from tollbook.formats.decoder import (
    LABEL_LEFT_OUT,
    PART,
    SCRUBBED,
    UNPARSED,
    Decoder,
    Headers,
    Reading,
    Rows,
    Tellings,
    count_name,
)
from tollbook.formats.fast_json import reading_type
from tollbook.formats.otlp import wire_json, wire_protobuf
from tollbook.formats.reasons import UNPARSED_REASONS
from tollbook.formats.telemetry import sampling
from tollbook.formats.telemetry.dialect import Columns, Dialect, Usage, shared_columns, text
from tollbook.formats.telemetry.item import Item, Value, Wanted
from tollbook.formats.typed_json import reject_told, text_column
from tollbook.formats.usage import Flavour, UsageColumns, load_table, normalise_columns, normalise_texts

MAX_EXPORT_BYTES: Final = 8 * 1024 * 1024
"""Largest export. A Collector batches up to 8,192 spans of about a kilobyte unless it is told less."""

DIALECTS: Final = (
    anthropic_spans.DIALECT,
    openclaw.DIALECT,
    claude_code_telemetry.DIALECT,
    codex.DIALECT,
    otel_genai.DIALECT,
)
"""In the order in which they are asked; the last takes what no other claims."""

_TOLD_TOGETHER: Final = 16_384
_READ_TOGETHER: Final = 64
_JSON_STARTS: Final = 64
_LINE_FEED: Final = 0x0A
"""The first byte of any export in protobuf is also white space of JSON, and its second may be a brace."""

Call = tuple[Item, Dialect]


@dataclass(slots=True)
class OtlpTellings(Tellings):
    """Calls as spans and log records tell them.

    Attributes:
        defaults: Field to what it is where neither the call nor the organisation's rules tell it, shape (n,).
    """

    defaults: dict[str, pa.Array] = field(default_factory=dict)


class OtlpDecoder(Decoder):
    """Decodes exports of one signal in protobuf, and of any signal in JSON."""

    def __init__(
        self, event_contract: Contract | None = None, *, max_record_bytes: int = MAX_EXPORT_BYTES, **options: Any
    ) -> None:
        super().__init__(event_contract, max_record_bytes=max_record_bytes, **options)
        flavours = load_table().flavours
        self._flavours = {name: flavours[name] for each in DIALECTS for name in each.flavours}
        self._wanted = Wanted(
            sampling.ATTRIBUTES.union(self._dimensions.wanted("attribute"), *(each.attributes for each in DIALECTS)),
            (name for each in self._flavours.values() for name in (*each.counted, *each.costs_named, *each.aside)),
            sampling.ATTRIBUTES.union(self._dimensions.wanted("resource"), *(each.resources for each in DIALECTS)),
        )

    @abstractmethod
    def _read_protobuf(self, value: bytes, row: int) -> tuple[list[Item], int]:
        """Return the items of an export in protobuf and the number of metrics in it."""

    def _read(
        self, values: pa.BinaryArray, start: int, reading: Reading, _headers: Headers | None
    ) -> Iterator[Tellings]:
        waiting: list[Call] = []
        for at in range(0, len(values), _READ_TOGETHER):
            for row, value in enumerate(values.slice(at, _READ_TOGETHER).to_pylist(), start + at):
                waiting += self._calls(value, row, reading)
                if len(waiting) >= _TOLD_TOGETHER:
                    yield from self._tell(waiting, reading)
                    waiting = []
        if waiting:
            yield from self._tell(waiting, reading)

    def _calls(self, value: bytes, row: int, reading: Reading) -> list[Call]:
        """Return the model calls in a record; note what of it is rejected or ignored."""
        try:
            items, wrong, metrics = self._items(value, row)
        except RejectedRecordError as error:
            kept = None if error.reason in UNPARSED_REASONS else wire_json.scrubbed(value, self._wanted)
            reading.reject(row, error, UNPARSED if kept is None else SCRUBBED, kept)
            return []
        for place, fault, left in wrong:
            reading.reject(row, fault, SCRUBBED, left, record_item=place, kept_format=PART)
        ignored: dict[str, int] = {}
        calls: list[Call] = []
        for item in items:
            dialect = _dialect_of(item)
            reason = dialect.ignored(item)
            if reason is None:
                calls.append((item, dialect))
            else:
                ignored[reason] = ignored.get(reason, 0) + 1
        calls = _without_rollups(calls, ignored)
        if metrics:
            count_name(ignored, "metric", metrics)
        if not (calls or ignored or wrong):
            ignored["empty_export"] = 1
        for reason, times in ignored.items():
            reading.ignore(row, reason, times)
        return calls

    def _items(self, value: bytes, row: int) -> tuple[list[Item], list[wire_json.Wrong], int]:
        if len(value) > self._max_record_bytes:
            limit = f"at most {self._max_record_bytes} bytes"
            raise RejectedRecordError("record_too_large", None, limit, f"{len(value)} bytes")
        if not value or value.isspace():
            raise RejectedRecordError("empty_value", None, "an export", f"{len(value)} bytes of nothing")
        if value[:_JSON_STARTS].lstrip()[:1] == b"{":
            try:
                return wire_json.read_json(value, row, self._wanted, max_record_bytes=self._max_record_bytes)
            except RejectedRecordError as error:
                if value[0] != _LINE_FEED or error.reason not in {"invalid_json", "invalid_utf8"}:
                    raise
        items, metrics = self._read_protobuf(value, row)
        return items, [], metrics

    def _tell(self, calls: Sequence[Call], reading: Reading) -> Iterator[Tellings]:
        groups: dict[tuple[str, str], tuple[Dialect, list[Item], list[Usage]]] = {}
        for item, dialect in calls:
            flavour, usage = dialect.usage(item)
            _, items, usages = groups.setdefault((dialect.reporter, flavour), (dialect, [], []))
            items.append(item)
            usages.append(usage)
        for (_, flavour), (dialect, items, usages) in groups.items():
            yield self._telling(dialect, self._flavours[flavour], items, usages, reading)

    def _telling(
        self, dialect: Dialect, flavour: Flavour, items: Sequence[Item], usages: Sequence[Usage], reading: Reading
    ) -> OtlpTellings:
        faults = Faults.none(len(items))
        usage = usage_of(usages, flavour, faults)
        for name, times in usage.unknown.items():
            reading.note_unknown(name, times)
        columns = {**shared_columns(items, dialect.reporter), **dialect.columns(items)}
        return OtlpTellings(
            {**usage.columns, **self._arrays(columns)},
            np.array([item.row for item in items], np.int64),
            np.array([item.place for item in items], np.int64),
            flags=usage.flags,
            faults=faults,
            labels=self._labels(items),
            defaults=self._arrays(dialect.defaults(items)),
        )

    def _arrays(self, columns: Columns) -> dict[str, pa.Array]:
        return {name: self._array(name, values) for name, values in columns.items() if values.count(None) < len(values)}

    def _array(self, name: str, values: list[Any]) -> pa.Array:
        kind = self._contract.field(name).arrow_type
        if pa.types.is_string(kind):
            return text_column(values)
        if pa.types.is_timestamp(kind):
            return pa.array(values, pa.int64()).cast(UTC_MICROSECONDS)
        return pa.array(values, reading_type(kind))

    def _labels(self, items: Sequence[Item]) -> dict[str, pa.Array]:
        labels: dict[str, pa.Array] = {}
        attributes = [item.attributes for item in items]
        for key in self._dimensions.wanted("attribute").intersection(set().union(*attributes)):
            labels[f"attribute:{key}"] = text_column([text(each.get(key)) for each in attributes])
        places: dict[int, int] = {}
        resources: list[dict[str, Value]] = []
        for item in items:
            if id(item.resource) not in places:
                places[id(item.resource)] = len(resources)
                resources.append(item.resource)
        of = pa.array([places[id(item.resource)] for item in items], pa.int64())
        for key in self._dimensions.wanted("resource").intersection(set().union(*resources)):
            labels[f"resource:{key}"] = text_column([text(each.get(key)) for each in resources]).take(of)
        return labels

    def _finish(self, tellings: Tellings, reading: Reading, now: datetime) -> tuple[pa.RecordBatch, Rows, Rows]:
        if isinstance(tellings, OtlpTellings):
            labels, tellings.labels = tellings.labels, {}
            unfit = self._dimensions.apply(tellings.told, labels, len(tellings.rows))
            if unfit is not None:
                tellings.flags[LABEL_LEFT_OUT] = unfit
            for name, column in tellings.defaults.items():
                told = tellings.told.get(name)
                tellings.told[name] = column if told is None else pc.coalesce(told, column)
        return super()._finish(tellings, reading, now)

    def _reject_telling(self, tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
        reject_told(tellings, index, error, reading)


class TracesDecoder(OtlpDecoder):
    """Decodes spans: ExportTraceServiceRequest."""

    def _read_protobuf(self, value: bytes, row: int) -> tuple[list[Item], int]:
        return wire_protobuf.read_spans(value, row, self._wanted), 0


class LogsDecoder(OtlpDecoder):
    """Decodes log records: ExportLogsServiceRequest."""

    def _read_protobuf(self, value: bytes, row: int) -> tuple[list[Item], int]:
        return wire_protobuf.read_logs(value, row, self._wanted), 0


class MetricsDecoder(OtlpDecoder):
    """Counts metrics, which are never usage: ExportMetricsServiceRequest."""

    def _read_protobuf(self, value: bytes, _row: int) -> tuple[list[Item], int]:
        return [], wire_protobuf.count_metrics(value)


def _dialect_of(item: Item) -> Dialect:
    for each in DIALECTS:
        if each.claims(item):
            return each
    raise RuntimeError("expected the last dialect to take what no other claims")


def usage_of(told: Sequence[Mapping[str, Value]], flavour: Flavour, faults: Faults) -> UsageColumns:
    """Return what usage attributes of one flavour tell.

    Args:
        told: Usage attributes of each call, shape (n,). A number may be a text: tools write them so.
        flavour: What they mean.
        faults: Where faults are noted, shape (n,).
    """
    names = sorted(set().union(*told))
    columns = [[each.get(name) for each in told] for name in names]
    columns = [
        [_number(value) if value.__class__ is str else value for value in column]  # type: ignore[arg-type]
        if any(value.__class__ is str for value in column)
        else column
        for column in columns
    ]
    try:
        if not names:
            return normalise_columns(pa.array([{} for _ in told], pa.struct([])), flavour, faults)
        arrays = [pa.array(column) for column in columns]
        return normalise_columns(pa.StructArray.from_arrays(arrays, names=names), flavour, faults)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        rows = [
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in zip(*columns, strict=True)
        ]
        return normalise_texts([msgspec.json.encode(row) for row in rows], flavour, faults)


def _number(value: str) -> Value:
    """Return a number that was written as text, or the text."""
    if value.isdecimal() and len(value) < 19:
        return int(value)
    try:
        return float(value)
    except ValueError:
        return value


def _without_rollups(calls: list[Call], ignored: dict[str, int]) -> list[Call]:
    """Return calls without those that a child tells: a span without the id of an answer, above one with usage."""
    parents = {item.parent_id for item, _ in calls if item.usage and item.parent_id is not None}
    if not parents:
        return calls
    kept = [
        (item, dialect)
        for item, dialect in calls
        if item.span_id not in parents or dialect is not otel_genai.DIALECT or otel_genai.RESPONSE_ID in item.attributes
    ]
    if len(kept) < len(calls):
        count_name(ignored, "rollup_span", len(calls) - len(kept))
    return kept
