"""Values of a foreign file as values of the event contract: exact, or refused with what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from tollbook.errors import MisuseError, RejectedRecordError
from tollbook.senders.native import EPOCH

Converter = Callable[[Any], Any]

EXACT = Context(prec=3 * 30, rounding=ROUND_HALF_EVEN)
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")
_MICROSECOND = timedelta(microseconds=1)
_SHOWN_CHARACTERS = 60
_MOST_DIGITS = 30
_EPOCH_FORMATS = {"epoch_seconds": 1_000_000, "epoch_milliseconds": 1_000, "epoch_microseconds": 1}


def shown(value: object) -> str:
    """Return a value as a message shows it, with its type where that is not text, shortened."""
    text = repr(value) if isinstance(value, str) else f"{value} ({type(value).__name__})"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def text_of(value: object) -> str:
    """Return a scalar as text, as JSON spells it.

    Raises:
        RejectedRecordError: It is a list or an object.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    raise RejectedRecordError("wrong_type", None, "text or a number", shown(value))


def number_of(value: object) -> Decimal:
    """Return a scalar as an exact number.

    Raises:
        RejectedRecordError: It is no number, or longer than `_MOST_DIGITS`, up to which sums are exact.
    """
    if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        text = str(value)
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        short = len(text) <= _MOST_DIGITS and number.is_finite() and number.adjusted() < _MOST_DIGITS
        if short and text.isascii() and "_" not in text:
            return number
    raise RejectedRecordError("wrong_type", None, "a number", shown(value))


def whole_number_of(value: object) -> int:
    """Return a scalar as an integer: `374`, `"374"` and `374.0` are one.

    Raises:
        RejectedRecordError: It is no whole number.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isascii() and value.isdigit():
        return int(value)
    number = number_of(value)
    if number != number.to_integral_value():
        raise RejectedRecordError("wrong_type", None, "a whole number", shown(value))
    return int(number)


def boolean_of(value: object) -> bool:
    """Return a scalar as a truth value: true, 1, yes, false, 0 and no, in any case.

    Raises:
        RejectedRecordError: It is none of these.
    """
    if isinstance(value, bool):
        return value
    told = _BOOLEANS.get(text_of(value).strip().lower())
    if told is None:
        raise RejectedRecordError("wrong_type", None, "true, false, 1, 0, yes or no", shown(value))
    return told


def moment_of(value: object) -> datetime:
    """Return an RFC 3339 time with a zone, in UTC, finer digits than microseconds cut off.

    Raises:
        RejectedRecordError: It is not such a time.
    """
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(text_of(value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise RejectedRecordError(
        "invalid_time",
        None,
        "an RFC 3339 time with a zone, or to have a `timestamp` format in the mapping",
        shown(value),
    )


def after(start: datetime, value: object, *, microseconds_each: int) -> datetime:
    """Return `start` plus a decimal number of units, exactly; digits finer than microseconds are cut off.

    Args:
        start: An aware time.
        value: How many units later.
        microseconds_each: Length of a unit. Unit: Microseconds.
    """
    whole = int(EXACT.multiply(number_of(value), Decimal(microseconds_each)).to_integral_value("ROUND_FLOOR"))
    try:
        return start + whole * _MICROSECOND
    except OverflowError as error:
        raise RejectedRecordError("invalid_time", None, "a time between years 1 and 9999", shown(value)) from error


def timestamp_reader(format_: str, zone_name: str | None) -> Converter:
    """Return a function that reads times of one format.

    Args:
        format_: `rfc3339`, `epoch_seconds`, `epoch_milliseconds`, `epoch_microseconds`, or a pattern of
            `datetime.strptime`, where `%f` takes any number of digits and those after the sixth are cut off.
        zone_name: IANA name of the zone of times that carry none; None when they carry one.

    Raises:
        MisuseError: There is no such zone.
    """
    if format_ in _EPOCH_FORMATS:
        each = _EPOCH_FORMATS[format_]
        return lambda value: after(EPOCH, value, microseconds_each=each)
    try:
        zone = None if zone_name is None else ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise MisuseError(
            f"expected `zone` to be an IANA time zone such as Europe/Berlin, got {zone_name!r}"
        ) from error

    def read(value: object) -> datetime:
        text = text_of(value)
        try:
            if format_ == "rfc3339":
                moment = datetime.fromisoformat(text)
            else:
                moment = datetime.strptime(_BEYOND_MICROSECONDS.sub(r"\1", text), format_)  # noqa: DTZ007 # zoned below
            return _zoned(moment, zone, value).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise RejectedRecordError("invalid_time", None, f"a time like {format_}", shown(value)) from error

    return read


def _zoned(moment: datetime, zone: ZoneInfo | None, value: object) -> datetime:
    """Return `moment` with a zone; a local time that its zone has twice or never is refused, not guessed."""
    if moment.tzinfo is not None:
        return moment
    if zone is None:
        raise RejectedRecordError(
            "invalid_time", None, "a time with a zone, or to have a `zone` in the mapping", shown(value)
        )
    early, late = moment.replace(tzinfo=zone), moment.replace(tzinfo=zone, fold=1)
    if early.utcoffset() != late.utcoffset():
        raise RejectedRecordError("invalid_time", None, f"a time that {zone.key} has exactly once", shown(value))
    return early


def text_of_moment(moment: datetime) -> str:
    """Return a time in UTC as RFC 3339 text."""
    return moment.replace(tzinfo=None).isoformat() + "Z"


def scaled(value: object, factor: Decimal) -> Decimal:
    """Return the exact product of a number and a factor."""
    return EXACT.multiply(number_of(value), factor)


def converter(arrow_type: pa.DataType) -> Converter:
    """Return what turns a value into the JSON form of an event field of this type.

    It raises RejectedRecordError where a value has no such form.
    """
    if pa.types.is_integer(arrow_type):
        return whole_number_of
    if pa.types.is_boolean(arrow_type):
        return boolean_of
    if pa.types.is_timestamp(arrow_type):
        return moment_of
    if pa.types.is_floating(arrow_type):
        return lambda value: float(number_of(value))
    if pa.types.is_decimal(arrow_type):
        return lambda value: f"{number_of(value):f}"
    return text_of
