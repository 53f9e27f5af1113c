"""The meter as a streaming pipeline of Apache Flink: native ticks drive it, its steps are the embedded runner's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.flink.flink_streaming_impulse_source import FlinkStreamingImpulseSource

from tollbook.broker.connect import cluster_of
from tollbook.errors import MisuseError
from tollbook.flink.lanes import lane_names
from tollbook.stream import ticks
from tollbook.stream.job import Job, meter_ranges
from tollbook.stream.options import MeterOptions
from tollbook.stream.ticks import CommitWhenWhole, InLanes, PlanByTicks

_TICK_MILLISECONDS: Final = 100
_LONGEST_TICK_MILLISECONDS: Final = 500
_METER_KEY: Final = "meter"
_MATCHED: Final = ("tollbook", "apache-beam", "pyarrow")


def build(pipeline: beam.Pipeline, options: MeterOptions, *, parallelism: int, meter_name: str) -> beam.PCollection:
    """Add the meter to a streaming pipeline and return the numbers of its commits.

    Args:
        pipeline: A pipeline for Flink.
        options: How the meter runs; every worker finds the home at the same path.
        parallelism: How many tasks each step has.
        meter_name: Name by which the lake knows the job, whatever processes it has.
    """
    settings = options.settings
    job = Job(
        cluster=cluster_of(settings),
        lake=settings.lake,
        owners_path=settings.owners,
        dimensions_path=settings.dimensions,
        formats=options.formats,
        clock=options.clock,
        watch=_watch_nothing,
        is_given_up=_never,
    )
    planned = (
        pipeline
        | "Tick" >> FlinkStreamingImpulseSource().set_interval_ms(tick_milliseconds(parallelism))
        | "MatchVersions" >> beam.ParDo(_MatchVersions(_versions())).with_output_types(tuple[str, int])
        | "PlanByTicks" >> PlanByTicks(options, lane_names(parallelism), meter_name)
    )
    parts = meter_ranges(planned[ticks.RANGES] | "InLanes" >> InLanes(), job)
    told = (
        planned[ticks.PLANS] | "TellPlans" >> beam.Map(_plan_told).with_output_types(tuple[str, tuple[bool, bytes]]),
        parts | "TellParts" >> beam.Map(_part_told).with_output_types(tuple[str, tuple[bool, bytes]]),
    )
    return told | "PlansAndParts" >> beam.Flatten() | "CommitWhenWhole" >> CommitWhenWhole(options)


def tick_milliseconds(parallelism: int) -> int:
    """Return how far apart the ticks of one task are: each task of the source ticks, and each tick costs two bundles.

    Source: Beam, `StreamingImpulseSource`, a `RichParallelSourceFunction`.
    """
    return min(_TICK_MILLISECONDS * parallelism, _LONGEST_TICK_MILLISECONDS)


class _MatchVersions(beam.DoFn):
    """Refuse to begin on workers that have other versions than the command that submitted the job."""

    def __init__(self, wanted: dict[str, str]) -> None:
        self._wanted = wanted

    def setup(self) -> None:
        pa.set_memory_pool(pa.system_memory_pool())
        versions_match(self._wanted)

    def process(self, element: bytes) -> Iterable[tuple[str, int]]:  # noqa: ARG002  a tick says nothing
        yield _METER_KEY, 0


def versions_match(wanted: Mapping[str, str]) -> None:
    """Return if this process has the versions of the command that submitted, by distribution.

    Raises:
        MisuseError: It has others.
    """
    found = {name: version(name) for name in wanted}
    different = [f"{name} {wanted[name]}, got {found[name]}" for name in wanted if found[name] != wanted[name]]
    if different:
        raise MisuseError(
            f"expected workers with {'; '.join(different)}, as the command that submits has them: install the same "
            "wheel and lock beside the task managers, and start the worker pool again"
        )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _MATCHED}


def _plan_told(plan: bytes) -> tuple[str, tuple[bool, bytes]]:
    return _METER_KEY, (True, plan)


def _part_told(part: bytes) -> tuple[str, tuple[bool, bytes]]:
    return _METER_KEY, (False, part)


def _watch_nothing(_records: pa.RecordBatch, _decoded: Any) -> None:
    """Rejects are judged where the parts come together, since no worker sees them all."""


def _never() -> bool:
    return False
