"""Records of every format but native, made of a file.

A line is a record. Lines that hold content beside their counts (session files, response bodies, payloads of LiteLLM)
are cut to what their adapter reads before they leave, so prompts never reach Kafka; a line that cannot be read is not
sent, for nobody can say what in it is content. OpenTelemetry exports in protobuf have no lines: such a file is one
record, or, as the Collector's file exporter writes it, a run of messages with four bytes of length before each.

Source: opentelemetry-collector-contrib, fileexporter, `format: proto`, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from tollbook.errors import RejectedRecordError, TollbookError
from tollbook.formats import litellm_shape
from tollbook.formats.claude_code_lines import strip_line
from tollbook.formats.provider_response import strip_response
from tollbook.formats.typed_json import read_typed
from tollbook.reference.dimensions import Dimensions
from tollbook.senders.lines import BLOCK_BYTES, MAX_LINE_BYTES, Source, read_lines
from tollbook.senders.native import key_of, timestamp_of
from tollbook.senders.outgoing import Outgoing

OnRefused = Callable[[int, RejectedRecordError], None]
"""Told of each line that cannot be sent, with its number."""

Stripped = tuple[bytes, bytes | None, int | None] | str
"""Value without content, key and time in milliseconds; or why a line tells of no call."""

_decode = msgspec.json.Decoder().decode
_LENGTH_BYTES = 4
_OTLP = "otlp_"
_FIRST_FIELD = b"\x0a"


def format_records(
    source: Source, format_name: str, dimensions: Dimensions, on_refused: OnRefused, on_silent: Callable[[str], None]
) -> Iterator[tuple[Outgoing, int]]:
    """Yield the records of a file, and how many lines were blank.

    Args:
        source: The file.
        format_name: A format of the registry, not native.
        dimensions: The organisation's rules: of what names people only that is sent which they ask for.
        on_refused: Told of each line that cannot be read and so is not sent.
        on_silent: Told why a line is not sent that tells of no call.
    """
    if format_name.startswith(_OTLP):
        yield from _exports(source)
        return
    strip = stripper(format_name, dimensions)
    for first, lines in read_lines(source, source.name):
        records, blank = Outgoing(), 0
        for line, value in enumerate(lines, first):
            if not value or value.isspace():
                blank += 1
            elif strip is None:
                records.add(value, None, None, line)
            else:
                _add(records, line, value, strip, on_refused, on_silent)
        yield records, blank


def stripper(format_name: str, dimensions: Dimensions) -> Callable[[bytes], Stripped] | None:
    """Return what takes the content out of a format's records, None for a format whose records have none."""
    if format_name == "claude_code":
        return lambda value: strip_session_line(value, dimensions)
    return {"provider_response": _strip_response, "litellm": _strip_litellm}.get(format_name)


def strip_session_line(value: bytes, dimensions: Dimensions, labels: dict[str, str] | None = None) -> Stripped:
    """Return a line of a session file without content, its session as key, its time; or why it tells of no call.

    Raises:
        RejectedRecordError: It cannot be read.
    """
    stripped = strip_line(value, dimensions, labels)
    if isinstance(stripped, str):
        return stripped
    kept, line = stripped
    message_id = None if line.message is None else line.message.id
    return kept, key_of(line.session_id, message_id), timestamp_of(line.timestamp)


def _strip_response(value: bytes) -> Stripped:
    kept, document = strip_response(value)
    return kept, key_of(document.task_id, document.event_id), timestamp_of(document.occurred_at)


def _strip_litellm(value: bytes) -> Stripped:
    payload = read_typed(value, _decode)
    if not isinstance(payload, dict):
        raise RejectedRecordError("not_an_object", None, "a JSON object", type(payload).__name__)
    return litellm_shape.encode(litellm_shape.shape_of(payload)), None, None


def _add(
    records: Outgoing,
    line: int,
    value: bytes,
    strip: Callable[[bytes], Stripped],
    on_refused: OnRefused,
    on_silent: Callable[[str], None],
) -> None:
    try:
        stripped = strip(value)
    except RejectedRecordError as error:
        on_refused(line, error)
        return
    if isinstance(stripped, str):
        on_silent(stripped)
    else:
        records.add(*stripped, line)


def _exports(source: Source) -> Iterator[tuple[Outgoing, int]]:
    """Yield OpenTelemetry exports: JSON lines, one JSON document, one protobuf message or a run of them."""
    ahead = _Ahead(source)
    if ahead.begins_with_line_of_json():
        for first, lines in read_lines(ahead, source.name):
            records, blank = Outgoing(), 0
            for line, value in enumerate(lines, first):
                if not value or value.isspace():
                    blank += 1
                else:
                    records.add(value, None, None, line)
            yield records, blank
        return
    whole = ahead.rest(source.name)
    values = [whole] if whole[:1] in (_FIRST_FIELD, b"{") else _messages(whole)
    records = Outgoing()
    for number, value in enumerate(values, 1):
        records.add(value, None, None, number)
    yield records, 0


def _messages(whole: bytes) -> Iterable[bytes]:
    """Return the messages of a run with lengths before each; the whole where it is no such run: the meter judges."""
    found, at = [], 0
    while at < len(whole):
        size = int.from_bytes(whole[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES
        if at + size > len(whole):
            return [whole]
        found.append(whole[at : at + size])
        at += size
    return [value for value in found if value]


class _Ahead:
    """A source of which the first block was looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first = b""
        while b"\n" not in self._first and (block := source.read1(BLOCK_BYTES)):
            self._first += block
            if len(self._first) > MAX_LINE_BYTES:
                break

    def begins_with_line_of_json(self) -> bool:
        line = self._first.lstrip().partition(b"\n")[0].rstrip()
        if not line.startswith(b"{"):
            return False
        try:
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        return True

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes, those that are there; none at the end."""
        if not self._first:
            return self._source.read1(size)
        block, self._first = self._first[:size], self._first[size:]
        return block

    def rest(self, name: str) -> bytes:
        """Return everything.

        Raises:
            TollbookError: It is more than one record can be.
        """
        whole = bytearray()
        while block := self.read1(BLOCK_BYTES):
            whole += block
            if len(whole) > MAX_LINE_BYTES:
                raise TollbookError(f"{name}: expected an export of at most {MAX_LINE_BYTES} bytes, got more")
        return bytes(whole)
