"""Gaps: what Kafka holds against what the book expects, found before anything is read, and told so that it is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tollbook.errors import KafkaUnavailableError, OffsetGapError
from tollbook.lake.gaps import (
    ADDED,
    HOLE,
    OPEN,
    RECREATED,
    RETENTION,
    TRUNCATED,
    Gap,
    GapRecord,
    Withdrawal,
    append_gap_entry,
    load_gaps,
)
from tollbook.lake.manifest import Manifest
from tollbook.stream.ranges import OffsetHole
from tollbook.stream.topics import KafkaTopics, Place

_MOST_STANDSTILLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOffsets:
    """What Kafka told of some topics, in its own count.

    Attributes:
        ids: Its id of each topic; none of brokers that tell none.
        beginnings: First offset that it holds, for every partition.
        ends: Offset after the last that may be read, for every partition.
    """

    ids: Mapping[str, str]
    beginnings: Mapping[Place, int]
    ends: Mapping[Place, int]


def find_gaps(
    manifest: Manifest, kafka: KafkaOffsets, *, seen_ends: Mapping[Place, int], now: datetime
) -> Iterator[Gap]:
    """Yield where the book cannot go on, and the partitions that were added, by topic and partition.

    Args:
        manifest: The newest.
        kafka: What Kafka tells of topics to read.
        seen_ends: Ends that logs were seen to have, in the book's count: what lay before one of them and was not read
            is known to be lost when the log is gone.
        now: The present, UTC.
    """
    for topic in sorted({topic for topic, _ in kafka.ends} & set(manifest.offsets)):
        known = manifest.offsets[topic]
        there = {partition for each, partition in kafka.ends if each == topic}
        id_before, id_after = manifest.topic_ids.get(topic), kafka.ids.get(topic)
        is_remade = (id_before is not None and id_after is not None and id_before != id_after) or bool(
            set(known) - there
        )
        for partition in sorted(known if is_remade else there):
            log = _Log(manifest, kafka, topic, partition, now)
            if is_remade:
                yield log.recreated(seen_ends.get((topic, partition), 0))
                continue
            if partition not in known:
                yield log.gap(ADDED, next_offset=log.first_offset)
            if log.first_offset > log.end:
                yield log.truncated(seen_ends.get((topic, partition), 0))
            elif log.first_offset < log.beginning:
                yield log.gap(RETENTION, next_offset=log.beginning)


class _Log:
    """One partition as the book and Kafka know it; offsets are the book's."""

    def __init__(self, manifest: Manifest, kafka: KafkaOffsets, topic: str, partition: int, now: datetime) -> None:
        place = (topic, partition)
        self._place, self._now, self._commit = place, now, manifest.commit
        self._base = manifest.offset_bases.get(topic, {}).get(partition, 0)
        self._ids = manifest.topic_ids.get(topic), kafka.ids.get(topic)
        self._kafka = kafka.beginnings.get(place), kafka.ends.get(place)
        self.first_offset = manifest.offsets[topic].get(partition, self._base)
        self.beginning = (self._kafka[0] or 0) + self._base
        self.end = (self._kafka[1] or 0) + self._base

    def recreated(self, seen_end: int) -> Gap:
        """Return the gap of a log that another took the place of, which is read from its offset 0 on."""
        base = max(self.first_offset, seen_end)
        return self.gap(RECREATED, next_offset=base + (self._kafka[0] or 0), base_after=base, loss_is_known=False)

    def truncated(self, seen_end: int) -> Gap:
        """Return the gap of a log that lost its end. All that it holds is read again: some of it may be new."""
        next_offset = max(self.first_offset, seen_end)
        base = next_offset - (self._kafka[0] or 0)
        return self.gap(TRUNCATED, next_offset=next_offset, base_after=base, loss_is_known=False)

    def gap(self, kind: str, *, next_offset: int, base_after: int | None = None, loss_is_known: bool = True) -> Gap:
        """Return a gap from where the book ends to `next_offset`."""
        return Gap(
            topic=self._place[0],
            partition=self._place[1],
            kind=kind,
            first_offset=self.first_offset,
            next_offset=next_offset,
            loss_is_known=loss_is_known,
            base_before=self._base,
            base_after=self._base if base_after is None else base_after,
            kafka_first_offset=self._kafka[0],
            kafka_end_offset=self._kafka[1],
            topic_id_before=self._ids[0],
            topic_id_after=self._ids[1],
            commit=self._commit,
            detected_at=self._now,
        )


