"""Rows of a CSV or JSON-lines file as events, by a mapping."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from tollbook.errors import MisuseError, RejectedRecordError, TollbookError
from tollbook.senders.conversions import shown, text_of_moment
from tollbook.senders.expressions import ROW_NUMBER, Getter, Row
from tollbook.senders.lines import Source, read_lines
from tollbook.senders.mapping import CompiledField, FieldMapping, compile_mapping
from tollbook.senders.native import key_of, milliseconds_of
from tollbook.senders.outgoing import Outgoing

CHUNK_ROWS = 5_000
_BYTE_ORDER_MARK = "\ufeff"
_MAX_CELL_CHARACTERS = 64 * 1024 * 1024

OnProblem = Callable[[int, RejectedRecordError], None]
"""Told of each row that could not be mapped: its line and why."""


def mapped_records(source: Source, mapping: FieldMapping, on_problem: OnProblem) -> Iterator[tuple[Outgoing, int]]:
    """Yield the events of a file as records, in runs, and how many blank lines went by.

    Args:
        source: The file.
        mapping: What its columns mean.
        on_problem: Told of each row that could not be mapped; the others go on.

    Raises:
        MisuseError: The file lacks a column of the mapping.
    """
    reader = CsvRows(source, mapping) if mapping.form == "csv" else JsonRows(source, mapping)
    fields = compile_mapping(mapping, reader.column)
    encode = msgspec.json.Encoder().encode
    records, blank_lines, broken = Outgoing(), 0, None
    try:
        for row in reader:
            try:
                if isinstance(row.content, RejectedRecordError):
                    raise row.content
                _add_event(records, row, fields, encode)
            except RejectedRecordError as error:
                on_problem(row.line, error)
            if len(records) == CHUNK_ROWS:
                yield records, reader.blank_lines - blank_lines
                records, blank_lines = Outgoing(), reader.blank_lines
    except TollbookError as error:  # the file broke off: what came before goes first
        broken = error
    yield records, reader.blank_lines - blank_lines
    if broken is not None:
        raise broken


class CsvRows:
    """Rows of a CSV file. One that is not as wide as the header stands there as its error.

    Attributes:
        blank_lines: How many lines without a row went by.
    """

    def __init__(self, source: Source, mapping: FieldMapping) -> None:
        csv.field_size_limit(_MAX_CELL_CHARACTERS)
        self.blank_lines = 0
        self._name = source.name
        self._nulls = mapping.nulls
        self._reader = csv.reader(_text_lines(source), delimiter=mapping.delimiter, strict=True)
        header = mapping.columns or self._header()
        if len(set(header)) != len(header):
            raise MisuseError(f"{source.name}:1: expected each column once in the header, got {', '.join(header)}")
        self._places = {column: place for place, column in enumerate(header)}

    def column(self, name: str) -> Getter:
        """Return what gets a column of a row; MisuseError when there is no such column."""
        if name == ROW_NUMBER:
            return lambda row: row.number
        if name not in self._places:
            raise MisuseError(f"expected a column of {self._name} ({', '.join(self._places)}), got `{name}`")
        place, nulls = self._places[name], self._nulls

        def get(row: Row) -> str | None:
            cell: str = row.content[place]
            return None if cell in nulls else cell

        return get

    def __iter__(self) -> Iterator[Row]:
        number = 0
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                number += 1
                yield Row(line, number, RejectedRecordError("invalid_value", None, "a row of CSV", str(error)))
                continue
            if cells is None:
                return
            if not cells:
                self.blank_lines += 1
                continue
            number += 1
            yield Row(line, number, cells if len(cells) == len(self._places) else self._misshapen(cells))

    def _header(self) -> tuple[str, ...]:
        try:
            return tuple(next(self._reader, ()))
        except csv.Error as error:
            raise MisuseError(f"{self._name}:1: expected a header line of CSV, got another: {error}") from error

    def _misshapen(self, cells: list[str]) -> RejectedRecordError:
        return RejectedRecordError("invalid_value", None, f"{len(self._places)} values", f"{len(cells)} values")


class JsonRows:
    """Objects of a JSON-lines file. A line that is none stands there as its error.

    Attributes:
        blank_lines: How many lines without an object went by.
    """

    def __init__(self, source: Source, mapping: FieldMapping) -> None:
        self.blank_lines = 0
        self._source = source
        self._nulls = mapping.nulls
        self._decode = msgspec.json.Decoder(float_hook=Decimal).decode

    def column(self, name: str) -> Getter:
        """Return what gets the value at a path of a row; an absent one is null."""
        if name == ROW_NUMBER:
            return lambda row: row.number
        keys, nulls = name.split("."), self._nulls

        def get(row: Row) -> Any:
            value = row.content[name] if name in row.content else _at(row.content, keys)
            return None if isinstance(value, str) and value in nulls else value

        return get

    def __iter__(self) -> Iterator[Row]:
        number = 0
        for first, lines in read_lines(self._source, self._source.name):
            for line, text in enumerate(lines, first):
                if not text or text.isspace():
                    self.blank_lines += 1
                    continue
                number += 1
                yield Row(line, number, self._object(text))

    def _object(self, text: bytes) -> Any:
        try:
            value = self._decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return RejectedRecordError("invalid_json", None, "one JSON object", str(error))
        if not isinstance(value, dict):
            return RejectedRecordError("not_an_object", None, "one JSON object", shown(value))
        return value


def _add_event(
    records: Outgoing, row: Row, fields: list[CompiledField], encode: Callable[[dict[str, Any]], bytes]
) -> None:
    event: dict[str, Any] = {}
    timestamp_ms = None
    for field in fields:
        value = field.get(row)
        if value is None:
            if field.required:
                raise RejectedRecordError("missing_field", field.name, "there, as every event needs it", "null")
            continue
        if field.is_time:
            if field.name == "occurred_at":
                timestamp_ms = milliseconds_of(value)
            value = text_of_moment(value)
        if field.key is None:
            event[field.name] = value
        else:
            event.setdefault(field.name, {})[field.key] = value
    try:
        encoded = encode(event)
    except UnicodeEncodeError as error:  # surrogates, which stand for bytes that are not UTF-8
        raise RejectedRecordError("invalid_utf8", None, "UTF-8", "other bytes") from error
    records.add(encoded, key_of(event.get("task_id"), event["event_id"]), timestamp_ms, row.line)


def _at(content: Any, keys: list[str]) -> Any:
    value = content
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text_lines(source: Source) -> Iterator[str]:
    """Yield the lines of a file as text with their ends, as `csv.reader` wants them.

    Bytes that are not UTF-8 become surrogates, so that only their own row is refused.
    """
    first = True
    for _, lines in read_lines(source, source.name):
        for line in lines:
            text = line.decode("utf-8", errors="surrogateescape") + "\n"
            yield text.removeprefix(_BYTE_ORDER_MARK) if first else text
            first = False
