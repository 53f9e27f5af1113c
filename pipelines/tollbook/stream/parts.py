"""What reaches the commit: for each chunk, the files that were written from it and its live sums."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
import pyarrow as pa

from tollbook.lake.manifest import FileEntry
from tollbook.stream.coders import RecordBatchCoder
from tollbook.stream.ranges import ChunkOrigin

USAGE_PART, REJECTS_PART, MINUTES_PART = "usage", "rejects", "minutes"


class CommitPart(msgspec.Struct, frozen=True, kw_only=True):
    """One step's outcome for one chunk.

    Attributes:
        kind: `usage`, `rejects` or `minutes`.
        origin: The chunk's ChunkOrigin as a mapping.
        files: Files that the step wrote.
        usage_rows: Events written, for `usage`.
        minutes: Live sums as an Arrow stream, for `minutes`.
    """

    kind: str
    origin: dict[str, Any]
    files: list[FileEntry] = []
    usage_rows: int = 0
    minutes: bytes = b""

    def chunk(self) -> ChunkOrigin:
        """Return the chunk this part belongs to."""
        return ChunkOrigin(**self.origin)

    def encode(self) -> bytes:
        """Return the part as it crosses the shuffle: a line of JSON, whose integers have no limit, and the sums."""
        return _ENCODER.encode(msgspec.structs.replace(self, minutes=b"")) + b"\n" + self.minutes

    @staticmethod
    def decode(encoded: bytes) -> CommitPart:
        """Return the part of `encode`."""
        head, _, minutes = encoded.partition(b"\n")
        return msgspec.structs.replace(_DECODER.decode(head), minutes=minutes)


def files_part(kind: str, origin: ChunkOrigin, files: list[FileEntry], usage_rows: int = 0) -> bytes:
    """Return the part of a step that wrote files."""
    return CommitPart(kind=kind, origin=asdict(origin), files=files, usage_rows=usage_rows).encode()


def minutes_part(batch: pa.RecordBatch) -> bytes:
    """Return the part that carries live sums."""
    origin = ChunkOrigin.of(batch)
    return CommitPart(kind=MINUTES_PART, origin=asdict(origin), minutes=RecordBatchCoder().encode(batch)).encode()


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(CommitPart)
