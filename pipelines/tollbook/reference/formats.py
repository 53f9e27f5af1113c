"""JSON Schema as we hold documents against it: its formats, and where it is stricter than it looks.

A whole number is written as one: `1e6` and `5.0` are floats, and beyond 2^53 a float is another number than the one
that was written. A pattern's `$` is the end of the text, not the place before a last line break. A decimal is bounded
so that times any exchange rate it still fits decimal(38,12).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Final

import jsonschema

from tollbook.contracts import shipped_folder

_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,30})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[-+][0-9]{2}:[0-9]{2})"
)
_TIME_OF_DAY: Final = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


@lru_cache(maxsize=16)
def validator(schema_name: str) -> Any:
    """Return the validator of `schemas/documents/<schema_name>.schema.json`."""
    path = shipped_folder("schemas") / "documents" / f"{schema_name}.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    return _strict()(schema, format_checker=_formats())


@lru_cache(maxsize=1)
def _strict() -> Any:
    usual = jsonschema.Draft202012Validator
    types = usual.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    extend: Any = jsonschema.validators.extend
    return extend(usual, {"pattern": _pattern}, type_checker=types)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and _compiled(pattern).search(value) is None:
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    ends = pattern.endswith("$") and not pattern.endswith(r"\$")
    return re.compile(rf"{pattern[:-1]}\Z" if ends else pattern)


def _formats() -> jsonschema.FormatChecker:
    checker = jsonschema.FormatChecker(formats=())
    checks: dict[str, Callable[[str], bool]] = {
        "decimal": lambda text: _DECIMAL.fullmatch(text) is not None,
        "date-time": lambda text: _INSTANT.fullmatch(text) is not None and _in_utc(text),
        "date": lambda text: _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text)),
        "time": lambda text: _TIME_OF_DAY.fullmatch(text) is not None and time.fromisoformat(text) is not None,
    }
    for name, is_one in checks.items():
        # An instant may be a time of its zone and none of UTC: the last hours of the year 9999.
        checker.checks(name, raises=(ValueError, OverflowError))(_of_texts(is_one))
    return checker


def _in_utc(text: str) -> bool:
    return datetime.fromisoformat(text.upper()).astimezone(UTC) is not None


def _of_texts(is_one: Callable[[str], bool]) -> Callable[[object], bool]:
    """Return a check that leaves what is no text to the schema's `type`."""
    return lambda value: not isinstance(value, str) or is_one(value)
