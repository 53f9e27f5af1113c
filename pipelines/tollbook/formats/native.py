"""The native format: one usage event as one flat JSON object, by the contract `usage_event/v1`.

Records go on the fast path in blocks. A block that does not come out certainly right is halved until the records at
fault stand alone; those go on the strict path, which says what is wrong with each. Their neighbours are not harmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tollbook.contracts import Contract
from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import SCRUBBED, UNPARSED, WHOLE, Decoder, Headers, Reading, Rows, Tellings
from tollbook.formats.fast_json import FastJsonReader, TooManyFieldsError, plausible, reading_type, struct_to_map
from tollbook.formats.reasons import UNPARSED_REASONS
from tollbook.formats.strict_json import StrictEvent, parse_document, read_fields, scrub

_STRICT_BELOW = 33


class NativeDecoder(Decoder):
    """Decodes native JSON. One instance serves one thread and learns which fields its traffic carries."""

    def __init__(self, event_contract: Contract | None = None, **options: Any) -> None:
        super().__init__(event_contract, **options)
        self._fast = FastJsonReader(self._contract)
        self._reading = {each.name: reading_type(each.arrow_type) for each in self._contract.fields}

    def _read(
        self, values: pa.BinaryArray, start: int, reading: Reading, _headers: Headers | None
    ) -> Iterator[Tellings]:
        good = plausible(values, max_record_bytes=self._max_record_bytes)
        if good.all():
            yield from self._read_fast(values, np.arange(start, start + len(values)), reading)
            return
        if good.any():
            chosen = np.flatnonzero(good)
            yield from self._read_fast(values.take(pa.array(chosen)), chosen + start, reading)
        doubtful = np.flatnonzero(~good)
        yield from self._read_strict(values.take(pa.array(doubtful)), doubtful + start, reading)

    def _read_fast(self, values: pa.BinaryArray, rows: Rows, reading: Reading) -> Iterator[Tellings]:
        if len(values) < _STRICT_BELOW:
            yield from self._read_strict(values, rows, reading)
            return
        try:
            result = self._fast.read_many(values)
        except TooManyFieldsError:
            yield from self._read_strict(values, rows, reading)
            return
        if result is None:
            half = len(values) // 2
            yield from self._read_fast(values.slice(0, half), rows[:half], reading)
            yield from self._read_fast(values.slice(half), rows[half:], reading)
            return
        batch, surplus = result
        told = {name: batch.column(name) for name in batch.schema.names if name not in surplus}
        for each in self._contract.fields:
            if pa.types.is_map(each.arrow_type) and each.name in told:
                column = told.pop(each.name)
                if not pa.types.is_null(column.type):
                    told[each.name] = struct_to_map(column, each.arrow_type)
        flags = {}
        if surplus:
            carried = np.zeros(len(rows), bool)
            for name in sorted(surplus):
                present = batch.column(name).is_valid().to_numpy(zero_copy_only=False)
                reading.note_unknown(name, int(present.sum()))
                carried |= present
            flags["unknown_fields"] = carried
        yield Tellings(told, rows, flags=flags)

    def _read_strict(self, values: pa.BinaryArray, rows: Rows, reading: Reading) -> Iterator[Tellings]:
        read: list[StrictEvent] = []
        kept: list[int] = []
        for row, scalar in zip(rows.tolist(), values, strict=True):
            value = scalar.as_py()
            document: dict[str, Any] | None = None
            try:
                document = parse_document(value, max_record_bytes=self._max_record_bytes)
                event = read_fields(document, self._contract)
            except RejectedRecordError as error:
                self._reject(row, error, document, reading)
                continue
            for name in event.unknown:
                reading.note_unknown(name, 1)
            read.append(event)
            kept.append(row)
        if not read:
            return
        told = {
            name: pa.array([event.fields.get(name) for event in read], kind)
            for name, kind in self._reading.items()
            if any(name in event.fields for event in read)
        }
        flags = {
            "unknown_fields": np.array([bool(event.unknown) for event in read]),
            "provider_cost_rounded": np.array(["provider_cost_rounded" in event.flags for event in read]),
        }
        yield Tellings(told, np.array(kept), flags=flags)

    def _reject_telling(self, tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
        row = int(tellings.rows[index])
        value = reading.values[row].as_py()
        self._reject(row, error, self._document(value), reading)

    def _document(self, value: bytes) -> dict[str, Any] | None:
        """Return what the strict path reads, or None: a neighbour of its name can be read only on the fast one."""
        try:
            return parse_document(value, max_record_bytes=self._max_record_bytes)
        except RejectedRecordError:
            return None

    def _reject(self, row: int, error: RejectedRecordError, document: dict[str, Any] | None, reading: Reading) -> None:
        if document is None or error.reason in UNPARSED_REASONS:
            reading.reject(row, error, UNPARSED, None)
            return
        scrubbed = scrub(document, self._contract)
        reading.reject(row, error, WHOLE if scrubbed is None else SCRUBBED, scrubbed)
