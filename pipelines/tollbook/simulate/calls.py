"""One model call of the simulation, and how an event tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from tollbook.simulate.prices import STANDARD, Quantities

MICROSECONDS_PER_MILLISECOND = 1_000
MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND
_MILLISECONDS_PER_DAY = 86_400_000


@dataclass(slots=True)
class Call:
    """One call that a provider bills.

    Attributes:
        event_id: The provider's id of its response.
        occurred_us: When it ended. Unit: Microseconds since 1970-01-01T00:00:00Z, whole milliseconds.
        provider: Who bills it.
        model: The model that answered.
        tier: `prices.STANDARD` or `prices.BATCH`.
        used: What it used.
        reasoning: Part of `used.output`. Unit: Tokens.
        reports_parts: Whether the event tells uncached input and no total, as Anthropic does.
        dimensions: The event's other fields that tell who asked, for what, and how it ended.
        streamed: Whether the answer was streamed.
    """

    event_id: str
    occurred_us: int
    provider: str
    model: str
    used: Quantities
    reports_parts: bool
    dimensions: dict[str, Any]
    tier: str = STANDARD
    reasoning: int = 0
    streamed: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def task_id(self) -> str | None:
        """The task it belongs to."""
        return self.dimensions.get("task_id")


def time_text(microseconds: int) -> str:
    """Return a time of whole milliseconds as RFC 3339 in UTC."""
    days, rest = divmod(microseconds // MICROSECONDS_PER_MILLISECOND, _MILLISECONDS_PER_DAY)
    minutes, milliseconds = divmod(rest, 60_000)
    hour, minute = divmod(minutes, 60)
    second, millisecond = divmod(milliseconds, 1_000)
    return f"{date_text(days)}T{hour:02d}:{minute:02d}:{second:02d}.{millisecond:03d}Z"


@lru_cache(maxsize=1_000)
def date_text(days: int) -> str:
    """Return the date so many days after 1970-01-01, as `2026-08-01`."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def event_of(call: Call) -> dict[str, Any]:
    """Return the event that tells a call, revision 0."""
    event: dict[str, Any] = {
        "source": call.provider,
        "event_id": call.event_id,
        "reporter": "gateway",
        "occurred_at": time_text(call.occurred_us),
        "provider": call.provider,
        "model": call.model,
    }
    event.update(call.dimensions)
    if call.tier != STANDARD:
        event["service_tier"] = call.tier
    if call.streamed:
        event["streamed"] = True
    event.update(counts_of(call.used, call.reasoning, reports_parts=call.reports_parts))
    if call.used.web_searches:
        event["tool_calls"] = {"web_searches": call.used.web_searches}
    if call.tags:
        event["tags"] = call.tags
    return event


def counts_of(used: Quantities, reasoning: int, *, reports_parts: bool) -> dict[str, int]:
    """Return the token fields of an event; a part that is zero is told where its provider tells it."""
    counts: dict[str, int] = {}
    if reports_parts:
        counts["uncached_input_tokens"] = used.uncached_input
        counts["cache_read_tokens"] = used.cache_read
        counts["cache_write_5m_tokens"] = used.cache_write_5m
        if used.cache_write_1h:
            counts["cache_write_1h_tokens"] = used.cache_write_1h
    else:
        counts["input_tokens"] = used.input
        if used.cache_read:
            counts["cache_read_tokens"] = used.cache_read
    counts["output_tokens"] = used.output
    if reasoning:
        counts["reasoning_tokens"] = reasoning
    return counts
