"""What all dialects share: how they are asked, identity, times, states and people."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from tollbook.formats.telemetry.item import ERROR, Item, Value
from tollbook.formats.telemetry.sampling import ATTRIBUTES, sampling_rate

Usage = dict[str, Value]
"""Usage attributes of a call."""

Columns = dict[str, list[Any]]
"""Field of the contract to its values, shape (n,); None is not told."""

_DIGITS: Final = 32
_YEAR_NS: Final = 365 * 24 * 3_600 * 1_000_000_000
"""A call that took longer has a clock that is wrong, and no latency."""
_CLASS: Final = re.compile(r"[\w.:/$-]{1,128}")
_OTHER_CLASS: Final = "_OTHER"


@dataclass(frozen=True)
class Dialect:
    """What one tool means by its spans or log records.

    Attributes:
        reporter: The tool, as in `usage_event`.
        attributes: Attributes that it reads beside usage.
        resources: Attributes of resources that it reads.
        flavours: Flavours of `usage_fields.yml` that its usage comes in.
        claims: Whether an item is of this tool.
        ignored: Why an item of the tool is left out, None for a model call that is told.
        usage: Flavour of a call's usage, and the usage itself, without what the tool tells untruly.
        columns: What calls tell beside their usage and what `shared_columns` gives.
        defaults: Fields for calls where neither they nor the organisation's rules tell them.
    """

    reporter: str
    attributes: frozenset[str]
    resources: frozenset[str]
    flavours: tuple[str, ...]
    claims: Callable[[Item], bool]
    ignored: Callable[[Item], str | None]
    usage: Callable[[Item], tuple[str, Usage]]
    columns: Callable[[Sequence[Item]], Columns]
    defaults: Callable[[Sequence[Item]], Columns] = field(default=lambda _items: {})


def shared_columns(items: Sequence[Item], reporter: str) -> Columns:
    """Return what every item tells alike. `occurred_at` is in microseconds since 1970-01-01 UTC."""
    return {
        "reporter": [reporter] * len(items),
        "occurred_at": [item.end_ns // 1_000 or None for item in items],
        "trace_id": [item.trace_id for item in items],
        "call_id": [item.span_id for item in items],
        "parent_call_id": [item.parent_id for item in items],
        "sampling_rate": _sampling_rates(items),
        "latency_ms": [
            (item.end_ns - item.start_ns) // 1_000_000
            if 0 < item.start_ns <= item.end_ns < item.start_ns + _YEAR_NS
            else None
            for item in items
        ],
    }


def _sampling_rates(items: Sequence[Item]) -> list[float | None]:
    keys: set[str] = set().union(*(item.attributes for item in items), *(item.resource for item in items))
    if ATTRIBUTES.isdisjoint(keys):
        return [sampling_rate(item) if item.trace_state else None for item in items]
    return [sampling_rate(item) for item in items]


def identity(items: Sequence[Item], providers: Sequence[str | None], ids: Sequence[str | None], tool: str) -> Columns:
    """Return who issued the id of each call, and the id: the provider's own, else that of the span.

    Args:
        items: The calls, shape (n,).
        providers: Who bills each, shape (n,).
        ids: Id that the provider gave each answer, shape (n,).
        tool: Who issued the id where the provider did not.
    """
    own = [bool(each and provider) for each, provider in zip(ids, providers, strict=True)]
    return {
        "source": [provider if mine else tool for mine, provider in zip(own, providers, strict=True)],
        "event_id": [
            each if mine else digest(item.trace_id, item.span_id) if item.trace_id and item.span_id else None
            for mine, each, item in zip(own, ids, items, strict=True)
        ],
    }


def digest(*parts: object) -> str:
    """Return an id made of what identifies something: the same parts give the same id."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8", "replace")).hexdigest()[:_DIGITS]


def text(value: Value | None) -> str | None:
    """Return a value as text, None for an empty or untold one."""
    if value is None or value.__class__ is str:
        return value or None  # type: ignore[return-value] # the class says that it is a text
    return str(value).lower() if isinstance(value, bool) else str(value)


def first_text(told: Mapping[str, Value], keys: Iterable[str]) -> str | None:
    """Return the first of some attributes that tells a text."""
    for key in keys:
        value = told.get(key)
        if value is not None and value != "":
            return text(value)
    return None


def person(told: Mapping[str, Value], keys: Iterable[str]) -> str | None:
    """Return who asked, by the first of some attributes; an e-mail address only as its digest."""
    name = first_text(told, keys)
    return name if name is None or "@" not in name else f"sha256:{digest(name.strip().lower())}"


@lru_cache(maxsize=1_024)
def error_class(told: str | None) -> str | None:
    """Return a class of error, `_OTHER` for what is no class but a text."""
    return None if not told else told if _CLASS.fullmatch(told) else _OTHER_CLASS


@lru_cache(maxsize=1_024)
def state_of(status: int, error: str | None) -> str:
    """Return how a call ended, by the status of its span and its class of error."""
    if status != ERROR and error is None:
        return "ok"
    name = (error or "").lower()
    if "timeout" in name or "timedout" in name or name in {"408", "504", "deadline_exceeded"}:
        return "timeout"
    return "cancelled" if "cancel" in name or name == "499" else "error"


def micros(told: Value | None) -> int | None:
    """Return an RFC 3339 time in microseconds since 1970-01-01 UTC, None for anything else."""
    if not isinstance(told, str):
        return None
    try:
        moment = datetime.fromisoformat(told)
        return None if moment.tzinfo is None else round(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None


def whole_ms(told: Value | None, per_unit: int = 1) -> int | None:
    """Return a span of time in whole milliseconds; `per_unit` of them are one unit of what was told."""
    try:
        told_ms = None if told is None or isinstance(told, bool) else float(told) * per_unit
        return None if told_ms is None or told_ms < 0 else round(told_ms)
    except (ValueError, OverflowError):
        return None
