"""Which format a record has: its topic's, unless a header of its own names another; and its bytes as they were packed.

Headers of ours: `tollbook-format` names the format of the value, `content-encoding` how it is packed (`gzip`, `zstd`,
`identity`). What is packed is unpacked no further than the largest record, so a small record cannot fill the memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import zstandard

from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import UNPARSED, Decoded, Decoder, Headers, Reading, Rows, count_name, in_record_order
from tollbook.formats.registry import FORMATS, format_named
from tollbook.reference.dimensions import Dimensions

FORMAT_HEADER: Final = "tollbook-format"
ENCODING_HEADER: Final = "content-encoding"
MAX_UNPACKED_BYTES: Final = 16 * 1024 * 1024
"""Largest value after unpacking: that of the largest record that a usage topic takes."""

_GZIP: Final = 31
_MAX_NAME: Final = 64


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
        values = _unpacked(reading, headers)
        groups: dict[str, list[int]] = {}
        for row, told in enumerate(headers):
            if reading.seen[row]:
                continue
            name = topic_format if told is None else _text(told.get(FORMAT_HEADER)) or topic_format
            if name in FORMATS:
                groups.setdefault(name, []).append(row)
            else:
                error = RejectedRecordError("unknown_format", None, f"one of {', '.join(FORMATS)}", name[:_MAX_NAME])
                reading.reject(row, error, UNPARSED, None)
        parts = []
        for name, rows in groups.items():
            chosen = np.array(rows, np.int64)
            own = [headers[row] for row in rows]
            parts.append((chosen, self._decoder(name).decode(values.take(pa.array(chosen)), now=now, headers=own)))
        return _merged(parts, reading, self._decoder(topic_format).schema)

    def _decoder(self, name: str) -> Decoder:
        if name not in self._decoders:
            self._decoders[name] = FORMATS[name].make(self.dimensions)
        return self._decoders[name]


def _merged(parts: list[tuple[Rows, Decoded]], reading: Reading, schema: pa.Schema) -> Decoded:
    """Return what became of several groups of records as one, in record order."""
    rejected = list(reading.rejected)
    unknown: dict[str, int] = {}
    ignored: dict[str, int] = {}
    for chosen, decoded in parts:
        rejected += [replace(each, row=int(chosen[each.row])) for each in decoded.rejected]
        for counts, more in ((unknown, decoded.unknown_fields), (ignored, decoded.ignored)):
            for name, times in more.items():
                count_name(counts, name, times)
    finished = [(decoded.events, chosen[decoded.rows], decoded.record_items) for chosen, decoded in parts]
    events, rows, items = in_record_order(finished, schema)
    rejected.sort(key=lambda each: (each.row, each.record_item or 0))
    silent = sum(decoded.silent_records for _, decoded in parts)
    return Decoded(events, rows, items, rejected, silent, unknown, ignored)


def _unpacked(reading: Reading, headers: Headers) -> pa.BinaryArray:
    """Return the values unpacked; what cannot be unpacked is rejected and stays as it came."""
    packed = [
        row for row, told in enumerate(headers) if told and _text(told.get(ENCODING_HEADER)) not in (None, "identity")
    ]
    if not packed:
        return reading.values
    values = reading.values.to_pylist()
    for row in packed:
        name = _text((headers[row] or {}).get(ENCODING_HEADER)) or ""
        try:
            values[row] = unpack(values[row], name.lower())
        except RejectedRecordError as error:
            reading.reject(row, error, UNPARSED, None)
    return pa.array(values, pa.binary())


def unpack(value: bytes, encoding: str, *, limit: int = MAX_UNPACKED_BYTES) -> bytes:
    """Return a value as it was before it was packed.

    Raises:
        RejectedRecordError: The encoding is not known, the bytes are not of it, or they unpack to more than `limit`.
    """
    if encoding not in _UNPACK:
        raise RejectedRecordError(
            "invalid_encoding", None, f"a content-encoding of {', '.join(_UNPACK)}", encoding[:_MAX_NAME]
        )
    try:
        unpacked = _UNPACK[encoding](value, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as broken:
        raise RejectedRecordError(
            "invalid_encoding", None, f"{encoding}, as content-encoding says", str(broken)[:_MAX_NAME]
        ) from None
    if len(unpacked) > limit:
        raise RejectedRecordError("record_too_large", None, f"at most {limit} bytes unpacked", "more")
    return unpacked


def _gunzip(value: bytes, limit: int) -> bytes:
    reader = zlib.decompressobj(_GZIP)
    unpacked = reader.decompress(value, limit + 1)
    if not reader.eof and len(unpacked) <= limit:
        raise EOFError("it breaks off")
    return unpacked


def _unzstd(value: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=limit).stream_reader(value) as reader:
        return reader.read(limit + 1)


_UNPACK: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {"gzip": _gunzip, "zstd": _unzstd}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
