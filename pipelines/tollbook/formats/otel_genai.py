"""OpenTelemetry's GenAI conventions, current and older, as instrumentations of many libraries write them on spans.

A span counts when it is one call of a model: by its operation, or where it names none, by its kind and what it tells.
Agents, workflows, tools and frameworks put sums of their children's tokens on spans of their own; those do not count,
and of two inference spans with one response id the ledger keeps one, since the provider's id is their identity. A call
without such an id is known by its span. The GenAI log events tell the same calls again and are ignored.

The task of a call is its trace where nothing else says what the task is, and where the call has a parent: a span that
stands alone is no task. Rules of the organisation come first.

The instrumentation of OpenAI's library counts from 0 when a stream ends without its usage, so a call of it with no
token at all is one of untold tokens.

Source: semantic-conventions-genai, spans and agent spans, read 2026-11-25; semantic conventions 1.36 for the older
names; OpenLLMetry's `traceloop.*` and `llm.*`; opentelemetry-instrumentation-openai-v2 2.4b0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tollbook.formats.telemetry.dialect import (
    Columns,
    Dialect,
    Usage,
    error_class,
    first_text,
    identity,
    person,
    state_of,
    text,
    whole_ms,
)
from tollbook.formats.telemetry.item import INTERNAL, Item
from tollbook.formats.telemetry.places import place_of, who_bills

RESPONSE_ID: Final = "gen_ai.response.id"
OPERATION: Final = "gen_ai.operation.name"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
ADDRESSES: Final = ("server.address", "url.full", "gen_ai.request.base_url", "gen_ai.openai.api_base")
INFERENCE: Final = frozenset(
    {"chat", "text_completion", "generate_content", "embeddings", "rerank", "completion", "responses", "embedding"}
    | {"image_generation", "speech", "transcription", "translation", "moderation", "realtime", "message"}
)
ROLL_UPS: Final = frozenset(
    {"create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "agent", "workflow", "task", "tool"}
)
"""Operations whose spans add up what their children tell, even where they repeat the last answer's id."""

_PROVIDERS: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.system")
_TIERS: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_PEOPLE: Final = ("enduser.pseudo.id", "enduser.id", "user.id", "user.email")
_REQUEST_TYPES: Final = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings", "rerank": "rerank"}
_SAME: Final = {"embedding": "embeddings", "completion": "text_completion", "message": "chat"}
_USAGE: Final = ("gen_ai.usage.", "llm.usage.")
_COUNTS_FROM_ZERO: Final = "opentelemetry.instrumentation.openai_v2"
_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_EVENTS: Final = "gen_ai."


def ignored(item: Item) -> str | None:
    """Return why an item is no model call, None for one."""
    told = item.attributes
    if not item.is_span:
        return "told_by_span" if item.name.startswith(_EVENTS) else "no_model_call"
    operation = operation_of(item)
    if operation in INFERENCE:
        return None
    has_usage = any(name.startswith(_USAGE) for name in item.usage)
    if RESPONSE_ID in told and operation not in ROLL_UPS:
        return None
    if operation is not None:
        return "rollup_span" if has_usage else "no_model_call"
    if not has_usage:
        return "other_convention" if "openinference.span.kind" in told else "no_model_call"
    named = REQUEST_MODEL in told or RESPONSE_MODEL in told
    return None if named and item.kind != INTERNAL and "traceloop.span.kind" not in told else "rollup_span"


def operation_of(item: Item) -> str | None:
    """Return the operation of a span as the conventions call it, None where it names none."""
    operation = item.attributes.get(OPERATION)
    if operation is None:
        operation = _REQUEST_TYPES.get(str(item.attributes.get("llm.request.type")))
    return None if operation is None else _SAME.get(str(operation), str(operation))


def call_columns(
    items: Sequence[Item], providers: Sequence[str | None], addresses: Sequence[str | None], tool: str
) -> Columns:
    """Return what spans of calls tell by the conventions.

    Args:
        items: The calls, shape (n,).
        providers: Who bills each, shape (n,).
        addresses: Endpoint of each, shape (n,).
        tool: Who issued the id of a call to which the provider gave none.
    """
    told = [item.attributes for item in items]
    asked = [text(each.get(REQUEST_MODEL)) for each in told]
    answered = [text(each.get(RESPONSE_MODEL)) for each in told]
    places = [place_of(address) for address in addresses]
    errors = [error_class(text(each.get("error.type"))) for each in told]
    return {
        **identity(items, providers, [text(each.get(RESPONSE_ID)) for each in told], tool),
        "provider": list(providers),
        "model": [model or request for model, request in zip(answered, asked, strict=True)],
        "requested_model": [
            request if model and request != model else None for model, request in zip(answered, asked, strict=True)
        ],
        "operation_name": [operation_of(item) for item in items],
        "path": [place.path for place in places],
        "region": [place.region for place in places],
        "status": [state_of(item.status, error) for item, error in zip(items, errors, strict=True)],
        "error_type": errors,
        "finish_reason": [text(each.get("gen_ai.response.finish_reasons")) for each in told],
        "streamed": [_truth(each.get("gen_ai.request.stream", each.get("llm.is_streaming"))) for each in told],
        "time_to_first_token_ms": [whole_ms(each.get("gen_ai.response.time_to_first_chunk"), 1_000) for each in told],
        "conversation_id": [text(each.get("gen_ai.conversation.id")) for each in told],
        "principal_id": [person(each, _PEOPLE) for each in told],
    }


def task_defaults(items: Sequence[Item]) -> Columns:
    """Return the trace as the task of each call that has a parent."""
    return {"task_id": [None if item.parent_id is None else item.trace_id for item in items]}


def _usage(item: Item) -> tuple[str, Usage]:
    usage = item.usage
    untold = item.scope == _COUNTS_FROM_ZERO and not usage.get(_INPUT) and not usage.get(_OUTPUT)
    return "otel.gen_ai", {} if untold else usage


def _columns(items: Sequence[Item]) -> Columns:
    told = [item.attributes for item in items]
    addresses = [first_text(each, ADDRESSES) for each in told]
    names = [first_text(each, _PROVIDERS) for each in told]
    providers = [who_bills(name, address) for name, address in zip(names, addresses, strict=True)]
    return {
        **call_columns(items, providers, addresses, DIALECT.reporter),
        "service_tier": [first_text(each, _TIERS) for each in told],
    }


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


DIALECT: Final = Dialect(
    reporter="opentelemetry",
    attributes=frozenset(
        {OPERATION, REQUEST_MODEL, RESPONSE_MODEL, RESPONSE_ID, "gen_ai.response.finish_reasons"}
        | {"gen_ai.request.stream", "llm.is_streaming", "gen_ai.response.time_to_first_chunk", "gen_ai.conversation.id"}
        | {"error.type", "llm.request.type", "traceloop.span.kind", "openinference.span.kind"}
        | {*_PROVIDERS, *_TIERS, *_PEOPLE, *ADDRESSES}
    ),
    resources=frozenset(),
    flavours=("otel.gen_ai",),
    claims=lambda _item: True,
    ignored=ignored,
    usage=_usage,
    columns=_columns,
    defaults=task_defaults,
)
