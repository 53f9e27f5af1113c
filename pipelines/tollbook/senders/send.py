"""`tollbook send`: the records of a file on their topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tollbook.broker.connect import admin, cluster_of
from tollbook.broker.topics import definition, ensure_topics, topic_of_format
from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import MisuseError, RejectedRecordError, TollbookError, TopicError
from tollbook.formats.registry import NATIVE, format_named
from tollbook.reference.dimensions import dimensions_of
from tollbook.senders.formats import format_records
from tollbook.senders.lines import Source, open_source, read_lines
from tollbook.senders.mapping import load_mapping
from tollbook.senders.native import native_records
from tollbook.senders.outgoing import Outgoing
from tollbook.senders.producer import CountingProducer
from tollbook.senders.rows import mapped_records
from tollbook.settings import Settings

_GRACE_SECONDS = 10.0

OnProblem = Callable[[str], None]
"""Told of each record that was not sent: file, line, what was expected, what came."""

OnProgress = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is.

    Attributes:
        position: Bytes of the stored file that were read.
        total_bytes: Size of the stored file, or None for standard input.
        acknowledged: Records that the broker has.
    """

    position: int
    total_bytes: int | None
    acknowledged: int


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of the records of a file.

    Attributes:
        topic: Where they went.
        records: Records that the broker acknowledged.
        bytes: Bytes of their values.
        seconds: Time from the first byte read to the last acknowledgement.
        unmapped: Rows that the mapping could not turn into events, or lines of which nobody can say what in them is
            content; not sent.
        too_large: Records larger than the topic takes; not sent.
        unacknowledged: Records that were read and that the broker refused or did not answer for.
        blank_lines: Lines without a record.
        no_call: Lines that tell of no model call; not sent.
        failure: Why records are unacknowledged, or None.
        interrupted: Whether the user stopped it before the end of the file.
    """

    topic: str
    records: int
    bytes: int
    seconds: float
    unmapped: int
    too_large: int
    unacknowledged: int
    blank_lines: int
    no_call: int
    failure: str | None
    interrupted: bool

    @property
    def complete(self) -> bool:
        """Whether each record of the file is on its topic."""
        return not (self.unmapped or self.too_large or self.unacknowledged or self.failure or self.interrupted)


def send_file(
    settings: Settings,
    path: str,
    *,
    format_name: str = NATIVE,
    mapping_path: Path | None = None,
    topic: str | None = None,
    on_problem: OnProblem = lambda _: None,
    on_progress: OnProgress = lambda _: None,
) -> SendResult:
    """Put the records of a file on their topic, and wait until the broker has them.

    Sending a file again is safe: the ledger counts each event once.

    Args:
        settings: Says which Kafka.
        path: A file, a gzip file (by its name's end, `.gz`), or `-` for standard input.
        format_name: Format of the records, one of the registry's.
        mapping_path: Mapping file, for a file that is not in a known format; its events are native.
        topic: Topic to use; by default that of the format.
        on_problem: Told of each record that was not sent.
        on_progress: Told how far it is, a few times a second.

    Raises:
        MisuseError: The file, the format, the mapping or the topic cannot be used.
        KafkaUnavailableError: No broker answered.
    """
    format_name = format_named(format_name).name
    if mapping_path is not None and format_name != NATIVE:
        raise MisuseError(f"expected a mapping or a format, got both: what a mapping makes is {NATIVE}")
    mapping = None if mapping_path is None else load_mapping(mapping_path)
    dimensions = dimensions_of(settings.dimensions)
    with open_source(path) as source:
        name = topic or topic_of_format(format_name)
        cluster = cluster_of(settings)
        ensure_topic(settings, cluster, name)
        producer = CountingProducer(cluster, name)
        try:
            sending = _Sending(source, producer, name, on_problem, on_progress)
            if mapping is not None:
                return sending.run(mapped_records(source, mapping, sending.refuse))
            if format_name == NATIVE:
                return sending.run(native_records(read_lines(source, source.name)))
            return sending.run(format_records(source, format_name, dimensions, sending.refuse, sending.pass_over))
        finally:
            producer.close()


class _Sending:
    def __init__(
        self,
        source: Source,
        producer: CountingProducer,
        topic: str,
        on_problem: OnProblem,
        on_progress: OnProgress,
    ) -> None:
        self._source = source
        self._producer = producer
        self._topic = topic
        self._on_problem = on_problem
        self._on_progress = on_progress
        self._unmapped = 0
        self._blank_lines = 0
        self._no_call = 0
        self._told_large = 0

    def run(self, runs: Iterator[tuple[Outgoing, int]]) -> SendResult:
        started = time.monotonic()
        failure, interrupted = None, False
        try:
            for records, blank in runs:
                self._blank_lines += blank
                self._producer.send(records)
                self._tell()
                if self._producer.failure is not None:
                    break
            self._producer.finish()
        except KeyboardInterrupt:
            interrupted = True
            self._producer.finish(timeout_seconds=_GRACE_SECONDS)
        except MisuseError:
            raise
        except TollbookError as error:  # the file broke off: what was read before it is sent
            self._producer.finish()
            failure = error.message
        self._tell()
        seconds = time.monotonic() - started
        if self._producer.failure is not None:
            failure = f"{type(self._producer.failure).__name__}: {self._producer.failure}"
        return SendResult(
            topic=self._topic,
            records=self._producer.acknowledged,
            bytes=self._producer.acknowledged_bytes,
            seconds=round(seconds, 3),
            unmapped=self._unmapped,
            too_large=len(self._producer.too_large),
            unacknowledged=self._producer.failed,
            blank_lines=self._blank_lines,
            no_call=self._no_call,
            failure=failure,
            interrupted=interrupted,
        )

    def refuse(self, line: int, error: RejectedRecordError) -> None:
        """Count and tell a row that is not sent."""
        self._unmapped += 1
        where = f"`{error.field}`" if error.field else "the row"
        self._on_problem(f"{self._source.name}:{line}: expected {where} to be {error.expected}, got {error.got}")

    def pass_over(self, _reason: str) -> None:
        """Count a line that tells of no call."""
        self._no_call += 1

    def _tell(self) -> None:
        for line, size in self._producer.too_large[self._told_large :]:
            self._on_problem(
                f"{self._source.name}:{line}: expected a record of at most "
                f"{self._producer.max_message_bytes} bytes, which is what the topic takes, got {size}"
            )
        self._told_large = len(self._producer.too_large)
        self._on_progress(Progress(self._source.position, self._source.total_bytes, self._producer.acknowledged))


def ensure_topic(settings: Settings, cluster: KafkaCluster, topic: str) -> None:
    """Make the topic if it is one of ours; another one is for whoever runs that Kafka to make.

    Raises:
        MisuseError: It is not one of ours, and is not there.
    """
    try:
        definition(topic)
    except TopicError as error:
        with admin(cluster) as client:
            if topic not in client.list_topics():
                raise MisuseError(f"expected a topic {topic} at {cluster}, there is none") from error
    else:
        ensure_topics(settings, [topic])
