"""What is read of a provider's response body: who answered, with which model, at which tier, and its usage object.

There is no field for content. What can hold content or usage, by who sent it, stays unread bytes (`Raw`) until it is
known which, and is cut to its usage before anything is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tollbook.formats.claude_code_lines import plain_usage
from tollbook.formats.usage import Flavour

NOTHING: Final = msgspec.Raw()
USAGE_ROOTS: Final[Mapping[str, str]] = {
    "usage": "usage",
    "usageMetadata": "usage_metadata",
    "usage_info": "usage_info",
    "meta": "meta",
    "amazon-bedrock-invocationMetrics": "invocation_metrics",
}
"""Field of a body that may hold its usage object to where it is read into."""

_ABSENT: Final = frozenset({b"", b"null"})
_CLASS: Final = re.compile(r"[A-Za-z][\w.:-]{0,63}", re.ASCII)
_LATER: Final = "response.done"
"""Event of OpenAI's realtime API: its usage is read where it stands, inside `response`."""


class Body(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A response body, or one chunk of a streamed one."""

    id: str | int | None = None
    response_id: str | None = msgspec.field(default=None, name="responseId")
    generation_id: str | None = None
    metadata_of_response: _Metadata | None = msgspec.field(default=None, name="ResponseMetadata")
    type: str | None = None
    object: str | None = None
    model: str | None = None
    model_version: str | None = msgspec.field(default=None, name="modelVersion")
    service_tier: str | None = None
    usage: msgspec.Raw = NOTHING
    usage_metadata: msgspec.Raw = msgspec.field(default=NOTHING, name="usageMetadata")
    usage_info: msgspec.Raw = NOTHING
    meta: msgspec.Raw = NOTHING
    invocation_metrics: msgspec.Raw = msgspec.field(default=NOTHING, name="amazon-bedrock-invocationMetrics")
    prompt_token_count: int | None = None
    generation_token_count: int | None = None
    input_text_token_count: int | None = msgspec.field(default=None, name="inputTextTokenCount")
    results: msgspec.Raw = NOTHING
    response: msgspec.Raw = NOTHING
    message: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING
    x_groq: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING

    @property
    def own_id(self) -> str | None:
        """The provider's id of the response, or None."""
        request = None if self.metadata_of_response is None else self.metadata_of_response.request_id
        told = self.id or self.response_id or self.generation_id or request
        return None if told is None else str(told) or None


class _Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    request_id: str | None = msgspec.field(default=None, name="RequestId")


class _Counted(msgspec.Struct, omit_defaults=True, gc=False):
    count: int | None = msgspec.field(default=None, name="tokenCount")


class _Failed(msgspec.Struct):
    type: Any = None
    status: Any = None
    code: Any = None


_read_body: Final = msgspec.json.Decoder(Body).decode
_read_counts: Final = msgspec.json.Decoder(list[_Counted]).decode
_read_failure: Final = msgspec.json.Decoder(_Failed).decode
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def is_told(raw: msgspec.Raw) -> bool:
    """Return whether there is something, and not null."""
    return bytes(raw) not in _ABSENT


def whole_body(told: Body | list[Body] | None) -> Body | None:
    """Return a body in one piece: of a streamed one what its chunks told, the usage being that of the last to tell.

    Args:
        told: A body, its chunks in order, or None.
    """
    if isinstance(told, list):
        return _merged(told)
    if told is not None and told.type is not None and is_told(told.response) and not is_told(told.usage):
        return _merged([told])
    return told


def shown(body: Body) -> dict[str, Any]:
    """Return a body with all by which its flavour can be recognised, and nothing else."""
    if body.usage is not NOTHING and body.invocation_metrics is NOTHING:
        seen = {"usage": _decode(body.usage)}
    else:
        roots = ((name, getattr(body, place)) for name, place in USAGE_ROOTS.items())
        seen = {name: _decode(raw) for name, raw in roots if raw is not NOTHING}
    if is_told(body.response):
        inner = _inner(body.response)
        if inner is not None and is_told(inner.usage):
            seen["response"] = {"usage": _decode(inner.usage)}
    if body.prompt_token_count is not None or body.input_text_token_count is not None:
        seen |= {
            "prompt_token_count": body.prompt_token_count,
            "generation_token_count": body.generation_token_count,
            "inputTextTokenCount": body.input_text_token_count,
        }
    return {name: value for name, value in seen.items() if value is not None}


def usage_of(body: Body, flavour: Flavour) -> msgspec.Raw | bytes | None:
    """Return the usage object of a body, or None where it has none."""
    if not flavour.root:
        return _encode(_counts(body))
    if flavour.root[0] == "response":
        inner = _inner(body.response)
        raw = NOTHING if inner is None else inner.usage
    else:
        raw = getattr(body, USAGE_ROOTS[flavour.root[0]])
    return raw if is_told(raw) else None


def text_at(body: Body, name: str) -> str | None:
    """Return a text that a body tells beside its usage, by its path in the table of usage fields."""
    if name.startswith("response."):
        inner = _inner(body.response)
        return None if inner is None else inner.model
    return body.model_version if name == "modelVersion" else getattr(body, name, None)


def failure_of(body: Body | None) -> tuple[bool, str | None]:
    """Return whether a body tells of a failure, and of which class; never its words."""
    if body is None or not is_told(body.error):
        return False, None
    try:
        told = _read_failure(body.error)
    except msgspec.DecodeError:
        return True, None
    classes = (each for each in (told.type, told.status, told.code) if isinstance(each, str) and _CLASS.fullmatch(each))
    return True, next(classes, None)


def plain_body(body: Body | None) -> Body | None:
    """Return a body in one piece without its content, which reads as it did before."""
    if body is None:
        return None
    kept = Body(**{name: getattr(body, name) for name in _PLAIN})
    for place in USAGE_ROOTS.values():
        if is_told(getattr(body, place)):
            setattr(kept, place, plain_usage(getattr(body, place)))
    if is_told(body.results) and body.input_text_token_count is not None:
        kept.results = _raw(_counts(body).get("results", []))
    inner = _inner(body.response) if is_told(body.response) else None
    if inner is not None and is_told(inner.usage):
        kept.response = _raw(Body(id=inner.id, model=inner.model, usage=plain_usage(inner.usage)))
    failed, kind = failure_of(body)
    if failed:
        kept.error = _raw({"type": kind})
    return kept


_PLAIN: Final = (
    *("id", "response_id", "generation_id", "metadata_of_response", "type", "object", "model", "model_version"),
    *("service_tier", "prompt_token_count", "generation_token_count", "input_text_token_count"),
)


def _counts(body: Body) -> dict[str, Any]:
    """Return the counts of a body that is its own usage object."""
    told: dict[str, Any] = {
        "prompt_token_count": body.prompt_token_count,
        "generation_token_count": body.generation_token_count,
        "inputTextTokenCount": body.input_text_token_count,
    }
    if is_told(body.results):
        try:
            told["results"] = [each for each in _read_counts(body.results) if each.count is not None]
        except msgspec.DecodeError:
            told["results"] = None
    return {name: value for name, value in told.items() if value is not None}


def _inner(raw: msgspec.Raw) -> Body | None:
    """Return an object inside a body as a body; None where it is something else, such as the answer's text."""
    try:
        return _read_body(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _merged(chunks: Iterable[Body]) -> Body:
    whole = Body()
    for chunk in chunks:
        for part in _parts(chunk):
            for name in ("id", "response_id", "generation_id", "metadata_of_response", "model", "model_version"):
                setattr(whole, name, getattr(whole, name) or getattr(part, name))
            for name in ("service_tier", "prompt_token_count", "generation_token_count", "input_text_token_count"):
                told = getattr(part, name)
                setattr(whole, name, getattr(whole, name) if told is None else told)
            for name in ("usage_metadata", "usage_info", "meta", "invocation_metrics", "results", "error", "response"):
                if is_told(getattr(part, name)):
                    setattr(whole, name, getattr(part, name))
            if is_told(part.usage):
                whole.usage = _overlaid(whole.usage, part.usage) if chunk.type == "message_delta" else part.usage
    if is_told(whole.usage):
        whole.invocation_metrics = NOTHING
    return whole


def _parts(chunk: Body) -> Iterable[Body]:
    """Yield the bodies that a chunk holds: itself, or what the API's event wraps."""
    if chunk.type is not None and chunk.type.startswith("response.") and chunk.type != _LATER:
        inner = _inner(chunk.response) if is_told(chunk.response) else None
        if inner is not None:
            yield inner
        return
    yield chunk
    for wrapped in (chunk.message, chunk.metadata, chunk.x_groq):
        inner = _inner(wrapped) if is_told(wrapped) else None
        if inner is not None and (is_told(inner.usage) or wrapped is chunk.message):
            yield inner


def _overlaid(before: msgspec.Raw, after: msgspec.Raw) -> msgspec.Raw:
    """Return a usage object with what a later one tells anew: Anthropic's message_delta has only what has grown."""
    first, then = (_decode(raw) if is_told(raw) else {} for raw in (before, after))
    if not isinstance(first, dict) or not isinstance(then, dict):
        return after
    return _raw({**first, **{name: value for name, value in then.items() if value is not None}})


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
