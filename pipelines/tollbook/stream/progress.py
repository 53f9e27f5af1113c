"""How far the book came since someone began to watch it."""

from __future__ import annotations

from collections.abc import Mapping

from tollbook.lake.manifest import Manifest
from tollbook.stream.options import MeterProgress
from tollbook.stream.topics import Place


class BookProgress:
    """The newest manifest beside the one that the book began with."""

    def __init__(self, manifest: Manifest | None) -> None:
        """Begin at `manifest`, None for a lake without commits."""
        self.manifest = manifest
        self._before = _counts(manifest)

    def took(self, manifest: Manifest) -> bool:
        """Take a manifest as the newest and return whether it is newer than the one before."""
        is_newer = self.manifest is None or manifest.commit > self.manifest.commit
        self.manifest = manifest
        return is_newer

    def progress(self, behind: int) -> MeterProgress:
        """Return how far the book came, with so many offsets left to read."""
        now = _counts(self.manifest)
        read, accepted, rejected = (new - old for new, old in zip(now, self._before, strict=True))
        commit, offsets = (self.manifest.commit, self.manifest.offsets) if self.manifest is not None else (0, {})
        return MeterProgress(commit, read, accepted, rejected, behind, offsets=offsets)

    def behind(self, beginnings: Mapping[Place, int], ends: Mapping[Place, int]) -> int:
        """Return how many offsets from `beginnings` to `ends`, both in Kafka's count, the book has not read."""
        manifest = self.manifest
        left = 0
        for (topic, partition), end in ends.items():
            base = manifest.offset_bases.get(topic, {}).get(partition, 0) if manifest is not None else 0
            offset = manifest.offsets.get(topic, {}).get(partition) if manifest is not None else None
            left += max(0, end + base - (beginnings[topic, partition] + base if offset is None else offset))
        return left


def _counts(manifest: Manifest | None) -> tuple[int, int, int]:
    totals = [total for each in manifest.totals.values() for total in each.values()] if manifest is not None else []
    return (
        sum(total.records for total in totals),
        sum(total.usage_rows for total in totals),
        sum(total.reject_rows for total in totals),
    )
