"""The native format: one usage event as one flat JSON object, by the contract `usage_event/v1`.

Records go on the fast path in blocks. A block that does not come out certainly right is halved until the records at
fault stand alone; those go on the strict path, which says what is wrong with each. Their neighbours are not harmed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import Contract, contract, usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.buckets import make_disjoint
from tollbook.formats.check import Fault, Faults, check_fields
from tollbook.formats.fast_json import FastJsonReader, TooManyFieldsError, plausible, reading_type, struct_to_map
from tollbook.formats.reasons import UNPARSED_REASONS
from tollbook.formats.strict_json import MAX_RECORD_BYTES, StrictEvent, is_time_like, parse_document, read_fields, scrub

BLOCK_RECORDS = 8_192
_STRICT_BELOW = 33
_MAX_UNKNOWN_NAMES = 100
_MAX_NAME = 64


@dataclass(slots=True)
class Rejected:
    """One record that was not accepted, ready to become a row of `rejected_record/v1`."""

    row: int
    error: RejectedRecordError
    value_state: str
    value: bytes | None
    value_bytes: int
    value_sha256: str


@dataclass(slots=True)
class Decoded:
    """What became of a batch of records. `len(events) + len(rejected)` is always the number of records.

    Attributes:
        events: `usage_event`'s columns and `flags`, shape (n_accepted,), record order kept.
        rows: Index of each event's record in the batch, shape (n_accepted,).
        rejected: The other records, in record order.
        unknown_fields: Name of each field outside the contract to the number of events that carried it.
    """

    events: pa.RecordBatch
    rows: np.ndarray
    rejected: list[Rejected]
    unknown_fields: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Block:
    """Fields of the records that could be read, as they were told, and their rows in the batch."""

    told: dict[str, pa.Array]
    rows: np.ndarray
    flags: dict[str, np.ndarray]


class NativeDecoder:
    """Decodes native JSON. One instance serves one thread and learns which fields its traffic carries."""

    def __init__(self, event_contract: Contract | None = None, *, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._contract = event_contract or usage_event()
        self._fast = FastJsonReader(self._contract)
        self._max_record_bytes = max_record_bytes
        self._reading = {each.name: reading_type(each.arrow_type) for each in self._contract.fields}

    def decode(self, values: pa.BinaryArray, *, now: datetime) -> Decoded:
        """Return the events in `values` and the records that are none.

        Args:
            values: Records, shape (n,), none null.
            now: The clock, for times too far ahead.
        """
        events: list[pa.RecordBatch] = []
        rows: list[np.ndarray] = []
        rejected: list[Rejected] = []
        unknown: dict[str, int] = {}
        for start in range(0, len(values), BLOCK_RECORDS):
            for block in self._read(values.slice(start, BLOCK_RECORDS), start, rejected, unknown):
                batch, kept = self._finish(block, values, rejected, now)
                events.append(batch)
                rows.append(kept)
        rejected.sort(key=lambda each: each.row)
        merged, order = _in_record_order(events, rows, self.schema)
        return Decoded(merged, order, rejected, unknown)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of decoded events."""
        return self._contract.arrow_schema.append(pa.field("flags", pa.list_(pa.string())))

    def _read(
        self, values: pa.BinaryArray, start: int, rejected: list[Rejected], unknown: dict[str, int]
    ) -> Iterator[_Block]:
        good = plausible(values, max_record_bytes=self._max_record_bytes)
        if good.all():
            yield from self._read_fast(values, np.arange(start, start + len(values)), rejected, unknown)
            return
        if good.any():
            chosen = np.flatnonzero(good)
            yield from self._read_fast(values.take(pa.array(chosen)), chosen + start, rejected, unknown)
        doubtful = np.flatnonzero(~good)
        yield from self._read_strict(values.take(pa.array(doubtful)), doubtful + start, rejected, unknown)

    def _read_fast(
        self, values: pa.BinaryArray, rows: np.ndarray, rejected: list[Rejected], unknown: dict[str, int]
    ) -> Iterator[_Block]:
        if len(values) < _STRICT_BELOW:
            yield from self._read_strict(values, rows, rejected, unknown)
            return
        try:
            result = self._fast.read_many(values)
        except TooManyFieldsError:
            yield from self._read_strict(values, rows, rejected, unknown)
            return
        if result is None:
            half = len(values) // 2
            yield from self._read_fast(values.slice(0, half), rows[:half], rejected, unknown)
            yield from self._read_fast(values.slice(half), rows[half:], rejected, unknown)
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
                _count(unknown, name, int(present.sum()))
                carried |= present
            flags["unknown_fields"] = carried
        yield _Block(told, rows, flags)

    def _read_strict(
        self, values: pa.BinaryArray, rows: np.ndarray, rejected: list[Rejected], unknown: dict[str, int]
    ) -> Iterator[_Block]:
        read: list[StrictEvent] = []
        kept: list[int] = []
        for row, scalar in zip(rows.tolist(), values, strict=True):
            value = scalar.as_py()
            document: dict[str, Any] | None = None
            try:
                document = parse_document(value, max_record_bytes=self._max_record_bytes)
                event = read_fields(document, self._contract)
            except RejectedRecordError as error:
                rejected.append(self._reject(row, value, error, document))
                continue
            for name in event.unknown:
                _count(unknown, name, 1)
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
        yield _Block(told, np.array(kept), flags)

    def _finish(
        self, block: _Block, values: pa.BinaryArray, rejected: list[Rejected], now: datetime
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        count = len(block.rows)
        faults = Faults.none(count)
        columns = check_fields(block.told, count, self._contract, faults, now=now)
        make_disjoint(columns, count, faults)
        if "sampling_rate" in columns:
            block.flags["sampled"] = (
                pc.less(columns["sampling_rate"], 1.0).fill_null(False).to_numpy(zero_copy_only=False)
            )
        columns["flags"] = _flag_lists(block.flags, count)
        arrays = [columns.get(each.name, None) for each in self.schema]
        whole = [
            pa.nulls(count, each.type) if array is None else array
            for array, each in zip(arrays, self.schema, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(whole, schema=self.schema)
        if not faults:
            return batch, block.rows
        for index in np.flatnonzero(faults.first >= 0).tolist():
            fault = faults.kinds[faults.first[index]]
            row = int(block.rows[index])
            value = values[row].as_py()
            rejected.append(self._reject(row, value, _as_error(fault, block.told, index), self._document(value)))
        sound = faults.first < 0
        return batch.filter(pa.array(sound)), block.rows[sound]

    def _document(self, value: bytes) -> dict[str, Any] | None:
        """Return what the strict path reads, or None: a neighbour of its name can be read only on the fast one."""
        try:
            return parse_document(value, max_record_bytes=self._max_record_bytes)
        except RejectedRecordError:
            return None

    def _reject(self, row: int, value: bytes, error: RejectedRecordError, document: dict[str, Any] | None) -> Rejected:
        digest = hashlib.sha256(value).hexdigest()
        if document is None or error.reason in UNPARSED_REASONS:
            return Rejected(row, error, "unparsed", value, len(value), digest)
        scrubbed = scrub(document, self._contract)
        if scrubbed is None:
            return Rejected(row, error, "whole", value, len(value), digest)
        return Rejected(row, error, "scrubbed", scrubbed, len(value), digest)


def rejected_batch(
    rejected: list[Rejected], records: pa.RecordBatch, *, now: datetime, schema_version: int
) -> pa.RecordBatch:
    """Return rejected records as `rejected_record/v1`, shape (n_rejected,).

    Bytes of unparsed records are left out: they go to a folder of their own that expires.
    """
    schema = contract("rejected_record").arrow_schema
    rows = pa.array([each.row for each in rejected], pa.int64())
    place = {name: records.column(name).take(rows) for name in ("topic", "partition", "offset", "kafka_timestamp")}
    ids = zip(place["topic"].to_pylist(), place["partition"].to_pylist(), place["offset"].to_pylist(), strict=True)
    told = {
        "rejected_at": [now] * len(rejected),
        "reject_id": [f"{topic}:{partition}:{offset}" for topic, partition, offset in ids],
        "reason": [each.error.reason for each in rejected],
        "field": [each.error.field for each in rejected],
        "expected": [each.error.expected for each in rejected],
        "got": [each.error.got for each in rejected],
        "schema_version": [schema_version] * len(rejected),
        "value_state": [each.value_state for each in rejected],
        "value": [None if each.value_state == "unparsed" else each.value for each in rejected],
        "value_bytes": [each.value_bytes for each in rejected],
        "value_sha256": [each.value_sha256 for each in rejected],
    }
    arrays = [place[f.name].cast(f.type) if f.name in place else pa.array(told[f.name], f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _as_error(fault: Fault, told: dict[str, pa.Array], index: int) -> RejectedRecordError:
    column = told.get(fault.field) if fault.field else None
    got = column[index].as_py() if column is not None else None
    if got is None:
        shown = "nothing"
    elif isinstance(got, str):
        shown = (
            got
            if fault.reason in {"invalid_time", "time_out_of_range"} and is_time_like(got)
            else f"a text of {len(got)} characters"
        )
    else:
        shown = str(got) if not isinstance(got, list) else f"{len(got)} entries"
    return RejectedRecordError(fault.reason, fault.field, fault.expected, shown)


def _flag_lists(flags: dict[str, np.ndarray], count: int) -> pa.Array:
    raised = {code: mask for code, mask in flags.items() if mask.any()}
    if not raised:
        return pa.nulls(count, pa.list_(pa.string()))
    names = sorted(raised)
    matrix = np.stack([raised[name] for name in names], axis=1)
    return pa.array(
        [[n for n, up in zip(names, row, strict=True) if up] or None for row in matrix.tolist()],
        pa.list_(pa.string()),
    )


def _count(unknown: dict[str, int], name: str, times: int) -> None:
    short = name.encode("utf-8", "replace").decode("utf-8")[:_MAX_NAME]
    if times and (short in unknown or len(unknown) < _MAX_UNKNOWN_NAMES):
        unknown[short] = unknown.get(short, 0) + times


def _in_record_order(
    batches: list[pa.RecordBatch], rows: list[np.ndarray], schema: pa.Schema
) -> tuple[pa.RecordBatch, np.ndarray]:
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=schema), np.zeros(0, np.int64)
    if len(batches) == 1:
        return batches[0], rows[0]
    merged = pa.concat_batches(batches)
    order = np.concatenate(rows)
    if (np.diff(order) > 0).all():
        return merged, order
    sorting = np.argsort(order, kind="stable")
    return merged.take(pa.array(sorting)), order[sorting]
