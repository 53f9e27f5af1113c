"""JSON records read into a fixed shape: what the shape has no room for, such as content, is passed over unread.

A format names the shape of its records as a msgspec Struct. Each record is read by itself, so one that is wrong is
known at once and its neighbours are not harmed; what they hold is then handled as columns, many at a time.

Where a name stands twice in an object its last value counts, as in the libraries that tools write and read JSON with.
The native format, which people write by hand, rejects such a record.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from types import UnionType
from typing import Any, ClassVar, Final, Generic, TypeVar, Union

import msgspec
import numpy as np
import pyarrow as pa

from tollbook.contracts import Contract
from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import (
    NATIVE_FIELDS,
    SCRUBBED,
    UNPARSED,
    Decoder,
    Headers,
    Reading,
    Rows,
    Tellings,
    value_at,
)
from tollbook.formats.strict_json import MAX_RECORD_BYTES

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_MAX_TEXT: Final = 256
_MAX_SHOWN: Final = 200
_MAX_DEPTH: Final = 16
_INT64_MAX: Final = 2**63 - 1
_NAME: Final = re.compile(r"[A-Za-z0-9_.:/\[\]=-]{1,128}")
_WRONG: Final = re.compile(r"^Expected `(?P<expected>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")
_BEYOND: Final = re.compile(r"^Expected `(?:int|float)` [<>]")
_AT: Final = re.compile(r" - at (?:`key` in )?`(?P<path>\$[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>[^`]*)`(?: - at `(?P<path>.*)`)?$")


class TypedJsonDecoder(Decoder, Generic[S]):
    """Decodes a format whose records are JSON documents of one shape.

    Attributes:
        shape: What is read of a record. It has no field for content.
    """

    shape: ClassVar[type[msgspec.Struct]]

    def __init__(self, event_contract: Contract | None = None, **options: Any) -> None:
        super().__init__(event_contract, **options)
        self._read_document: Callable[[Any], S] = msgspec.json.Decoder(self.shape).decode  # type: ignore[assignment]

    @abstractmethod
    def tell(self, documents: Sequence[S], rows: Rows, reading: Reading) -> Iterator[Tellings]:
        """Yield what documents tell of calls; note in `reading` what of them is rejected or ignored.

        Args:
            documents: Records that could be read, shape (n,).
            rows: Place of each in the batch, shape (n,).
            reading: Takes what is rejected or ignored.
        """

    def _read(
        self, values: pa.BinaryArray, start: int, reading: Reading, _headers: Headers | None
    ) -> Iterator[Tellings]:
        documents: list[S] = []
        rows: list[int] = []
        sound = is_utf8(values)
        for row, value in enumerate(values.to_pylist(), start):
            try:
                documents.append(self._document(value, check_utf8=not sound))
            except RejectedRecordError as error:
                reject_json(reading, row, value, error, self.shape)
            else:
                rows.append(row)
        if documents:
            yield from self.tell(documents, np.array(rows, np.int64), reading)

    def _document(self, value: bytes, *, check_utf8: bool) -> S:
        return read_typed(value, self._read_document, max_record_bytes=self._max_record_bytes, check_utf8=check_utf8)

    def _reject_telling(self, tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
        reject_told(tellings, index, error, reading)


def read_typed(
    value: bytes, decode: Callable[[Any], T], *, max_record_bytes: int = MAX_RECORD_BYTES, check_utf8: bool = True
) -> T:
    """Return the document in `value` in the shape that `decode` reads.

    Raises:
        RejectedRecordError: The bytes are not exactly one JSON object of that shape.
    """
    if len(value) > max_record_bytes:
        raise RejectedRecordError("record_too_large", None, f"at most {max_record_bytes} bytes", f"{len(value)} bytes")
    if not value or value.isspace():
        raise RejectedRecordError("empty_value", None, "a JSON object", f"{len(value)} bytes of nothing")
    if check_utf8:
        _expect_utf8(value)
    try:
        return decode(value)
    except msgspec.ValidationError as wrong:
        raise as_rejected(wrong) from None
    except UnicodeDecodeError as broken:
        got = f"byte {value[broken.start]:#04x} at {broken.start}" if broken.start < len(value) else "other bytes"
        raise RejectedRecordError("invalid_utf8", None, "UTF-8", got) from None
    except (msgspec.DecodeError, RecursionError) as broken:
        got = "nesting too deep" if isinstance(broken, RecursionError) else str(broken)[:_MAX_SHOWN]
        raise RejectedRecordError("invalid_json", None, "one JSON document", got) from None


def reject_json(
    reading: Reading, row: int, value: bytes, error: RejectedRecordError, shape: type[msgspec.Struct]
) -> None:
    """Note a JSON record that is not accepted, with what of it the shape has room for."""
    kept = None if error.reason in {"record_too_large", "empty_value", "invalid_utf8"} else kept_of(value, shape)
    reading.reject(row, error, UNPARSED if kept is None else SCRUBBED, kept)


def reject_told(tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
    """Note a telling that breaks the contract. Kept are the fields that were read of it, as a native event."""
    fields = told_of(tellings, index)
    item = None if tellings.record_items is None else int(tellings.record_items[index])
    reading.reject(
        int(tellings.rows[index]), error, SCRUBBED, native_json(fields), record_item=item, kept_format=NATIVE_FIELDS
    )


def told_of(tellings: Tellings, index: int) -> dict[str, Any]:
    """Return the fields that one telling tells."""
    told = {name: value_at(column, index) for name, column in tellings.told.items()}
    return {name: value for name, value in told.items() if value is not None}


def native_json(fields: dict[str, Any]) -> bytes:
    """Return the fields of an event as native JSON: maps as objects, texts cut to a length no content needs."""
    return json.dumps({name: _plain(value) for name, value in fields.items()}, separators=(",", ":")).encode()


def kept_of(value: bytes, shape: type[msgspec.Struct]) -> bytes | None:
    """Return what of a JSON document has a place in a shape, its long texts left out; None when it is not JSON."""
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.json.encode(_kept(document, shape, 0))


def is_utf8(values: pa.BinaryArray) -> bool:
    """Say whether all values are UTF-8."""
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def text_column(texts: Iterable[str | None]) -> pa.StringArray:
    """Return texts as a column; half a surrogate pair becomes a question mark, and an empty text is not told."""
    told = [text or None for text in texts]
    try:
        return pa.array(told, pa.string())
    except (UnicodeEncodeError, pa.ArrowInvalid):
        return pa.array([each and each.encode("utf-8", "replace").decode() for each in told], pa.string())


def int_column(numbers: Iterable[int | None]) -> pa.Int64Array:
    """Return whole numbers as a column. What 64 bits do not hold becomes the largest that they do: out of range too."""
    told = list(numbers)
    try:
        return pa.array(told, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        bounded = [each if each is None else max(-_INT64_MAX, min(each, _INT64_MAX)) for each in told]
        return pa.array(bounded, pa.int64())


def _kept(value: Any, kind: Any, depth: int) -> Any:
    """Return a value in so far as a type has a place for it. What is not plain is told by its type and length."""
    kinds = kind if isinstance(kind, tuple) else _kinds(kind)
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for each in kinds:
            if isinstance(each, type) and issubclass(each, msgspec.Struct):
                fields = _fields_of(each)
                return {name: _kept(held, fields[name], depth + 1) for name, held in value.items() if name in fields}
    if isinstance(value, list) and depth < _MAX_DEPTH:
        for each in kinds:
            if getattr(each, "__origin__", None) in (list, tuple):
                return [_kept(held, each.__args__[0], depth + 1) for held in value]
    if msgspec.Raw in kinds:
        return _numbers(value, depth)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str) and str in kinds and len(value) <= _MAX_TEXT:
        return value
    return _outline(value)


def _numbers(value: Any, depth: int) -> Any:
    """Return an object of counts with its numbers alone: its texts, and names that are none, could be anything."""
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        return {name: _numbers(each, depth + 1) for name, each in value.items() if _NAME.fullmatch(name)}
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [_numbers(each, depth + 1) for each in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _outline(value)


@lru_cache(maxsize=256)
def _fields_of(shape: type[msgspec.Struct]) -> dict[str, tuple[Any, ...]]:
    """Return the fields of a shape as JSON names them, each with the types that it may have."""
    return {field.encode_name: _kinds(field.type) for field in msgspec.structs.fields(shape)}


def _outline(value: Any) -> dict[str, Any]:
    return {"type": type(value).__name__, "length": len(value)}


def _kinds(kind: Any) -> tuple[Any, ...]:
    """Return the types that a type stands for: those of a union, or itself without its annotations."""
    if getattr(kind, "__origin__", None) is Union or isinstance(kind, UnionType):
        return tuple(found for each in kind.__args__ for found in _kinds(each))
    if hasattr(kind, "__metadata__"):
        return _kinds(kind.__origin__)
    return (kind,)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return {key: _plain(each) for key, each in value}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= _MAX_TEXT else {"type": "str", "length": len(text)}


def as_rejected(error: msgspec.ValidationError) -> RejectedRecordError:
    """Return why a document is not of a shape, without a word of what it holds."""
    message = str(error)
    missing = _MISSING.match(message)
    if missing is not None:
        name = ".".join(each for each in (_path(missing["path"]), missing["name"]) if each)
        return RejectedRecordError("missing_field", name, "present", "nothing")
    path = _path(_AT.search(message))
    if "out of range" in message or _BEYOND.match(message):
        return RejectedRecordError("out_of_range", path or None, "a number within its limits", "another number")
    wrong = _WRONG.match(message)
    if wrong is None:
        return RejectedRecordError("invalid_value", path or None, "a value of the shape", "another value")
    if not path:
        return RejectedRecordError("not_an_object", None, "a JSON object", wrong["got"] or "another value")
    return RejectedRecordError("wrong_type", path, wrong["expected"], wrong["got"] or "another value")


def _path(found: re.Match[str] | str | None) -> str:
    path = found if isinstance(found, str) else "" if found is None else found["path"]
    return path.removeprefix("$").removeprefix(".").replace("[...]", "[]")


def _expect_utf8(value: bytes) -> None:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as broken:
        got = f"byte {value[broken.start]:#04x} at {broken.start}"
        raise RejectedRecordError("invalid_utf8", None, "UTF-8", got) from None
