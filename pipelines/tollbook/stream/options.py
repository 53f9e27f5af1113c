"""How a meter runs, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tollbook.settings import MAX_COMMIT_RECORDS, Settings
from tollbook.stream.decode import Clock, utc_now
from tollbook.stream.flood import FloodLimit
from tollbook.stream.rate import BookLoader


@dataclass(frozen=True, slots=True)
class MeterProgress:
    """How far the meter is after a commit.

    Attributes:
        commit: Number of the newest commit.
        read: Records read since this meter started.
        accepted: Of these, events written.
        rejected: Of these, records rejected.
        behind: Offsets left to read when the micro-batch was planned.
        seconds: How long the newest commit took, from the plan to the manifest.
        offsets: Offset of the book after it, by topic and partition.
    """

    commit: int
    read: int
    accepted: int
    rejected: int
    behind: int
    seconds: float = 0.0
    offsets: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterOptions:
    """How the meter runs.

    Attributes:
        settings: The book's home, with its lake and owner rules, and the Kafka to read from.
        topics: Topics to read.
        formats: Topic to format, for topics whose name does not tell it.
        follow: Whether to go on when caught up.
        max_commit_records: Most records in one commit.
        flood: When rejects are so many that the meter stops.
        load_book: Gives the price book in force, asked before each commit; by default that of the home.
        clock: Time of ingestion and of commits.
    """

    settings: Settings
    topics: tuple[str, ...]
    formats: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    max_commit_records: int = MAX_COMMIT_RECORDS
    flood: FloodLimit = field(default_factory=FloodLimit)
    load_book: BookLoader | None = None
    clock: Clock = utc_now
