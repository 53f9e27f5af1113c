"""A provider's response body as it came, wrapped with who asked: `schemas/provider_response/v1.schema.json`.

- The body's flavour is the one that `api` names, else the first of the provider's that the body shows; a body with
  usage of no known shape is rejected, nothing is guessed. Of the body only ids, model, tier and usage are read.
- Identity is the id in the body; else the caller's own `event_id`; else the provider's `request_id`; else a digest of
  the record without its content, so that a record sent twice is one event.
- What the provider tells (model, tier, region) goes before what the caller tells of the same.
- A body without usage is an event without counts where the caller tells a `status` or `partial`, or the body an error.
- `partial` says that the counts were taken from a stream that was cut off: `usage_basis` is then `estimated`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import Contract
from tollbook.errors import RejectedRecordError
from tollbook.formats.check import Faults
from tollbook.formats.decoder import Reading, Rows, Tellings
from tollbook.formats.further import told_calls
from tollbook.formats.provider_bodies import Body, failure_of, plain_body, shown, text_at, usage_of, whole_body
from tollbook.formats.typed_json import TypedJsonDecoder, read_typed, reject_json, text_column
from tollbook.formats.usage import Flavour, UsageColumns, load_table, normalise_texts
from tollbook.formats.usage.table import ANY_PROVIDER
from tollbook.rating.units import load_names

TOOL: Final = "provider_response"
_MOST_SHAPES: Final = 10_000
_OPERATIONS: Final = {"embeddings": "embeddings", "generate_content": "generate_content"}
_CHATS: Final = frozenset(
    {"chat", "responses", "messages", "converse", "invocation_metrics", "llama", "titan", "realtime"}
)
_HTTP: Final = {408: "timeout", 499: "cancelled", 504: "timeout"}
_FIRST_FAILURE: Final = 400
_E_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


class WrappedResponse(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A response body and who asked. Fields that the contract names mean what they mean there."""

    provider: str
    occurred_at: str
    api: str | None = None
    status: str | int | None = None
    partial: bool | None = None
    body: Body | list[Body] | None = None
    source: str | None = None
    event_id: str | None = None
    model: str | None = None
    requested_model: str | None = None
    host_provider: str | None = None
    operation_name: str | None = None
    service_tier: str | None = None
    region: str | None = None
    path: str | None = None
    environment: str | None = None
    team: str | None = None
    workflow: str | None = None
    task_id: str | None = None
    agent: str | None = None
    operation_id: str | None = None
    attempt: int | None = None
    call_id: str | None = None
    parent_call_id: str | None = None
    trace_id: str | None = None
    purpose: str | None = None
    principal_id: str | None = None
    credential_id: str | None = None
    subscription_id: str | None = None
    billing_account_id: str | None = None
    project_id: str | None = None
    customer_id: str | None = None
    conversation_id: str | None = None
    release: str | None = None
    deployment_id: str | None = None
    request_id: str | None = None
    product: str | None = None
    data_class: str | None = None
    sampling_rate: float | None = None
    tags: dict[str, str] | None = None
    error_type: str | None = None
    finish_reason: str | None = None
    outcome: str | None = None
    streamed: bool | None = None
    gateway_cache_hit: bool | None = None
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None


_APART: Final = frozenset(
    {"provider", "api", "status", "partial", "body", "source", "event_id", "model"} | {"error_type"}
)
_COPIED: Final = frozenset(WrappedResponse.__struct_fields__) - _APART
_TYPES: Final[Mapping[str, pa.DataType]] = {
    **dict.fromkeys(("attempt", "latency_ms", "time_to_first_token_ms"), pa.int64()),
    **dict.fromkeys(("streamed", "gateway_cache_hit"), pa.bool_()),
    "sampling_rate": pa.float64(),
}
_decode: Final = msgspec.json.Decoder(WrappedResponse).decode
_encode: Final = msgspec.json.Encoder().encode

_Call = tuple[int, WrappedResponse, Body | None, str]
"""Record, document, body in one piece, provider by its canonical name."""


