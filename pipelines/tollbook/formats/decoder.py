"""What all formats share: from the tellings that a format reads to checked events, and rejects with their reasons.

A record may tell of no model call, of one, or of many. A telling is one call told once; its place is its record and its
number within it. Every record is found again as tellings, as rejects, or as ignored with a reason: none just vanishes.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import Contract, usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.buckets import make_disjoint
from tollbook.formats.check import Fault, Faults, check_fields
from tollbook.formats.strict_json import MAX_RECORD_BYTES, is_time_like
from tollbook.reference.dimensions import Dimensions, default_dimensions

BLOCK_RECORDS: Final = 8_192
UNPARSED, WHOLE, SCRUBBED = "unparsed", "whole", "scrubbed"
"""What a reject keeps of its bytes: they lie apart and expire; all of them; what is left without content."""

NATIVE_FIELDS, PART = "native", "part"
"""What a reject keeps where it is not a record of its format: the fields read, as a native event; a part of a record
that is none by itself."""

LABEL_LEFT_OUT: Final = "label_left_out"
_MAX_NAMES: Final = 100
_MAX_NAME: Final = 64

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Headers = Sequence[Mapping[str, bytes] | None]
"""Headers of each record, None for a record without any."""


@dataclass(slots=True)
class Rejected:
    """One record, or one telling of a record, that was not accepted; ready to become a row of `rejected_record/v2`.

    Attributes:
        row: Its record in the batch.
        record_item: Its number within the record, None where the whole record was not accepted.
        error: Why.
        value_state: `UNPARSED`, `WHOLE` or `SCRUBBED`.
        value: What is kept of its bytes, by `value_state`; None for `UNPARSED`, where the record's own lie apart.
        value_bytes: Size of the record as it came. Unit: Bytes.
        value_sha256: Digest of the record as it came.
        kept_format: Format of what is kept, where it is not the record's: `NATIVE_FIELDS` or `PART`.
    """

    row: int
    record_item: int | None
    error: RejectedRecordError
    value_state: str
    value: bytes | None
    value_bytes: int
    value_sha256: str
    kept_format: str | None = None


@dataclass(slots=True)
class Decoded:
    """What became of a batch of records.

    Always: each record is that of an event, that of a reject, or silent.

    Attributes:
        events: `usage_event`'s columns and `flags`, shape (n_events,), in the order of records and of items in them.
        rows: Record of each event in the batch, shape (n_events,).
        record_items: Number of each event within its record, shape (n_events,).
        rejected: What was not accepted, in the same order.
        silent_records: Records that tell of no model call.
        unknown_fields: Name of each field outside the contract to the number of events that carried it.
        ignored: Why something in a record was left out on purpose, to how often.
    """

    events: pa.RecordBatch
    rows: Rows
    record_items: Rows
    rejected: list[Rejected]
    silent_records: int = 0
    unknown_fields: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tellings:
    """Calls as records tell them, before they are held against the contract; one row for each.

    Attributes:
        told: Field of the contract to column, shape (n,). Texts, whole numbers as int64, times as RFC 3339 texts or
            timestamps; fields that no telling has are absent.
        rows: Record of each in the batch, shape (n,).
        record_items: Number of each within its record, from 0, shape (n,); None where each record tells of one.
        flags: Code of `reasons.FLAGS` to where it is raised, shape (n,).
        faults: What was found wrong while reading, shape (n,); None for nothing.
        labels: What a record says of itself beside the contract, by `origin:key` such as `resource:team.id`, as texts
            of shape (n,): material for the organisation's dimensions.
    """

    told: dict[str, pa.Array]
    rows: Rows
    record_items: Rows | None = None
    flags: dict[str, Mask] = field(default_factory=dict)
    faults: Faults | None = None
    labels: dict[str, pa.Array] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """What is noted while a batch is read.

    Attributes:
        values: Records of the batch, shape (n,).
        seen: Which records were found again so far: told, rejected or ignored, shape (n,).
        rejected: What was not accepted.
        unknown: Name of each field outside the contract to the number of tellings that carried it.
        ignored: Why something was left out on purpose, to how often.
        last_digest: Record that was rejected last, its size and its digest: a large one may hold many rejects.
    """

    values: pa.BinaryArray
    seen: Mask
    rejected: list[Rejected] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    last_digest: tuple[int, int, str] | None = None

    def reject(
        self,
        row: int,
        error: RejectedRecordError,
        state: str,
        kept: bytes | None,
        *,
        record_item: int | None = None,
        kept_format: str | None = None,
    ) -> None:
        """Note a record, or a telling of it, that is not accepted.

        Args:
            row: The record.
            error: Why.
            state: What is kept of its bytes.
            kept: For `SCRUBBED`, what is left without content; else None.
            record_item: Number of the telling, None for the record as a whole.
            kept_format: Format of what is kept, where it is not the record's.
        """
        # Where an error was raised holds all that stood there in memory, for as long as the error is kept.
        error.__traceback__ = error.__context__ = None
        if self.last_digest is None or self.last_digest[0] != row:
            value = self.values[row].as_buffer()
            self.last_digest = row, value.size, hashlib.sha256(value).hexdigest()
        _, size, digest = self.last_digest
        if state != SCRUBBED:
            kept = self.values[row].as_py() if state == WHOLE else None
        self.rejected.append(Rejected(row, record_item, error, state, kept, size, digest, kept_format))
        self.seen[row] = True

    def ignore(self, row: int, reason: str, times: int = 1) -> None:
        """Note that something in a record is left out on purpose: it is no model call, or another telling has it."""
        count_name(self.ignored, reason, times)
        self.seen[row] = True

    def note_unknown(self, name: str, times: int) -> None:
        """Note a field that has no meaning here."""
        count_name(self.unknown, name, times)


class Decoder(ABC):
    """Decodes the records of one format. One instance serves one thread."""

    def __init__(
        self,
        event_contract: Contract | None = None,
        *,
        max_record_bytes: int = MAX_RECORD_BYTES,
        dimensions: Dimensions | None = None,
    ) -> None:
        self._contract = event_contract or usage_event()
        self._max_record_bytes = max_record_bytes
        self._dimensions = dimensions or default_dimensions()

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of decoded events."""
        return self._contract.arrow_schema.append(pa.field("flags", pa.list_(pa.string())))

    def decode(self, values: pa.BinaryArray, *, now: datetime, headers: Headers | None = None) -> Decoded:
        """Return the events in `values`, and what of them is none.

        Args:
            values: Records, shape (n,), none null.
            now: The clock, for times too far ahead.
            headers: Headers of each record, None when none has any.
        """
        reading = Reading(values, np.zeros(len(values), bool))
        finished: list[tuple[pa.RecordBatch, Rows, Rows]] = []
        for start in range(0, len(values), BLOCK_RECORDS):
            block = values.slice(start, BLOCK_RECORDS)
            own = None if headers is None else headers[start : start + BLOCK_RECORDS]
            for tellings in self._read(block, start, reading, own):
                reading.seen[tellings.rows] = True
                if headers is not None:
                    add_header_labels(tellings, headers, self._dimensions.wanted("header"))
                finished.append(self._finish(tellings, reading, now))
        if not reading.seen.all():
            lost = np.flatnonzero(~reading.seen).tolist()
            raise RuntimeError(f"expected {type(self).__name__} to account for every record, it lost {lost[:10]}")
        events, rows, items = in_record_order(finished, self.schema)
        rejected = sorted(reading.rejected, key=lambda each: (each.row, each.record_item or 0))
        self._expect_places_once(rows, items, rejected)
        told = np.zeros(len(values), bool)
        told[rows] = True
        told[[each.row for each in rejected]] = True
        silent = len(values) - int(told.sum())
        return Decoded(events, rows, items, rejected, silent, reading.unknown, reading.ignored)

    @abstractmethod
    def _read(
        self, values: pa.BinaryArray, start: int, reading: Reading, headers: Headers | None
    ) -> Iterator[Tellings]:
        """Yield the tellings in a block of records; note in `reading` what is none.

        Args:
            values: Records, shape (n,).
            start: Place of the first in the batch: rows are counted from there.
            reading: Takes what is rejected or ignored.
            headers: Headers of each record, None when none has any.
        """

    @abstractmethod
    def _reject_telling(self, tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
        """Note in `reading` a telling that breaks the contract."""

    def _expect_places_once(self, rows: Rows, items: Rows, rejected: Sequence[Rejected]) -> None:
        """Raise where a decoder tells two calls of one place, or rejects what it also tells: each would count twice."""
        turned_away = {(each.row, each.record_item or 0) for each in rejected}
        twice = len(turned_away) < len(rejected) or ((np.diff(rows) == 0) & (np.diff(items) == 0)).any()
        if turned_away and not twice:
            twice = not turned_away.isdisjoint(zip(rows.tolist(), items.tolist(), strict=True))
        if twice:
            raise RuntimeError(f"expected {type(self).__name__} to account for each call once, it did so twice")

    def _finish(self, tellings: Tellings, reading: Reading, now: datetime) -> tuple[pa.RecordBatch, Rows, Rows]:
        """Return the tellings that keep the contract as events, with their records and items."""
        count = len(tellings.rows)
        items = np.zeros(count, np.int64) if tellings.record_items is None else tellings.record_items
        faults = Faults.none(count) if tellings.faults is None else tellings.faults
        unfit = self._dimensions.apply(tellings.told, tellings.labels, count)
        if unfit is not None:
            tellings.flags[LABEL_LEFT_OUT] = unfit
        columns = check_fields(tellings.told, count, self._contract, faults, now=now)
        make_disjoint(columns, count, faults)
        if "sampling_rate" in columns:
            sampled = pc.less(columns["sampling_rate"], 1.0).fill_null(False).to_numpy(zero_copy_only=False)
            tellings.flags["sampled"] = sampled
        columns["flags"] = _flag_lists(tellings.flags, count)
        arrays = [columns.get(each.name) for each in self.schema]
        whole = [
            pa.nulls(count, each.type) if array is None else array
            for array, each in zip(arrays, self.schema, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(whole, schema=self.schema)
        if not faults:
            return batch, tellings.rows, items
        for index in np.flatnonzero(faults.first >= 0).tolist():
            error = _as_error(faults.kinds[faults.first[index]], tellings.told, index)
            self._reject_telling(tellings, index, error, reading)
        sound = faults.first < 0
        return batch.filter(pa.array(sound)), tellings.rows[sound], items[sound]


def add_header_labels(tellings: Tellings, headers: Headers, wanted: Collection[str]) -> None:
    """Add what the wanted headers of each telling's record say to its labels, as `header:KEY`; what is there stays."""
    own = [headers[row] for row in tellings.rows.tolist()]
    for key in sorted(wanted):
        label = f"header:{key}"
        if label in tellings.labels:
            continue
        told = [None if each is None else each.get(key) for each in own]
        if any(told):
            texts = [value.decode("utf-8", "replace") if value else None for value in told]
            tellings.labels[label] = pa.array(texts, pa.string())


def in_record_order(
    finished: list[tuple[pa.RecordBatch, Rows, Rows]], schema: pa.Schema
) -> tuple[pa.RecordBatch, Rows, Rows]:
    """Return batches of events with their records and items as one, in the order of records and items."""
    if not finished:
        return pa.RecordBatch.from_pylist([], schema=schema), np.zeros(0, np.int64), np.zeros(0, np.int64)
    if len(finished) == 1:
        batch, rows, items = finished[0]
    else:
        batch = pa.concat_batches([batch for batch, _, _ in finished])
        rows, items = (np.concatenate([each[place] for each in finished]) for place in (1, 2))
    if (np.diff(rows) > 0).all():
        return batch, rows, items
    order = np.lexsort((items, rows))
    return batch.take(pa.array(order)), rows[order], items[order]


def count_name(counts: dict[str, int], name: str, times: int) -> None:
    """Add to the count of a name, of which a bounded number is kept."""
    short = name.encode("utf-8", "replace").decode("utf-8")[:_MAX_NAME]
    if times and (short in counts or len(counts) < _MAX_NAMES):
        counts[short] = counts.get(short, 0) + times


def value_at(column: pa.Array, index: int) -> Any:
    """Return what a column holds, for people; a time beyond the years that Python has as its number."""
    try:
        return column[index].as_py()
    except (OverflowError, ValueError):
        return column[index].value


def _as_error(fault: Fault, told: Mapping[str, pa.Array], index: int) -> RejectedRecordError:
    column = told.get(fault.field) if fault.field else None
    got: Any = value_at(column, index) if column is not None else None
    if got is None:
        shown = "nothing" if column is not None or fault.reason == "missing_field" else "another value"
    elif isinstance(got, str):
        is_time = fault.reason in {"invalid_time", "time_out_of_range"} and is_time_like(got)
        shown = got if is_time else f"a text of {len(got)} characters"
    else:
        shown = str(got) if not isinstance(got, list) else f"{len(got)} entries"
    return RejectedRecordError(fault.reason, fault.field, fault.expected, shown)


def _flag_lists(flags: Mapping[str, Mask], count: int) -> pa.Array:
    raised = {code: mask for code, mask in flags.items() if mask.any()}
    if not raised:
        return pa.nulls(count, pa.list_(pa.string()))
    names = sorted(raised)
    matrix = np.stack([raised[name] for name in names], axis=1)
    return pa.array(
        [[n for n, up in zip(names, row, strict=True) if up] or None for row in matrix.tolist()],
        pa.list_(pa.string()),
    )
