"""What reaches the commit: of each range what was read, of each chunk the files written from it and its live sums.

Parts come in any order, and a runner that streams says nowhere that it has given the last of a micro-batch. So a part
tells which others belong to it: a range how far its chunks reach, a chunk which kinds of parts are made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import msgspec
import pyarrow as pa

from tollbook.lake.manifest import FileEntry
from tollbook.stream.coders import RecordBatchCoder
from tollbook.stream.ranges import ChunkOrigin, OffsetRange

RANGE_PART, USAGE_PART, REJECTS_PART, UNPARSED_PART = "range", "usage", "rejects", "unparsed"
MINUTES_PART, TAKEN_BACK_PART = "minutes", "taken_back"


class RejectCause(msgspec.Struct, frozen=True):
    """Why records of a chunk were refused: reason, field, how many, and the first of them as an example."""

    reason: str
    field: str | None
    times: int
    example: str


class CommitPart(msgspec.Struct, frozen=True, kw_only=True):
    """One step's outcome for one chunk, or what was read of one range.

    Attributes:
        kind: `usage`, `rejects`, `unparsed`, `minutes` or `taken_back` of a chunk; `range` of a range.
        origin: The chunk's ChunkOrigin as a mapping; for `range` that of all its chunks together.
        files: Files that the step wrote.
        usage_rows: Events written, for `usage`.
        awaits: Kinds of the other parts made of the chunk, for `usage`.
        causes: Why records were refused, for `rejects`.
        minutes: Live sums as an Arrow stream, for `minutes` and `taken_back`.
    """

    kind: str
    origin: dict[str, Any]
    files: list[FileEntry] = []
    usage_rows: int = 0
    awaits: list[str] = []
    causes: list[RejectCause] = []
    minutes: bytes = b""

    def chunk(self) -> ChunkOrigin:
        """Return the chunk this part belongs to."""
        return ChunkOrigin.from_dict(self.origin)

    def encode(self) -> bytes:
        """Return the part as it crosses the shuffle: a line of JSON, whose integers have no limit, and the sums."""
        return _ENCODER.encode(msgspec.structs.replace(self, minutes=b"")) + b"\n" + self.minutes

    @staticmethod
    def decode(encoded: bytes) -> CommitPart:
        """Return the part of `encode`."""
        head, _, minutes = encoded.partition(b"\n")
        return msgspec.structs.replace(_DECODER.decode(head), minutes=minutes)


def range_part(read: OffsetRange, reached: int) -> bytes:
    """Return the part that says that a range was read, up to the offset `reached`."""
    origin = ChunkOrigin(
        topic=read.topic,
        partition=read.partition,
        first_offset=read.first_offset,
        next_offset=reached,
        records=0,
        tombstones=0,
        control=0,
        aborted=0,
        stamp=read.stamp,
    )
    return CommitPart(kind=RANGE_PART, origin=asdict(origin)).encode()


def usage_part(origin: ChunkOrigin, files: list[FileEntry], rows: int, *, takes_back: bool = False) -> bytes:
    """Return the part of a chunk's events, which tells what other parts there are of the chunk.

    Args:
        origin: The chunk.
        files: Files of its events.
        rows: Its events.
        takes_back: Whether events of it take back what the live sums counted before.
    """
    made = {
        MINUTES_PART: True,
        TAKEN_BACK_PART: takes_back,
        REJECTS_PART: origin.items != rows,
        UNPARSED_PART: origin.unparsed > 0,
    }
    awaits = [kind for kind, is_made in made.items() if is_made]
    return CommitPart(kind=USAGE_PART, origin=asdict(origin), files=files, usage_rows=rows, awaits=awaits).encode()


def files_part(kind: str, origin: ChunkOrigin, files: list[FileEntry], causes: Iterable[RejectCause] = ()) -> bytes:
    """Return the part of a step that wrote files besides those of events."""
    return CommitPart(kind=kind, origin=asdict(origin), files=files, causes=list(causes)).encode()


def minutes_part(batch: pa.RecordBatch, kind: str = MINUTES_PART) -> bytes:
    """Return the part that carries live sums."""
    origin = ChunkOrigin.of(batch)
    return CommitPart(kind=kind, origin=asdict(origin), minutes=RecordBatchCoder().encode(batch)).encode()


def missing_parts(ranges: Iterable[OffsetRange], parts: Iterable[CommitPart]) -> list[str]:
    """Return what is yet to come of a micro-batch that reads `ranges`, of which `parts` have come, one of each.

    Nothing is missing once every range was read, its chunks cover what was read of it, and each chunk has what it
    tells to be made of it.
    """
    reached: dict[tuple[str, int], int] = {}
    chunks: dict[tuple[str, int], list[CommitPart]] = defaultdict(list)
    made: set[tuple[str, str, int, int]] = set()
    for part in parts:
        topic, partition, first = part.origin["topic"], part.origin["partition"], part.origin["first_offset"]
        if part.kind == RANGE_PART:
            reached[topic, partition] = part.origin["next_offset"]
        elif part.kind == USAGE_PART:
            chunks[topic, partition].append(part)
        else:
            made.add((part.kind, topic, partition, first))
    missing = []
    for each in ranges:
        place = each.topic, each.partition
        if place not in reached:
            missing.append(f"the end of {each.topic}-{each.partition} from {each.first_offset}")
            continue
        position = each.first_offset
        for part in sorted(chunks[place], key=lambda part: int(part.origin["first_offset"])):
            first = part.origin["first_offset"]
            if first > position:
                break
            position = part.origin["next_offset"]
            awaited = (kind for kind in part.awaits if (kind, *place, first) not in made)
            missing += [f"the {kind} of {each.topic}-{each.partition} at {first}" for kind in awaited]
        if position < reached[place]:
            missing.append(f"events of {each.topic}-{each.partition} at {position}")
    return missing


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(CommitPart)