class ProviderResponseDecoder(TypedJsonDecoder[WrappedResponse]):
    """Decodes wrapped response bodies. One instance serves one thread and learns which shapes its traffic has."""

    shape: ClassVar[type[msgspec.Struct]] = WrappedResponse

    def __init__(self, event_contract: Contract | None = None, **options: Any) -> None:
        super().__init__(event_contract, **options)
        self._flavours: dict[tuple[Any, ...], Flavour | None] = {}

    def tell(self, documents: Sequence[WrappedResponse], rows: Rows, reading: Reading) -> Iterator[Tellings]:
        """Yield the calls that bodies tell of, those of one flavour together."""
        groups: dict[tuple[str | None, bool], list[_Call]] = {}
        for row, document in zip(rows.tolist(), documents, strict=True):
            body = whole_body(document.body)
            provider = _provider(document.provider)
            try:
                flavour = self._flavour(provider, document, body)
            except RejectedRecordError as error:
                reject_json(reading, row, reading.values[row].as_py(), error, self.shape)
                continue
            key = (None if flavour is None else flavour.name, bool(document.gateway_cache_hit))
            groups.setdefault(key, []).append((row, document, body, provider))
        for (name, hit), calls in groups.items():
            yield from _tellings(calls, None if name is None else load_table().flavours[name], hit, reading)

    def _flavour(self, provider: str, document: WrappedResponse, body: Body | None) -> Flavour | None:
        """Return the flavour of a body, None where it has no usage and need not have any.

        Raises:
            RejectedRecordError: The API is not one of the provider's, or the usage is absent or of no known shape.
        """
        table = load_table()
        flavour = None
        if document.api is not None:
            flavour = table.flavour(provider, document.api)
            if flavour is None:
                apis = ", ".join(table.providers.get(provider, table.providers[ANY_PROVIDER]))
                raise RejectedRecordError("invalid_value", "api", f"one of {apis}", "another")
            if body is not None and usage_of(body, flavour) is not None:
                return flavour
        seen = {} if body is None or flavour is not None else shown(body)
        if not seen and _may_be_silent(document, body):
            return None
        key = (provider, *_outline(seen))
        if key not in self._flavours:
            if len(self._flavours) >= _MOST_SHAPES:
                self._flavours.clear()
            self._flavours[key] = table.recognise(seen, provider)
        found = self._flavours[key]
        if found is None:
            raise RejectedRecordError(
                "unknown_shape", "body", "a response with usage of a known shape", "another shape"
            )
        return found


def strip_response(value: bytes) -> tuple[bytes, WrappedResponse]:
    """Return a wrapped response without its content, which reads as it did before, and what was read of it.

    Raises:
        RejectedRecordError: It is not one JSON object, or not in the shape; its content cannot be told apart.
    """
    document: WrappedResponse = read_typed(value, _decode)
    return _encode(_plain(document)), document


def _plain(document: WrappedResponse) -> WrappedResponse:
    return msgspec.structs.replace(document, body=plain_body(whole_body(document.body)))


def _tellings(calls: list[_Call], flavour: Flavour | None, hit: bool, reading: Reading) -> Iterator[Tellings]:
    """Yield calls of one flavour; `hit` says that a gateway answered them out of its cache."""
    faults = Faults.none(len(calls))
    usage = UsageColumns({}, {})
    if flavour is not None:
        texts = [None if body is None else usage_of(body, flavour) for _, _, body, _ in calls]
        usage = normalise_texts(texts, flavour, faults)
        for name, times in usage.unknown.items():
            reading.note_unknown(f"{'.'.join(flavour.root) or 'body'}.{name}", times)
    if hit:
        usage = _nothing_bought(usage, len(calls))
    rows = np.array([row for row, *_ in calls], np.int64)
    yield from told_calls(_told(calls, flavour), usage, rows, faults, {})


def _told(calls: list[_Call], flavour: Flavour | None) -> dict[str, pa.Array]:
    """Return the fields of calls of one flavour but for their usage."""
    count = len(calls)
    told: dict[str, pa.Array] = {}
    documents = [document for _, document, _, _ in calls]
    names = WrappedResponse.__struct_fields__
    for name, values in zip(names, zip(*map(msgspec.structs.astuple, documents), strict=True), strict=True):
        if name in _COPIED and values.count(None) < count:
            told[name] = _column(name, values)
    identities = [_identity(document, body, provider) for _, document, body, provider in calls]
    failures = [failure_of(body) for _, _, body, _ in calls]
    told["source"] = text_column([source for source, _ in identities])
    told["event_id"] = text_column([event_id for _, event_id in identities])
    told["reporter"] = pa.repeat(TOOL, count)
    told["provider"] = text_column([provider for *_, provider in calls])
    told["status"] = text_column(
        [_status(document.status, failed) for document, (failed, _) in zip(documents, failures, strict=True)]
    )
    told["error_type"] = text_column(
        [document.error_type or kind for document, (_, kind) in zip(documents, failures, strict=True)]
    )
    if any(document.partial for document in documents):
        told["usage_basis"] = text_column(["estimated" if document.partial else None for document in documents])
    _add_texts(told, calls, flavour)
    if "principal_id" in told:
        told["principal_id"] = text_column([_pseudonym(text) for text in told["principal_id"].to_pylist()])
    if flavour is not None:
        meant = text_column([_operation(provider, flavour.name) for *_, provider in calls])
        told["operation_name"] = pc.coalesce(told["operation_name"], meant) if "operation_name" in told else meant
    return told


