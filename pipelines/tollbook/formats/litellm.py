"""LiteLLM: one `StandardLoggingPayload` a record, as Tollbook's callback or LiteLLM's own loggers send it.

- Identity is the provider's response id. Where there is none (embeddings, failures), where LiteLLM made one up and
  dropped the provider's, and for an answer from LiteLLM's cache it is the gateway's own, with the attempt's start: the
  attempts of a proxied request share one call id. A proxy wraps the ids of responses; they are unwrapped.
- LiteLLM writes 0 for what it does not know. A usage object or counts of zeros alone tell nothing: null. So does a cost
  of 0 that no cost breakdown stands behind.
- LiteLLM counts the tokens of a stream itself where the provider was not asked to tell them, and those of a stream that
  broke off; it does not say so. Such counts are `estimated`.

Ignored: `no_model_call`, a call of files, batches, tools and the like without usage, or one the gateway itself refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, ClassVar, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import Contract
from tollbook.errors import RejectedRecordError
from tollbook.formats import litellm_words as words
from tollbook.formats.check import UTC_MICROSECONDS, Faults
from tollbook.formats.decoder import Mask, Reading, Rows, Tellings
from tollbook.formats.litellm_shape import LoggedCall, LoggedCallOfText, Metadata
from tollbook.formats.typed_json import TypedJsonDecoder, read_typed, text_column
from tollbook.formats.usage import load_table, normalise_texts
from tollbook.formats.usage.one import COST_ROUNDED, read_cost

NO_MODEL_CALL: Final = "no_model_call"
FLAVOUR: Final = "litellm.usage"
_CURRENCY: Final = "USD"
_COST: Final = pa.decimal128(38, 12)
_PICO: Final = Decimal("1e-12")
_ORDINARY_LEAST: Final = Decimal("1e-9")
_ORDINARY_MOST: Final = Decimal(10_000)
_TAGS: Final = pa.map_(pa.string(), pa.string())
_MICROSECONDS: Final = 1_000_000
_FARTHEST_SECONDS: Final = 9e12
_NOTHING: Final = (b"", b"null", b"{}")
_ZERO_COUNTS: Final = ("input_tokens", "uncached_input_tokens", "output_tokens", "text_output_tokens")
_LABELLED: Final = frozenset(each.name for each in msgspec.structs.fields(Metadata) if each.type == str | None)
_END_USER: Final = "user_api_key_end_user_id"
_PERSONAL: Final = frozenset({"user_api_key_user_email", "user_api_key_user_id", _END_USER})


class LiteLlmDecoder(TypedJsonDecoder[LoggedCall]):
    """Decodes LiteLLM's log of calls. One instance serves one thread."""

    shape: ClassVar[type[msgspec.Struct]] = LoggedCall

    def __init__(self, event_contract: Contract | None = None, **options: Any) -> None:
        super().__init__(event_contract, **options)
        self._read_text_response: Callable[[Any], LoggedCall] = msgspec.json.Decoder(LoggedCallOfText).decode
        self._flavour = load_table().flavours[FLAVOUR]

    def _document(self, value: bytes, *, check_utf8: bool) -> LoggedCall:
        try:
            return super()._document(value, check_utf8=check_utf8)
        except RejectedRecordError as error:
            if error.reason != "wrong_type" or not (error.field or "").startswith("response"):
                raise
        return read_typed(value, self._read_text_response, max_record_bytes=self._max_record_bytes)

    def tell(self, documents: Sequence[LoggedCall], rows: Rows, reading: Reading) -> Iterator[Tellings]:
        """Yield the calls; see the module for what is ignored."""
        calls, texts, kept = [], [], []
        for call, row in zip(documents, rows.tolist(), strict=True):
            text = _usage_text(call)
            if _is_no_call(call, text):
                reading.ignore(row, NO_MODEL_CALL)
                continue
            calls.append(call)
            texts.append(text)
            kept.append(row)
        if calls:
            yield self._tell(calls, texts, np.array(kept, np.int64), reading)

    def _tell(
        self, calls: list[LoggedCall], texts: list[bytes | msgspec.Raw | None], rows: Rows, reading: Reading
    ) -> Tellings:
        faults = Faults.none(len(calls))
        hits = np.array([call.cache_hit is True for call in calls])
        usage, flags = self._usage(texts, faults, reading)
        told = usage | _identities(calls) | _times(calls) | _outcomes(calls, texts)
        costs, flags[COST_ROUNDED] = _costs(calls, texts, faults)
        told |= costs
        told["region"] = _regions(calls, usage.get("region"))
        tiers = text_column([_tier(call) for call in calls])
        told["service_tier"] = pc.coalesce(usage["service_tier"], tiers) if "service_tier" in usage else tiers
        tags = [words.tags_of(call.request_tags) for call in calls]
        reading.note_unknown("request_tags", sum(left_out for _, left_out in tags))
        if any(each for each, _ in tags):
            told["tags"] = pa.array([sorted(each.items()) or None for each, _ in tags], _TAGS)
        if hits.any():
            _free_of_charge(told, hits)
        labels = self._labels(calls, [each for each, _ in tags])
        return Tellings(told, rows, flags=flags, faults=faults, labels=labels)

    def _usage(
        self, texts: list[bytes | msgspec.Raw | None], faults: Faults, reading: Reading
    ) -> tuple[dict[str, pa.Array], dict[str, Mask]]:
        """Return the counts as columns of shape (n,), null where no usage was told, and their flags."""
        has = np.array([text is not None for text in texts])
        if has.all():
            read = normalise_texts(texts, self._flavour, faults)
            columns, flags = read.columns, read.flags
        elif not has.any():
            return {}, {}
        else:
            within = Faults.none(int(has.sum()))
            read = normalise_texts([text for text in texts if text is not None], self._flavour, within)
            places = pa.array(np.where(has, np.cumsum(has) - 1, 0), mask=~has)
            columns = {name: column.take(places) for name, column in read.columns.items()}
            flags = {code: _spread(mask, has) for code, mask in read.flags.items()}
            for kind, fault in enumerate(within.kinds):
                faults.note(_spread(within.first == kind, has), fault.reason, fault.field, fault.expected)
        for name, times in read.unknown.items():
            reading.note_unknown(name, times)
        return dict(columns), dict(flags)

    def _labels(self, calls: list[LoggedCall], tags: list[dict[str, str]]) -> dict[str, pa.Array]:
        """Return what the gateway and the caller said of calls, as far as any dimension rule asks for it."""
        wanted = self._dimensions.wanted("metadata")
        found: dict[str, list[str | None]] = {}
        for key in wanted & _LABELLED:
            texts = [None if call.metadata is None else getattr(call.metadata, key) for call in calls]
            if key == _END_USER:
                texts = [text or call.end_user for text, call in zip(texts, calls, strict=True)]
            if any(texts):
                found[f"metadata:{key}"] = [words.pseudonym(each) for each in texts] if key in _PERSONAL else texts
        free = [(row, words.said_of(call.metadata)) for row, call in enumerate(calls) if call.metadata is not None]
        _gather(found, "metadata", wanted - _LABELLED, free, len(calls))
        _gather(found, "tag", self._dimensions.wanted("tag"), enumerate(tags), len(calls))
        return {label: text_column(texts) for label, texts in found.items()}


