"""Running micro-batches on Beam's in-process runner, one after another by one pipeline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import apache_beam as beam

from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import RejectFloodError
from tollbook.stream.commit import CommitUsage
from tollbook.stream.flood import RejectWatch, committed_shares, watch_chunk, watch_rejects
from tollbook.stream.job import Job, meter_ranges
from tollbook.stream.micro_batch import (
    MicroBatch,
    PlanRanges,
    PreparedPipeline,
    is_given_up,
    plan_micro_batch,
    planned_commit,
)
from tollbook.stream.options import MeterOptions
from tollbook.stream.plan import CommitPlan
from tollbook.stream.remember import forget_memories


class MicroBatchRunner:
    """Runs the micro-batches of one meter."""

    def __init__(
        self, options: MeterOptions, cluster: KafkaCluster, is_given_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Run with `options`, reading from `cluster`, until `is_given_up` says to end within a micro-batch."""
        self._options, self._cluster, self._is_given_up = options, cluster, is_given_up
        self._name = str(options.settings.lake)
        lately = committed_shares(options.settings.lake, options.flood.over_records)
        self._rejects = RejectWatch(options.flood, lately)
        watch_rejects(self._name, self._rejects)
        forget_memories()
        self._pipeline: PreparedPipeline | None = None

    def run(self, plan: CommitPlan) -> None:
        """Read, price and commit what is planned. What a step raises is raised, and then nothing was committed."""
        plan_micro_batch(self._name, MicroBatch(plan, self._is_given_up))
        self._rejects.begin()
        try:
            self._prepared().run()
        except BaseException as failed:
            self._pipeline = None
            if isinstance(failed, RejectFloodError) and self._rejects.flood is not None:
                raise self._rejects.flood from None  # without what Beam adds to its message
            raise
        self._rejects.keep()

    def _prepared(self) -> PreparedPipeline:
        if self._pipeline is None:
            self._pipeline = PreparedPipeline(self._build)
        return self._pipeline

    def _build(self, pipeline: beam.Pipeline) -> None:
        settings, name = self._options.settings, self._name
        job = Job(
            cluster=self._cluster,
            lake=settings.lake,
            owners_path=settings.owners,
            dimensions_path=settings.dimensions,
            formats=self._options.formats,
            clock=self._options.clock,
            watch=partial(watch_chunk, name),
            is_given_up=partial(is_given_up, name),
        )
        parts = meter_ranges(pipeline | "PlanRanges" >> PlanRanges(name), job)
        _ = parts | "CommitUsage" >> CommitUsage(partial(planned_commit, name), self._options.clock)