def _add_texts(told: dict[str, pa.Array], calls: list[_Call], flavour: Flavour | None) -> None:
    """Add what bodies tell beside their usage, the body's word before the caller's."""
    bodies = [body for _, _, body, _ in calls]
    for telling in () if flavour is None else flavour.body:
        texts = [None if body is None else text_at(body, telling.name) for body in bodies]
        column = text_column([None if text is None else telling.values.get(text, text) for text in texts])
        told[telling.field] = pc.coalesce(column, told[telling.field]) if telling.field in told else column
    if "model" not in told:
        told["model"] = text_column([None if body is None else body.model or body.model_version for body in bodies])
    asked = text_column([document.model for _, document, _, _ in calls])
    if asked.null_count < len(asked):
        other = pc.if_else(pc.not_equal(told["model"], asked), asked, pa.scalar(None, pa.string()))
        told["model"] = pc.coalesce(told["model"], asked)
        told["requested_model"] = pc.coalesce(told["requested_model"], other) if "requested_model" in told else other
    if "requested_model" in told:
        told["model"] = pc.coalesce(told["model"], told["requested_model"])
        same = pc.equal(told["model"], told["requested_model"]).fill_null(False)
        told["requested_model"] = pc.if_else(same, pa.scalar(None, pa.string()), told["requested_model"])


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    if name == "tags":
        entries = [None if value is None else sorted(value.items()) for value in values]
        return pa.array(entries, pa.map_(pa.string(), pa.string()))
    if name not in _TYPES:
        return text_column(values)
    try:
        return pa.array(values, _TYPES[name])
    except (pa.ArrowInvalid, OverflowError):
        return pa.array([value if value is None or abs(value) < 2**62 else 2**62 for value in values], _TYPES[name])


def _identity(document: WrappedResponse, body: Body | None, provider: str) -> tuple[str, str]:
    """Return source and event id of a call. An answer out of a gateway's cache repeats an id that is another call's."""
    own = None if body is None or document.gateway_cache_hit else body.own_id
    if own:
        return provider, own
    if document.event_id:
        return document.source or TOOL, document.event_id
    if document.request_id and not document.gateway_cache_hit:
        return provider, document.request_id
    return TOOL, hashlib.sha256(_encode(_plain(document))).hexdigest()[:32]


def _nothing_bought(usage: UsageColumns, rows: int) -> UsageColumns:
    """Return usage without a token; what was told stays in `raw_usage`."""
    zero = pa.array(np.zeros(rows, np.int64))
    kept = {name: usage.columns[name] for name in ("raw_usage", "service_tier", "region") if name in usage.columns}
    return UsageColumns({**kept, "input_tokens": zero, "output_tokens": zero}, usage.flags)


def _may_be_silent(document: WrappedResponse, body: Body | None) -> bool:
    return document.status is not None or bool(document.partial) or failure_of(body)[0]


def _status(told: str | int | None, failed: bool) -> str | None:
    if isinstance(told, int):
        return _HTTP.get(told, "error" if told >= _FIRST_FAILURE else "ok")
    return told or ("error" if failed else None)


def _outline(seen: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all of a body's outline that decides its flavour: the names that are told, as deep as the table asks."""
    names: list[str] = []
    for name, value in seen.items():
        names.append(name)
        if isinstance(value, dict):
            names += [f".{each}" for each, inner in value.items() if inner is not None]
            for nested in _nested():
                inner = value.get(nested)
                if isinstance(inner, dict):
                    names += [f".{nested}.{each}" for each, count in inner.items() if count is not None]
    return tuple(names)


@lru_cache(maxsize=1)
def _nested() -> tuple[str, ...]:
    """Return names within usage objects below which some flavour is told."""
    paths = (path for flavour in load_table().flavours.values() for path in flavour.told_by)
    return tuple(sorted({path[-2] for path in paths if len(path) > 2}))


@lru_cache(maxsize=1024)
def _provider(told: str) -> str:
    return load_names().provider(told)


@lru_cache(maxsize=256)
def _operation(provider: str, flavour: str) -> str | None:
    apis = load_table().providers.get(provider, load_table().providers[ANY_PROVIDER])
    api = next((name for name, each in apis.items() if each.name == flavour), "")
    return "chat" if api in _CHATS else _OPERATIONS.get(api)


def _pseudonym(text: str | None) -> str | None:
    if text is None or not _E_MAIL.fullmatch(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:32]}"
