"""CloudEvents 1.0, structured, binary and batched; `cloudevents_modes` has how they stand in records.

What an event's data is:

- An event of `usage_event/v1`: it has a field of the contract that counts tokens, or a `model`. Fields mean what they
  mean there.
- A provider's response wrapped with who asked, by its `body`: as in the format `provider_response`.
- OpenMeter's `{"tokens": 12, "type": "input", "model": …, "provider": …}`: one kind of token of a call. `input`,
  `system` and `prompt` are input, `output` and `completion` are output. Every such event stands alone, flagged
  `one_kind_of_token`: nothing tells which of them are of one call, so tokens and costs add up, and calls do not.
  Another kind or none has no known direction: its number stays in `raw_usage`, flagged, and the event is unpriced.
- OpenMeter's other shape, which LiteLLM's callback for it sends too: `prompt_tokens`, `completion_tokens`,
  `total_tokens`, `cost` in USD. A text of digits is a number in both.
- Anything else is rejected as `unknown_shape`.

What the attributes tell where data does not: `source` and `id` are the identity unless data has both `source` and
`event_id`, or its response body has an id; `time` is when it happened, and without either the event is rejected, for
the clock is never asked; `subject` is the customer, an e-mail address as its digest. Extension attributes, and `type`,
`source` and `subject` too, are labels `attribute:NAME`; further fields of OpenMeter's data are labels `metadata:NAME`.
Without a provider in OpenMeter's data the provider is the event's source where that is a known gateway, else `unknown`.
Ignored: `empty_batch`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from tollbook.contracts import Contract, usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.check import Faults
from tollbook.formats.cloudevents_modes import Event, EventReader, kept_event
from tollbook.formats.decoder import SCRUBBED, UNPARSED, Decoder, Headers, Mask, Reading, Rows, Tellings
from tollbook.formats.native import NativeDecoder
from tollbook.formats.provider_response import ProviderResponseDecoder
from tollbook.formats.typed_json import is_utf8, kept_of, native_json, text_column, told_of
from tollbook.formats.usage import load_table, normalise_texts
from tollbook.rating.units import load_names

TOOL: Final = "cloudevents"
ONE_KIND: Final = "one_kind_of_token"
UNKNOWN: Final = "unknown"

_NATIVE, _RESPONSE = "native", "response"
_TOKENS, _PROMPT = "openmeter.tokens", "openmeter.prompt"
_COUNTS: Final = frozenset(name for name in usage_event().names if name.endswith("_tokens"))
_PROMPT_FIELDS: Final = ("prompt_tokens", "completion_tokens", "total_tokens", "cost")
_READ: Final = frozenset({"tokens", "type", "model", "provider", *_PROMPT_FIELDS})
_DIGITS: Final = re.compile(rb'"([0-9]{1,30}(?:\.[0-9]{1,30})?)"')
_KIND: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ABSENT: Final = frozenset({b"", b"null"})
_NOTHING: Final = msgspec.Raw()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode

_Data = Mapping[str, msgspec.Raw]


class _KeptData(msgspec.Struct):
    """What a reject keeps of data that is no usage event and no response."""

    tokens: int | None = None
    type: str | None = None
    model: str | None = None
    provider: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None


class CloudEventsDecoder(Decoder):
    """Decodes CloudEvents. One instance serves one thread."""

    def __init__(self, event_contract: Contract | None = None, **options: Any) -> None:
        super().__init__(event_contract, **options)
        limits = {"max_record_bytes": self._max_record_bytes, "dimensions": self._dimensions}
        self._events = EventReader(self._dimensions.wanted("attribute"), max_record_bytes=self._max_record_bytes)
        self._inner = {
            _NATIVE: NativeDecoder(event_contract, **limits),
            _RESPONSE: ProviderResponseDecoder(event_contract, **limits),
        }
        self._told: list[Event] = []

    def _read(
        self, values: pa.BinaryArray, start: int, reading: Reading, headers: Headers | None
    ) -> Iterator[Tellings]:
        check = not is_utf8(values)
        groups: dict[str, list[Event]] = {}
        for place, value in enumerate(values.to_pylist()):
            own = None if headers is None else headers[place]
            for event in self._events.read(start + place, value, own, reading, check_utf8=check):
                shape = _shape_of(event.data)
                if shape is None:
                    expected = "a usage event, OpenMeter's counts or a wrapped response"
                    _reject_counts(reading, event, RejectedRecordError("unknown_shape", "data", expected, "another"))
                else:
                    groups.setdefault(shape, []).append(event)
        for shape, events in groups.items():
            if shape in self._inner:
                yield from self._delegated(events, self._inner[shape], reading)
            else:
                yield from self._counted(events, shape, reading)

    def _reject_telling(self, tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
        event = self._told[index]
        item = None if tellings.record_items is None else int(tellings.record_items[index])
        if _shape_of(event.data) in self._inner:
            kept = kept_event(event, native_json(told_of(tellings, index)))
        else:
            kept = kept_event(event, _kept_counts(event.data))
        reading.reject(event.row, error, SCRUBBED, kept, record_item=item if item or event.among else None)

    def _delegated(self, events: Sequence[Event], inner: Decoder, reading: Reading) -> Iterator[Tellings]:
        """Yield what another format reads in the events' data."""
        values = pa.array([_completed(event) for event in events], pa.binary())
        within = Reading(values, np.zeros(len(values), bool))
        for tellings in inner._read(values, 0, within, None):
            within.seen[tellings.rows] = True
            yield self._placed(tellings, events)
        if not within.seen.all():
            raise RuntimeError(f"expected {type(inner).__name__} to account for every event's data, it lost some")
        for each in within.rejected:
            kept = None if each.value_state == UNPARSED else each.value
            _reject(reading, events[each.row], each.error, kept)
        for name, times in within.unknown.items():
            reading.note_unknown(name, times)

    def _counted(self, events: Sequence[Event], shape: str, reading: Reading) -> Iterator[Tellings]:
        """Yield what events with OpenMeter's counts tell."""
        sound: list[Event] = []
        texts: list[bytes] = []
        models: list[str | None] = []
        providers: list[str | None] = []
        for event in events:
            try:
                texts.append(_tokens(event.data) if shape == _TOKENS else _prompt(event.data))
                models.append(_word(event.data, "model"))
                providers.append(_provider(event))
            except RejectedRecordError as error:
                _reject_counts(reading, event, error)
                del texts[len(sound) :], models[len(sound) :]
            else:
                sound.append(event)
        if not sound:
            return
        faults = Faults.none(len(sound))
        usage = normalise_texts(texts, load_table().flavours[shape], faults)
        for name, times in usage.unknown.items():
            reading.note_unknown(f"data.{name}", times)
        told = {
            "source": text_column(event.envelope.source for event in sound),
            "event_id": text_column(event.envelope.id for event in sound),
            "occurred_at": text_column(event.envelope.time for event in sound),
            "customer_id": text_column(_customer(event) for event in sound),
            "reporter": pa.repeat(TOOL, len(sound)),
            "provider": text_column(providers),
            "model": text_column(models),
            **usage.columns,
        }
        flags: dict[str, Mask] = dict(usage.flags)
        if shape == _TOKENS:
            flags[ONE_KIND] = np.ones(len(sound), bool)
        labels = {
            f"metadata:{key}": text_column(_said(event.data.get(key, _NOTHING)) for event in sound)
            for key in sorted(self._dimensions.wanted("metadata") - _READ)
            if any(key in event.data for event in sound)
        }
        yield self._placed(Tellings(told, np.arange(len(sound)), None, flags, faults, labels), sound)

    def _placed(self, tellings: Tellings, events: Sequence[Event]) -> Tellings:
        """Return what events tell at their places among records, with their attributes as labels."""
        told = [events[row] for row in tellings.rows.tolist()]
        self._told = told
        inner = np.zeros(len(told), np.int64) if tellings.record_items is None else tellings.record_items
        places = np.array([event.place for event in told], np.int64)
        among = np.array([event.among or 1 for event in told], np.int64)
        labels = dict(tellings.labels)
        carried = {"type", "source", "subject"}.union(*(event.extensions for event in told if event.extensions))
        for name in sorted(self._dimensions.wanted("attribute") & carried):
            labels[f"attribute:{name}"] = text_column(_attribute(event, name) for event in told)
        rows: Rows = np.array([event.row for event in told], np.int64)
        return Tellings(tellings.told, rows, places + among * inner, tellings.flags, tellings.faults, labels)


