"""Commit: everything that one micro-batch wrote becomes part of the book at once, or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import apache_beam as beam
import msgspec

from tollbook.contracts import usage_event
from tollbook.errors import CommitConflictError, FencedError
from tollbook.lake.layout import USAGE_MINUTE, commit_name, data_path
from tollbook.lake.log import sync_folders
from tollbook.lake.manifest import (
    FORMAT_VERSION,
    FileEntry,
    Manifest,
    PartitionTotals,
    SkippedOffsets,
    commit,
    newest,
    newest_commit,
    read_commit,
)
from tollbook.lake.parquet import write_parquet
from tollbook.lake.steps import reached
from tollbook.stream.aggregate import fold
from tollbook.stream.coders import RecordBatchCoder
from tollbook.stream.decode import Clock
from tollbook.stream.parts import (
    MINUTES_PART,
    REJECTS_PART,
    TAKEN_BACK_PART,
    USAGE_PART,
    CommitPart,
    missing_parts,
)
from tollbook.stream.plan import CommitPlan, PlanLoader
from tollbook.stream.ranges import ChunkOrigin
from tollbook.stream.write import split_by_date

_MAX_NAMES = 100
_SUMS = (MINUTES_PART, TAKEN_BACK_PART)


class CommitUsage(beam.PTransform):
    """Commit a micro-batch.

    Input: every encoded CommitPart of the micro-batch.
    Output: the number of the commit, once.
    Retries make the same commit, or find that it was made. It fails when another meter took over (FencedError).
    """

    def __init__(self, load_plan: PlanLoader, clock: Clock) -> None:
        super().__init__()
        self._load_plan, self._clock = load_plan, clock

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        """Return the number of the commit."""
        return (
            parts
            | "KeyTogether" >> beam.Map(_under_one_key).with_output_types(tuple[int, bytes])
            | "GatherParts" >> beam.GroupByKey()
            | "CommitManifest" >> beam.ParDo(_Commit(self._load_plan, self._clock))
        )


def _under_one_key(part: bytes) -> tuple[int, bytes]:
    return 0, part


class _Commit(beam.DoFn):
    def __init__(self, load_plan: PlanLoader, clock: Clock) -> None:
        self._load_plan, self._clock = load_plan, clock

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterable[int]:
        parts = [CommitPart.decode(encoded) for encoded in element[1]]
        yield commit_parts(parts, self._load_plan(), now=self._clock())


def commit_parts(parts: list[CommitPart], plan: CommitPlan, *, now: datetime) -> int:
    """Make the commit of `parts` and return its number: one above the newest, which upkeep may have moved.

    Raises:
        FencedError: Another meter took over.
        CommitConflictError: The book does not go on where the micro-batch begins, or parts are missing.
        LakeWriteError: The disk is full or read-only; nothing was committed.
    """
    missing = missing_parts(plan.ranges, parts)
    if missing:
        raise CommitConflictError(
            f"expected all parts of the micro-batch {plan.batch}, {'; '.join(missing[:3])} did not come; nothing was "
            "committed"
        )
    files = sorted((file for part in parts for file in part.files), key=lambda file: file.path)
    files += _write_minutes(parts, plan)
    sync_folders((file.path for file in files), plan.lake)
    reached("folders_synced")
    while True:
        before = newest(plan.lake)
        refuse_if_fenced(plan.lake, before, plan.epoch, plan.epoch_owner)
        made = commit_of(plan, before.commit if before is not None else 0)
        if made:
            return made
        manifest = _manifest(parts, plan, before, files, now)
        try:
            commit(plan.lake, manifest)
        except CommitConflictError:
            if newest_commit(plan.lake) == (before.commit if before is not None else 0):
                raise
        else:
            reached("commit_made")
            return manifest.commit


def refuse_if_fenced(lake: Path, before: Manifest | None, epoch: int, owner: str) -> None:
    """Refuse to go on when `before`, the newest manifest, shows that another meter took the lake over.

    Raises:
        FencedError: It did.
    """
    if before is not None and (before.epoch > epoch or (before.epoch == epoch and before.epoch_owner != owner)):
        raise FencedError(
            f"expected to be the meter of {lake} with epoch {epoch}, but commit {before.commit} has the epoch "
            f"{before.epoch} of {before.epoch_owner or before.writer}: another meter took over, and this one ends; "
            "what it had read and not committed is read by that one"
        )


def commit_of(plan: CommitPlan, last: int) -> int:
    """Return the commit since the plan that this very micro-batch made, 0 for none."""
    for number in range(last, plan.base, -1):
        if read_commit(plan.lake, number).batch == plan.batch:
            return number
    return 0


def _manifest(
    parts: list[CommitPart], plan: CommitPlan, before: Manifest | None, files: list[FileEntry], now: datetime
) -> Manifest:
    totals = _copy_totals(before)
    for topic, partition, beginning in plan.beginnings:
        empty = PartitionTotals(first_offset=beginning, next_offset=beginning)
        totals.setdefault(topic, {}).setdefault(partition, empty)
    skipped = _add_up(parts, totals)
    return Manifest(
        commit=before.commit + 1 if before is not None else 1,
        format_version=FORMAT_VERSION,
        epoch=plan.epoch,
        epoch_owner=plan.epoch_owner,
        batch=plan.batch,
        writer=plan.writer,
        committed_at=now,
        schema_versions={"usage_event": usage_event().version},
        catalogue_version=plan.catalogue_version,
        reference_version=plan.reference_version,
        files=files,
        offsets={topic: {p: total.next_offset for p, total in each.items()} for topic, each in totals.items()},
        totals=totals,
        skipped=skipped,
        topic_ids=(before.topic_ids if before is not None else {}) | dict(plan.topic_ids),
        unknown_fields=_added(before.unknown_fields if before is not None else {}, parts, "unknown_fields"),
        ignored=_added(before.ignored if before is not None else {}, parts, "ignored"),
        offset_bases=before.offset_bases if before is not None else {},
        accepted_gaps=before.accepted_gaps if before is not None else [],
    )


def _add_up(parts: list[CommitPart], totals: dict[str, dict[int, PartitionTotals]]) -> list[SkippedOffsets]:
    """Add every chunk to the running totals, in order of offset; return the offsets that held no record of ours.

    Raises:
        CommitConflictError: The chunks of a partition do not go on where the book ends.
    """
    usage = sorted((part for part in parts if part.kind == USAGE_PART), key=lambda part: _place(part.chunk()))
    skipped: list[SkippedOffsets] = []
    for part in usage:
        chunk = part.chunk()
        partitions = totals.setdefault(chunk.topic, {})
        total = partitions.setdefault(
            chunk.partition, PartitionTotals(first_offset=chunk.first_offset, next_offset=chunk.first_offset)
        )
        if total.next_offset != chunk.first_offset:
            raise CommitConflictError(
                f"expected {chunk.topic}-{chunk.partition} to go on at offset {total.next_offset}, "
                f"got a chunk from {chunk.first_offset}"
            )
        total.next_offset = chunk.next_offset
        total.records += chunk.records
        total.usage_rows += part.usage_rows
        total.reject_rows += chunk.items - part.usage_rows
        total.silent_records += chunk.silent_records
        total.further_items += chunk.further_items
        total.input_tokens += sum(file.input_tokens for file in part.files)
        total.output_tokens += sum(file.output_tokens for file in part.files)
        total.list_cost_pico_usd += sum(file.list_cost_pico_usd for file in part.files)
        total.contracted_cost_pico_usd += sum(file.contracted_cost_pico_usd for file in part.files)
        events = [total.newest_event_at, *(file.newest_event_at for file in part.files)]
        total.newest_event_at = max((at for at in events if at is not None), default=None)
        for kind in ("tombstones", "control", "aborted", "missing"):
            count = getattr(chunk, kind)
            setattr(total, kind, getattr(total, kind) + count)
            if count:
                skipped.append(
                    SkippedOffsets(
                        topic=chunk.topic,
                        partition=chunk.partition,
                        kind=kind,
                        first_offset=chunk.first_offset,
                        next_offset=chunk.next_offset,
                        count=count,
                    )
                )
    _check_rejects(usage, parts)
    return skipped


def _check_rejects(usage: list[CommitPart], parts: list[CommitPart]) -> None:
    """Hold the rejects that were written against the items that became no event."""
    expected = {_place(p.chunk()): p.chunk().items - p.usage_rows for p in usage if p.chunk().items != p.usage_rows}
    written: dict[tuple[str, int, int], int] = defaultdict(int)
    for part in parts:
        if part.kind == REJECTS_PART:
            written[_place(part.chunk())] += sum(file.rows for file in part.files)
    if expected != dict(written):
        raise CommitConflictError(f"expected rejects {expected} by chunk, got {dict(written)}; nothing was committed")


def _write_minutes(parts: list[CommitPart], plan: CommitPlan) -> list[FileEntry]:
    batches = [RecordBatchCoder().decode(part.minutes) for part in parts if part.kind in _SUMS]
    batches = [batch.replace_schema_metadata(None) for batch in batches if batch.num_rows]
    if not batches:
        return []
    name = commit_name(plan.base + 1, plan.epoch)
    entries = []
    for date, rows in split_by_date(fold(batches), time_column="event_minute"):
        path = data_path(USAGE_MINUTE, date, name)
        size = write_parquet(plan.lake, path, rows)
        entries.append(FileEntry(table=USAGE_MINUTE, path=path, event_date=date, rows=rows.num_rows, bytes=size))
    return entries


def _copy_totals(before: Manifest | None) -> dict[str, dict[int, PartitionTotals]]:
    if before is None:
        return {}
    return msgspec.json.decode(msgspec.json.encode(before.totals), type=dict[str, dict[int, PartitionTotals]])


def _added(before: dict[str, int], parts: list[CommitPart], kind: str) -> dict[str, int]:
    """Return the counts by name of a kind that chunks carry, added to those before; their names are bounded."""
    counts = dict(before)
    for part in parts:
        if part.kind == USAGE_PART:
            for name, times in getattr(part.chunk(), kind).items():
                if name in counts or len(counts) < _MAX_NAMES:
                    counts[name] = counts.get(name, 0) + times
    return counts


def _place(chunk: ChunkOrigin) -> tuple[str, int, int]:
    return chunk.topic, chunk.partition, chunk.first_offset
