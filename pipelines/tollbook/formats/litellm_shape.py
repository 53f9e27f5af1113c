"""What Tollbook takes of a call as LiteLLM logs it (`StandardLoggingPayload`), and nothing else of it.

The callback that runs inside LiteLLM and the adapter share this shape: prompts, answers, tool arguments, headers, IP
addresses and error texts have no place in it, so they leave neither the gateway's process nor a record.

Source: `litellm.types.utils.StandardLoggingPayload` of litellm 1.110.2, read 2026-11-25.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final, get_args, get_type_hints
from uuid import UUID

import msgspec

MAX_TEXT: Final = 512
"""Longest text of a field. An id, a name or a tag is shorter; a longer one may be content and is not taken."""

MADE_UP_ID: Final = re.compile(r"chatcmpl-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How LiteLLM makes ids up. A few providers issue such ids too."""

MAX_LABEL: Final = 256
MAX_LABELS: Final = 64
MAX_TAGS: Final = 64
MAX_USAGE_TEXT: Final = 64
MAX_USAGE_DEPTH: Final = 6


class Choice(msgspec.Struct, gc=False):
    """One answer of a response: why it ended."""

    finish_reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """The response: who answered, under which id."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()


class Metadata(msgspec.Struct, gc=False):
    """Who called through the gateway, what they said of the call, and the usage object."""

    user_api_key_hash: str | None = None
    user_api_key_alias: str | None = None
    user_api_key_user_id: str | None = None
    user_api_key_user_email: str | None = None
    user_api_key_team_id: str | None = None
    user_api_key_team_alias: str | None = None
    user_api_key_org_id: str | None = None
    user_api_key_org_alias: str | None = None
    user_api_key_project_id: str | None = None
    user_api_key_project_alias: str | None = None
    user_api_key_end_user_id: str | None = None
    user_api_key_request_route: str | None = None
    team_id: str | None = None
    team_alias: str | None = None
    user_api_key_auth_metadata: dict[str, Any] | None = None
    requester_metadata: dict[str, Any] | None = None
    spend_logs_metadata: dict[str, Any] | None = None
    usage_object: msgspec.Raw = msgspec.Raw()


class CostBreakdown(msgspec.Struct, gc=False):
    """What the cost was reckoned on."""

    total_cost: Decimal | None = None
    service_tier: str | None = None
    vertex_location: str | None = None


class ErrorInformation(msgspec.Struct, gc=False):
    """What class of error ended the call; its text may quote the prompt and stays out."""

    error_class: str | None = None
    error_code: str | None = None
    error_provider_request_id: str | None = None


class AdditionalHeaders(msgspec.Struct, gc=False):
    """Of the headers, the provider's id of the request and LiteLLM's counts of attempts."""

    request_id: str | None = msgspec.field(name="request-id", default=None)
    provider_request_id: str | None = msgspec.field(name="llm_provider-request-id", default=None)
    provider_x_request_id: str | None = msgspec.field(name="llm_provider-x-request-id", default=None)
    attempted_retries: int | None = msgspec.field(name="x-litellm-attempted-retries", default=None)
    attempted_fallbacks: int | None = msgspec.field(name="x-litellm-attempted-fallbacks", default=None)


class HiddenParams(msgspec.Struct, gc=False):
    """What LiteLLM knows of the deployment that answered."""

    api_base: str | None = None
    litellm_model_name: str | None = None
    additional_headers: AdditionalHeaders | None = None


class StreamOptions(msgspec.Struct, gc=False):
    """Whether the provider was asked to tell the usage of a stream."""

    include_usage: bool | None = None


class ModelParameters(msgspec.Struct, gc=False):
    """Of the parameters of the call, those that bear on its bill."""

    service_tier: str | None = None
    stream_options: StreamOptions | None = None


class ZeroCost(msgspec.Struct, gc=False):
    """Why LiteLLM wrote a cost of zero that it does not mean."""

    reason: str | None = None


class LoggedCall(msgspec.Struct, gc=False):
    """One call as LiteLLM logs it.

    Times are seconds since 1970 with fractions; `response_cost` is USD; `tollbook_attempt` is our callback's own.
    """

    startTime: float  # noqa: N815
    endTime: float  # noqa: N815
    id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    litellm_call_id: str | None = None
    call_type: str | None = None
    stream: bool | None = None
    status: str | None = None
    custom_llm_provider: str | None = None
    model: str | None = None
    model_id: str | None = None
    model_group: str | None = None
    api_base: str | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    completionStartTime: float | None = None  # noqa: N815
    cache_hit: bool | None = None
    request_tags: list[Any] | None = None
    end_user: str | None = None
    response_cost: Decimal | None = None
    cost_breakdown: CostBreakdown | None = None
    metadata: Metadata | None = None
    error_information: ErrorInformation | None = None
    hidden_params: HiddenParams | None = None
    model_parameters: ModelParameters | None = None
    zero_cost_diagnostic: ZeroCost | None = None
    tollbook_attempt: int | None = None
    response: Response | None = None


class LoggedCallOfText(LoggedCall, gc=False):
    """A call whose response is no object, as that of speech: it is passed over. No record has the field's name."""

    response: Response | None = msgspec.field(name="response is not read", default=None)


