"""Gaps: where Kafka does not go on where the book ends, recorded in the lake when they are found and when settled.

`gaps/log/<N>.json` is a numbered log, written under the meter's lock. An entry is a gap that was found, the acceptance
of some by an operator, or the word that some are not there any more. An acceptance counts when the newest manifest
names its entry: what it changed in the book and its author and reason become part of the book at once, or not at all.

All offsets are the book's unless their name says Kafka's: an offset of the book is Kafka's plus the base of its
partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, entry_path, newest_number
from tollbook.lake.manifest import Manifest

GAPS = "gaps/log"

RETENTION, HOLE, TRUNCATED, RECREATED, ADDED = "retention", "hole", "truncated", "recreated", "partition_added"
"""Kinds of gaps: offsets deleted before they were read; offsets absent in the middle of a log that is not compacted; a
log that ends before the book; a topic made anew; a partition added, which is read from its first offset on."""

OPEN, ACCEPTED, REPLACED, WITHDRAWN, NOTED = "open", "accepted", "replaced", "withdrawn", "noted"
"""States of gaps: the meter stops there; an operator let it go on; found again with other numbers, under a later
number; not there any more; nothing to accept."""


class Gap(msgspec.Struct, frozen=True, kw_only=True, tag_field="entry", tag="found"):
    """A gap as it was found.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        kind: `retention`, `hole`, `truncated`, `recreated` or `partition_added`.
        first_offset: Where the book ends.
        next_offset: Where it goes on once the gap is accepted.
        loss_is_known: Whether `lost_offsets` are all that was lost. Of a log that is gone nobody knows the end.
        base_before: What the book's offsets were above Kafka's.
        base_after: What they are above Kafka's from `next_offset` on.
        kafka_first_offset: First offset that Kafka held, in Kafka's own count; None where it has no such partition.
        kafka_end_offset: Offset after the last that Kafka held, in its own count.
        topic_id_before: Kafka's id of the topic that the book was read from; None where it told none.
        topic_id_after: Kafka's id of the topic as it was found.
        commit: Newest commit then.
        detected_at: When, UTC.
    """

    topic: str
    partition: int
    kind: str
    first_offset: int
    next_offset: int
    loss_is_known: bool
    base_before: int
    base_after: int
    kafka_first_offset: int | None
    kafka_end_offset: int | None
    topic_id_before: str | None
    topic_id_after: str | None
    commit: int
    detected_at: datetime

    @property
    def lost_offsets(self) -> int:
        """Offsets that are known to be lost."""
        return self.next_offset - self.first_offset

    @property
    def place(self) -> str:
        """Topic and partition, as commands name them."""
        return f"{self.topic}-{self.partition}"

    def is_same_as(self, other: Gap) -> bool:
        """Return whether `other` is this very gap, seen at another time."""
        return _undated(self) == _undated(other)

    def words(self) -> str:
        """Return in a sentence what was expected and what came."""
        expected = f"expected to go on at offset {self.first_offset - self.base_before} of {self.place}"
        id_before, id_after = self.topic_id_before, self.topic_id_after
        first, end = self.kafka_first_offset, self.kafka_end_offset
        if self.kind == RETENTION:
            return (
                f"{expected}, Kafka's first is {first}: {self.lost_offsets} offsets were deleted before they were read"
            )
        if self.kind == HOLE:
            return (
                f"{expected}, but Kafka's log goes on {self.lost_offsets} offsets later, although the topic is not "
                "compacted: they were deleted before they were read"
            )
        if self.kind == ADDED:
            return f"{self.place} was added to the topic and is read from offset {first} on"
        lost = f"; {self.lost_offsets} offsets are known to be lost" if self.lost_offsets else ""
        if self.kind == TRUNCATED:
            return f"{expected}, but Kafka's log ends at {end}: the topic was made anew or truncated{lost}"
        if id_before != id_after:
            return (
                f"{expected} of the topic with the id {id_before}, got one with the id {id_after}: it was "
                f"deleted and made anew, and what was not read of the old one is gone{lost}"
            )
        return f"{expected}, but Kafka has lost partitions of the topic: it was deleted and made anew{lost}"


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, tag_field="entry", tag="accepted"):
    """An operator's word that the book goes on without what some gaps took.

    Attributes:
        gaps: Their numbers.
        author: Who said so.
        reason: Why.
        accepted_at: When, UTC.
    """

    gaps: list[int]
    author: str
    reason: str
    accepted_at: datetime


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, tag_field="entry", tag="withdrawn"):
    """The meter's word that gaps are not there any more, such as after it was pointed to another Kafka and back.

    Attributes:
        gaps: Their numbers.
        withdrawn_at: When, UTC.
    """

    gaps: list[int]
    withdrawn_at: datetime


class GapRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A gap and what became of it.

    Attributes:
        number: Its number in the log.
        gap: The gap.
        state: `open`, `accepted`, `replaced`, `withdrawn` or `noted`.
        settled_at: Since when it is no longer open, UTC.
        author: Who accepted it.
        reason: Why.
    """

    number: int
    gap: Gap
    state: str
    settled_at: datetime | None = None
    author: str | None = None
    reason: str | None = None


