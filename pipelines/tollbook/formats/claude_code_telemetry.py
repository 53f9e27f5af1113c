"""Claude Code's telemetry: the log event `claude_code.api_request`, one for each answered request.

Its input tokens leave the cache out; `cost_usd` is Claude Code's own figure. The counter `claude_code.token.usage` and
its spans (beta) tell the same tokens and are ignored, as are all other events. The event has the id of the request but
not that of the message, so it is another identity than that of the session files: take one of the two, not both. An
event without that id is known by session, time and sequence.

Source: Claude Code documentation, Monitoring, API request event, read 2026-11-25.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tollbook.formats.telemetry.dialect import Columns, Dialect, digest, micros, person, text, whole_ms
from tollbook.formats.telemetry.item import Item

EVENT: Final = "claude_code.api_request"
_SCOPE, _PREFIX = "com.anthropic.claude_code", "claude_code."
_SHORT: Final = "api_request"
_PEOPLE: Final = ("user.account_uuid", "user.id", "user.email")
_BEDROCK: Final = re.compile(r"(?:[a-z]{2,6}\.)?anthropic\.|arn:aws[a-z-]*:bedrock:")
_TIERS: Final = {"fast": "fast"}
_PURPOSES: Final = {"compact": "context"}


def _claims(item: Item) -> bool:
    return item.name.startswith(_PREFIX) or item.scope.startswith(_SCOPE)


def _ignored(item: Item) -> str | None:
    if item.is_span:
        return "told_by_event"
    return None if item.name in (EVENT, _SHORT) else "other_event"


def _columns(items: Sequence[Item]) -> Columns:
    told = [item.attributes for item in items]
    models = [text(each.get("model")) for each in told]
    providers = [_provider(model) for model in models]
    requests = [text(each.get("request_id")) for each in told]
    return {
        "source": [provider if each else DIALECT.reporter for each, provider in zip(requests, providers, strict=True)],
        "event_id": [each or _own_id(item) for each, item in zip(requests, items, strict=True)],
        "occurred_at": [item.end_ns // 1_000 or micros(item.attributes.get("event.timestamp")) for item in items],
        "provider": providers,
        "model": models,
        "operation_name": ["chat"] * len(items),
        "service_tier": [_TIERS.get(str(each.get("speed"))) for each in told],
        "agent": [text(each.get("agent.name")) for each in told],
        "call_id": [text(each.get("client_request_id")) for each in told],
        "parent_call_id": [item.span_id for item in items],
        "purpose": [_PURPOSES.get(str(each.get("query_source"))) for each in told],
        "principal_id": [person(each, _PEOPLE) for each in told],
        "billing_account_id": [text(each.get("organization.id")) for each in told],
        "conversation_id": [text(each.get("session.id")) for each in told],
        "request_id": requests,
        "status": ["ok"] * len(items),
        "latency_ms": [whole_ms(each.get("duration_ms")) for each in told],
    }


def _provider(model: str | None) -> str:
    """Return who bills, which only the name of the model tells: Bedrock's and Google's differ from Anthropic's."""
    if model is not None and _BEDROCK.match(model):
        return "aws"
    return "google" if model is not None and "@" in model else "anthropic"


def _own_id(item: Item) -> str | None:
    told = item.attributes
    session, moment = told.get("session.id"), told.get("event.timestamp", item.end_ns)
    return None if session is None else digest(session, moment, told.get("event.sequence"), told.get("model"))


def _defaults(items: Sequence[Item]) -> Columns:
    """Return the prompt as the task of each call: one wish of a person, however many calls it takes."""
    return {"task_id": [text(item.attributes.get("prompt.id")) for item in items]}


DIALECT: Final = Dialect(
    reporter="claude_code",
    attributes=frozenset(
        {"event.name", "event.timestamp", "event.sequence", "model", "request_id", "client_request_id", "session.id"}
        | {"speed", "query_source", "agent.name", "prompt.id", "duration_ms", "organization.id", *_PEOPLE}
    ),
    resources=frozenset(),
    flavours=("claude_code.api_request",),
    claims=_claims,
    ignored=_ignored,
    usage=lambda item: ("claude_code.api_request", item.usage),
    columns=_columns,
    defaults=_defaults,
)
