"""Who watches a meter: the loop says what it saw and did, and knows nothing of metrics or logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from tollbook.lake.manifest import Manifest
from tollbook.stream.topics import Place


class MeterObserver(Protocol):
    """Is told from the meter's own thread, so it returns at once and raises nothing."""

    def looked(self, ends: Mapping[Place, int], committed: Mapping[Place, int], at: datetime) -> None:
        """Hear what Kafka held.

        Args:
            ends: Offset after the last that may be read, by partition, as the book counts.
            committed: Offset that the book goes on from; its first one for a partition that is new.
            at: Just before Kafka was asked, UTC.
        """

    def committed(self, manifest: Manifest, seconds: float) -> None:
        """Hear of a commit.

        Args:
            manifest: The newest commit once it was made.
            seconds: How long it took, from the plan to the manifest.
        """


class NobodyWatches:
    """An observer that does nothing."""

    def looked(self, ends: Mapping[Place, int], committed: Mapping[Place, int], at: datetime) -> None:
        """Do nothing."""

    def committed(self, manifest: Manifest, seconds: float) -> None:
        """Do nothing."""
