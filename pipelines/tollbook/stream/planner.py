"""The planner: it looks at Kafka and the book, says what is read next, and sees to what follows a commit.

What has been read is what the newest manifest says; nothing else is remembered, so a meter killed at any moment goes
on where the book ends. What runs the micro-batches, and where, is not known here.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tollbook.connection.cluster import KafkaCluster
from tollbook.lake.expiry import checkpoint_is_due, expire
from tollbook.lake.gaps import GAPS
from tollbook.lake.layout import expire_unparsed, sweep_orphans, unparsed_is_expired
from tollbook.lake.log import sweep_temporaries
from tollbook.lake.manifest import Manifest, newest
from tollbook.lake.store_sweep import expire_store_of_unparsed, sweep_store_of_meters
from tollbook.lake.sweep import sweep_logged_tables
from tollbook.logs import Notice, Tell
from tollbook.rating.book import PriceBook
from tollbook.rating.store import record
from tollbook.reference.owners import owners_of
from tollbook.stream.commit import commit_of, refuse_if_fenced
from tollbook.stream.gaps import GapWatch, KafkaOffsets
from tollbook.stream.live import LiveUsage
from tollbook.stream.observe import MeterObserver
from tollbook.stream.options import MeterOptions, MeterProgress
from tollbook.stream.pace import Pace
from tollbook.stream.plan import CommitPlan
from tollbook.stream.progress import BookProgress
from tollbook.stream.ranges import BatchStamp, OffsetRange, plan_ranges
from tollbook.stream.read import take_holes
from tollbook.stream.rejects import publish_rejects, published_commit
from tollbook.stream.takeover import take_over
from tollbook.stream.topics import KafkaTopics, Place

_EXPIRY_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A micro-batch as it was planned.

    Attributes:
        plan: What is read, and what the commit must know.
        behind: Offsets left to read when it was planned, its own included.
        taken: Offsets that it reads.
        before: The manifest that it was planned on.
        kafka: What Kafka told.
        begun: When planning began, by the monotonic clock. Unit: Seconds.
    """

    plan: CommitPlan
    behind: int
    taken: int
    before: Manifest | None
    kafka: KafkaOffsets
    begun: float


def sweep_left(lake: Path, tell: Tell) -> None:
    """Delete what meters that died left in a lake's folder; no meter that may still commit writes to it meanwhile.

    Raises:
        CorruptManifestError: Manifests of the lake are missing.
    """
    sweep_temporaries(lake / GAPS)
    for path in (*sweep_orphans(lake), *sweep_logged_tables(lake)):
        tell(Notice(f"swept {path}, which a writer that died left behind", event="swept", path=str(path)))


