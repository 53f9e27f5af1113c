"""Manifests: the only commit point of the lake.

A manifest `commits/<N>.json` names the files that commit N added, the next Kafka offsets and the running totals. It is
an entry of a numbered log, so of two writers one wins. Readers take the files that manifests name and never list a
folder of data.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, entry_path, newest_number, read_entry

COMMITS = "commits"


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One data file that a commit added.

    Attributes:
        table: `usage`, `usage_minute`, `rejects` or `unparsed`.
        path: Path below the lake's folder, with `/`.
        event_date: Value of its date partition, `YYYY-MM-DD` (the ingest date for rejects).
        rows: Rows in the file.
        bytes: Size of the file. Unit: Bytes.
        schema_version: Version of the record's contract.
        topic: Topic its records came from; None for files made of several.
        partition: Partition its records came from.
        first_offset: First offset of the chunk it was written from.
        next_offset: Offset after that chunk.
        input_tokens: Sum over its rows. Unit: Tokens.
        output_tokens: Sum over its rows. Unit: Tokens.
        list_cost_pico_usd: Sum over its priced rows. Unit: pico-USD.
        contracted_cost_pico_usd: Sum over its priced rows. Unit: pico-USD.
        unpriced_events: Rows without a price, voids left out.
        stream_repeats: Rows that the stream took for repeats.
    """

    table: str
    path: str
    event_date: str
    rows: int
    bytes: int
    schema_version: int = 1
    topic: str | None = None
    partition: int | None = None
    first_offset: int | None = None
    next_offset: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    list_cost_pico_usd: int = 0
    contracted_cost_pico_usd: int = 0
    unpriced_events: int = 0
    stream_repeats: int = 0


class SkippedOffsets(msgspec.Struct, frozen=True, kw_only=True):
    """A run of offsets that hold no record of ours.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        kind: `control`, `aborted`, `tombstones` or `missing` (compacted away).
        first_offset: First offset of the run.
        next_offset: Offset after the run.
        count: Offsets of that kind in the run, which may be fewer than its length.
    """

    topic: str
    partition: int
    kind: str
    first_offset: int
    next_offset: int
    count: int


class PartitionTotals(msgspec.Struct, kw_only=True):
    """Running totals of one partition since the lake began.

    Always: `next_offset - first_offset` = records + tombstones + control + aborted + missing, and
    records + further_items = usage_rows + reject_rows + silent_records. A record may tell of many calls: all but the
    first are further items; a silent record tells of none.
    """

    first_offset: int
    next_offset: int
    records: int = 0
    tombstones: int = 0
    control: int = 0
    aborted: int = 0
    missing: int = 0
    usage_rows: int = 0
    reject_rows: int = 0
    silent_records: int = 0
    further_items: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    list_cost_pico_usd: int = 0
    contracted_cost_pico_usd: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `offsets` and `totals` are those after it; `files` are only those it added.

    Every partition that was known is in `offsets`, empty ones too, so that records lost from one are missed.
    `unknown_fields` and `ignored` count since the lake began: fields without a meaning, and what was left out on
    purpose, by reason. `topic_ids` are Kafka's own, which change when a topic is deleted and made anew.
    """

    commit: int
    epoch: int
    writer: str
    committed_at: datetime
    schema_versions: dict[str, int]
    catalogue_version: str
    reference_version: str
    files: list[FileEntry]
    offsets: dict[str, dict[int, int]]
    totals: dict[str, dict[int, PartitionTotals]]
    skipped: list[SkippedOffsets] = []
    topic_ids: dict[str, str] = {}
    unknown_fields: dict[str, int] = {}
    ignored: dict[str, int] = {}


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Manifest)


def manifest_path(lake: Path, commit: int) -> Path:
    """Return where the manifest of `commit` lies."""
    return entry_path(lake / COMMITS, commit)


def read_commit(lake: Path, commit: int) -> Manifest:
    """Return the manifest of `commit`.

    Raises:
        CorruptManifestError: It is absent or cannot be read.
    """
    return _decode(lake, commit, read_entry(lake / COMMITS, commit))


def newest_commit(lake: Path) -> int:
    """Return the number of the newest commit, 0 when there is none."""
    return newest_number(lake / COMMITS)


def newest(lake: Path) -> Manifest | None:
    """Return the newest manifest, None for a lake that holds none."""
    number = newest_commit(lake)
    return read_commit(lake, number) if number else None


def commits_after(lake: Path, commit: int) -> Iterator[Manifest]:
    """Yield the manifests after `commit` in order.

    Raises:
        CorruptManifestError: One between `commit` and the newest is absent.
    """
    for number, encoded in entries_after(lake / COMMITS, commit):
        yield _decode(lake, number, encoded)


def commit(lake: Path, manifest: Manifest) -> Path:
    """Make `manifest` part of the book, or fail without a trace.

    Committing again what is already there, byte for byte, is no error.

    Raises:
        CommitConflictError: Another writer already made this commit.
    """
    return append(lake / COMMITS, manifest.commit, _ENCODER.encode(manifest))


def _decode(lake: Path, commit: int, encoded: bytes) -> Manifest:
    try:
        return _DECODER.decode(encoded)
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected a manifest at {manifest_path(lake, commit)}, got: {broken}") from broken
