"""What is wrong with a book, judged from one look, and what to do about it.

A finding is something to act on. What passes by itself, such as records that came this second, is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from tollbook.health.figures import duration, instant, share, size
from tollbook.health.kafka import KafkaHealth
from tollbook.health.lake import Counts, LakeHealth
from tollbook.health.status import BookStatus, age

CURRENT, BALANCED, SOUND = "current", "balanced", "sound"
"""What a finding speaks against: readers see it all; every hand-over is equal; what comes in and where it lies."""

UNKNOWN_LAG = "kafka_away"
"""Code of the finding that leaves open whether the book is current."""

_GIB = 1024**3
_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a state is a finding.

    Attributes:
        unread: How long records may wait for the meter.
        unpublished: How long commits may wait for a build.
        rejected: Share of dead letters among the records of the last day.
        conflicts: Share of conflicts among the events of the last day.
        least_bad: Fewer dead letters or conflicts than this are no finding, whatever their share.
        free_share: Share of the disk that must be free, unless `free_bytes` are.
        free_bytes: Space that is enough on a disk of any size.
    """

    unread: timedelta = timedelta(minutes=5)
    unpublished: timedelta = timedelta(hours=1)
    rejected: float = 0.01
    conflicts: float = 0.01
    least_bad: int = 10
    free_share: float = 0.1
    free_bytes: int = 10 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: Its name, stable.
        against: What it speaks against: `current`, `balanced` or `sound`.
        sentence: What is wrong.
        remedy: What to do.
    """

    code: str
    against: str
    sentence: str
    remedy: str


def findings(status: BookStatus, limits: Limits | None = None) -> tuple[Finding, ...]:
    """Return what is wrong, the gravest first; nothing for a book that is well."""
    bounds = limits or Limits()
    if status.lake is None:
        return (
            Finding(
                "no_book",
                CURRENT,
                f"there is no book at {status.home} yet",
                "`tollbook meter` makes one; if there is one elsewhere, name it by --home or TOLLBOOK_HOME",
            ),
            *_disk(status, bounds),
        )
    return (
        *_balance(status),
        *_gaps(status.kafka, status.lake),
        *_reading(status, status.lake, bounds),
        *_publishing(status, bounds),
        *_quality(status, status.lake.last_day, bounds),
        *_disk(status, bounds),
    )


def _balance(status: BookStatus) -> Iterator[Finding]:
    build = status.last_build
    if status.warehouse.balanced is False:
        yield Finding(
            "published_unequal",
            BALANCED,
            f"amounts in the published file {status.warehouse.published_version} were not handed over equal",
            'see them with `tollbook sql "from audit.fct_ledger_balance where difference <> 0"`, '
            "and make the marts anew with `tollbook warehouse build --full-refresh`",
        )
    if build is not None and not build.succeeded:
        unequal = build.figures is not None and build.figures.unequal > 0
        yield Finding(
            "build_failed",
            BALANCED if unequal else CURRENT,
            f"the last build failed {duration(age(build.ended_at, status.at))} ago ({build.error}: {build.message})",
            "readers see the build before it; `tollbook warehouse build` shows all that it found",
        )


def _gaps(kafka: KafkaHealth | None, lake: LakeHealth) -> Iterator[Finding]:
    """Yield gaps that the meter stopped at, and those that it will stop at."""
    remedy = "see it with `tollbook gaps list`; `tollbook gaps accept` lets the book go on without what is lost"
    known = {record.gap.place for record in lake.open_gaps}
    for record in lake.open_gaps:
        yield Finding("open_gap", CURRENT, f"the meter stops at gap {record.number}: {record.gap.words()}", remedy)
    if kafka is None:
        return
    remedy = f"the meter stops there, so that nothing is skipped in silence; then {remedy}"
    for each in kafka.partitions:
        place = f"{each.topic}-{each.partition}"
        if place in known:
            continue
        if each.began_anew:
            yield Finding(
                "log_truncated",
                CURRENT,
                f"the log of {place} ends at offset {each.end:,}, {each.committed:,} were read of it: "
                "it was truncated or made anew",
                remedy,
            )
        elif each.lost:
            sentence = f"Kafka dropped {each.lost:,} offsets of {place} before they were read"
            yield Finding("offsets_lost", CURRENT, sentence, remedy)
    topics = {record.gap.topic for record in lake.open_gaps}
    for topic in kafka.absent:
        sentence = f"Kafka does not have {topic}, which the book was read from"
        yield Finding("topic_absent", CURRENT, sentence, "see whether --bootstrap-servers names the right Kafka")
    for topic in kafka.remade:
        if topic not in topics:
            yield Finding("topic_remade", CURRENT, f"{topic} was deleted and made anew since it was read", remedy)


def _reading(status: BookStatus, lake: LakeHealth, bounds: Limits) -> Iterator[Finding]:
    kafka = status.kafka
    since_commit = age(lake.manifest.committed_at, status.at)
    if kafka is not None and not kafka.answers:
        yield Finding(
            UNKNOWN_LAG,
            CURRENT,
            f"Kafka does not answer, so nobody can say whether records wait: {(kafka.problem or '').rstrip('.')}",
            "see whether its brokers run and are reached from here; a meter that follows goes on by itself once they "
            "answer",
        )
        return
    waiting = kafka.lag if kafka is not None else 0
    if not waiting:
        return
    if status.meter is None and not status.writer_is_elsewhere:
        yield Finding(
            "unread",
            CURRENT,
            f"{waiting:,} offsets wait to be read, and no meter runs",
            "start one with `tollbook meter --follow`, or run `tollbook meter --until-caught-up`",
        )
    elif since_commit > bounds.unread:
        yield Finding(
            "meter_stuck",
            CURRENT,
            f"{waiting:,} offsets wait to be read, and the last commit was made {duration(since_commit)} ago",
            "see what the meter says; it may be stopped and started at any moment, nothing is lost or read twice",
        )
    elif lake.newest_event_at is not None and age(lake.newest_event_at, status.at) > bounds.unread:
        yield Finding(
            "behind",
            CURRENT,
            f"{waiting:,} offsets wait to be read, and the newest event is "
            f"{duration(age(lake.newest_event_at, status.at))} old: the meter is working them off",
            "look again in a while; if the number grows, more comes in than this machine reads",
        )


def _publishing(status: BookStatus, bounds: Limits) -> Iterator[Finding]:
    since, warehouse = status.unpublished_since, status.warehouse
    at_work = warehouse.building
    remedy = f"a build (process {at_work}) is at work" if at_work is not None else "run `tollbook warehouse build`"
    if warehouse.published_version is None:
        yield Finding("nothing_published", CURRENT, "nothing is published yet: readers see nothing", remedy)
    elif since is not None and age(since, status.at) > bounds.unpublished:
        yield Finding(
            "unpublished",
            CURRENT,
            f"readers see commit {warehouse.published_commit:,} of {warehouse.lake_commit:,}; what came since "
            f"{instant(since)} waits for a build",
            remedy,
        )


def _quality(status: BookStatus, day: Counts, bounds: Limits) -> Iterator[Finding]:
    conflicts = status.conflicts_last_day or 0
    if day.rejected >= bounds.least_bad and day.rejected > bounds.rejected * (day.accepted + day.rejected):
        yield Finding(
            "rejects",
            SOUND,
            f"{day.rejected:,} dead letters in the last day, {share(day.rejected, day.accepted + day.rejected)} of "
            "what came",
            "see why with `tollbook rejects list`, mend the sender, then `tollbook rejects replay`",
        )
    if conflicts >= bounds.least_bad and conflicts > bounds.conflicts * day.accepted:
        yield Finding(
            "conflicts",
            SOUND,
            f"{conflicts:,} conflicts in the last day, {share(conflicts, day.accepted)} of the events: two tellings of "
            "one call that differ",
            'see them with `tollbook sql "from audit.fct_conflicts order by ingested_at desc"`; the first one stands',
        )


def _disk(status: BookStatus, bounds: Limits) -> Iterator[Finding]:
    disk = status.disk
    if disk.free < min(bounds.free_bytes, int(bounds.free_share * disk.size)):
        yield Finding(
            "disk",
            SOUND,
            f"{size(disk.free)} of {size(disk.size)} are free at {disk.folder}",
            "make room before it is full: the meter then stops with an error, and loses nothing",
        )
