"""What a reject keeps of its record, as a record that can be produced again; and why that cannot be, where it cannot.

A whole or unparsed value goes out byte for byte, with the key and the headers that say what it is. Of a scrubbed value
what is left goes out, in the format that it is kept in: headers that say how the lost value was packed are left off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec
import pyarrow as pa

from tollbook.deadletters.filters import place_of
from tollbook.formats.decoder import SCRUBBED, UNPARSED
from tollbook.formats.registry import NATIVE, format_of_topic
from tollbook.formats.rejected import CLOUDEVENTS_PREFIX, CONTENT_TYPE_HEADER, REPLAY_HEADER
from tollbook.formats.route import ENCODING_HEADER, FORMAT_HEADER, RecordRouter

EXPIRED: Final = "expired"
DAMAGED: Final = "damaged"
CONTENT_LEFT_OUT: Final = "content_left_out"
PART_OF_A_RECORD: Final = "part_of_a_record"
REJECTED_AGAIN: Final = "rejected_again"
NOT_NATIVE: Final = "not_native"
IDENTITY: Final = "identity"
TOO_LARGE: Final = "too_large"

REFUSALS: Final[Mapping[str, str]] = {
    EXPIRED: "their bytes could not be read as fields, lay apart and have expired",
    DAMAGED: "the bytes that are kept are not those that came",
    CONTENT_LEFT_OUT: "a value that mattered could be content and is not kept; give another with --set",
    PART_OF_A_RECORD: "what is kept is a part of a record and none by itself; let the sender tell it again",
    REJECTED_AGAIN: "they would be rejected again; mend them with --set, or send them all the same with --unchecked",
    NOT_NATIVE: "what is kept is no native event, and only fields of one can be set",
    IDENTITY: "they have a source and event_id, which may not be changed",
    TOO_LARGE: "the topic does not take records of this size",
}
"""Why a reject is not replayed, for people."""

_OUTLINE: Final = {"type", "length"}
_IDENTITY_FIELDS: Final = ("source", "event_id")
_PACKAGING: Final = frozenset({ENCODING_HEADER, CONTENT_TYPE_HEADER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A reject on its way to be a record again.

    Attributes:
        reject_ids: Rejects that it replays: several where one record told of several wrong calls.
        topic: Topic it came from.
        partition: Partition it came from.
        value: Bytes to produce; empty where it is refused.
        format: Format of these.
        key: Key of the record.
        headers: Headers of the record, without the replay's own.
        scrubbed: Whether the value is what was left of the record without content.
        refused: Code of `REFUSALS`, None where nothing stands against it.
        detail: Which field, or which reason; empty where the code says all.
    """

    reject_ids: tuple[str, ...]
    topic: str
    partition: int
    value: bytes = b""
    format: str = NATIVE
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    scrubbed: bool = False
    refused: str | None = None
    detail: str = ""

    def refuse(self, code: str, detail: str = "") -> Letter:
        """Return this letter refused."""
        return replace(self, refused=code, detail=detail)

    def record_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers to produce, with the format of the value and the first reject that it replays."""
        own = [(FORMAT_HEADER, self.format.encode("ascii")), (REPLAY_HEADER, self.reject_ids[0].encode("utf-8"))]
        return [*(each for each in self.headers if each[0] not in {FORMAT_HEADER, REPLAY_HEADER}), *own]


def letter_of(row: Mapping[str, Any], unparsed: Mapping[str, bytes]) -> Letter:
    """Return what can be produced of a reject.

    Args:
        row: It, as a row of `rejected_record`.
        unparsed: Bytes of rejects that could not be read as fields, by id.
    """
    state = row["value_state"]
    letter = Letter(
        reject_ids=(row["reject_id"],),
        topic=row["topic"],
        partition=row["partition"],
        key=row["record_key"],
        headers=_headers(row["headers"], scrubbed=state == SCRUBBED),
    )
    value = unparsed.get(row["reject_id"]) if state == UNPARSED else row["value"]
    if value is None:
        return letter.refuse(EXPIRED)
    if state != SCRUBBED:
        if hashlib.sha256(value).hexdigest() != row["value_sha256"]:
            return letter.refuse(DAMAGED)
        return replace(letter, value=value, format=row["format"] or format_of_topic(row["topic"]))
    kept_format = row["value_format"] or _guessed_format(row, value)
    if kept_format is None:
        return letter.refuse(PART_OF_A_RECORD)
    return replace(letter, value=value, format=kept_format, scrubbed=True)


def together(letters: Sequence[Letter]) -> Iterator[Letter]:
    """Yield letters in order, those of one record once: several calls of it may be wrong."""
    waiting: Letter | None = None
    for letter in letters:
        if waiting is not None and _is_same_record(waiting, letter):
            waiting = replace(waiting, reject_ids=waiting.reject_ids + letter.reject_ids)
            continue
        if waiting is not None:
            yield waiting
        waiting = letter
    if waiting is not None:
        yield waiting


def mended(letter: Letter, changes: Mapping[str, Any]) -> Letter:
    """Return a letter with fields of its event set, all others as they are written.

    Refused where it is no native event, or has an identity that would change.

    Args:
        letter: What would be produced.
        changes: Field of the contract to value; None takes the field away.
    """
    if letter.refused is not None or not changes:
        return letter
    try:
        if letter.format != NATIVE:
            return letter.refuse(NOT_NATIVE)
        document = _READ_FIELDS(letter.value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return letter.refuse(NOT_NATIVE)
    for name in _IDENTITY_FIELDS:
        told = msgspec.json.decode(document[name]) if name in document else None
        if name in changes and told not in (None, "") and str(told) != changes[name]:
            return letter.refuse(IDENTITY, name)
    document |= {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in changes.items()}
    return replace(letter, value=msgspec.json.encode(document))


def with_format(letter: Letter, name: str | None) -> Letter:
    """Return a letter read as another format, if one is named; what is left of a scrubbed value keeps its own."""
    return letter if name is None or letter.scrubbed else replace(letter, format=name)


def without_lost_content(letter: Letter) -> Letter:
    """Return a letter, refused where a value that its format reads was not kept."""
    if letter.refused is not None or not letter.scrubbed:
        return letter
    lost = _outlined(msgspec.json.decode(letter.value))
    return letter if lost is None else letter.refuse(CONTENT_LEFT_OUT, lost)


def judged(letters: Sequence[Letter], router: RecordRouter, now: datetime) -> list[Letter]:
    """Return letters, those refused that the meter would reject again as things stand now.

    Args:
        letters: What would be produced.
        router: Decodes as the meter does.
        now: The clock, for times too far ahead.
    """
    places = [index for index, letter in enumerate(letters) if letter.refused is None]
    if not places:
        return list(letters)
    chosen = [letters[index] for index in places]
    values = pa.array([letter.value for letter in chosen], pa.binary())
    decoded = router.decode(values, NATIVE, now=now, headers=[dict(letter.record_headers()) for letter in chosen])
    found = list(letters)
    for each in decoded.rejected:
        place = places[each.row]
        if found[place].refused is None:
            field = f" of {each.error.field}" if each.error.field else ""
            found[place] = found[place].refuse(REJECTED_AGAIN, f"{each.error.reason}{field}")
    return found


def _headers(told: Sequence[tuple[str, bytes]] | None, *, scrubbed: bool) -> tuple[tuple[str, bytes], ...]:
    headers = tuple(told or ())
    if not scrubbed:
        return headers
    return tuple(
        (name, value)
        for name, value in headers
        if name.lower() not in _PACKAGING and not name.lower().startswith(CLOUDEVENTS_PREFIX)
    )


def _guessed_format(row: Mapping[str, Any], value: bytes) -> str | None:
    """Return the format of a scrubbed value of version 1, which did not say: that of its topic, or native by its look.

    A reject of version 2 without a word of its format is a part of a record.
    """
    if row["format"] is not None:
        return None
    document = msgspec.json.decode(value)
    looks_native = isinstance(document, dict) and all(name in document for name in _IDENTITY_FIELDS)
    return NATIVE if looks_native else format_of_topic(row["topic"])


def _is_same_record(first: Letter, second: Letter) -> bool:
    if any(each.scrubbed or each.refused is not None for each in (first, second)):
        return False
    return place_of(first.reject_ids[0]) == place_of(second.reject_ids[0])


def _outlined(value: Any, path: str = "") -> str | None:
    """Return where a document tells type and length in place of a value, None where it does nowhere."""
    if isinstance(value, dict):
        length = value.get("length")
        if value.keys() == _OUTLINE and isinstance(value["type"], str) and (length is None or type(length) is int):
            return path
        held = [(f"{path}.{name}" if path else name, each) for name, each in value.items()]
    elif isinstance(value, list):
        held = [(f"{path}[]", each) for each in value]
    else:
        return None
    return next((found for name, each in held if (found := _outlined(each, name)) is not None), None)


_READ_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
