"""What a mapping file says of one event field, as a function of a row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from string import Formatter
from typing import Any

import pyarrow as pa

from tollbook.errors import MisuseError, RejectedRecordError
from tollbook.senders.conversions import (
    EXACT,
    after,
    converter,
    moment_of,
    number_of,
    scaled,
    shown,
    text_of,
    timestamp_reader,
)

ROW_NUMBER = "$row"
"""Column that every input has: the number of the record in its file, from 1."""


@dataclass(slots=True)
class Row:
    """One record of the input.

    Attributes:
        line: Line where it begins, from 1.
        number: Which record of the file it is, from 1.
        content: Cells of CSV, an object of JSON, or the error that stands in the record's place.
    """

    line: int
    number: int
    content: Any


Getter = Callable[[Row], Any]
"""Takes a row; returns the value, None where it is null or absent."""

Columns = Callable[[str], Getter]
"""Finds the getter of a column; MisuseError when the input has no such column."""

_MICROSECONDS = {"seconds_after": 1_000_000, "milliseconds_after": 1_000}


def compile_expression(name: str, document: Mapping[str, Any], target: pa.DataType, columns: Columns) -> Getter:
    """Return the function of one event field.

    Args:
        name: The event field, for messages.
        document: The expression, valid under `mapping.schema.json`.
        target: Arrow type of the event field.
        columns: Finds columns of the input.

    Returns:
        A getter whose values are in the JSON form of the field (a time is an aware datetime), or None for
        null. It raises RejectedRecordError where a value cannot be had.

    Raises:
        MisuseError: The expression cannot work on this input.
    """
    raw = _with_nulls(_kind(document, columns), document)
    if "values" in document:
        raw = _mapped(raw, document)
    if "times" in document:
        raw = _scaled(raw, Decimal(str(document["times"])), whole=pa.types.is_integer(target))
    return _converted(name, raw, converter(target), document.get("default"))


def choice(value: str, among: Sequence[str], *, salt: str = "") -> str:
    """Return the member of a list that a text chooses, the same in every process, version and language.

    The first eight bytes, big-endian, of the SHA-256 of `salt`, a line feed and the text in UTF-8, modulo
    the length of the list.

    Args:
        value: Text that chooses, such as the id of a task.
        among: What is chosen among, not empty.
        salt: Makes two choices by the same text differ.
    """
    digest = hashlib.sha256(f"{salt}\n{value}".encode()).digest()
    return among[int.from_bytes(digest[:8], "big") % len(among)]


def _kind(document: Mapping[str, Any], columns: Columns) -> Getter:
    if "column" in document:
        getter = columns(document["column"])
        if "timestamp" in document:
            told = document["timestamp"]
            return _applied(getter, timestamp_reader(told.get("format", "rfc3339"), told.get("zone")))
        return getter
    if "constant" in document:
        constant = _exact(document["constant"])
        return lambda _: constant
    if "template" in document:
        return _template(document["template"], columns)
    if "difference" in document:
        return _difference([columns(column) for column in document["difference"]])
    if "choose" in document:
        return _choose(document["choose"], columns)
    kind = next(each for each in _MICROSECONDS if each in document)
    getter, start = columns(document[kind]["column"]), _start(document[kind]["start"])
    return _applied(getter, lambda value: after(start, value, microseconds_each=_MICROSECONDS[kind]))


def _start(text: str) -> datetime:
    try:
        return moment_of(text)
    except RejectedRecordError as error:
        raise MisuseError(f"expected `start` to be an RFC 3339 time with a zone, got {text!r}") from error


def _exact(value: object) -> object:
    return Decimal(str(value)) if isinstance(value, float) else value


def _applied(getter: Getter, function: Callable[[Any], Any]) -> Getter:
    def get(row: Row) -> Any:
        value = getter(row)
        return None if value is None else function(value)

    return get


def _template(text: str, columns: Columns) -> Getter:
    parts: list[tuple[str, Getter | None]] = []
    try:
        for literal, column, specification, conversion in Formatter().parse(text):
            if specification or conversion:
                raise MisuseError(f"expected plain {{column}} in the template {text!r}, got a format with it")
            parts.append((literal, columns(column) if column else None))
    except ValueError as error:
        raise MisuseError(f"expected a template such as '{{trace_id}}-{{seq}}', got {text!r}: {error}") from error

    def get(row: Row) -> str | None:
        built = ""
        for literal, getter in parts:
            built += literal
            if getter is not None:
                value = getter(row)
                if value is None:
                    return None
                built += text_of(value)
        return built

    return get


def _difference(getters: Sequence[Getter]) -> Getter:
    def get(row: Row) -> Decimal | None:
        values = [getter(row) for getter in getters]
        if any(value is None for value in values):
            return None
        result = number_of(values[0])
        for value in values[1:]:
            result = EXACT.subtract(result, number_of(value))
        return result

    return get


def _choose(document: Mapping[str, Any], columns: Columns) -> Getter:
    among, salt = tuple(document["among"]), document.get("salt", "")
    return _applied(columns(document["by"]), lambda value: choice(text_of(value), among, salt=salt))


def _with_nulls(getter: Getter, document: Mapping[str, Any]) -> Getter:
    if "nulls" not in document:
        return getter
    markers = frozenset(document["nulls"])

    def get(row: Row) -> Any:
        value = getter(row)
        if value is None or (not isinstance(value, datetime) and text_of(value) in markers):
            return None
        return value

    return get


def _mapped(getter: Getter, document: Mapping[str, Any]) -> Getter:
    table = {text_of(_exact(key)): _exact(value) for key, value in document["values"].items()}
    others = document.get("others", "refuse")

    def look_up(value: Any) -> Any:
        key = text_of(value)
        if key in table or others == "null":
            return table.get(key)
        if others == "keep":
            return value
        raise RejectedRecordError("invalid_value", None, f"one of {', '.join(sorted(table))}", shown(value))

    return _applied(getter, look_up)


def _scaled(getter: Getter, factor: Decimal, *, whole: bool) -> Getter:
    def scale(value: Any) -> Decimal:
        product = scaled(value, factor)
        return product.to_integral_value(ROUND_HALF_EVEN) if whole else product

    return _applied(getter, scale)


def _converted(name: str, getter: Getter, convert: Callable[[Any], Any], default: Any) -> Getter:
    if default is not None:
        default = convert(_exact(default))

    def get(row: Row) -> Any:
        try:
            value = getter(row)
            return default if value is None else convert(value)
        except RejectedRecordError as error:
            raise RejectedRecordError(error.reason, name, error.expected, error.got) from error

    return get
