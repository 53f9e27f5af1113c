"""How a CloudEvent stands in a Kafka record: structured, binary or, several at once, batched.

- A `content-type` header that begins with `application/cloudevents-batch` or `application/cloudevents` says batched or
  structured; of their formats JSON is read. Else a record with `ce_` headers is binary: they are its attributes, and
  the value is its data. Else the value is read as JSON: an object is one event, an array is a batch.
- Kafka's binding defines no batched mode; OpenMeter's API and the HTTP binding do, so bridges produce it.
- Data is JSON, by `datacontenttype` or without a word of it; `data_base64` is not read.

Source: CloudEvents 1.0.2, JSON event format and Kafka protocol binding, read 2026-11-25. The `cloudevents` package's
`to_structured` sends the type of the data as `content-type` and no `ce_` header, which is why such a record is
structured too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import SCRUBBED, UNPARSED, Reading
from tollbook.formats.reasons import UNPARSED_REASONS
from tollbook.formats.typed_json import as_rejected, kept_of, read_typed

SPEC_VERSION: Final = "1.0"
STANDARD: Final = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
NOTHING: Final = msgspec.Raw()

_STRUCTURED: Final = "application/cloudevents"
_BATCHED: Final = "application/cloudevents-batch"
_encode: Final = msgspec.json.Encoder().encode
_JSON: Final = re.compile(r"[a-z0-9.*+-]+/([a-z0-9.*+-]+\+)?json", re.ASCII)
_SHOWN: Final = re.compile(r"[A-Za-z0-9.+*/-]{1,64}")
_ABSENT: Final = frozenset({b"", b"null"})


class Envelope(msgspec.Struct, kw_only=True, gc=False):
    """Attributes of an event and its data, unread. Extension attributes are fields of a subclass."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: msgspec.Raw = NOTHING
    data_base64: msgspec.Raw = NOTHING


class _KeptEnvelope(msgspec.Struct, kw_only=True):
    """What a reject keeps of an event whose attributes are wrong: no subject, which may name a person."""

    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = NOTHING


class Event(msgspec.Struct, gc=False):
    """One event.

    Attributes:
        row: Its record in the batch.
        place: Its place among the events of the record, from 0.
        among: How many events the record holds; 0 where it is one event and no batch.
        envelope: Its attributes.
        extensions: Extension attribute to what it says, of those that are wanted.
        data: What it tells, a JSON object by field, each unread.
    """

    row: int
    place: int
    among: int
    envelope: Envelope
    extensions: dict[str, str]
    data: dict[str, msgspec.Raw]

    @property
    def item(self) -> int | None:
        """Number of the event within its record, None where it is the record."""
        return self.place if self.among else None


