"""Running micro-batches: each is priced by the book of its moment, committed, and remembered by the stream."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import RejectFloodError
from tollbook.lake.manifest import Manifest
from tollbook.rating.book import PriceBook
from tollbook.rating.store import record, recorded_book
from tollbook.reference.owners import owners_of
from tollbook.stream.commit import CommitPlan
from tollbook.stream.flood import RejectWatch, committed_shares, watch_rejects
from tollbook.stream.job import Job, build
from tollbook.stream.micro_batch import MicroBatch, PreparedPipeline, plan_micro_batch
from tollbook.stream.ranges import OffsetRange
from tollbook.stream.remember import remember_lately
from tollbook.stream.repeats import forget_memory
from tollbook.stream.takeover import take_over

if TYPE_CHECKING:
    from tollbook.stream.meter import MeterOptions
    from tollbook.stream.topics import Place


class MicroBatchRunner:
    """Runs the micro-batches of one meter."""

    def __init__(
        self, options: MeterOptions, cluster: KafkaCluster, epoch: int, is_given_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Run with `options`, reading from `cluster`, under `epoch`, until `is_given_up` says to end within a batch."""
        self._options, self._cluster, self._epoch = options, cluster, epoch
        self._is_given_up = is_given_up
        self._lake = options.settings.lake
        self._writer = f"{socket.gethostname()}:{os.getpid()}"
        self._owner = f"{self._writer}:{secrets.token_hex(8)}"
        self._memory = forget_memory(str(self._lake))
        self._remembers = False
        self._rejects = RejectWatch(options.flood, committed_shares(self._lake, options.flood.over_records))
        watch_rejects(str(self._lake), self._rejects)
        self._has_taken_over = False
        self._pipeline: PreparedPipeline | None = None
        self._prepared_for: tuple[int, str] | None = None

    def take_over(self) -> Manifest:
        """Make an empty commit of an epoch that no other meter has, and go on under it; return the commit.

        A lock does not reach another machine. After this commit no meter of an epoch before can commit, this one
        included, and no other writes files of the same names.

        Raises:
            FencedError: Another meter took over from this one since it did so itself.
            StoreUnavailableError: The lake's object store is away.
        """
        taken = take_over(
            self._lake,
            owner=self._owner,
            writer=self._writer,
            reference_version=owners_of(self._options.settings.owners).version,
            clock=self._options.clock,
            held_epoch=self._epoch if self._has_taken_over else None,
        )
        self._epoch, self._has_taken_over = taken.epoch, True
        self._pipeline = self._prepared_for = None
        return taken

    def run(
        self,
        ranges: Sequence[OffsetRange],
        before: Manifest | None,
        beginnings: Mapping[Place, int],
        ids: Mapping[str, str],
    ) -> None:
        """Read, price and commit some offsets.

        Args:
            ranges: What to read.
            before: The newest manifest.
            beginnings: First offset of every partition.
            ids: Kafka's id of each topic.
        """
        options = self._options
        if not self._remembers:
            remember_lately(self._lake, self._memory)
            self._remembers = True
        # Workers take the book from the record, so that a commit has one even where its files change meanwhile.
        book = options.load_book() if options.load_book is not None else PriceBook.load(options.settings)
        recorded = record(self._lake, book, options.clock())
        plan = CommitPlan(
            lake=self._lake,
            base=before.commit if before is not None else 0,
            batch=secrets.token_hex(8),
            epoch=self._epoch,
            epoch_owner=self._owner,
            writer=self._writer,
            catalogue_version=recorded.version,
            reference_version=owners_of(options.settings.owners).version,
            beginnings=tuple((topic, partition, offset) for (topic, partition), offset in beginnings.items()),
            topic_ids=tuple(ids.items()),
        )
        plan_micro_batch(str(self._lake), MicroBatch(tuple(ranges), plan, self._is_given_up))
        self._memory.begin()
        self._rejects.begin()
        try:
            self._pipeline_for(recorded.number).run()
        except BaseException as failed:
            self._pipeline = self._prepared_for = None
            if isinstance(failed, RejectFloodError) and self._rejects.flood is not None:
                raise self._rejects.flood from None  # without what Beam adds to its message
            raise
        self._memory.keep()
        self._rejects.keep()

    def _pipeline_for(self, book_number: int) -> PreparedPipeline:
        """Return the pipeline by a recorded book: the one that ran before, unless the book or the date changed."""
        options = self._options
        key = (book_number, options.clock().date().isoformat())
        if self._pipeline is None or key != self._prepared_for:
            job = Job(
                cluster=self._cluster,
                lake=self._lake,
                epoch=self._epoch,
                ingest_date=key[1],
                owners_path=options.settings.owners,
                dimensions_path=options.settings.dimensions,
                load_book=partial(recorded_book, self._lake, book_number),
                clock=options.clock,
                formats=options.formats,
            )
            self._pipeline, self._prepared_for = PreparedPipeline(partial(build, job=job)), key
        return self._pipeline
