"""How LiteLLM's own words for a call become ours: its identity, model, operation, status, place and tags."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from tollbook.formats.litellm_shape import MADE_UP_ID, MAX_LABEL, LoggedCall, Metadata
from tollbook.rating.units import load_names

GATEWAY: Final = "litellm"
MAX_TAG_NAME: Final = 128
MAX_TAG: Final = 1024

ISSUES_NO_CHATCMPL: Final = frozenset({"anthropic", "aws", "google", "cohere", "voyageai", "sagemaker", "databricks"})
"""Providers whose ids never begin so: there LiteLLM made the id up, and dropped the provider's own."""

USAGE_ON_DEMAND: Final = frozenset(
    {"openai", "azure", "azure_ai", "text-completion-openai", "azure_text", "openai_like", "custom_openai"}
    | {"hosted_vllm", "vllm", "llamafile", "lm_studio", "litellm_proxy", "together_ai", "fireworks_ai", "deepinfra"}
)
"""LiteLLM's names of APIs that tell a stream's usage only when asked; else LiteLLM counts the tokens itself."""

OPERATIONS: Final = {
    "completion": "chat",
    "responses": "chat",
    "compact_responses": "chat",
    "anthropic_messages": "chat",
    "text_completion": "text_completion",
    "generate_content": "generate_content",
    "generate_content_stream": "generate_content",
    "embedding": "embeddings",
    "rerank": "rerank",
    "image_generation": "image_generation",
    "image_edit": "image_generation",
    "transcription": "transcription",
    "speech": "speech",
    "moderation": "moderation",
    "_arealtime": "realtime",
    "_aresponses_websocket": "realtime",
    "ocr": "ocr",
    "retrieve_batch": "batch",
}
"""Call type without the `a` of its asynchronous twin to `operation_name`."""

_MANAGED: Final = re.compile(r"litellm:custom_llm_provider:.*;model_id:.*;response_id:(?P<id>[^;]+)")
_REGIONS: Final = (
    re.compile(r"://[a-z-]*bedrock[a-z-]*\.(?P<region>[a-z]{2}(-[a-z]+)+-\d+)\.amazonaws\."),
    re.compile(r"://[a-z.-]*sagemaker\.(?P<region>[a-z]{2}(-[a-z]+)+-\d+)\.amazonaws\."),
    re.compile(r"://(?P<region>[a-z]+(-[a-z]+)*\d*)-aiplatform\.googleapis\.com"),
    re.compile(r"://(?P<region>[a-z0-9]+)\.api\.cognitive\.microsoft\.com"),
    re.compile(r"\.(?P<region>[a-z0-9]+)\.models\.ai\.azure\.com"),
    re.compile(r"://(?P<region>eu|us|jp|in|sg|kr|au|ca)\.api\.openai\.com"),
)


@lru_cache(maxsize=4_096)
def provider_of(told: str | None) -> str | None:
    """Return our name of a provider, by LiteLLM's (`custom_llm_provider`)."""
    return load_names().provider(told) if told else None


@lru_cache(maxsize=4_096)
def operation_of(call_type: str | None) -> str | None:
    """Return `operation_name`; a call type without a name of ours keeps LiteLLM's."""
    if not call_type:
        return None
    return OPERATIONS.get(call_type) or OPERATIONS.get(call_type.removeprefix("a")) or call_type


@lru_cache(maxsize=4_096)
def region_of(api_base: str | None) -> str | None:
    """Return the region that an endpoint's host names, or None where it names none."""
    found = next((found for each in _REGIONS if (found := each.search(api_base or ""))), None)
    return None if found is None else found["region"]


@lru_cache(maxsize=4_096)
def model_name(told: str | None, provider: str | None) -> str | None:
    """Return a model's name without the provider that LiteLLM puts before it."""
    if not told:
        return None
    return told.removeprefix(f"{provider}/") if provider else told


def answered_by(call: LoggedCall) -> str | None:
    """Return the model that answered.

    The response names it exactly, except where a router put the group's alias there; then it is the deployment's.
    """
    provider = call.custom_llm_provider
    response = call.response
    if response is not None and response.model and (response.model != call.model_group or not call.model):
        return model_name(response.model, provider)
    hidden = call.hidden_params
    return model_name(call.model or (None if hidden is None else hidden.litellm_model_name), provider)


def response_id(call: LoggedCall) -> str | None:
    """Return the id of the response, as its issuer gave it; None for a call without one."""
    told = call.response.id if call.response is not None and call.response.id else call.id
    if not told or told == call.litellm_call_id:
        return None
    return _unmanaged(told) if told.startswith("resp_") else told


def is_made_up(told: str, provider: str | None) -> bool:
    """Say whether LiteLLM made up an id, since the provider issues none of its kind."""
    return provider in ISSUES_NO_CHATCMPL and MADE_UP_ID.fullmatch(told) is not None


def own_id(call: LoggedCall) -> str:
    """Return an id of the gateway's own for one attempt.

    A proxy's attempts at one request share `litellm_call_id`, and a caller may set it and use it again; so the start
    of the attempt is part of it.
    """
    return f"{call.litellm_call_id or call.id or call.trace_id or ''}@{call.startTime:.6f}"