Keep = Callable[[Any], Any]


def shape_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a `StandardLoggingPayload` has a place in the shape. The payload is not changed.

    Raises:
        TypeError: It is no mapping.
    """
    kept: dict[str, Any] | None = _keep_of(LoggedCall)(payload)
    if kept is None:
        raise TypeError(f"expected a StandardLoggingPayload, got {type(payload).__name__}")
    return kept


def encode(shaped: Mapping[str, Any]) -> bytes:
    """Return a shaped payload as JSON, floats in the fewest digits that read back the same."""
    return msgspec.json.encode(shaped)


@lru_cache(maxsize=64)
def _keep_of(kind: Any) -> Keep:
    """Return the function that takes of a value what a type has room for, None for nothing."""
    options = [each for each in get_args(kind) if each is not type(None)]
    if options and not hasattr(kind, "__origin__"):
        kind = options[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _keep_struct(kind)
    if kind is msgspec.Raw:
        return _usage
    origin = getattr(kind, "__origin__", None)
    if origin is dict:
        return _labels
    if origin is list:
        return _tags if get_args(kind)[0] is Any else _keep_list(_keep_of(get_args(kind)[0]))
    return _SCALARS[kind]


def _keep_struct(kind: type[msgspec.Struct]) -> Keep:
    hints = get_type_hints(kind)
    keeps = [(each.encode_name, _keep_of(hints[each.name])) for each in msgspec.structs.fields(kind)]

    def keep(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            return None
        kept = {}
        for name, inner in keeps:
            told = value.get(name)
            if told is not None and (taken := inner(told)) is not None:
                kept[name] = taken
        return kept

    return keep


def _keep_list(inner: Keep) -> Keep:
    def keep(value: Any) -> list[Any] | None:
        if not isinstance(value, list):
            return None
        return [taken for each in value[:MAX_TAGS] if (taken := inner(each)) is not None]

    return keep


def _text(value: Any) -> str | None:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (UUID, int)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else None


def _whole(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def _amount(value: Any) -> float | str | None:
    return str(value) if isinstance(value, Decimal) else _number(value)


def _labels(value: Any) -> dict[str, Any] | None:
    """Return the plain entries of what a caller said of a call; long texts and whatever is nested stay out."""
    if not isinstance(value, Mapping):
        return None
    kept: dict[str, Any] = {}
    for key, told in value.items():
        if isinstance(key, str) and len(key) <= MAX_LABEL and len(kept) < MAX_LABELS:
            short = isinstance(told, str) and len(told) <= MAX_LABEL
            if short or isinstance(told, bool) or _number(told) is not None:
                kept[key] = told
    return kept


def _tags(value: Any) -> list[str] | None:
    if not isinstance(value, (list, tuple)):
        return None
    return [each for each in value if isinstance(each, str) and len(each) <= MAX_TEXT][:MAX_TAGS]


def _usage(value: Any, depth: int = 0) -> Any:
    """Return an object of counts: its numbers, and texts as short as a tier's name."""
    if isinstance(value, Mapping) and depth < MAX_USAGE_DEPTH:
        told = {name: _usage(each, depth + 1) for name, each in value.items() if isinstance(name, str)}
        return {name: each for name, each in told.items() if each is not None}
    if isinstance(value, list) and depth < MAX_USAGE_DEPTH:
        return [each for each in (_usage(each, depth + 1) for each in value) if each is not None]
    if isinstance(value, str):
        return value if len(value) <= MAX_USAGE_TEXT else None
    if hasattr(value, "model_dump"):
        return _usage(value.model_dump(), depth)
    return value if isinstance(value, bool) else _number(value)


_SCALARS: Final[Mapping[Any, Keep]] = {str: _text, int: _whole, bool: _flag, float: _number, Decimal: _amount}