def _gather(
    found: dict[str, list[str | None]],
    origin: str,
    wanted: frozenset[str],
    told: Iterable[tuple[int, Mapping[str, Any]]],
    rows: int,
) -> None:
    """Add the wanted keys of what is told of some rows to `found`, by label."""
    for row, entries in told:
        for key in entries.keys() & wanted if entries else ():
            text = words.label_of(entries[key])
            if text is not None:
                found.setdefault(f"{origin}:{key}", [None] * rows)[row] = text


def _usage_text(call: LoggedCall) -> bytes | msgspec.Raw | None:
    """Return the usage object, else one of the counts beside it; None where nothing but zeros is told."""
    told = call.metadata.usage_object if call.metadata is not None else None
    if told is None or bytes(told) in _NOTHING:
        told = call.response.usage if call.response is not None else None
        if told is not None and b'"prompt_tokens"' not in bytes(told):
            told = None
    counts = {"prompt_tokens": call.prompt_tokens, "completion_tokens": call.completion_tokens}
    if any(counts.values()):
        return msgspec.json.encode(counts | {"total_tokens": call.total_tokens}) if told is None else told
    return None if told is None or not _holds_number(_parsed(bytes(told))) else told


def _parsed(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _holds_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_number(each) for each in value.values())
    if isinstance(value, list):
        return any(_holds_number(each) for each in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0


def _is_no_call(call: LoggedCall, text: bytes | msgspec.Raw | None) -> bool:
    """Say whether no provider was asked for inference: a call of another kind, or one refused at the gateway."""
    if text is not None or call.response_cost:
        return False
    if call.status == "failure" and not call.custom_llm_provider:
        return True
    return words.operation_of(call.call_type) not in _INFERENCE


_INFERENCE: Final = frozenset(words.OPERATIONS.values()) - {"batch"} | {None, "pass_through_endpoint"}


def _identities(calls: list[LoggedCall]) -> dict[str, pa.Array]:
    """Return who answered, under which ids."""
    providers = [words.provider_of(call.custom_llm_provider) for call in calls]
    models = [words.answered_by(call) for call in calls]
    sources, ids = [], []
    for call, provider in zip(calls, providers, strict=True):
        told = None if call.cache_hit is True else words.response_id(call)
        made_up = told is not None and words.is_made_up(told, provider)
        sources.append(words.GATEWAY if told is None or made_up else provider)
        ids.append(words.own_id(call) if told is None else told)
    asked = [call.model_group or words.model_name(call.model, call.custom_llm_provider) for call in calls]
    metadata = [call.metadata for call in calls]
    keys = [each.user_api_key_hash or each.user_api_key_alias if each is not None else None for each in metadata]
    return {
        "source": text_column(sources),
        "event_id": text_column(ids),
        "reporter": pa.repeat(pa.scalar(words.GATEWAY), len(calls)),
        "provider": text_column(providers),
        "model": text_column(models),
        "requested_model": text_column(
            [None if name == model else name for name, model in zip(asked, models, strict=True)]
        ),
        "operation_name": text_column([words.operation_of(call.call_type) for call in calls]),
        "operation_id": text_column([words.operation_id(call) for call in calls]),
        "attempt": pa.array([words.attempt_of(call) for call in calls], pa.int64()),
        "call_id": text_column([call.litellm_call_id for call in calls]),
        "trace_id": text_column([call.trace_id for call in calls]),
        "conversation_id": text_column([call.session_id for call in calls]),
        "deployment_id": text_column([call.model_id for call in calls]),
        "request_id": text_column([words.request_id(call) for call in calls]),
        "principal_id": text_column([words.principal_of(each) for each in metadata]),
        "credential_id": text_column(keys),
    }


def _times(calls: list[LoggedCall]) -> dict[str, pa.Array]:
    """Return the end of each call and how long it and its first token took."""
    starts = np.array([call.startTime for call in calls])
    ends = np.array([call.endTime for call in calls])
    first = np.array(
        [np.nan if call.completionStartTime is None or not call.stream else call.completionStartTime for call in calls]
    )
    instants = np.rint(np.clip(ends, -_FARTHEST_SECONDS, _FARTHEST_SECONDS) * _MICROSECONDS).astype(np.int64)
    return {
        "occurred_at": pa.array(instants).cast(UTC_MICROSECONDS),
        "latency_ms": _milliseconds(ends - starts),
        "time_to_first_token_ms": _milliseconds(first - starts),
    }


def _milliseconds(seconds: np.ndarray) -> pa.Array:
    """Return durations, null where one is not told or no duration."""
    known = np.isfinite(seconds) & (seconds >= 0) & (seconds < _FARTHEST_SECONDS)
    return pa.array(np.rint(np.where(known, seconds, 0) * 1000).astype(np.int64), mask=~known)


def _outcomes(calls: list[LoggedCall], texts: list[bytes | msgspec.Raw | None]) -> dict[str, pa.Array]:
    """Return how each call ended, whether it streamed, and where its counts came from."""
    ended = [words.status_of(call) for call in calls]
    bases = [
        "estimated" if text is not None and (status != "ok" or _counted_by_litellm(call, text)) else None
        for call, text, (status, _) in zip(calls, texts, ended, strict=True)
    ]
    choices = [call.response.choices if call.response is not None else None for call in calls]
    return {
        "status": text_column([status for status, _ in ended]),
        "error_type": text_column([kind for _, kind in ended]),
        "streamed": pa.array([call.stream if call.stream or call.status != "success" else False for call in calls]),
        "finish_reason": text_column([each[0].finish_reason if each else None for each in choices]),
        "gateway_cache_hit": pa.array([call.cache_hit for call in calls], pa.bool_()),
        "usage_basis": text_column(bases),
    }


def _counted_by_litellm(call: LoggedCall, text: bytes | msgspec.Raw) -> bool:
    """Say whether a finished stream's counts are LiteLLM's: the provider was not asked and no part of input is told."""
    if not words.hides_usage(call):
        return False
    usage = _parsed(bytes(text))
    return isinstance(usage, dict) and not usage.get("prompt_tokens_details")


def _costs(
    calls: list[LoggedCall], texts: list[bytes | msgspec.Raw | None], faults: Faults
) -> tuple[dict[str, pa.Array], Mask]:
    """Return LiteLLM's costs, and which of them lost digits; one beyond the contract is a fault."""
    amounts: list[Decimal | None] = []
    rounded = np.zeros(len(calls), bool)
    for index, (call, text) in enumerate(zip(calls, texts, strict=True)):
        cost = words.cost_of(call, told_usage=text is not None)
        if cost is not None:
            if _ORDINARY_LEAST < cost < _ORDINARY_MOST:
                exact, cost = cost, cost.quantize(_PICO, ROUND_HALF_EVEN)
                rounded[index] = exact != cost
            else:
                cost, rounded[index] = _uncommon_cost(cost, index, faults)
        amounts.append(cost)
    currencies = [None if cost is None else _CURRENCY for cost in amounts]
    return {
        "provider_cost": pa.array(amounts, _COST),
        "provider_cost_currency": pa.array(currencies, pa.string()),
    }, rounded


def _uncommon_cost(cost: Decimal, index: int, faults: Faults) -> tuple[Decimal | None, bool]:
    try:
        return read_cost(cost, "response_cost", 0)
    except RejectedRecordError as error:
        faults.note(np.arange(len(faults.first)) == index, error.reason, error.field, error.expected)
        return None, False


def _regions(calls: list[LoggedCall], told: pa.Array | None) -> pa.Array:
    regions = []
    for call in calls:
        basis = call.cost_breakdown.vertex_location if call.cost_breakdown is not None else None
        hidden = call.hidden_params.api_base if call.hidden_params is not None else None
        regions.append(basis or words.region_of(call.api_base or hidden))
    column = text_column(regions)
    return column if told is None else pc.coalesce(told, column)


def _tier(call: LoggedCall) -> str | None:
    """Return the tier that the response tells, else the one that LiteLLM priced by."""
    told = call.response.service_tier if call.response is not None else None
    if not told and call.cost_breakdown is not None:
        told = call.cost_breakdown.service_tier
    return None if told == "auto" else told


def _free_of_charge(told: dict[str, pa.Array], hits: Mask) -> None:
    """Let answers from LiteLLM's cache count nothing: no provider's tokens were bought. What was told stays raw."""
    where = pa.array(hits)
    for name in _COUNTED & told.keys():
        told[name] = pc.if_else(where, pa.scalar(None, told[name].type), told[name])
    for name in _ZERO_COUNTS:
        before = told.get(name, pa.nulls(len(hits), pa.int64()))
        told[name] = pc.if_else(where, pa.scalar(0, pa.int64()), before.cast(pa.int64()))
    told["usage_basis"] = pc.if_else(where, pa.scalar(None, pa.string()), told["usage_basis"])


_COUNTED: Final = frozenset(
    {"cache_read_tokens", "cache_read_audio_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"}
    | {"audio_input_tokens", "image_input_tokens", "video_input_tokens", "reasoning_tokens", "audio_output_tokens"}
    | {"image_output_tokens", "tool_calls", "other_units"}
)


def _spread(mask: Mask, has: Mask) -> Mask:
    """Return a mask over the told rows as one over all."""
    spread = np.zeros(len(has), bool)
    spread[has] = mask
    return spread
