"""What the lake tells of its own state: its newest commit, its newest event, and the last day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tollbook.errors import CorruptManifestError
from tollbook.lake.gaps import OPEN, GapRecord, load_gaps
from tollbook.lake.manifest import Manifest, PartitionTotals, manifest_path, newest, read_commit
from tollbook.lake.snapshot import checkpoint_numbers, commit_at, read_checkpoint

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of records.

    Attributes:
        records: Kafka records read.
        accepted: Usage events that came of them.
        rejected: Dead letters that came of them.
    """

    records: int
    accepted: int
    rejected: int

    @classmethod
    def of(cls, manifest: Manifest | None) -> Counts:
        """Return the counts since the lake began, up to a commit."""
        totals = list(totals_of(manifest)) if manifest is not None else []
        return cls(
            records=sum(each.records for each in totals),
            accepted=sum(each.usage_rows for each in totals),
            rejected=sum(each.reject_rows for each in totals),
        )

    def since(self, before: Counts) -> Counts:
        """Return the counts that came after `before`."""
        return Counts(self.records - before.records, self.accepted - before.accepted, self.rejected - before.rejected)


@dataclass(frozen=True, slots=True)
class LakeHealth:
    """The lake at its newest commit.

    Attributes:
        manifest: The newest commit.
        newest_event_at: When the newest call happened, UTC; None when no file tells, as in a lake of long ago.
        last_day: What was read in commits of the last 24 hours.
        lost: Offsets that were gone from Kafka before they were read, as an operator accepted, since the lake began.
        open_gaps: Gaps at which the meter stops until an operator decides.
    """

    manifest: Manifest
    newest_event_at: datetime | None
    last_day: Counts
    lost: int
    open_gaps: tuple[GapRecord, ...] = ()


def lake_health(lake: Path, now: datetime) -> LakeHealth | None:
    """Return how the lake stands, None for a lake without commits. The cost does not grow with the lake.

    Args:
        lake: Folder of the lake.
        now: The present, UTC.

    Raises:
        CorruptManifestError: Manifests are missing or cannot be read.
        LakeFormatError: A later version of Tollbook wrote the lake.
    """
    manifest = newest(lake)
    if manifest is None:
        return None
    return LakeHealth(
        manifest=manifest,
        newest_event_at=newest_event(totals_of(manifest)),
        last_day=Counts.of(manifest).since(Counts.of(_newest_before(lake, now - DAY))),
        lost=sum(each.lost for each in totals_of(manifest)),
        open_gaps=tuple(record for record in load_gaps(lake, manifest) if record.state == OPEN),
    )


def totals_of(manifest: Manifest) -> Iterable[PartitionTotals]:
    """Yield the running totals of every partition."""
    return (total for each in manifest.totals.values() for total in each.values())


def newest_event(totals: Iterable[PartitionTotals]) -> datetime | None:
    """Return when the newest call of some partitions happened, None when they hold none."""
    return max((each.newest_event_at for each in totals if each.newest_event_at is not None), default=None)


def _newest_before(lake: Path, instant: datetime) -> Manifest | None:
    """Return the newest commit made at or before `instant` that can be read."""
    while True:
        checkpoints = sorted(checkpoint_numbers(lake))
        try:
            number = commit_at(lake, instant)
            if not number:
                return None
            kept = manifest_path(lake, number).exists()
            return read_commit(lake, number) if kept else read_checkpoint(lake, number).manifest
        except CorruptManifestError:
            # It may expire between two looks at it: then there is a newer checkpoint.
            if sorted(checkpoint_numbers(lake)) == checkpoints:
                raise