class GapWatch:
    """Holds what Kafka tells against the book before each micro-batch, and remembers every gap in the lake, once.

    Only the holder of the meter's lock may have one.
    """

    def __init__(self, lake: Path, manifest: Manifest | None, clock: Callable[[], datetime]) -> None:
        self._lake, self._clock = lake, clock
        self._begun_from = manifest  # no gap is accepted after it while the lock is held
        self._records = load_gaps(lake, manifest)
        self._seen_ends: dict[Place, int] = {}
        self._with_holes: set[str] = set()
        self._standstills = 0

    def refuse_gaps(self, manifest: Manifest | None, kafka: KafkaOffsets) -> None:
        """Return when the book goes on where it ended, in every partition.

        Raises:
            OffsetGapError: It does not. The gaps are in the lake.
        """
        if manifest is None:
            return
        now = self._clock()
        found = list(find_gaps(manifest, kafka, seen_ends=self._seen_ends, now=now))
        for gap in found:
            if gap.kind == ADDED:
                self._note(gap)
        gaps = [gap for gap in found if gap.kind != ADDED]
        self._withdraw(manifest, kafka, gaps, now)
        for gap in gaps:
            self._remember(gap)
        topics = {topic for topic, _ in kafka.ends}
        self._refuse(manifest, [each for each in self._open() if each.gap.topic in topics])
        for place, end in kafka.ends.items():
            base = manifest.offset_bases.get(place[0], {}).get(place[1], 0)
            self._seen_ends[place] = max(self._seen_ends.get(place, 0), end + base)

    def may_have_holes(self, topic: str) -> bool:
        """Return whether offsets may be absent in the middle of the topic's logs, as far as anyone has asked."""
        return topic in self._with_holes

    def refuse_holes(
        self, holes: Iterable[OffsetHole], manifest: Manifest | None, kafka: KafkaOffsets, topics: KafkaTopics
    ) -> None:
        """Return when holes that reading came upon are as they should be: in compacted logs, or before the book begins.

        Raises:
            OffsetGapError: One is not. The gaps are in the lake.
            KafkaUnavailableError: No broker answers.
        """
        refused = set()
        for hole in holes:
            book = manifest.offsets.get(hole.topic, {}).get(hole.partition) if manifest is not None else None
            if manifest is None or book is None or topics.is_compacted(hole.topic):
                self._with_holes.add(hole.topic)
            elif book == hole.first_offset:  # else it was seen by a micro-batch that was not committed
                log = _Log(manifest, kafka, hole.topic, hole.partition, self._clock())
                self._remember(log.gap(HOLE, next_offset=hole.next_offset))
                refused.add(hole.topic)
        if manifest is not None:
            self._refuse(manifest, [each for each in self._open() if each.gap.topic in refused])

    def refuse_standstill(self, before: Manifest | None, after: Manifest | None) -> None:
        """Return when the book went on, or when a new plan may say why it did not.

        Raises:
            KafkaUnavailableError: It did not go on several times, and no plan found a gap.
        """
        went_on = after is not None and (before is None or after.offsets != before.offsets)
        self._standstills = 0 if went_on else self._standstills + 1
        if self._standstills > _MOST_STANDSTILLS:
            self._standstills = 0
            raise KafkaUnavailableError(
                "expected Kafka to give the offsets that it tells of, "
                f"it refused them {_MOST_STANDSTILLS + 1} times as out of range"
            )

    def _open(self) -> list[GapRecord]:
        return [each for each in self._records if each.state == OPEN]

    def _note(self, gap: Gap) -> None:
        """Remember a partition that was added, once, though it may stay empty for long."""
        if not any(each.gap.kind == ADDED and _same_log(each.gap, gap) for each in self._records):
            append_gap_entry(self._lake, gap)
            self._reload()

    def _remember(self, gap: Gap) -> None:
        if not any(each.gap.is_same_as(gap) or _outweighs(each.gap, gap) for each in self._open()):
            append_gap_entry(self._lake, gap)
            self._reload()

    def _withdraw(self, manifest: Manifest, kafka: KafkaOffsets, found: Iterable[Gap], now: datetime) -> None:
        """Settle open gaps that are not there any more, as after a look at another Kafka.

        A log that was truncated may have grown past the book since, and a hole is seen only when it is read: these
        stay until an operator decides, unless the book is past them.
        """
        places = {gap.place for gap in found}
        gone = [
            each.number
            for each in self._open()
            if (each.gap.topic, each.gap.partition) in kafka.ends
            and each.gap.place not in places
            and (_is_seen_at_each_look(each.gap) or _next_offset(manifest, each.gap) > each.gap.first_offset)
        ]
        if gone:
            append_gap_entry(self._lake, Withdrawal(gaps=gone, withdrawn_at=now))
            self._reload()

    def _reload(self) -> None:
        self._records = load_gaps(self._lake, self._begun_from)

    def _refuse(self, manifest: Manifest, records: list[GapRecord]) -> None:
        if not records:
            return
        told = "\n  ".join(f"gap {each.number}: {each.gap.words()}" for each in records)
        names = [each.gap.topic if each.gap.kind == RECREATED else each.gap.place for each in records]
        places = " ".join(dict.fromkeys(names))
        raise OffsetGapError(
            f"the book of {self._lake} cannot go on after commit {manifest.commit}:\n  {told}\n"
            "Nothing was skipped, and what is in the book stays. Find out why with `tollbook gaps list`; to go on "
            f'without what is lost, run `tollbook gaps accept {places} --reason "..."` with the meter\'s --home and '
            "--bootstrap-servers, then start the meter again"
        )


def _same_log(one: Gap, other: Gap) -> bool:
    return (one.topic, one.partition, one.topic_id_after) == (other.topic, other.partition, other.topic_id_after)


def _is_seen_at_each_look(gap: Gap) -> bool:
    by_ids = gap.topic_id_before is not None and gap.topic_id_before != gap.topic_id_after
    return gap.kind == RETENTION or (gap.kind == RECREATED and by_ids)


def _outweighs(known: Gap, found: Gap) -> bool:
    """Return whether an open gap tells more than the same one found by a meter that has seen less of the log."""
    return (known.kind, known.place, known.first_offset, known.topic_id_after, known.kafka_first_offset) == (
        found.kind,
        found.place,
        found.first_offset,
        found.topic_id_after,
        found.kafka_first_offset,
    ) and known.next_offset >= found.next_offset


def _next_offset(manifest: Manifest, gap: Gap) -> int:
    return manifest.offsets.get(gap.topic, {}).get(gap.partition, 0)
