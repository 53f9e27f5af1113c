"""The meter on the embedded runner: micro-batches planned from the newest manifest, one after another.

Each micro-batch is a bounded Beam pipeline on the in-process runner. What has been read is what the newest manifest
says; nothing else is remembered, so a meter killed at any moment goes on where the book ends.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tollbook.broker.connect import bootstrap
from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.lake.layout import expire_unparsed, sweep_orphans
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import Manifest, newest
from tollbook.reference.owners import owners_of
from tollbook.settings import Settings
from tollbook.stream.commit import CommitPlan
from tollbook.stream.decode import Clock, utc_now
from tollbook.stream.job import Job, build
from tollbook.stream.ranges import OffsetRange, plan_ranges
from tollbook.stream.rate import CatalogueLoader, genai_catalogue
from tollbook.stream.read import close_consumers, consumer_for
from tollbook.stream.rejects import publish_rejects

MAX_COMMIT_RECORDS = 262_144
KEEP_UNPARSED_DAYS = 14
_IDLE_SECONDS = 0.2
_EXPIRY_SECONDS = 3_600.0

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class MeterProgress:
    """How far the meter is after a commit.

    Attributes:
        commit: Number of the newest commit.
        read: Records read since this meter started.
        accepted: Of these, events written.
        rejected: Of these, records rejected.
        behind: Offsets left to read when the micro-batch was planned.
    """

    commit: int
    read: int
    accepted: int
    rejected: int
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterOptions:
    """How the meter runs.

    Attributes:
        settings: The book's home, with its lake and owner rules, and the Kafka to read from.
        topics: Topics to read, all of the native format.
        follow: Whether to go on when caught up.
        max_commit_records: Most records in one commit.
        load_catalogue: Gives the price catalogue on a worker.
        clock: Time of ingestion and of commits.
    """

    settings: Settings
    topics: tuple[str, ...]
    follow: bool = False
    max_commit_records: int = MAX_COMMIT_RECORDS
    load_catalogue: CatalogueLoader = genai_catalogue
    clock: Clock = utc_now


def run_meter(
    options: MeterOptions,
    *,
    report: Callable[[MeterProgress], None] = lambda _progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> MeterProgress:
    """Read, price, attribute, aggregate and write what is on the topics; return how far it came.

    Without `follow` it ends when it has read up to the ends that the topics had at its start. `should_stop` is asked
    between commits, so that a stop never tears one.

    Raises:
        LakeLockedError: Another meter holds the lake.
        OffsetGapError: Kafka dropped records before they were read.
        KafkaUnavailableError: No broker answers, or a topic does not exist.
        CommitConflictError: Another writer committed to the lake.
    """
    servers = bootstrap(options.settings)
    with writer_lock(options.settings.lake):
        try:
            return _run(options, servers, report, should_stop)
        finally:
            close_consumers()


def _run(
    options: MeterOptions, servers: str, report: Callable[[MeterProgress], None], should_stop: Callable[[], bool]
) -> MeterProgress:
    lake = options.settings.lake
    sweep_orphans(lake)
    manifest = newest(lake)
    epoch = manifest.epoch + 1 if manifest is not None else 1
    start = _counts(manifest)
    consumer = consumer_for(servers)
    ends = _ends(consumer, options.topics)
    progress = _progress(manifest, start, 0)
    last_expiry = float("-inf")
    publish_rejects(options.settings, servers)
    while not should_stop():
        if time.monotonic() - last_expiry > _EXPIRY_SECONDS:
            expire_unparsed(lake, now=options.clock(), keep_days=KEEP_UNPARSED_DAYS)
            last_expiry = time.monotonic()
        beginnings = _beginnings(consumer, list(ends))
        committed = _committed(manifest)
        ranges = plan_ranges(committed, beginnings, ends, max_records=options.max_commit_records)
        if not ranges:
            if not options.follow:
                break
            time.sleep(_IDLE_SECONDS)
            ends = _ends(consumer, options.topics)
            continue
        behind = sum(end - committed.get(place, beginnings[place]) for place, end in ends.items())
        _run_micro_batch(ranges, options, servers, manifest, epoch)
        manifest = newest(lake)
        publish_rejects(options.settings, servers)
        progress = _progress(manifest, start, behind)
        report(progress)
        if options.follow:
            ends = _ends(consumer, options.topics)
    return progress


def _run_micro_batch(
    ranges: list[OffsetRange], options: MeterOptions, servers: str, manifest: Manifest | None, epoch: int
) -> None:
    plan = CommitPlan(
        lake=options.settings.lake,
        number=(manifest.commit if manifest is not None else 0) + 1,
        epoch=epoch,
        writer=f"{socket.gethostname()}:{os.getpid()}",
        catalogue_version=options.load_catalogue().version,
        reference_version=owners_of(options.settings.owners).version,
    )
    job = Job(servers, plan, options.settings.owners, options.load_catalogue, options.clock)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    build(pipeline, ranges, job)
    pipeline.run().wait_until_finish()


def _partitions(consumer: KafkaConsumer, topics: tuple[str, ...]) -> list[TopicPartition]:
    found: list[TopicPartition] = []
    for topic in topics:
        try:
            partitions = consumer.partitions_for_topic(topic)
        except KafkaError as failed:
            raise KafkaUnavailableError(
                f"expected the topic {topic}, got {type(failed).__name__}: {failed}"
            ) from failed
        if not partitions:
            raise MisuseError(
                f"expected the topic {topic} to exist; `tollbook send` makes it, or ask who runs your Kafka"
            )
        found.extend(TopicPartition(topic, number) for number in sorted(partitions))
    return found


def _ends(consumer: KafkaConsumer, topics: tuple[str, ...]) -> dict[Place, int]:
    return _places(consumer.end_offsets(_partitions(consumer, topics)))


def _beginnings(consumer: KafkaConsumer, places: list[Place]) -> dict[Place, int]:
    return _places(consumer.beginning_offsets([TopicPartition(*place) for place in places]))


def _places(offsets: Mapping[TopicPartition, int]) -> dict[Place, int]:
    return {(place.topic, place.partition): offset for place, offset in offsets.items()}


def _committed(manifest: Manifest | None) -> dict[Place, int]:
    if manifest is None:
        return {}
    return {
        (topic, partition): offset for topic, each in manifest.offsets.items() for partition, offset in each.items()
    }


def _counts(manifest: Manifest | None) -> tuple[int, int, int]:
    totals = [total for each in manifest.totals.values() for total in each.values()] if manifest is not None else []
    return (
        sum(total.records for total in totals),
        sum(total.usage_rows for total in totals),
        sum(total.reject_rows for total in totals),
    )


def _progress(manifest: Manifest | None, start: tuple[int, int, int], behind: int) -> MeterProgress:
    read, accepted, rejected = (now - then for now, then in zip(_counts(manifest), start, strict=True))
    return MeterProgress(manifest.commit if manifest is not None else 0, read, accepted, rejected, behind)
