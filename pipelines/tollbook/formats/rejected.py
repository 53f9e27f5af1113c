"""Rejects as rows: why each record, or telling of one, was not accepted, and where it stands on Kafka."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from tollbook.contracts import contract
from tollbook.formats.decoder import UNPARSED, Rejected


def rejected_batch(
    rejected: list[Rejected], records: pa.RecordBatch, *, now: datetime, schema_version: int
) -> pa.RecordBatch:
    """Return what was not accepted as `rejected_record/v1`, shape (n_rejected,).

    Bytes of unparsed records are left out: they go to a folder of their own that expires.
    """
    schema = contract("rejected_record").arrow_schema
    rows = pa.array([each.row for each in rejected], pa.int64())
    place = {name: records.column(name).take(rows) for name in ("topic", "partition", "offset", "kafka_timestamp")}
    ids = zip(place["topic"].to_pylist(), place["partition"].to_pylist(), place["offset"].to_pylist(), strict=True)
    told = {
        "record_item": [each.record_item for each in rejected],
        "rejected_at": [now] * len(rejected),
        "reject_id": [_reject_id(place, each.record_item) for place, each in zip(ids, rejected, strict=True)],
        "reason": [each.error.reason for each in rejected],
        "field": [each.error.field for each in rejected],
        "expected": [each.error.expected for each in rejected],
        "got": [each.error.got for each in rejected],
        "schema_version": [schema_version] * len(rejected),
        "value_state": [each.value_state for each in rejected],
        "value": [None if each.value_state == UNPARSED else each.value for each in rejected],
        "value_bytes": [each.value_bytes for each in rejected],
        "value_sha256": [each.value_sha256 for each in rejected],
    }
    arrays = [place[f.name].cast(f.type) if f.name in place else pa.array(told[f.name], f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _reject_id(place: tuple[str, int, int], record_item: int | None) -> str:
    return ":".join(str(each) for each in (*place, *(() if record_item is None else (record_item,))))