class EventReader:
    """Reads the events of records."""

    def __init__(self, wanted: Collection[str], *, max_record_bytes: int) -> None:
        """Read those extension attributes that are wanted."""
        self._max_record_bytes = max_record_bytes
        self._places = {name: f"extension_{n}" for n, name in enumerate(sorted(set(wanted) - set(STANDARD)))}
        shape = msgspec.defstruct(
            "ExtendedEnvelope",
            [
                (place, msgspec.Raw, msgspec.field(name=name, default=NOTHING))
                for name, place in self._places.items()
                if name not in {"data", "data_base64"}
            ],
            bases=(Envelope,),
            kw_only=True,
            gc=False,
        )
        self._read_envelope = msgspec.json.Decoder(shape).decode
        self._read_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._read_data = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def read(
        self, row: int, value: bytes, headers: Mapping[str, bytes] | None, reading: Reading, *, check_utf8: bool
    ) -> Iterator[Event]:
        """Yield the events of a record; note in `reading` what is none."""
        told = {} if not headers else {name.lower(): each for name, each in headers.items()}
        content_type = _text(told.get("content-type"))
        kind = _media_type(content_type)
        attributes: dict[str, str] | None = None
        try:
            if kind.startswith(_STRUCTURED):
                _expect_json("content-type", kind)
                batched: bool | None = kind.startswith(_BATCHED)
            elif any(name.startswith("ce_") for name in told):
                attributes = {name[3:]: _text(each) or "" for name, each in told.items() if name.startswith("ce_")}
                yield self._binary(row, value, attributes, content_type, check_utf8=check_utf8)
                return
            else:
                batched = None
            texts = self._several(value, batched, check_utf8=check_utf8)
        except RejectedRecordError as error:
            _reject(reading, row, error, _kept(value if attributes is None else _encode(attributes), error), None)
            return
        if texts is not None and not texts:
            reading.ignore(row, "empty_batch")
        for place, text in enumerate([value] if texts is None else texts):
            among = 0 if texts is None else len(texts)
            try:
                yield self._structured(row, bytes(text), place, among, check_utf8=check_utf8 and texts is None)
            except RejectedRecordError as error:
                _reject(reading, row, error, _kept(bytes(text), error), place if among else None)

    def _several(self, value: bytes, batched: bool | None, *, check_utf8: bool) -> list[msgspec.Raw] | None:
        """Return the events of a batch, None where the record is one event."""
        if batched is False or (batched is None and value.lstrip()[:1] != b"["):
            return None
        try:
            return read_typed(value, self._read_many, max_record_bytes=self._max_record_bytes, check_utf8=check_utf8)
        except RejectedRecordError as error:
            if error.reason != "not_an_object":
                raise
            raise RejectedRecordError("wrong_type", None, "a JSON array of events", error.got) from None

    def _structured(self, row: int, text: bytes, place: int, among: int, *, check_utf8: bool) -> Event:
        envelope: Any = read_typed(
            text, self._read_envelope, max_record_bytes=self._max_record_bytes, check_utf8=check_utf8
        )
        if envelope.data_base64 not in _RAW_ABSENT and envelope.data in _RAW_ABSENT:
            raise RejectedRecordError("invalid_value", "data_base64", "absent: data is read as JSON", "bytes")
        extensions = {}
        for name, field in self._places.items():
            raw = getattr(envelope, field)
            if raw is NOTHING:
                continue
            said = _attribute(raw)
            if said:
                extensions[name] = said
        return Event(row, place, among, envelope, extensions, self._data(envelope))

    def _binary(
        self, row: int, value: bytes, told: Mapping[str, str], content_type: str | None, *, check_utf8: bool
    ) -> Event:
        for name in ("specversion", "id", "source", "type"):
            if not told.get(name):
                raise RejectedRecordError("missing_field", f"ce_{name}", "present", "nothing")
        envelope = Envelope(
            specversion=told["specversion"],
            id=told["id"],
            source=told["source"],
            type=told["type"],
            subject=told.get("subject"),
            time=told.get("time"),
            datacontenttype=content_type,
            data=msgspec.Raw(value),
        )
        extensions = {name: told[name] for name in self._places if told.get(name)}
        data = self._data(envelope)
        if check_utf8 or len(value) > self._max_record_bytes:
            read_typed(value, bytes, max_record_bytes=self._max_record_bytes)
        return Event(row, 0, 0, envelope, extensions, data)

    def _data(self, envelope: Envelope) -> dict[str, msgspec.Raw]:
        if envelope.specversion != SPEC_VERSION:
            got = envelope.specversion if _SHOWN.fullmatch(envelope.specversion) else "another"
            raise RejectedRecordError("unsupported_schema_version", "specversion", SPEC_VERSION, got)
        for name in ("id", "source", "type"):
            if not getattr(envelope, name):
                raise RejectedRecordError("missing_field", name, "not empty", "an empty text")
        if envelope.datacontenttype is not None:
            _expect_json("datacontenttype", _media_type(envelope.datacontenttype))
        if bytes(envelope.data) in _ABSENT:
            raise RejectedRecordError("missing_field", "data", "present", "nothing")
        try:
            return self._read_data(envelope.data)
        except msgspec.ValidationError as wrong:
            raise RejectedRecordError("wrong_type", "data", "an object", as_rejected(wrong).got) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise RejectedRecordError("invalid_json", "data", "one JSON object", "other bytes") from None


_RAW_ABSENT: Final = (msgspec.Raw(b""), msgspec.Raw(b"null"))


def kept_event(event: Event, data: bytes | None) -> bytes:
    """Return an event as structured JSON with its data as given, without its subject and extensions."""
    envelope = event.envelope
    told = {"specversion": envelope.specversion, "id": envelope.id, "source": envelope.source, "type": envelope.type}
    attributes = kept_of(_encode(told | {"time": envelope.time}), _KeptEnvelope) or b"{}"
    return attributes if data is None else attributes[:-1] + b',"data":' + data + b"}"


def _kept(value: bytes, error: RejectedRecordError) -> bytes | None:
    """Return what of an event's attributes and counts may be kept, None where its bytes lie apart."""
    return None if error.reason in UNPARSED_REASONS else kept_of(value, _KeptEnvelope)


def _reject(reading: Reading, row: int, error: RejectedRecordError, kept: bytes | None, place: int | None) -> None:
    if kept is None or error.reason in UNPARSED_REASONS:
        reading.reject(row, error, UNPARSED, None, record_item=place)
    else:
        reading.reject(row, error, SCRUBBED, kept, record_item=place)


def _expect_json(field: str, kind: str) -> None:
    if kind and not _JSON.fullmatch(kind) and kind not in {_STRUCTURED, _BATCHED}:
        got = kind if _SHOWN.fullmatch(kind) else f"a text of {len(kind)} characters"
        raise RejectedRecordError("invalid_value", field, "JSON, such as application/json", got)


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _attribute(raw: msgspec.Raw) -> str | None:
    """Return what an extension attribute says: text, a number or a truth value; anything else says nothing."""
    written = bytes(raw)
    if written in _ABSENT or written[:1] in (b"{", b"["):
        return None
    try:
        value = json.loads(written)
    except ValueError:
        return None
    return value if isinstance(value, str) else written.decode("ascii", "replace")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