def _shape_of(data: _Data) -> str | None:
    """Return what an event's data is, None when it is nothing that is known here."""
    if "body" in data:
        return _RESPONSE
    if not _COUNTS.isdisjoint(data):
        return _NATIVE
    if "tokens" in data:
        return _TOKENS
    if "prompt_tokens" in data or "completion_tokens" in data:
        return _PROMPT
    return _NATIVE if "model" in data or "action" in data else None


def _completed(event: Event) -> bytes:
    """Return an event's data with what the attributes tell where it does not: a JSON object of the inner format."""
    data, envelope = event.data, event.envelope
    if _is_absent(data, "source") or _is_absent(data, "event_id"):
        data |= {"source": msgspec.Raw(_encode(envelope.source)), "event_id": msgspec.Raw(_encode(envelope.id))}
    beside = {"occurred_at": envelope.time, "customer_id": _customer(event)}
    if "body" not in data:
        beside["reporter"] = TOOL
    for name, text in beside.items():
        if text and _is_absent(data, name):
            data[name] = msgspec.Raw(_encode(text))
    return _encode(data)


def _tokens(data: _Data) -> bytes:
    """Return OpenMeter's one count as a usage object: a list of which the kind of token is the name."""
    kind = _word(data, "type", required=False)
    if kind is not None and not _KIND.fullmatch(kind):
        raise RejectedRecordError("invalid_value", "data.type", "a word such as input or output", "another text")
    return _encode({"data": [{"type": kind, "tokens": _number(data, "tokens")}]})


