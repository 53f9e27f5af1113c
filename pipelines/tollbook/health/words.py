"""The status in words: whether the book is current and balanced, what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tollbook.health.figures import duration, instant, share, size
from tollbook.health.findings import BALANCED, CURRENT, SOUND, UNKNOWN_LAG, Finding
from tollbook.health.lake import LakeHealth
from tollbook.health.status import BookStatus, age


def verdict(status: BookStatus, found: Sequence[Finding]) -> str:
    """Return in one sentence whether the book is current and balanced."""
    if status.lake is None:
        return f"There is no book at {status.home} yet."
    against = {finding.against for finding in found}
    beside = ", and there is more to look at" if SOUND in against else ""
    if status.warehouse.published_version is None:
        return f"The book is not published yet{beside}."
    words = {
        (True, True): "current and balanced",
        (True, False): "current but not balanced",
        (False, True): "balanced but not current",
        (False, False): "neither current nor balanced",
    }
    if {finding.code for finding in found if finding.against == CURRENT} == {UNKNOWN_LAG}:
        balanced = "not balanced" if BALANCED in against else "balanced"
        return f"The book is {balanced}; whether it is current is not known{beside}."
    return f"The book is {words[CURRENT not in against, BALANCED not in against]}{beside}."


def lines(status: BookStatus) -> list[tuple[str, str]]:
    """Return what was seen, as subjects and what there is to say of them."""
    lake = status.lake
    if lake is None:
        return [("disk", _disk(status))]
    return [
        ("newest event", _when(lake.newest_event_at, status.at)),
        ("newest commit", f"{lake.manifest.commit:,}, {_when(lake.manifest.committed_at, status.at)}"),
        ("meter", _meter(status)),
        ("Kafka", _kafka(status)),
        ("last day", _last_day(status, lake)),
        ("readers", _readers(status)),
        ("last build", _build(status)),
        ("disk", _disk(status)),
    ]


def _when(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "not known"
    if at > now:
        return f"{instant(at)}, {duration(at - now)} ahead of this machine's clock"
    return f"{instant(at)}, {duration(now - at)} ago"


def _meter(status: BookStatus) -> str:
    if status.meter is not None:
        return f"running (process {status.meter})"
    if status.lake is not None and status.writer_is_elsewhere:
        return f"none on this machine; the last one was {status.lake.manifest.writer}"
    return "not running"


def _kafka(status: BookStatus) -> str:
    kafka = status.kafka
    if kafka is None or not kafka.partitions:
        return "does not answer" if kafka is not None and not kafka.answers else "answers"
    topics, places = len({each.topic for each in kafka.partitions}), len(kafka.partitions)
    where = f"{topics:,} topic{'s' * (topics != 1)}, {places:,} partition{'s' * (places != 1)}"
    return f"answers; {f'{kafka.lag:,} offsets wait' if kafka.lag else 'nothing waits'} ({where})"


def _last_day(status: BookStatus, lake: LakeHealth) -> str:
    day = lake.last_day
    told = f"{day.records:,} records read, {day.accepted:,} events accepted, {day.rejected:,} dead letters"
    told += f" ({share(day.rejected, day.accepted + day.rejected)})"
    if status.conflicts_last_day is not None:
        told += f", {status.conflicts_last_day:,} conflicts ({share(status.conflicts_last_day, day.accepted)})"
    return told if not lake.lost else f"{told}; {lake.lost:,} offsets lost since the book began, accepted"


def _readers(status: BookStatus) -> str:
    warehouse = status.warehouse
    if warehouse.published_version is None or warehouse.built_at is None:
        return "see nothing yet"
    seen = f"see commit {warehouse.published_commit:,} of {warehouse.lake_commit:,}"
    return f"{seen}, built {duration(age(warehouse.built_at, status.at))} ago"


def _build(status: BookStatus) -> str:
    at_work = status.warehouse.building
    now = f"; one is at work (process {at_work})" if at_work is not None else ""
    build = status.last_build
    if build is None:
        return f"none left a record{now}"
    how = f"failed ({build.error})" if not build.succeeded else "well"
    told = f"{how}, {_when(build.ended_at, status.at)}, took {build.seconds:.1f} s"
    if build.figures is not None:
        unequal = build.figures.unequal
        told += f"; {build.figures.hand_overs:,} amounts compared, "
        told += "all equal" if not unequal else f"{unequal:,} not equal"
    return told + now


def _disk(status: BookStatus) -> str:
    return f"{size(status.disk.free)} of {size(status.disk.size)} free"