def hides_usage(call: LoggedCall) -> bool:
    """Say whether the counts of a stream are LiteLLM's own: the provider was not asked for them and told no parts."""
    if call.stream is not True or call.custom_llm_provider not in USAGE_ON_DEMAND:
        return False
    parameters = call.model_parameters
    options = None if parameters is None else parameters.stream_options
    return options is None or options.include_usage is not True


def status_of(call: LoggedCall) -> tuple[str | None, str | None]:
    """Return `status` and the class of error."""
    error = call.error_information
    kind = (error.error_class or None) if error is not None else None
    if kind is not None and kind in _CANCELLED:
        return "cancelled", kind
    if call.status == "failure":
        return ("timeout" if kind is not None and "Timeout" in kind else "error"), kind
    return ("ok" if call.status == "success" else None), None


_CANCELLED: Final = frozenset({"ClientDisconnected", "CancelledError", "GeneratorExit"})


def cost_of(call: LoggedCall, *, told_usage: bool) -> Decimal | None:
    """Return LiteLLM's cost of a call in USD. It writes 0 for what it could not price: that is None."""
    cost = call.response_cost
    if cost is None or cost:
        return cost
    priced = call.cost_breakdown is not None and call.zero_cost_diagnostic is None
    return cost if call.cache_hit is True or (priced and told_usage) else None


def attempt_of(call: LoggedCall) -> int | None:
    """Return the number of the attempt where it is known: from our callback, or where no fallback hides it."""
    if call.tollbook_attempt is not None:
        return call.tollbook_attempt if call.tollbook_attempt > 0 else None
    headers = None if call.hidden_params is None else call.hidden_params.additional_headers
    if headers is None or headers.attempted_retries is None or headers.attempted_fallbacks not in (0, None):
        return None
    return headers.attempted_retries + 1 if headers.attempted_retries >= 0 else None


def operation_id(call: LoggedCall) -> str | None:
    """Return what attempts share: a proxy's call id, or the trace of a router in a program.

    In a proxy the trace may be that of a whole session, and in a program each attempt has a call id of its own.
    """
    metadata = call.metadata
    proxied = metadata is not None and (metadata.user_api_key_hash or metadata.user_api_key_request_route)
    return (call.litellm_call_id if proxied else call.trace_id) or call.trace_id or call.litellm_call_id or None


def request_id(call: LoggedCall) -> str | None:
    """Return the provider's id of the request."""
    headers = None if call.hidden_params is None else call.hidden_params.additional_headers
    if headers is not None:
        told = headers.provider_request_id or headers.provider_x_request_id or headers.request_id
        if told:
            return told
    return None if call.error_information is None else call.error_information.error_provider_request_id or None


@lru_cache(maxsize=65_536)
def pseudonym(told: str | None) -> str | None:
    """Return an id as told; what holds an e-mail address as a digest."""
    if not told:
        return None
    return f"sha256:{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:32]}" if "@" in told else told


def principal_of(metadata: Metadata | None) -> str | None:
    """Return who asked: the gateway's user, else the digest of the user's e-mail address."""
    if metadata is None:
        return None
    return pseudonym(metadata.user_api_key_user_id or metadata.user_api_key_user_email)


def tags_of(told: list[Any] | None) -> tuple[dict[str, str], int]:
    """Return request tags as name to value, and how many had no place.

    `name:value` and `name=value` are split at whichever sign comes first; a plain tag has the value `true`. The first
    value of a name stands.
    """
    tags: dict[str, str] = {}
    left_out = 0
    if not told:
        return tags, left_out
    for each in told:
        name, value = _split(each) if isinstance(each, str) else ("", "")
        if not name or len(name) > MAX_TAG_NAME or len(value) > MAX_TAG:
            left_out += 1
        else:
            tags.setdefault(name, value)
    return tags, left_out


def said_of(metadata: Metadata) -> dict[str, Any]:
    """Return what a caller said of a call: for its bill, else with the request, else by its key."""
    key, request, spend = metadata.user_api_key_auth_metadata, metadata.requester_metadata, metadata.spend_logs_metadata
    told = [each for each in (key, request, spend) if each]
    if len(told) < 2:
        return told[0] if told else {}
    return {name: value for each in told for name, value in each.items()}


def label_of(value: Any) -> str | None:
    """Return a plain value that a caller put beside a call as the text of a label."""
    if isinstance(value, str):
        return value if 0 < len(value) <= MAX_LABEL else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else None


@lru_cache(maxsize=65_536)
def _split(tag: str) -> tuple[str, str]:
    found = re.search("[:=]", tag)
    if found is None or not found.start():
        return tag.strip(), "true"
    return tag[: found.start()].strip(), tag[found.end() :].strip() or "true"


def _unmanaged(told: str) -> str:
    """Return the provider's own id inside one that a proxy wrapped to find the deployment again."""
    try:
        inside = base64.b64decode(told.removeprefix("resp_"), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return told
    found = _MANAGED.fullmatch(inside)
    return told if found is None else found["id"]