def _prompt(data: _Data) -> bytes:
    """Return OpenMeter's counts of a call as a usage object."""
    return _encode({name: _number(data, name) for name in _PROMPT_FIELDS if name in data})


def _number(data: _Data, name: str) -> msgspec.Raw:
    """Return a number as it is written, without the quotes that OpenMeter allows around it."""
    raw = data[name]
    digits = _DIGITS.fullmatch(bytes(raw))
    return raw if digits is None else msgspec.Raw(digits[1].lstrip(b"0") or b"0")


def _word(data: _Data, name: str, *, required: bool = True) -> str | None:
    if _is_absent(data, name):
        if required:
            raise RejectedRecordError("missing_field", f"data.{name}", "present", "nothing")
        return None
    value = _decode(data[name])
    if not isinstance(value, str):
        raise RejectedRecordError("wrong_type", f"data.{name}", "a text", "another value")
    return value or None


def _provider(event: Event) -> str:
    told = _word(event.data, "provider", required=False)
    if told is not None:
        return _canonical(told)
    source = event.envelope.source.strip().lower()
    return source if source in load_names().gateways else UNKNOWN


@lru_cache(maxsize=1024)
def _canonical(provider: str) -> str:
    return load_names().provider(provider)


def _customer(event: Event) -> str | None:
    """Return an event's subject; an e-mail address as its digest."""
    subject = event.envelope.subject
    if subject is None or "@" not in subject:
        return subject
    return f"sha256:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _attribute(event: Event, name: str) -> str | None:
    if name == "subject":
        return _customer(event)
    return event.extensions.get(name) or (getattr(event.envelope, name) if name in {"type", "source"} else None)


def _said(raw: msgspec.Raw) -> str | None:
    """Return a text, a number or a truth value as text; anything else says nothing."""
    written = bytes(raw)
    if written[:1] == b'"':
        return str(_decode(written))
    return None if written in _ABSENT or written[:1] in {b"{", b"["} else written.decode()


def _is_absent(data: _Data, name: str) -> bool:
    return bytes(data.get(name, _NOTHING)) in {b"", b"null", b'""'}


def _reject_counts(reading: Reading, event: Event, error: RejectedRecordError) -> None:
    _reject(reading, event, error, _kept_counts(event.data))


def _kept_counts(data: _Data) -> bytes:
    """Return OpenMeter's counts and words; a kind of token that is no word may be anything."""
    told = {**data, **{name: _number(data, name) for name in ("tokens", *_PROMPT_FIELDS) if name in data}}
    if not _KIND.fullmatch(_said(data.get("type", _NOTHING)) or ""):
        told.pop("type", None)
    return kept_of(_encode(told), _KeptData) or b"{}"


def _reject(reading: Reading, event: Event, error: RejectedRecordError, kept: bytes | None) -> None:
    """Note an event whose data is not accepted, with what of the data is kept; None where its bytes lie apart."""
    if kept is None:
        reading.reject(event.row, error, UNPARSED, None, record_item=event.item)
    else:
        reading.reject(event.row, error, SCRUBBED, kept_event(event, kept), record_item=event.item)