_Entry = Gap | Acceptance | Withdrawal
_NO_TIME = datetime.min.replace(tzinfo=UTC)
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[_Entry] = msgspec.json.Decoder(_Entry)


def load_gaps(lake: Path, manifest: Manifest | None) -> list[GapRecord]:
    """Return every gap that was ever found, by number, with its state as of `manifest`, the newest."""
    records: dict[int, GapRecord] = {}
    accepted = set(manifest.accepted_gaps) if manifest is not None else set()
    for number, entry in _entries(lake):
        if isinstance(entry, Gap):
            if entry.kind != ADDED:
                for each in list(records.values()):
                    if each.state == OPEN and each.gap.place == entry.place:
                        records[each.number] = _settled(each, REPLACED, entry.detected_at)
            records[number] = GapRecord(number=number, gap=entry, state=NOTED if entry.kind == ADDED else OPEN)
        elif isinstance(entry, Withdrawal):
            for each in _named(lake, number, entry.gaps, records):
                if each.state == OPEN:
                    records[each.number] = _settled(each, WITHDRAWN, entry.withdrawn_at)
        elif number in accepted:
            for each in _named(lake, number, entry.gaps, records):
                records[each.number] = _settled(each, ACCEPTED, entry.accepted_at, entry.author, entry.reason)
    return list(records.values())


def append_gap_entry(lake: Path, entry: _Entry) -> int:
    """Append to the log and return the entry's number. Only the holder of the meter's lock may.

    Raises:
        LakeWriteError: The disk is full or read-only; there is no entry.
    """
    folder = lake / GAPS
    number = newest_number(folder) + 1
    append(folder, number, _ENCODER.encode(entry))
    return number


def _entries(lake: Path) -> Iterator[tuple[int, _Entry]]:
    for number, encoded in entries_after(lake / GAPS, 0):
        try:
            yield number, _DECODER.decode(encoded)
        except msgspec.MsgspecError as broken:
            raise CorruptManifestError(
                f"expected an entry of gaps at {entry_path(lake / GAPS, number)}, got: {broken}"
            ) from broken


def _named(lake: Path, number: int, gaps: Iterable[int], records: dict[int, GapRecord]) -> list[GapRecord]:
    absent = [each for each in gaps if each not in records]
    if absent:
        raise CorruptManifestError(
            f"expected entry {number} of {lake / GAPS} to name gaps before it, got {absent[0]}, which is none"
        )
    return [records[each] for each in gaps]


def _settled(
    record: GapRecord, state: str, at: datetime, author: str | None = None, reason: str | None = None
) -> GapRecord:
    return msgspec.structs.replace(record, state=state, settled_at=at, author=author, reason=reason)


def _undated(gap: Gap) -> Gap:
    # The end of a log that is written to is another at each look, and says nothing of the gap.
    return msgspec.structs.replace(gap, commit=0, detected_at=_NO_TIME, kafka_end_offset=None)