class BatchPlanner:
    """Plans the micro-batches of one meter, one after another: the next once the one before is committed."""

    def __init__(
        self,
        options: MeterOptions,
        cluster: KafkaCluster,
        *,
        report: Callable[[MeterProgress], None],
        tell: Tell,
        observer: MeterObserver,
        meter_name: str | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Plan what to read from `cluster`.

        Args:
            options: How the meter runs.
            cluster: Kafka.
            report: Told of each commit.
            tell: Told what happens, in words.
            observer: Watches the meter.
            meter_name: Name that the processes of a meter share, where they come and go.
            pace: How much a micro-batch takes of a meter that follows; by default that of one process.
        """
        self._options, self._cluster = options, cluster
        self._report, self._tell, self._observer = report, tell, observer
        self._lake = options.settings.lake
        self._writer = f"{socket.gethostname()}:{os.getpid()}"
        self._owner = f"{meter_name or self._writer}:{secrets.token_hex(8)}"
        self.manifest = newest(self._lake)
        self._epoch = self.manifest.epoch + 1 if self.manifest is not None else 1
        self._has_taken_over = False
        self._committed_batches = 0
        self._topics: KafkaTopics | None = None
        self._gaps = GapWatch(self._lake, self.manifest, options.clock)
        self._pace = pace or Pace(options.max_commit_records)
        self._live = LiveUsage(self._lake, options.settings.serve) if options.follow else None
        self._book = BookProgress(self.manifest)
        self._asked_at = options.clock()
        self._expired_at = float("-inf")

    def take_over(self, *, only_from: str | None = None) -> None:
        """Fence every other meter of the lake, and sweep what those put into an object store in vain.

        A lock does not reach another machine. After the empty commit that this makes, under an epoch that no other
        meter has, no meter of an epoch before can commit, and no other writes files of the same names.

        Args:
            only_from: Name of the meter whose lake it must be; None to take it from any.

        Raises:
            FencedError: Another meter took over from this one since it did so itself, or from that of `only_from`.
            StoreUnavailableError: The lake's object store is away.
        """
        self.manifest = take_over(
            self._lake,
            owner=self._owner,
            writer=self._writer,
            reference_version=owners_of(self._options.settings.owners).version,
            clock=self._options.clock,
            held_epoch=self._epoch if self._has_taken_over else None,
            only_from=only_from,
        )
        self._epoch, self._has_taken_over, self._committed_batches = self.manifest.epoch, True, 0
        for path in sweep_store_of_meters(self._lake):
            self._tell(Notice(f"swept {path}, which a writer that died left behind", event="swept", path=path))

    def begin(self) -> None:
        """Look at the topics for the first time, and publish the rejects that a meter before left to publish.

        Raises:
            KafkaUnavailableError: No broker answers.
            MisuseError: A topic does not exist.
        """
        read_before = self.manifest.offsets if self.manifest is not None else {}
        self._topics = KafkaTopics(self._cluster, self._options.topics, read_before)
        self.ask_ends()
        publish_rejects(self._options.settings, self._cluster)
        if self._options.follow:
            self._topics.be_brief()

    def ask_ends(self) -> Mapping[Place, int]:
        """Return the offset after the last that may be read, for every partition.

        Raises:
            KafkaUnavailableError: No broker answers.
        """
        self._asked_at = self._options.clock()
        return self._known_topics.ends()

    def is_committed(self, batch: PlannedBatch) -> bool:
        """Return whether the commit of a micro-batch, which is made elsewhere, is made.

        Raises:
            FencedError: Another meter took over.
        """
        before = newest(self._lake)
        refuse_if_fenced(self._lake, before, self._epoch, self._owner)
        return commit_of(batch.plan, before.commit if before is not None else 0) != 0

    def look_again(self) -> None:
        """Read the newest manifest, after another writer moved the book on."""
        self.manifest = newest(self._lake)

    def plan(self, ends: Mapping[Place, int]) -> PlannedBatch | None:
        """Return the next micro-batch of what lies before `ends`, None where all of it is read.

        Raises:
            OffsetGapError: Kafka dropped records before they were read, or a topic was made anew.
            KafkaUnavailableError: No broker answers.
        """
        begun = time.monotonic()
        self._keep_up()
        ids = self._known_topics.ids()
        beginnings = self._known_topics.beginnings(ends)
        kafka = KafkaOffsets(ids=ids, beginnings=beginnings, ends=ends)
        self._gaps.refuse_gaps(self.manifest, kafka)
        committed, bases = _committed(self.manifest), _bases(self.manifest)
        beginnings, ends = _in_the_book(beginnings, bases), _in_the_book(ends, bases)
        self._observer.looked(ends, {**beginnings, **committed}, self._asked_at)
        most = self._pace.records if self._options.follow else self._options.max_commit_records
        ranges = plan_ranges(committed, beginnings, ends, max_records=most)
        if not ranges:
            return None
        behind = sum(end - committed.get(place, beginnings[place]) for place, end in ends.items())
        taken = sum(each.next_offset - each.first_offset for each in ranges)
        return PlannedBatch(self._planned(ranges, beginnings, ids), behind, taken, self.manifest, kafka, begun)

    def committed(self, batch: PlannedBatch) -> None:
        """See to what follows the commit of a micro-batch.

        Raises:
            OffsetGapError: A hole in the log, or another gap, kept it from reading all that was planned.
            KafkaUnavailableError: The broker took no rejects.
        """
        self.manifest = newest(self._lake)
        self._committed_batches += 1
        seconds = time.monotonic() - batch.begun
        self._pace.took(batch.taken, seconds)
        if self.manifest is not None:
            self._observer.committed(self.manifest, seconds)
        publish_rejects(self._options.settings, self._cluster)
        self._report(replace(self.progress(batch.behind), seconds=round(seconds, 3)))
        self._gaps.refuse_holes(take_holes(), self.manifest, batch.kafka, self._known_topics)
        self._gaps.refuse_standstill(batch.before, self.manifest)

    def publish_live(self, *, at_once: bool = False) -> None:
        """Publish the live aggregates, unless that was done lately."""
        if self._live is not None and self.manifest is not None:
            self._live.publish(self.manifest.commit, now=self._options.clock(), at_once=at_once)

    def progress(self, behind: int) -> MeterProgress:
        """Return how far the meter came since it began."""
        if self.manifest is not None:
            self._book.took(self.manifest)
        return self._book.progress(behind)

    @property
    def _known_topics(self) -> KafkaTopics:
        if self._topics is None:
            raise RuntimeError("expected a planner that has begun")
        return self._topics

    def _planned(
        self, ranges: list[OffsetRange], beginnings: Mapping[Place, int], ids: Mapping[str, str]
    ) -> CommitPlan:
        options, now = self._options, self._options.clock()
        # Workers take the book from the record, so that a commit has one even where its files change meanwhile.
        book = options.load_book() if options.load_book is not None else PriceBook.load(options.settings)
        recorded = record(self._lake, book, now)
        bases = _bases(self.manifest)
        stamp = BatchStamp(
            batch=secrets.token_hex(8),
            epoch=self._epoch,
            sequence=self._committed_batches,
            book=recorded.number,
            ingest_date=now.date().isoformat(),
        )
        return CommitPlan(
            lake=self._lake,
            base=self.manifest.commit if self.manifest is not None else 0,
            batch=stamp.batch,
            epoch=self._epoch,
            epoch_owner=self._owner,
            writer=self._writer,
            catalogue_version=recorded.version,
            reference_version=owners_of(options.settings.owners).version,
            beginnings=tuple((topic, partition, offset) for (topic, partition), offset in beginnings.items()),
            topic_ids=tuple(ids.items()),
            ranges=tuple(
                replace(
                    each,
                    base=bases.get((each.topic, each.partition), 0),
                    may_have_holes=self._gaps.may_have_holes(each.topic),
                    stamp=stamp,
                )
                for each in ranges
            ),
        )

    def _keep_up(self) -> None:
        """Delete what has expired: unparsed bytes once an hour, manifests whenever a checkpoint is due."""
        now = self._options.clock()
        if time.monotonic() - self._expired_at > _EXPIRY_SECONDS:
            expire_unparsed(self._lake, now=now)
            expire_store_of_unparsed(self._lake, lambda date: unparsed_is_expired(date, now=now))
            self._expired_at = time.monotonic()
        if self.manifest is not None and checkpoint_is_due(self._lake, self.manifest.commit):
            expire(self._lake, now=now, needed_from=published_commit(self._lake) + 1)


def _committed(manifest: Manifest | None) -> dict[Place, int]:
    if manifest is None:
        return {}
    return {
        (topic, partition): offset for topic, each in manifest.offsets.items() for partition, offset in each.items()
    }


def _bases(manifest: Manifest | None) -> dict[Place, int]:
    """Return what the book's offsets are above Kafka's, for partitions whose log began anew."""
    told = manifest.offset_bases if manifest is not None else {}
    return {(topic, partition): base for topic, each in told.items() for partition, base in each.items()}


def _in_the_book(offsets: Mapping[Place, int], bases: Mapping[Place, int]) -> dict[Place, int]:
    """Return Kafka's offsets as the book counts them."""
    return {place: offset + bases.get(place, 0) for place, offset in offsets.items()}
