"""Acceptance of gaps: an operator says that the book goes on without what is lost, and it does, in one commit.

The word of the operator goes into the log of gaps first, and counts once the commit that follows names it. So a kill
between the two leaves the gaps open, and a kill after them leaves nothing to do.
"""

from __future__ import annotations

import copy
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tollbook.broker.connect import cluster_of
from tollbook.errors import CommitConflictError, GapAcceptanceError, MisuseError
from tollbook.lake.gaps import (
    GAPS,
    HOLE,
    OPEN,
    RECREATED,
    Acceptance,
    GapRecord,
    append_gap_entry,
    load_gaps,
)
from tollbook.lake.lock import writer_lock
from tollbook.lake.log import sweep_temporaries
from tollbook.lake.manifest import GAP, Manifest, PartitionTotals, SkippedOffsets, commit, newest, next_commit
from tollbook.settings import Settings
from tollbook.stream.decode import Clock, utc_now
from tollbook.stream.read import close_consumers
from tollbook.stream.topics import KafkaTopics


@dataclass(frozen=True, slots=True)
class AcceptedGaps:
    """What an acceptance did.

    Attributes:
        commit: Number of the commit that it made.
        gaps: The gaps that it accepted.
    """

    commit: int
    gaps: tuple[GapRecord, ...]


def accept_gaps(
    settings: Settings, places: Sequence[str] | None, *, author: str, reason: str, clock: Clock = utc_now
) -> AcceptedGaps:
    """Let the book go on without what open gaps took.

    Args:
        settings: Says which lake, and which Kafka to hold the gaps against.
        places: Topics, or partitions as `TOPIC-PARTITION`, whose gaps are accepted; None for all that are open.
        author: Who says so.
        reason: Why.
        clock: The present.

    Raises:
        MisuseError: No gap is open there, the reason is empty, or some partitions of a topic made anew are left out.
        GapAcceptanceError: Kafka no longer is as it was when the gap was found. The gap stays open.
        LakeLockedError: A meter runs.
        KafkaUnavailableError: No broker answers.
        LakeWriteError: The disk is full or read-only; the gaps stay open.
    """
    if not reason.strip() or not author.strip():
        raise MisuseError("expected a reason and an author for accepting a gap, got an empty one")
    lake = settings.lake
    if not lake.is_dir():
        raise MisuseError(f"expected a lake at {lake}, found none: is this the home?")
    with writer_lock(lake):
        sweep_temporaries(lake / GAPS)
        before = newest(lake)
        chosen = _choose(lake, before, places)
        if before is None:
            raise MisuseError(f"expected commits in the lake {lake}, found none")
        try:
            _refuse_changed(settings, before, chosen)
        finally:
            close_consumers()
        acceptance = Acceptance(
            gaps=[each.number for each in chosen], author=author.strip(), reason=reason.strip(), accepted_at=clock()
        )
        entry = append_gap_entry(lake, acceptance)
        manifest = _commit(lake, before, chosen, entry, acceptance)
        numbers = {each.number for each in chosen}
        settled = tuple(each for each in load_gaps(lake, manifest) if each.number in numbers)
    return AcceptedGaps(manifest.commit, settled)


def _choose(lake: Path, manifest: Manifest | None, places: Sequence[str] | None) -> list[GapRecord]:
    """Return the open gaps at `places`, by number."""
    is_open = [each for each in load_gaps(lake, manifest) if each.state == OPEN]
    named = {place: [each for each in is_open if place in {each.gap.place, each.gap.topic}] for place in places or ()}
    absent = [place for place, records in named.items() if not records]
    if absent or not is_open:
        there = ", ".join(each.gap.place for each in is_open) or "none is open"
        raise MisuseError(f"expected open gaps of {lake} ({there}), got {', '.join(absent) or '--all'}")
    numbers = {each.number for records in named.values() for each in records}
    chosen = [each for each in is_open if places is None or each.number in numbers]
    topics = {each.gap.topic for each in chosen if each.gap.kind == RECREATED}
    left = [each.gap.place for each in is_open if each.gap.topic in topics and each not in chosen]
    if left:
        raise MisuseError(
            f"expected all partitions of a topic that was made anew, without {', '.join(left)} got some: "
            f"name the topic alone, {' '.join(sorted(topics))}"
        )
    return chosen


