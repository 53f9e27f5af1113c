"""Which offsets to read next: the plan of one micro-batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from tollbook.errors import OffsetGapError

_METADATA_KEY = b"tollbook.chunk"


@dataclass(frozen=True, slots=True)
class BatchStamp:
    """Which micro-batch something belongs to, and what its steps must know of it wherever they run.

    Attributes:
        batch: Name of the micro-batch.
        epoch: The meter's epoch.
        sequence: How many micro-batches of the epoch were committed before this one was planned.
        book: Number of the recorded price book that rates its events.
        ingest_date: UTC date under which its rejects are written, `YYYY-MM-DD`.
    """

    batch: str = ""
    epoch: int = 0
    sequence: int = 0
    book: int = 0
    ingest_date: str = ""


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets `[first_offset, next_offset)` of one partition, as the book counts them.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        first_offset: First offset.
        next_offset: Offset after the last.
        base: What the book's offsets are above Kafka's: zero, unless the log of the partition began anew.
        may_have_holes: Whether offsets may be absent in the middle of the log, as compaction leaves it.
        stamp: The micro-batch that reads them.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    base: int = 0
    may_have_holes: bool = True
    stamp: BatchStamp = field(default_factory=BatchStamp)


@dataclass(frozen=True, slots=True)
class OffsetHole:
    """Offsets `[first_offset, next_offset)` that are absent in the middle of a log, as the book counts them."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class ChunkOrigin:
    """Where a batch came from, and what its offsets held besides records. Travels with every batch made from it.

    Always: `next_offset - first_offset` = records + tombstones + control + aborted + missing. `unknown_fields` counts
    the events that carried each field outside the contract, once they are decoded; `ignored` what was left out on
    purpose, by reason. Then too: records + `further_items` = events + rejects + `silent_records`. `unparsed` counts the
    rejects whose bytes lie apart; `stamp` says which micro-batch reads the chunk.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    records: int
    tombstones: int
    control: int
    aborted: int
    silent_records: int = 0
    further_items: int = 0
    unknown_fields: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    unparsed: int = 0
    stamp: BatchStamp = field(default_factory=BatchStamp)

    @property
    def items(self) -> int:
        """What the records told of: events and rejects."""
        return self.records + self.further_items - self.silent_records

    @property
    def missing(self) -> int:
        """Offsets that the log no longer has, as in a compacted topic."""
        return self.next_offset - self.first_offset - self.records - self.tombstones - self.control - self.aborted

    def attach(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return `batch` with this origin in its schema's metadata, where Arrow's own format keeps it."""
        return batch.replace_schema_metadata({_METADATA_KEY: json.dumps(asdict(self))})

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> ChunkOrigin:
        """Return the origin that `attach` put on a batch; KeyError when there is none."""
        return cls.from_dict(json.loads((batch.schema.metadata or {})[_METADATA_KEY]))

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ChunkOrigin:
        """Return the origin that `dataclasses.asdict` made a mapping of."""
        return cls(**{**told, "stamp": BatchStamp(**told.get("stamp", {}))})


def plan_ranges(
    committed: Mapping[tuple[str, int], int],
    beginnings: Mapping[tuple[str, int], int],
    ends: Mapping[tuple[str, int], int],
    *,
    max_records: int,
) -> list[OffsetRange]:
    """Return what to read next, at most `max_records` offsets in all, shared among the partitions that have more.

    Args:
        committed: Next offset of each (topic, partition) that was known before. A partition that is not among them
            while others of its topic are is new, and begins at offset 0.
        beginnings: First offset that Kafka still has.
        ends: Offset after the last that may be read.
        max_records: Most offsets in the plan.

    Raises:
        OffsetGapError: Kafka has dropped offsets that were never read.
    """
    behind = []
    known_topics = {topic for topic, _ in committed}
    for place, end in sorted(ends.items()):
        start = committed.get(place, 0 if place[0] in known_topics else beginnings[place])
        if start < beginnings[place]:
            topic, partition = place
            raise OffsetGapError(
                f"expected to go on at offset {start} of {topic}-{partition}, Kafka's first is {beginnings[place]}: "
                f"{beginnings[place] - start} offsets were deleted before they were read"
            )
        if start > end:
            topic, partition = place
            raise OffsetGapError(
                f"expected to go on at offset {start} of {topic}-{partition}, but Kafka's log ends at {end}: "
                "the topic was made anew or truncated"
            )
        if start < end:
            behind.append((place, start, end))
    ranges: list[OffsetRange] = []
    left = max_records
    for index, ((topic, partition), start, end) in enumerate(sorted(behind, key=lambda each: each[2] - each[1])):
        share = max(1, left // (len(behind) - index))
        take = min(end - start, share)
        ranges.append(OffsetRange(topic, partition, start, start + take))
        left -= take
        if left <= 0:
            break
    return sorted(ranges, key=lambda each: (each.topic, each.partition))
