"""Which format a record has: its topic's, unless a header of its own names another; and its bytes as they were packed.

Headers of ours: `tollbook-format` names the format of the value, `content-encoding` how it is packed (`gzip`, `zstd`,
`identity`). What is packed is unpacked no further than the largest record, and of a batch only so much at a time, so
neither a small record nor many of them can fill the memory. A reject of a packed record keeps it packed, as it came.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import zstandard

from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import (
    UNPARSED,
    WHOLE,
    Decoded,
    Decoder,
    Headers,
    Reading,
    Rejected,
    Rows,
    count_name,
    in_record_order,
)
from tollbook.formats.registry import FORMATS, format_named
from tollbook.reference.dimensions import Dimensions

FORMAT_HEADER: Final = "tollbook-format"
ENCODING_HEADER: Final = "content-encoding"
MAX_UNPACKED_BYTES: Final = 16 * 1024 * 1024
"""Largest value after unpacking: that of the largest record that a usage topic takes."""

MAX_UNPACKED_AT_ONCE: Final = 4 * MAX_UNPACKED_BYTES
"""Most bytes of unpacked records that are held at a time, of one batch."""

_GZIP: Final = 31
_MAX_MEMBERS: Final = 64
_MAX_NAME: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(slots=True)
class RecordRouter:
    """Decodes records of any format. One instance serves one thread, and keeps a decoder for each format it met.

    Attributes:
        dimensions: The organisation's dimension rules; None for the shipped ones.
    """

    dimensions: Dimensions | None = None
    _decoders: dict[str, Decoder] = field(default_factory=dict)

    def decode(
        self, values: pa.BinaryArray, topic_format: str, *, now: datetime, headers: Headers | None = None
    ) -> Decoded:
        """Return what became of records of one topic, in record order.

        Args:
            values: Records, shape (n,), none null.
            topic_format: Name of the topic's format.
            now: The clock, for times too far ahead.
            headers: Headers of each record, None when none has any.

        Raises:
            MisuseError: The topic's format is not known.
        """
        topic_format = format_named(topic_format).name
        if headers is None:
            return self._decoder(topic_format).decode(values, now=now)
        reading = Reading(values, np.zeros(len(values), bool))
        parts: list[tuple[Rows, Decoded]] = []
        for start, unpacked in _unpacked(reading, headers):
            for name, rows in self._by_format(reading, headers, start, len(unpacked), topic_format).items():
                chosen = np.array(rows, np.int64)
                own = [headers[row] for row in rows]
                decoded = self._decoder(name).decode(unpacked.take(pa.array(chosen - start)), now=now, headers=own)
                decoded.rejected = [
                    _as_it_came(each, int(chosen[each.row]), reading, headers) for each in decoded.rejected
                ]
                parts.append((chosen, decoded))
        return _merged(parts, reading, self._decoder(topic_format).schema)

    def _by_format(
        self, reading: Reading, headers: Headers, start: int, count: int, topic_format: str
    ) -> dict[str, list[int]]:
        """Return format to those of `count` records from `start` on that have it; reject those whose format is none."""
        groups: dict[str, list[int]] = {}
        for row in range(start, start + count):
            if reading.seen[row]:
                continue
            told = headers[row]
            name = topic_format if told is None else _text(told.get(FORMAT_HEADER)) or topic_format
            if name in FORMATS:
                groups.setdefault(name, []).append(row)
            else:
                error = RejectedRecordError("unknown_format", None, f"one of {', '.join(FORMATS)}", _shown(name))
                reading.reject(row, error, UNPARSED, None)
        return groups

    def _decoder(self, name: str) -> Decoder:
        if name not in self._decoders:
            self._decoders[name] = FORMATS[name].make(self.dimensions)
        return self._decoders[name]


def _merged(parts: list[tuple[Rows, Decoded]], reading: Reading, schema: pa.Schema) -> Decoded:
    """Return what became of several groups of records as one, in record order."""
    rejected = list(reading.rejected)
    unknown: dict[str, int] = {}
    ignored: dict[str, int] = {}
    for _, decoded in parts:
        rejected += decoded.rejected
        for counts, more in ((unknown, decoded.unknown_fields), (ignored, decoded.ignored)):
            for name, times in more.items():
                count_name(counts, name, times)
    finished = [(decoded.events, chosen[decoded.rows], decoded.record_items) for chosen, decoded in parts]
    events, rows, items = in_record_order(finished, schema)
    rejected.sort(key=lambda each: (each.row, each.record_item or 0))
    silent = sum(decoded.silent_records for _, decoded in parts)
    return Decoded(events, rows, items, rejected, silent, unknown, ignored)


def _as_it_came(rejected: Rejected, row: int, reading: Reading, headers: Headers) -> Rejected:
    """Return a reject with its place in the whole batch; one of a packed record tells of that record's own bytes."""
    if not _packing(headers[row]):
        return replace(rejected, row=row)
    value = reading.values[row].as_buffer()
    kept = value.to_pybytes() if rejected.value_state == WHOLE else rejected.value
    digest = hashlib.sha256(value).hexdigest()
    return replace(rejected, row=row, value=kept, value_bytes=value.size, value_sha256=digest)


