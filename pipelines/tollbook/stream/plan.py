"""The plan of a micro-batch: which offsets are read, and what the commit must know besides what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tollbook.stream.ranges import OffsetRange


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """What the commit must know besides the parts.

    Attributes:
        lake: Folder of the lake.
        base: Newest commit when the micro-batch was planned, 0 for none.
        batch: Name of the micro-batch, so that a retry finds the commit it made.
        epoch: The meter's epoch.
        epoch_owner: Name of the meter, so that another one with the same epoch is known.
        writer: Who writes, for people.
        catalogue_version: Version of the price book that rated the events.
        reference_version: Owner rules that assigned them.
        beginnings: First offset of every known partition, as (topic, partition, offset).
        topic_ids: Kafka's id of each topic.
        ranges: What is read.
    """

    lake: Path
    base: int
    batch: str
    epoch: int
    epoch_owner: str
    writer: str
    catalogue_version: str
    reference_version: str
    beginnings: tuple[tuple[str, int, int], ...] = ()
    topic_ids: tuple[tuple[str, str], ...] = ()
    ranges: tuple[OffsetRange, ...] = ()

    def encode(self) -> bytes:
        """Return the plan as it crosses the shuffle, as JSON."""
        return _ENCODER.encode(self)

    @staticmethod
    def decode(encoded: bytes) -> CommitPlan:
        """Return the plan of `encode`."""
        return _DECODER.decode(encoded)


PlanLoader = Callable[[], CommitPlan]


def _path(kind: type, told: Any) -> Any:
    if kind is Path:
        return Path(told)
    raise NotImplementedError(f"expected a path, got {kind}")


_ENCODER = msgspec.json.Encoder(enc_hook=str)
_DECODER = msgspec.json.Decoder(CommitPlan, dec_hook=_path)
