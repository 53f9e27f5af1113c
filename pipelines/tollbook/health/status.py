"""One look at the whole book: Kafka, the lake, the meter, the warehouse and the disk."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tollbook.health.disk import nearest_folder
from tollbook.health.kafka import ANSWER_SECONDS, KafkaHealth, kafka_health
from tollbook.health.lake import DAY, LakeHealth, lake_health
from tollbook.health.locks import holder
from tollbook.lake.lock import WRITER_LOCK
from tollbook.lake.manifest import newest_commit, oldest_commit, read_commit
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED, current_version
from tollbook.warehouse.record import BuildRecord, read_record
from tollbook.warehouse.status import WarehouseStatus, warehouse_status

DiskUsage = Callable[[Path], tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that the book is on.

    Attributes:
        folder: The book's home, or the nearest folder above it.
        free: Bytes left.
        size: Bytes in all.
    """

    folder: str
    free: int
    size: int


@dataclass(frozen=True, slots=True)
class BookStatus:
    """How the book stands at one moment.

    Attributes:
        home: Folder of the book.
        at: The moment, UTC.
        lake: The lake; None when it holds no commit.
        meter: Process that meters, None when none does on this machine.
        writer_is_elsewhere: Whether the newest commit was written on another machine.
        kafka: What Kafka told; None when there is no commit, and so no topic to ask about.
        warehouse: The marts and the published file.
        last_build: How the last build went; None when none left a record.
        unpublished_since: When the oldest commit was made that readers do not see, UTC, or a little before; None when
            they see all.
        conflicts_last_day: Conflicts read in the last 24 hours, of those that readers see; None for no published file.
        disk: The disk.
    """

    home: Path
    at: datetime
    lake: LakeHealth | None
    meter: int | None
    writer_is_elsewhere: bool
    kafka: KafkaHealth | None
    warehouse: WarehouseStatus
    last_build: BuildRecord | None
    unpublished_since: datetime | None
    conflicts_last_day: int | None
    disk: Disk

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON; times as RFC 3339."""
        lake, kafka, build = self.lake, self.kafka, self.last_build
        facts: dict[str, Any] = {
            "home": str(self.home),
            "at": self.at,
            "lake": lake
            and {
                "commit": lake.manifest.commit,
                "committed_at": lake.manifest.committed_at,
                "writer": lake.manifest.writer,
                "epoch": lake.manifest.epoch,
                "newest_event_at": lake.newest_event_at,
                "lost_offsets": lake.lost,
                "open_gaps": [record.number for record in lake.open_gaps],
                "last_day": asdict(lake.last_day) | {"conflicts": self.conflicts_last_day},
            },
            "meter": {"process": self.meter, "running": self.meter is not None},
            "kafka": kafka
            and {
                "answers": kafka.answers,
                "problem": kafka.problem,
                "lag": kafka.lag if kafka.answers else None,
                "absent_topics": list(kafka.absent),
                "remade_topics": list(kafka.remade),
                "partitions": [asdict(each) | {"lag": each.lag, "lost": each.lost} for each in kafka.partitions],
            },
            "warehouse": self.warehouse.as_dict() | {"unpublished_since": self.unpublished_since},
            "last_build": build
            and {
                "ended_at": build.ended_at,
                "seconds": build.seconds,
                "succeeded": build.succeeded,
                "error": build.error,
                "message": build.message,
                "hand_overs": build.figures.hand_overs if build.figures else None,
                "unequal_hand_overs": build.figures.unequal if build.figures else None,
            },
            "disk": asdict(self.disk),
        }
        told: dict[str, Any] = _with_times_as_text(facts)
        return told


def book_status(
    settings: Settings,
    *,
    now: datetime,
    answer_seconds: float = ANSWER_SECONDS,
    disk_usage: DiskUsage = shutil.disk_usage,
) -> BookStatus:
    """Return how the book stands. It takes no lock that a meter asks for, and waits for Kafka alone.

    Args:
        settings: Which book, and which Kafka.
        now: The present, UTC.
        answer_seconds: How long to wait for Kafka.
        disk_usage: Gives total, used and free bytes of a folder's disk.

    Raises:
        CorruptManifestError: The lake cannot be read.
        LakeFormatError: A later version of Tollbook wrote it.
        WarehouseStateError: The warehouse cannot be read.
    """
    lake = lake_health(settings.lake, now)
    warehouse = warehouse_status(settings)
    folder = nearest_folder(settings.home)
    size, _, free = disk_usage(folder)
    return BookStatus(
        home=settings.home,
        at=now,
        lake=lake,
        meter=holder(settings.lake / WRITER_LOCK),
        writer_is_elsewhere=lake is not None and lake.manifest.writer.rpartition(":")[0] != socket.gethostname(),
        kafka=kafka_health(settings, lake.manifest, answer_seconds=answer_seconds) if lake is not None else None,
        warehouse=warehouse,
        last_build=read_record(settings),
        unpublished_since=_unpublished_since(settings.lake, warehouse),
        conflicts_last_day=_conflicts_since(settings, now - DAY),
        disk=Disk(str(folder), free, size),
    )


def _unpublished_since(lake: Path, warehouse: WarehouseStatus) -> datetime | None:
    """Return when the oldest commit was made that readers do not see; where it has expired, when the file was made."""
    seen = warehouse.published_commit or 0
    if seen >= newest_commit(lake):
        return None
    if warehouse.built_at is not None and seen + 1 < oldest_commit(lake):
        return warehouse.built_at
    return read_commit(lake, max(seen + 1, oldest_commit(lake))).committed_at


def _conflicts_since(settings: Settings, instant: datetime) -> int | None:
    if current_version(settings.serve) is None:
        return None
    with duckdb.connect((settings.serve / PUBLISHED).resolve(), read_only=True) as published:
        try:
            ((conflicts,),) = published.execute(
                "select count(*) from audit.fct_conflicts where ingested_at > ?", [instant]
            ).fetchall()
        except duckdb.CatalogException:  # a file from before conflicts were listed
            return None
    return int(conflicts)


def _with_times_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_times_as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_times_as_text(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def age(then: datetime, now: datetime) -> timedelta:
    """Return how long ago `then` was; zero for what a clock that is ahead wrote."""
    return max(timedelta(), now - then)
