"""What a micro-batch is to read and commit, and the pipeline that is built once and runs for each of them.

Building and fusing the pipeline takes longer than a small micro-batch itself. It is the same each time but for the
offsets and the commit, so these are not part of it: its steps ask for them by name, in the process that runs them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker.bundle_processor import DATA_INPUT_URN, DATA_OUTPUT_URN

from tollbook.stream.plan import CommitPlan
from tollbook.stream.ranges import OffsetRange


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """A micro-batch as it is planned.

    Attributes:
        plan: What to read, and what its commit must know.
        is_given_up: Says whether to end it without a commit.
    """

    plan: CommitPlan
    is_given_up: Callable[[], bool] = lambda: False


def plan_micro_batch(name: str, batch: MicroBatch) -> None:
    """Make `batch` the one that the steps of this process which ask for `name` get."""
    _planned[name] = batch


def planned(name: str) -> MicroBatch:
    """Return the micro-batch planned under `name`; KeyError where none is planned in this process."""
    return _planned[name]


def planned_commit(name: str) -> CommitPlan:
    """Return what the commit of the micro-batch planned under `name` must know."""
    return planned(name).plan


def is_given_up(name: str) -> bool:
    """Return whether the micro-batch planned under `name` is to end without a commit."""
    return planned(name).is_given_up()


class PlanRanges(beam.PTransform):
    """Give the offset ranges of the micro-batch that is planned.

    Input: a pipeline.
    Output: OffsetRange, each range of the plan once.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Return the ranges."""
        return begin | beam.Impulse() | "AskForRanges" >> beam.ParDo(_Ranges(self._name))


class _Ranges(beam.DoFn):
    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, element: bytes) -> Iterable[OffsetRange]:  # noqa: ARG002  an impulse says nothing
        yield from planned(self._name).plan.ranges


class PreparedPipeline:
    """A bounded pipeline on the in-process runner that is built and fused once and can run again and again."""

    def __init__(self, build: Callable[[beam.Pipeline], Any]) -> None:
        """Prepare what `build` adds to an empty pipeline."""
        self._runner = _PreparingRunner()
        self._pipeline = beam.Pipeline(runner=self._runner, options=PipelineOptions([]))
        build(self._pipeline)
        _keep_signatures(beam.DoFn)

    def run(self) -> None:
        """Run it once, to its end; what a step raises is raised."""
        if self._runner.prepared is None:
            self._pipeline.run().wait_until_finish()
        else:
            self._runner.run_again()


class _PreparingRunner(FnApiRunner):
    """Beam's in-process runner, keeping the fused stages of its first run.

    A run writes where data go into the steps that read and write between stages, over the names of what they read and
    write. These are put back before the next run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.prepared: tuple[Any, Any] | None = None
        self._payloads: list[tuple[Any, bytes]] = []

    def run_stages(self, stage_context: Any, stages: Any) -> Any:
        """Run stages in order, as the base class does, and keep them."""
        self.prepared = (stage_context, stages)
        self._payloads = [
            (step, step.spec.payload)
            for stage in stages
            for step in stage.transforms
            if step.spec.urn in {DATA_INPUT_URN, DATA_OUTPUT_URN}
        ]
        return super().run_stages(stage_context, stages)

    def run_again(self) -> Any:
        """Run the kept stages anew."""
        if self.prepared is None:
            raise RuntimeError("expected stages of an earlier run, found none")
        for step, payload in self._payloads:
            step.spec.payload = payload
        return super().run_stages(*self.prepared)


def _keep_signatures(steps: type) -> None:
    """Let the methods of all steps know their own signatures.

    Beam asks for each of them several times a run, and finding one out takes longer than it looks: 60 ms of a run.
    """
    for method in vars(steps).values():
        if isinstance(method, FunctionType) and not hasattr(method, "__signature__"):
            vars(method)["__signature__"] = inspect.signature(method)
    for step in type.__subclasses__(steps):
        _keep_signatures(step)


_planned: dict[str, MicroBatch] = {}
