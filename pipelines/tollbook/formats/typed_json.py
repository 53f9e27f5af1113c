"""JSON records read into a fixed shape: what the shape has no room for, such as content, is passed over unread.

A format names the shape of its records as a msgspec Struct. Each record is read by itself, so one that is wrong is
known at once and its neighbours are not harmed; what they hold is then handled as columns, many at a time.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from tollbook.contracts import Contract
from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import SCRUBBED, UNPARSED, Decoder, Headers, Reading, Rows, Tellings
from tollbook.formats.strict_json import MAX_RECORD_BYTES

S = TypeVar("S", bound=msgspec.Struct)

_MAX_TEXT: Final = 256
_MAX_SHOWN: Final = 200
_WRONG: Final = re.compile(r"^Expected (?P<expected>.*?)(?:, got (?P<got>.*?))?(?: - at `(?P<path>.*)`)?$")
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
    value: bytes, decode: Callable[[Any], S], *, max_record_bytes: int = MAX_RECORD_BYTES, check_utf8: bool = True
) -> S:
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
        raise _as_rejected(str(wrong)) from None
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
    told = {name: column[index].as_py() for name, column in tellings.told.items()}
    fields = {name: value for name, value in told.items() if value is not None}
    item = None if tellings.record_items is None else int(tellings.record_items[index])
    reading.reject(int(tellings.rows[index]), error, SCRUBBED, native_json(fields), record_item=item)


def native_json(fields: dict[str, Any]) -> bytes:
    """Return the fields of an event as native JSON: maps as objects, texts cut to a length no content needs."""
    return json.dumps({name: _plain(value) for name, value in fields.items()}, separators=(",", ":")).encode()


def kept_of(value: bytes, shape: type[msgspec.Struct]) -> bytes | None:
    """Return what of a JSON document has a place in a shape, its long texts left out; None when it is not JSON."""
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.json.encode(_kept(document, shape))


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


def _kept(value: Any, kind: Any) -> Any:
    """Return a value in so far as a type has a place for it. What is not plain is told by its type and length."""
    kind = _without_none(kind)
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}
        return {name: _kept(each, fields[name]) for name, each in value.items() if name in fields}
    if isinstance(value, list) and getattr(kind, "__origin__", None) in (list, tuple):
        return [_kept(each, kind.__args__[0]) for each in value]
    if kind is msgspec.Raw:
        return _numbers(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str) and kind is str and len(value) <= _MAX_TEXT:
        return value
    return {"type": type(value).__name__, "length": len(value)}


def _numbers(value: Any) -> Any:
    """Return an object of counts with its numbers alone: its texts could be anything."""
    if isinstance(value, dict):
        return {name[:_MAX_TEXT]: _numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return {"type": type(value).__name__, "length": len(value)}


def _without_none(kind: Any) -> Any:
    options = [each for each in getattr(kind, "__args__", ()) if each is not type(None)]
    is_union = getattr(kind, "__origin__", None) is None and options
    return options[0] if is_union and len(options) == 1 else kind


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return {key: _plain(each) for key, each in value}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= _MAX_TEXT else {"type": "str", "length": len(text)}


def _as_rejected(message: str) -> RejectedRecordError:
    missing = _MISSING.match(message)
    if missing is not None:
        name = ".".join(each for each in (_path(missing["path"]), missing["name"]) if each)
        return RejectedRecordError("missing_field", name, "present", "nothing")
    wrong = _WRONG.match(message)
    if wrong is None:
        return RejectedRecordError("wrong_type", None, "a value of the shape", message[:_MAX_SHOWN])
    path, got = _path(wrong["path"]), (wrong["got"] or "another").strip("`")
    expected = wrong["expected"].strip("`")
    if not path:
        return RejectedRecordError("not_an_object", None, "a JSON object", got)
    return RejectedRecordError("wrong_type", path, expected, got)


def _path(path: str | None) -> str:
    return (path or "").removeprefix("$").removeprefix(".").replace("[...]", "[]")


def _expect_utf8(value: bytes) -> None:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as broken:
        got = f"byte {value[broken.start]:#04x} at {broken.start}"
        raise RejectedRecordError("invalid_utf8", None, "UTF-8", got) from None