def _refuse_changed(settings: Settings, manifest: Manifest, chosen: Sequence[GapRecord]) -> None:
    """Hold each gap against the book and Kafka as they are now.

    Raises:
        GapAcceptanceError: One is another now.
    """
    cluster, names = cluster_of(settings), tuple(sorted({each.gap.topic for each in chosen}))
    topics = KafkaTopics(cluster, names, read_before=manifest.offsets)
    beginnings = topics.beginnings(topics.ends())
    ids = topics.ids()
    for record in chosen:
        gap = record.gap
        book = manifest.offsets.get(gap.topic, {}).get(gap.partition, gap.base_before)
        first = beginnings.get((gap.topic, gap.partition))
        if book != gap.first_offset:
            raise _changed(record, f"the book ends at offset {book}, and ended at {gap.first_offset}")
        if ids.get(gap.topic) != gap.topic_id_after:
            raise _changed(record, f"the topic's id is {ids.get(gap.topic)}, and was {gap.topic_id_after}")
        if gap.kind != HOLE and first != gap.kafka_first_offset:
            raise _changed(record, f"Kafka's first offset is {first}, and was {gap.kafka_first_offset}")


def _changed(record: GapRecord, what: str) -> GapAcceptanceError:
    return GapAcceptanceError(
        f"expected gap {record.number} of {record.gap.place} to be as it was found, but now {what}. "
        "Nothing was accepted; let `tollbook meter` look again, then see `tollbook gaps list`"
    )


def _commit(lake: Path, before: Manifest, chosen: Sequence[GapRecord], entry: int, acceptance: Acceptance) -> Manifest:
    """Commit what an acceptance changes; a compaction may have come before it, a meter may not."""
    while True:
        manifest = _gap_commit(before, chosen, entry, acceptance)
        try:
            commit(lake, manifest)
        except CommitConflictError:
            after = newest(lake)
            if after is None or (after.epoch, after.offsets) != (before.epoch, before.offsets):
                raise
            before = after
        else:
            return manifest


def _gap_commit(before: Manifest, chosen: Sequence[GapRecord], entry: int, acceptance: Acceptance) -> Manifest:
    """Return the commit by which the book goes on after the gaps.

    It begins an epoch, so that a meter which planned before it, stalled and wakes up after it, cannot commit.
    """
    totals, bases, ids = copy.deepcopy(before.totals), copy.deepcopy(before.offset_bases), dict(before.topic_ids)
    skipped = []
    for record in chosen:
        gap = record.gap
        total = totals.setdefault(gap.topic, {}).setdefault(
            gap.partition, PartitionTotals(first_offset=gap.first_offset, next_offset=gap.first_offset)
        )
        total.next_offset = gap.next_offset
        total.lost += gap.lost_offsets
        if gap.lost_offsets:
            skipped.append(
                SkippedOffsets(
                    topic=gap.topic,
                    partition=gap.partition,
                    kind="lost",
                    first_offset=gap.first_offset,
                    next_offset=gap.next_offset,
                    count=gap.lost_offsets,
                )
            )
        if gap.base_after:
            bases.setdefault(gap.topic, {})[gap.partition] = gap.base_after
        if gap.topic_id_after is not None:
            ids[gap.topic] = gap.topic_id_after
    writer = f"{socket.gethostname()}:{os.getpid()}"
    return next_commit(
        before,
        kind=GAP,
        writer=writer,
        now=acceptance.accepted_at,
        epoch=before.epoch + 1,
        epoch_owner=f"{writer}:{secrets.token_hex(8)}",
        offsets={
            topic: {number: total.next_offset for number, total in each.items()} for topic, each in totals.items()
        },
        totals=totals,
        skipped=skipped,
        topic_ids=ids,
        offset_bases=bases,
        accepted_gaps=[*before.accepted_gaps, entry],
        reason=acceptance.reason,
    )
