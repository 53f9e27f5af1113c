"""The strict path: one native JSON record at a time, with the exact reason when it is wrong.

It decides what a record means. The fast path may accept only what this accepts, with the same values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa

from tollbook.contracts import Contract, Field
from tollbook.errors import RejectedRecordError

MAX_RECORD_BYTES = 1_048_576
_SHOWN_CHARACTERS = 80
_INT64_MAX = 2**63 - 1
_WIDE = Context(prec=76)
_TIME_LENGTH = 40
_TIME_CHARACTERS = frozenset("0123456789TtZz:+-. ")


@dataclass(frozen=True, slots=True)
class _Fraction:
    """A JSON number that is not whole, as it was written: what it is worth is asked only of the contract's fields."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class StrictEvent:
    """One record read strictly.

    Attributes:
        fields: Contract field to value, as `pa.array` takes it; absent and null fields are left out.
        unknown: Names of fields that the contract does not have and that are not null.
        flags: Codes of `reasons.FLAGS`.
    """

    fields: dict[str, Any]
    unknown: tuple[str, ...]
    flags: tuple[str, ...]


def parse_document(value: bytes, *, max_record_bytes: int = MAX_RECORD_BYTES) -> dict[str, Any]:
    """Return the JSON object in `value`.

    Raises:
        RejectedRecordError: The bytes are not exactly one JSON object with distinct fields.
    """
    if not value.strip():
        raise RejectedRecordError("empty_value", None, "a JSON object", f"{len(value)} bytes of nothing")
    if len(value) > max_record_bytes:
        raise RejectedRecordError("record_too_large", None, f"at most {max_record_bytes} bytes", f"{len(value)} bytes")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as broken:
        raise RejectedRecordError(
            "invalid_utf8", None, "UTF-8", f"byte {value[broken.start]:#04x} at {broken.start}"
        ) from None
    try:
        document = json.loads(text, parse_float=_Fraction, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except (json.JSONDecodeError, RecursionError, ValueError) as broken:
        where = (
            f"{broken.msg} at character {broken.pos}" if isinstance(broken, json.JSONDecodeError) else "unreadable JSON"
        )
        raise RejectedRecordError("invalid_json", None, "one JSON document", where) from None
    if not isinstance(document, dict):
        raise RejectedRecordError("not_an_object", None, "a JSON object", _json_type(document))
    return document


def read_fields(document: dict[str, Any], contract: Contract) -> StrictEvent:
    """Return the contract's fields of `document`, each of the right type.

    Ranges, allowed values and sums are not judged here; `check.find_faults` does that for both paths.

    Raises:
        RejectedRecordError: A field has the wrong type.
    """
    fields: dict[str, Any] = {}
    flags: list[str] = []
    for field in contract.fields:
        value = document.get(field.name)
        if value is not None:
            fields[field.name] = _convert(field, value, flags)
    unknown = tuple(name for name, value in document.items() if value is not None and name not in contract.names)
    return StrictEvent(fields, unknown, tuple(flags))


def scrub(document: dict[str, Any], contract: Contract) -> bytes | None:
    """Return `document` as JSON without what may be content, or None when nothing had to go.

    Only values of the contract's fields stay, and of these only those of the right type and length: of any other value
    its type and length are told in its place.
    """
    fields = {each.name: each for each in contract.fields}
    kept = {name: value for name, value in document.items() if name in fields}
    told = {name: value if _is_plain(fields[name], value) else _outline(value) for name, value in kept.items()}
    if len(kept) == len(document) and told == kept:
        return None
    return json.dumps(told, default=str, separators=(",", ":")).encode("ascii")


def is_time_like(text: str) -> bool:
    """Say whether a text has only what times have, so that it may be shown."""
    return len(text) <= _TIME_LENGTH and all(character in _TIME_CHARACTERS for character in text)


def _is_plain(field: Field, value: Any) -> bool:
    kind = field.arrow_type
    if value is None or isinstance(value, (bool, int, _Fraction)):
        return True
    if isinstance(value, dict):
        limits = field.map_limits
        return (
            limits is not None
            and len(value) <= limits.entries
            and all(
                len(key) <= limits.key_length
                and (isinstance(item, int) or (isinstance(item, str) and len(item) <= (limits.item_length or 0)))
                for key, item in value.items()
            )
        )
    if not isinstance(value, str):
        return False
    if pa.types.is_timestamp(kind):
        return is_time_like(value)
    return pa.types.is_string(kind) and len(value) <= (field.max_length or 0)


def _outline(value: Any) -> dict[str, Any]:
    length = len(value) if isinstance(value, (str, list, dict)) else None
    return {"type": _json_type(value).split(" ", 1)[-1], "length": length}


def _convert(field: Field, value: Any, flags: list[str]) -> Any:
    kind = field.arrow_type
    if pa.types.is_string(kind) or pa.types.is_timestamp(kind):
        _expect(field, value, isinstance(value, str), "a text")
        return _encodable(field, value)
    if pa.types.is_boolean(kind):
        return _expect(field, value, isinstance(value, bool), "true or false")
    if pa.types.is_integer(kind):
        _expect(field, value, isinstance(value, int) and not isinstance(value, bool), "a whole number")
        return _bounded(field, value)
    if pa.types.is_floating(kind):
        _expect(field, value, isinstance(value, (int, _Fraction)) and not isinstance(value, bool), "a number")
        return _float(field, value)
    if pa.types.is_decimal(kind):
        return _decimal(field, value, flags)
    if pa.types.is_map(kind):
        return _map(field, value)
    raise TypeError(f"contract field {field.name} has the type {kind}, which native JSON cannot carry")


def _map(field: Field, value: Any) -> list[tuple[str, Any]]:
    _expect(field, value, isinstance(value, dict), "an object")
    wanted: type[Any] = str if pa.types.is_string(field.arrow_type.item_type) else int
    pairs = []
    for key, item in value.items():
        if item is None:
            continue
        if not isinstance(item, wanted) or isinstance(item, bool):
            expected = "texts" if wanted is str else "whole numbers"
            raise RejectedRecordError("wrong_type", field.name, f"an object of {expected}", f"{_json_type(item)} in it")
        pairs.append((_encodable(field, key), _bounded(field, item) if wanted is int else _encodable(field, item)))
    return sorted(pairs)


def _decimal(field: Field, value: Any, flags: list[str]) -> Decimal:
    valid = isinstance(value, (int, _Fraction, str)) and not isinstance(value, bool)
    _expect(field, value, valid, "a decimal number")
    try:
        number = Decimal(value.text if isinstance(value, _Fraction) else value)
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise RejectedRecordError("wrong_type", field.name, "a decimal number", _shown(value))
    kind = field.arrow_type
    if number and number.adjusted() >= kind.precision - kind.scale:
        raise RejectedRecordError("out_of_range", field.name, f"below 1e{kind.precision - kind.scale}", _shown(value))
    if not number or number.adjusted() < -kind.scale - 1:
        # Below half of the last place: zero, and no arithmetic on an exponent of millions.
        if number:
            flags.append("provider_cost_rounded")
        return Decimal(0)
    quantum = Decimal(1).scaleb(-kind.scale)
    rounded = number.quantize(quantum, rounding=ROUND_HALF_EVEN, context=_WIDE)
    if rounded != number:
        flags.append("provider_cost_rounded")
    return rounded


def _float(field: Field, value: int | _Fraction) -> float:
    try:
        return float(value.text if isinstance(value, _Fraction) else value)
    except OverflowError:
        raise RejectedRecordError("out_of_range", field.name, f"up to {field.maximum}", "a number too large") from None


def _bounded(field: Field, value: int) -> int:
    if not -_INT64_MAX <= value <= _INT64_MAX:
        raise RejectedRecordError(
            "out_of_range", field.name, f"0 to {field.maximum}", f"a number of {len(str(value))} digits"
        )
    return value


def _encodable(field: Field, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RejectedRecordError("invalid_utf8", field.name, "text in UTF-8", "half of a surrogate pair") from None
    return text


def _expect(field: Field, value: Any, valid: bool, expected: str) -> Any:
    if not valid:
        raise RejectedRecordError("wrong_type", field.name, expected, f"{_json_type(value)} {_shown(value)}".strip())
    return value


def _shown(value: Any) -> str:
    """Return a scalar for a message. Text of the wrong place may be content, so only its length is told."""
    if isinstance(value, str):
        return f"of {len(value)} characters"
    return str(value)[:_SHOWN_CHARACTERS] if isinstance(value, (int, _Fraction)) else ""


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "the number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise RejectedRecordError("duplicate_field", None, "each field once", f"{len(pairs) - len(document)} repeated")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
