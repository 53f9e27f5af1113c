"""Spans of Claude's SDK (`com.anthropic.sdk.*`) and API (`com.anthropic.claude-platform`), often both of one request.

An application that sets up both gets two spans with the same usage for one request, CLIENT and SERVER. Both carry the
id of the message, and that is the identity of the event, so it counts once whichever comes first; where there is no
message, as after an error, it is the id of the request, which both carry too.

A span that is unset was cancelled: the SDK and the API say OK of what completed. Tokens of compactions stand beside the
usage and are shown as unknown usage, not counted.

Source: Claude API documentation, OpenTelemetry span reference (beta), and `anthropic` 2.14 on PyPI, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollbook.formats.otel_genai import ADDRESSES, INFERENCE, RESPONSE_ID, call_columns, operation_of, task_defaults
from tollbook.formats.otel_genai import DIALECT as GEN_AI
from tollbook.formats.telemetry.dialect import Columns, Dialect, first_text, identity, text
from tollbook.formats.telemetry.item import UNSET, Item
from tollbook.formats.telemetry.places import who_bills

SDK_SCOPE, API_SCOPE = "com.anthropic.sdk.", "com.anthropic.claude-platform"
REQUEST_ID: Final = "anthropic.request.id"
_TIER, _STOP = "anthropic.response.service_tier", "anthropic.message.stop_reason"
_WORKSPACE, _ORGANIZATION = "anthropic.workspace.id", "anthropic.organization.id"
_STANDARD: Final = "standard"
_TOOLS: Final = {API_SCOPE: "anthropic_api"}


def _ignored(item: Item) -> str | None:
    if operation_of(item) in INFERENCE or RESPONSE_ID in item.attributes:
        return None
    return "rollup_span" if item.usage else "no_model_call"


def _columns(items: Sequence[Item]) -> Columns:
    told = [item.attributes for item in items]
    addresses = [first_text(each, ADDRESSES) for each in told]
    names = [text(each.get("gen_ai.provider.name")) or "anthropic" for each in told]
    providers = [who_bills(name, None) for name in names]
    tools = [_TOOLS.get(item.scope, "anthropic_sdk") for item in items]
    columns = call_columns(items, providers, addresses, "anthropic_sdk")
    ids = [first_text(each, (RESPONSE_ID, REQUEST_ID)) for each in told]
    tiers = [text(each.get(_TIER)) for each in told]
    return {
        **columns,
        **identity(items, providers, ids, "anthropic_sdk"),
        "reporter": tools,
        "status": [
            "cancelled" if item.status == UNSET and state == "ok" else state
            for item, state in zip(items, columns["status"], strict=True)
        ],
        "finish_reason": [text(each.get(_STOP)) for each in told],
        "service_tier": [None if tier == _STANDARD else tier for tier in tiers],
        "request_id": [text(each.get(REQUEST_ID)) for each in told],
        "project_id": [text(each.get(_WORKSPACE)) for each in told],
        "billing_account_id": [text(each.get(_ORGANIZATION)) for each in told],
    }


DIALECT: Final = Dialect(
    reporter="anthropic_sdk",
    attributes=GEN_AI.attributes | {REQUEST_ID, _TIER, _STOP, _WORKSPACE, _ORGANIZATION},
    resources=frozenset(),
    flavours=("anthropic.spans",),
    claims=lambda item: item.is_span and item.scope.startswith((SDK_SCOPE, API_SCOPE)),
    ignored=_ignored,
    usage=lambda item: ("anthropic.spans", item.usage),
    columns=_columns,
    defaults=task_defaults,
)
