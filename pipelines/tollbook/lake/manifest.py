"""Manifests: the only commit point of the lake.

A manifest `commits/<N>.json` names the files that commit N added and those it replaced, the next Kafka offsets and the
running totals. It is an entry of a numbered log, so of two writers one wins. Readers take the files that manifests
name and never list a folder of data: `tollbook.lake.snapshot` says which they are.

A meter has an epoch, one above that of the meter before it. A manifest carries the epoch and its owner; a meter that
finds a higher epoch, or its own with another owner, is no longer the lake's meter and may not commit. Upkeep
(compaction, erasure) carries the epoch on and changes no offset, so its commits may come between two of a meter.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tollbook.errors import CorruptManifestError, LakeFormatError
from tollbook.lake.log import append, entries_after, entry_path, newest_number, oldest_number, read_entry

COMMITS = "commits"
FORMAT_VERSION = 2
"""Version of the lake's layout that this code writes. 1 had neither replaced files nor checkpoints."""

METER, COMPACTION, ERASURE, GAP = "meter", "compaction", "erasure", "gap"
"""Kinds of commits: what a meter read; files made anew; a person erased; a gap of offsets that an operator accepted."""


class LiveSums(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a file of usage added to the live minutes: its tellings that counted, less what they took back.

    Attributes:
        calls: Calls. All of these can be below zero.
        input_tokens: Unit: Tokens.
        output_tokens: Unit: Tokens.
        list_cost_pico_usd: Over the priced ones. Unit: pico-USD.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    list_cost_pico_usd: int = 0

    def __add__(self, other: LiveSums) -> LiveSums:
        """Return the sums of both, as of a file that is made of two."""
        return LiveSums(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


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
        live: What a file of usage added to the live minutes; None in lakes from before these corrected themselves,
            where it is the sums of its rows that are neither repeats nor voids.
        newest_event_at: When the newest call of its rows happened, UTC.
        first_commit: First commit that its rows came with, for a file made of others.
        last_commit: Last commit that its rows came with or changed by, for a file made of others.
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
    live: LiveSums | None = None
    newest_event_at: datetime | None = None
    first_commit: int | None = None
    last_commit: int | None = None


class SkippedOffsets(msgspec.Struct, frozen=True, kw_only=True):
    """A run of offsets that hold no record of ours.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        kind: `control`, `aborted`, `tombstones`, `missing` (compacted away) or `lost` (gone before they were read).
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

    Always: `next_offset - first_offset` = records + tombstones + control + aborted + missing + lost, and
    records + further_items = usage_rows + reject_rows + silent_records. A record may tell of many calls: all but the
    first are further items; a silent record tells of none. `lost` were gone from Kafka before they were read, as an
    operator accepted. `newest_event_at` is when the newest call happened, UTC; None until one is committed.
    """

    first_offset: int
    next_offset: int
    records: int = 0
    tombstones: int = 0
    control: int = 0
    aborted: int = 0
    missing: int = 0
    lost: int = 0
    usage_rows: int = 0
    reject_rows: int = 0
    silent_records: int = 0
    further_items: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    list_cost_pico_usd: int = 0
    contracted_cost_pico_usd: int = 0
    newest_event_at: datetime | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `offsets` and `totals` are those after it; `files` it added, `removed` it replaced.

    Every partition that was known is in `offsets`, empty ones too, so that records lost from one are missed.
    `unknown_fields` and `ignored` count since the lake began: fields without a meaning, and what was left out on
    purpose, by reason. `topic_ids` are Kafka's own, which change when a topic is deleted and made anew.

    An offset of the book is Kafka's plus `offset_bases` of its partition: zero, unless the partition's log began anew
    and an operator accepted that. `accepted_gaps` are the entries of the log of gaps (`tollbook.lake.gaps`) by which
    operators did, since the lake began. `epoch_owner` is the meter that the epoch belongs to, and `batch` names what it
    committed, so that a retry of a commit is known.
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
    format_version: int = 1
    kind: str = METER
    epoch_owner: str = ""
    batch: str = ""
    reason: str = ""
    removed: list[str] = []
    offset_bases: dict[str, dict[int, int]] = {}
    accepted_gaps: list[int] = []


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


def oldest_commit(lake: Path) -> int:
    """Return the number of the oldest commit whose manifest is kept, 0 when there is none."""
    return oldest_number(lake / COMMITS)


def newest(lake: Path) -> Manifest | None:
    """Return the newest manifest, None for a lake that holds none."""
    number = newest_commit(lake)
    return read_commit(lake, number) if number else None


def commits_after(lake: Path, commit: int) -> Iterator[Manifest]:
    """Yield the manifests after `commit` in order.

    Raises:
        CorruptManifestError: One between `commit` and the newest is absent, as expired ones are.
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


def next_commit(before: Manifest, *, kind: str, writer: str, now: datetime, **changes: Any) -> Manifest:
    """Return the manifest after `before` of one that is no meter: offsets, totals and epoch go on unless changed.

    Args:
        before: The newest manifest.
        kind: Kind of the commit.
        writer: Who writes it.
        now: When.
        changes: Fields that differ, such as `files` and `removed`.
    """
    carried = {"commit": before.commit + 1, "kind": kind, "writer": writer, "committed_at": now, "batch": ""}
    emptied: dict[str, Any] = {"files": [], "removed": [], "skipped": [], "reason": ""}
    return msgspec.structs.replace(before, **(carried | emptied | {"format_version": FORMAT_VERSION} | changes))


def _decode(lake: Path, commit: int, encoded: bytes) -> Manifest:
    try:
        manifest = _DECODER.decode(encoded)
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected a manifest at {manifest_path(lake, commit)}, got: {broken}") from broken
    refuse_newer_format(lake, manifest.format_version)
    return manifest


def refuse_newer_format(lake: Path, version: int) -> None:
    """Refuse a lake that a later Tollbook wrote, whose meaning is not known here.

    Raises:
        LakeFormatError: `version` is above ours.
    """
    if version > FORMAT_VERSION:
        raise LakeFormatError(
            f"expected the lake {lake} to have the format {FORMAT_VERSION} or older, got {version}: "
            "a later Tollbook wrote it; use that one"
        )
