"""Codex' telemetry: the log event `codex.sse_event` of kind `response.completed` that tells tokens.

Input includes the cache and output includes reasoning; `tool_token_count` is the sum of all, whatever its name says.
Codex logs each event of the stream too, so a completed response has a second line, without tokens, that is ignored.
The response's id is not told: an event is known by its conversation, its time and what it says.

Source: openai/codex, codex-rs/otel, session_telemetry.rs and its callers in core, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollbook.formats.telemetry.dialect import Columns, Dialect, digest, micros, person, text, whole_ms
from tollbook.formats.telemetry.item import Item

EVENT, KIND = "codex.sse_event", "response.completed"
_PREFIX: Final = "codex."
_PEOPLE: Final = ("user.account_id", "user.email")
_MOMENT: Final = "event.timestamp"


def _claims(item: Item) -> bool:
    return not item.is_span and item.name.startswith(_PREFIX)


def _ignored(item: Item) -> str | None:
    completed = item.name == EVENT and item.attributes.get("event.kind") == KIND
    return None if completed and "input_token_count" in item.usage else "other_event"


def _columns(items: Sequence[Item]) -> Columns:
    told = [item.attributes for item in items]
    return {
        "source": [DIALECT.reporter] * len(items),
        "event_id": [_own_id(item) for item in items],
        "occurred_at": [micros(item.attributes.get(_MOMENT)) or item.end_ns // 1_000 or None for item in items],
        "provider": ["openai"] * len(items),
        "model": [text(each.get("model")) for each in told],
        "operation_name": ["chat"] * len(items),
        "call_id": [None] * len(items),
        "parent_call_id": [item.span_id for item in items],
        "principal_id": [person(each, _PEOPLE) for each in told],
        "conversation_id": [text(each.get("conversation.id")) for each in told],
        "status": ["ok"] * len(items),
        "latency_ms": [whole_ms(each.get("duration_ms")) for each in told],
    }


def _own_id(item: Item) -> str | None:
    told = item.attributes
    conversation = told.get("conversation.id")
    counts = sorted((name, str(count)) for name, count in item.usage.items())
    moment = told.get(_MOMENT, item.end_ns)
    return None if conversation is None else digest(conversation, moment, told.get("model"), counts)


def _defaults(items: Sequence[Item]) -> Columns:
    """Return the conversation as the task of each call: Codex tells no turn on this event."""
    return {"task_id": [text(item.attributes.get("conversation.id")) for item in items]}


DIALECT: Final = Dialect(
    reporter="codex",
    attributes=frozenset({"event.name", "event.kind", _MOMENT, "model", "conversation.id", "duration_ms", *_PEOPLE}),
    resources=frozenset(),
    flavours=("codex.sse_event",),
    claims=_claims,
    ignored=_ignored,
    usage=lambda item: ("codex.sse_event", item.usage),
    columns=_columns,
    defaults=_defaults,
)
