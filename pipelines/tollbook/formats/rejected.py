"""Rejects as rows: why each record, or telling of one, was not accepted, and where it stands on Kafka."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa

from tollbook.contracts import contract
from tollbook.formats.cloudevents_modes import STANDARD
from tollbook.formats.decoder import PART, Headers, Rejected
from tollbook.formats.registry import FORMATS
from tollbook.formats.route import ENCODING_HEADER, FORMAT_HEADER
from tollbook.reference.dimensions import Dimensions

REJECTED_VERSION: Final = 2
"""Version of `rejected_record` that is written."""

REPLAY_HEADER: Final = "tollbook-replay-of"
"""Header of a record that was produced again: the id of the reject that it replays."""

CLOUDEVENTS_PREFIX: Final = "ce_"
CONTENT_TYPE_HEADER: Final = "content-type"
MAX_KEY_BYTES: Final = 256
MAX_HEADER_BYTES: Final = 256
_MAX_HEADERS: Final = 32
_SUBJECT: Final = f"{CLOUDEVENTS_PREFIX}subject"
_MEANT: Final = frozenset({FORMAT_HEADER, ENCODING_HEADER, CONTENT_TYPE_HEADER, REPLAY_HEADER}) | {
    f"{CLOUDEVENTS_PREFIX}{name}" for name in STANDARD
}


def rejected_batch(
    rejected: Sequence[Rejected],
    records: pa.RecordBatch,
    *,
    now: datetime,
    schema_version: int,
    topic_format: str,
    headers: Headers | None = None,
    dimension_headers: Collection[str] = (),
) -> pa.RecordBatch:
    """Return what was not accepted as `rejected_record/v2`, shape (n_rejected,).

    Bytes of unparsed records are left out: they go to a folder of their own that expires.

    Args:
        rejected: What was not accepted.
        records: The `kafka_record/v1` batch it came from, shape (n_records,).
        now: When it was rejected.
        schema_version: Version of the event's contract that it was held against.
        topic_format: Format of the topic.
        headers: Headers of each record, None when none has any.
        dimension_headers: Headers that tell dimensions, and are kept.
    """
    schema = contract("rejected_record", REJECTED_VERSION).arrow_schema
    rows = pa.array([each.row for each in rejected], pa.int64())
    place = {name: records.column(name).take(rows) for name in ("topic", "partition", "offset", "kafka_timestamp")}
    ids = zip(place["topic"].to_pylist(), place["partition"].to_pylist(), place["offset"].to_pylist(), strict=True)
    own = [None if headers is None else headers[each.row] for each in rejected]
    formats = [format_of_record(each, topic_format) for each in own]
    told = {
        "record_item": [each.record_item for each in rejected],
        "rejected_at": [now] * len(rejected),
        "reject_id": [_reject_id(place, each.record_item) for place, each in zip(ids, rejected, strict=True)],
        "reason": [each.error.reason for each in rejected],
        "field": [each.error.field for each in rejected],
        "expected": [each.error.expected for each in rejected],
        "got": [each.error.got for each in rejected],
        "schema_version": [schema_version] * len(rejected),
        "format": formats,
        "record_key": [_kept_key(each.as_py()) for each in records.column("key").take(rows)],
        "headers": [kept_headers(each, dimension_headers) for each in own],
        "value_state": [each.value_state for each in rejected],
        "value_format": [_value_format(each, name) for each, name in zip(rejected, formats, strict=True)],
        "value": [each.value for each in rejected],
        "value_bytes": [each.value_bytes for each in rejected],
        "value_sha256": [each.value_sha256 for each in rejected],
    }
    arrays = [place[f.name].cast(f.type) if f.name in place else pa.array(told[f.name], f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def format_of_record(headers: Mapping[str, bytes] | None, topic_format: str) -> str:
    """Return the format that a record is read as: the one its header names, if it is known, else its topic's."""
    named = (headers or {}).get(FORMAT_HEADER, b"").decode("utf-8", "replace")
    return named if named in FORMATS else topic_format


def kept_headers(
    headers: Mapping[str, bytes] | None, dimension_headers: Collection[str]
) -> list[tuple[str, bytes]] | None:
    """Return the headers that say what a record is, without what else a sender may have put beside it.

    Headers may carry credentials; so only names that have a meaning here are kept, and only short values. An event's
    subject that is an e-mail address is left out.
    """
    if not headers:
        return None
    kept = [
        (name, value)
        for name, value in headers.items()
        if len(value) <= MAX_HEADER_BYTES
        and (name.lower() in _MEANT or name in dimension_headers)
        and not (name.lower() == _SUBJECT and b"@" in value)
    ]
    return kept[:_MAX_HEADERS] or None


def meaningful_headers(dimensions: Dimensions) -> frozenset[str]:
    """Return the headers that tell dimensions by the rules: those named so, and CloudEvents attributes."""
    attributes = (f"{CLOUDEVENTS_PREFIX}{name}" for name in dimensions.wanted("attribute"))
    return dimensions.wanted("header").union(attributes)


def _kept_key(key: bytes | None) -> bytes | None:
    return key if key is not None and len(key) <= MAX_KEY_BYTES else None


def _value_format(rejected: Rejected, record_format: str) -> str | None:
    if rejected.kept_format == PART:
        return None
    return rejected.kept_format or record_format


def _reject_id(place: tuple[str, int, int], record_item: int | None) -> str:
    return ":".join(str(each) for each in (*place, *(() if record_item is None else (record_item,))))