def _packing(headers: Mapping[str, bytes] | None) -> str | None:
    """Return how a record is packed, None where it is not."""
    name = ((headers and _text(headers.get(ENCODING_HEADER))) or "").strip().lower()
    return None if name in {"", "identity"} else name


def _unpacked(reading: Reading, headers: Headers) -> Iterator[tuple[int, pa.BinaryArray]]:
    """Yield the values unpacked, a run of records at a time with the place of its first.

    What cannot be unpacked is rejected; its place holds nothing.
    """
    values = reading.values
    packed = [(row, name) for row, told in enumerate(headers) if (name := _packing(told)) is not None]
    start, held = 0, 0
    fresh: dict[int, bytes] = {}
    for row, name in packed:
        try:
            fresh[row] = unpack(values[row].as_py(), name)
        except RejectedRecordError as error:
            fresh[row] = b""
            reading.reject(row, error, UNPARSED, None)
        held += len(fresh[row])
        if held >= MAX_UNPACKED_AT_ONCE:
            yield start, _replaced(values, start, row + 1, fresh)
            start, held, fresh = row + 1, 0, {}
    if start < len(values):
        yield start, _replaced(values, start, len(values), fresh)


def _replaced(values: pa.BinaryArray, start: int, stop: int, fresh: Mapping[int, bytes]) -> pa.BinaryArray:
    """Return the records from `start` to before `stop`, some of them replaced."""
    run = values.slice(start, stop - start)
    if not fresh:
        return run
    held = run.to_pylist()
    for row, value in fresh.items():
        held[row - start] = value
    return pa.array(held, pa.binary())


def unpack(value: bytes, encoding: str, *, limit: int = MAX_UNPACKED_BYTES) -> bytes:
    """Return a value as it was before it was packed.

    Raises:
        RejectedRecordError: The encoding is not known, the bytes are not of it, or they unpack to more than `limit`.
    """
    if encoding not in _UNPACK:
        expected = f"a content-encoding of {', '.join(_UNPACK)}"
        raise RejectedRecordError("invalid_encoding", None, expected, _shown(encoding))
    try:
        unpacked = _UNPACK[encoding](value, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as broken:
        expected = f"{encoding}, as content-encoding says"
        raise RejectedRecordError("invalid_encoding", None, expected, str(broken)[:_MAX_NAME]) from None
    if len(unpacked) > limit:
        raise RejectedRecordError("record_too_large", None, f"at most {limit} bytes unpacked", "more")
    return unpacked


def _gunzip(value: bytes, limit: int) -> bytes:
    """Return up to `limit` bytes and one; there may be several members, one after the other."""
    unpacked = b""
    for _ in range(_MAX_MEMBERS):
        reader = zlib.decompressobj(_GZIP)
        unpacked += reader.decompress(value, limit + 1 - len(unpacked))
        if len(unpacked) > limit:
            return unpacked
        if not reader.eof:
            raise EOFError("it breaks off")
        if not reader.unused_data:
            return unpacked
        value = reader.unused_data
    raise EOFError(f"more than {_MAX_MEMBERS} members")


def _unzstd(value: bytes, limit: int) -> bytes:
    """Return up to `limit` bytes and one; there may be several frames, one after the other."""
    maker = zstandard.ZstdDecompressor(max_window_size=limit)
    with maker.stream_reader(value, read_across_frames=True) as reader:
        unpacked = reader.read(limit + 1)
    if len(unpacked) <= limit:
        _expect_whole_frames(value, limit)
    return unpacked


def _expect_whole_frames(value: bytes, limit: int) -> None:
    """Raise when the last frame breaks off, which a stream reader takes for its end."""
    for _ in range(_MAX_MEMBERS):
        reader = zstandard.ZstdDecompressor(max_window_size=limit).decompressobj()
        reader.decompress(value)
        if not reader.eof:
            raise EOFError("it breaks off")
        if not reader.unused_data:
            return
        value = reader.unused_data
    raise EOFError(f"more than {_MAX_MEMBERS} frames")


_UNPACK: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {"gzip": _gunzip, "zstd": _unzstd}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _shown(name: str) -> str:
    """Return what a header says where it looks like a name; else its length, since anything may stand in one."""
    return name if _NAME.fullmatch(name) else f"a text of {len(name)} characters"
