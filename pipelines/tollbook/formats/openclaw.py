"""Spans of OpenClaw's plugin `diagnostics-otel`, and of NemoClaw, which is OpenClaw behind a gateway.

`openclaw.model.usage` tells the tokens of a call; `openclaw.run`, `openclaw.model.call` and others give the tree and
never usage, although model calls carry the same tokens once more, under the name of the GenAI conventions when
those are switched on. Counters tell them a third time. The buckets `openclaw.tokens.*` are disjoint and preferred to
`gen_ai.usage.*`, which stands for the same.

The plugin writes 0 for what it was not told, so a zero here is untold and becomes null: the ledger shows a gap and
invents no zero. OpenClaw keeps the provider's ids to itself, so the span is the identity of a call.

The endpoint decides how inference was bought: a provider that is a server of one's own, or a private address, is
`on_prem`; NemoClaw's gateway `inference.local` may go anywhere, so there it stays open, for `inference.path` of the
resource to say. Its documented sampling leaves no mark on spans: ask for `sampleRate: 1`.

Source: openclaw/openclaw, extensions/diagnostics-otel, service-recorders-usage.ts and service-genai-attributes.ts, and
docs.openclaw.ai/gateway/opentelemetry, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollbook.formats.otel_genai import ADDRESSES, call_columns, task_defaults
from tollbook.formats.otel_genai import DIALECT as GEN_AI
from tollbook.formats.telemetry.dialect import Columns, Dialect, Usage, digest, first_text, identity, text
from tollbook.formats.telemetry.item import Item
from tollbook.formats.telemetry.places import ON_PREM, place_of, who_bills

USAGE_SPAN: Final = "openclaw.model.usage"
OWN_SERVERS: Final = frozenset(
    {"nim-local", "vllm-local", "ollama-local", "vllm", "ollama", "lmstudio", "llama.cpp", "llamacpp", "sglang"}
)
GATEWAY: Final = "inference.local"

_TREE: Final = ("openclaw.run", "openclaw.model.call", "openclaw.harness.run")
_PROVIDERS: Final = ("openclaw.provider", "gen_ai.provider.name", "gen_ai.system")
_MODELS: Final = ("openclaw.model", "gen_ai.response.model", "gen_ai.request.model")
_SESSIONS: Final = ("openclaw.sessionId", "openclaw.sessionKey")
_TOKENS: Final = "openclaw.tokens."


def _claims(item: Item) -> bool:
    return item.is_span and (item.name.startswith("openclaw.") or "openclaw.provider" in item.attributes)


def _ignored(item: Item) -> str | None:
    if item.name == USAGE_SPAN:
        return None
    return "told_by_usage_span" if item.usage or item.name in _TREE else "no_model_call"


def _usage(item: Item) -> tuple[str, Usage]:
    """Return a call's usage without the zeros and without what says the same in other words, and its flavour."""
    disjoint = any(name.startswith(_TOKENS) for name in item.usage)
    told = {
        name: count
        for name, count in item.usage.items()
        if name.startswith(_TOKENS) == disjoint and count not in (0, "0")
    }
    return ("openclaw.tokens" if disjoint else "otel.gen_ai"), told


def _columns(items: Sequence[Item]) -> Columns:
    told = [item.attributes for item in items]
    names = [first_text(each, _PROVIDERS) for each in told]
    addresses = [first_text(each, ADDRESSES) for each in told]
    providers = [who_bills(name, None) for name in names]
    models = [first_text(each, _MODELS) for each in told]
    channels = [text(each.get("openclaw.channel")) for each in told]
    sessions = [first_text(each, _SESSIONS) for each in told]
    columns = call_columns(items, providers, addresses, DIALECT.reporter)
    return {
        **columns,
        **identity(items, providers, [None] * len(items), DIALECT.reporter),
        "model": models,
        "requested_model": [None] * len(items),
        "path": [_path(name, address) for name, address in zip(names, addresses, strict=True)],
        # A session key holds the person's number or name at the channel.
        "conversation_id": [session and digest(session) for session in sessions],
        "tags": [channel and [("channel", channel)] for channel in channels],
    }


def _path(provider: str | None, address: str | None) -> str | None:
    if provider is not None and provider.lower() in OWN_SERVERS:
        return ON_PREM
    place = place_of(address)
    return ON_PREM if place.private and GATEWAY not in (address or "") else place.path


DIALECT: Final = Dialect(
    reporter="openclaw",
    attributes=GEN_AI.attributes | {*_PROVIDERS, *_MODELS, *_SESSIONS, "openclaw.channel"},
    resources=frozenset(),
    flavours=("openclaw.tokens", "otel.gen_ai"),
    claims=_claims,
    ignored=_ignored,
    usage=_usage,
    columns=_columns,
    defaults=task_defaults,
)
