"""The driver of a runner that streams: ticks plan micro-batches, and a commit is made once all of its parts have come.

The steps in between are those of the embedded runner (`tollbook.stream.job`). One step plans and one commits; what they
know of each other is the lake. The next micro-batch is planned when the book has the one before.

Nothing depends on the state that a runner restores, so whatever it takes back, repeats or loses is made good: a planner
that finds its state behind what it remembers, or remembers nothing, takes the lake over under a new epoch and plans
from the newest manifest. What others of its meter still do under an epoch before is refused by the commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zlib import crc32

import apache_beam as beam
from apache_beam.coders import StrUtf8Coder, VarIntCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from tollbook.broker.connect import cluster_of
from tollbook.errors import KafkaUnavailableError, StoreUnavailableError
from tollbook.lake.binding import connect
from tollbook.logs import Notice
from tollbook.stream.commit import commit_parts
from tollbook.stream.flood import RejectWatch, committed_shares
from tollbook.stream.observe import NobodyWatches
from tollbook.stream.options import MeterOptions, MeterProgress
from tollbook.stream.pace import Pace
from tollbook.stream.parts import RANGE_PART, CommitPart, missing_parts
from tollbook.stream.plan import CommitPlan
from tollbook.stream.planner import BatchPlanner, PlannedBatch, sweep_left
from tollbook.stream.ranges import OffsetRange
from tollbook.stream.read import close_consumers, reader_for, take_holes

RANGES, PLANS = "ranges", "plans"

_AWAY_SECONDS: Final = 2.0
_LONGEST_SECONDS: Final = 5.0
"""How long a micro-batch may take while the meter is behind. Some tenths of a second of each are no work but the way
through the runner, and a checkpoint waits for the ranges under way."""
_LOST_SECONDS: Final = 300.0
"""How long a commit may take before it is taken for lost, and planned anew under another epoch."""

_log = logging.getLogger(__name__)


class PlanByTicks(beam.PTransform):
    """Plan micro-batches, one after another.

    Input: ticks, (key, anything), all of one key.
    Output `ranges`: (lane, OffsetRange); the partitions of a topic are shared out among the lanes, in the same way each
        time.
    Output `plans`: encoded CommitPlan, before its ranges have become parts or after.
    """

    def __init__(self, options: MeterOptions, lanes: Sequence[str], meter_name: str) -> None:
        """Plan by `options` for `lanes`, by name, under the name of the meter."""
        super().__init__()
        self._args = (options, tuple(lanes), meter_name)

    def expand(self, ticks: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Return the tagged outputs."""
        return ticks | "PlanByTick" >> beam.ParDo(_PlanByTick(*self._args)).with_output_types(
            tuple[str, OffsetRange]
        ).with_outputs(PLANS, main=RANGES)


class CommitWhenWhole(beam.PTransform):
    """Commit each micro-batch once all of its parts have come.

    Input: (key, (is_plan, encoded CommitPlan or CommitPart)), all of one key, in any order.
    Output: the number of each commit.
    Parts of a micro-batch that never becomes whole are forgotten when a later one is planned.
    """

    def __init__(self, options: MeterOptions) -> None:
        super().__init__()
        self._options = options

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        """Return the numbers."""
        return parts | "CommitParts" >> beam.ParDo(_CommitWhenWhole(self._options)).with_output_types(int)


_TICKS = beam.DoFn.StateParam(ReadModifyWriteStateSpec("ticks", VarIntCoder()))
_METER = beam.DoFn.StateParam(ReadModifyWriteStateSpec("meter", StrUtf8Coder()))
_KEYED = beam.DoFn.StateParam(ReadModifyWriteStateSpec("keyed", VarIntCoder()))
"""Never used: a step that has state gets all elements of a key in one place, one after another."""


class _PlanByTick(beam.DoFn):
    def __init__(self, options: MeterOptions, lanes: tuple[str, ...], meter_name: str) -> None:
        self._options, self._lanes, self._meter_name = options, lanes, meter_name

    def process(
        self,
        element: tuple[str, Any],  # noqa: ARG002  a tick says nothing
        ticks: Any = _TICKS,
        meter: Any = _METER,
    ) -> Iterable[tuple[str, OffsetRange] | beam.pvalue.TaggedOutput]:
        passed = ticks.read() or 0
        name = meter.read() or self._meter_name  # a job that goes on from a savepoint is the meter that it was
        planning = planning_of(self._options, name, passed, lanes=len(self._lanes))
        batch = planning.tick()
        ticks.write(passed + 1)
        meter.write(name)
        if batch is None:
            return
        yield beam.pvalue.TaggedOutput(PLANS, batch.plan.encode())
        for each in batch.plan.ranges:
            yield self._lanes[lane_of(each.topic, each.partition, len(self._lanes))], each


def lane_of(topic: str, partition: int, lanes: int) -> int:
    """Return which of so many lanes reads a partition: the partitions of a topic go to one lane after another."""
    return (crc32(topic.encode("utf-8")) + partition) % lanes


@dataclass(slots=True)
class _Planning:
    """The planning of one meter in this process.

    Attributes:
        options: How the meter runs.
        name: The meter's name.
        ticks: Ticks that the meter's state will tell of, if nothing was taken back.
        is_new: Whether no tick came before, in any process.
        lanes: How many lanes share a micro-batch.
        planner: The planner, None until Kafka and the store were there.
        batch: The micro-batch that is under way, None where none is.
        away_until: When to look for Kafka or the store again, by the monotonic clock.
    """

    options: MeterOptions
    name: str
    ticks: int
    is_new: bool
    lanes: int = 1
    planner: BatchPlanner | None = None
    batch: PlannedBatch | None = None
    away_until: float = field(default=float("-inf"))

    def tick(self) -> PlannedBatch | None:
        """Return the micro-batch to begin now, None where there is none to begin.

        Raises:
            FencedError: Another meter took over.
            OffsetGapError: Kafka dropped records before they were read, or a topic was made anew.
            MisuseError: A topic does not exist.
        """
        self.ticks += 1
        if time.monotonic() < self.away_until:
            return None
        try:
            return self._next()
        except (KafkaUnavailableError, StoreUnavailableError) as away:
            event = "store_away" if isinstance(away, StoreUnavailableError) else "kafka_away"
            _tell(Notice(f"{away.message}; trying again", event=event))
            close_consumers()
            self.away_until = time.monotonic() + _AWAY_SECONDS
            if isinstance(away, StoreUnavailableError):
                # A commit whose answer was lost may be made yet: under a new epoch it was made before, or never is.
                self.planner = self.batch = None
            return None

    def _next(self) -> PlannedBatch | None:
        planner = self._started()
        if self.batch is not None:
            if not planner.is_committed(self.batch):
                if time.monotonic() - self.batch.begun > _LOST_SECONDS:
                    _tell(f"the micro-batch {self.batch.plan.batch} was not committed in time: taking over anew")
                    self.planner = self.batch = None
                return None
            batch, self.batch = self.batch, None
            self._look_for_holes(planner, batch)
            planner.committed(batch)
        planner.publish_live()
        self.batch = planner.plan(planner.ask_ends())
        return self.batch

    def _started(self) -> BatchPlanner:
        if self.planner is None:
            settings = self.options.settings
            connect(settings.lake, settings.lake_url)
            planner = BatchPlanner(
                self.options,
                cluster_of(settings),
                report=_report,
                tell=_tell,
                observer=NobodyWatches(),
                meter_name=self.name,
                pace=Pace(self.options.max_commit_records, lanes=self.lanes, longest_seconds=_LONGEST_SECONDS),
            )
            planner.take_over(only_from=None if self.is_new else self.name)
            self.is_new = False
            # What others of this meter still write is of an epoch that can commit no more: the next start sweeps it.
            sweep_left(settings.lake, _tell)
            planner.begin()
            self.planner = planner
        return self.planner

    def _look_for_holes(self, planner: BatchPlanner, batch: PlannedBatch) -> None:
        """Read on here where a range was not read to its end: the reader elsewhere knows why, this one finds out."""
        planner.look_again()
        offsets = planner.manifest.offsets if planner.manifest is not None else {}
        for each in batch.plan.ranges:
            reached = offsets.get(each.topic, {}).get(each.partition, each.first_offset)
            if reached < each.next_offset:
                reader = reader_for(cluster_of(self.options.settings), each.topic, each.partition)
                with reader.lock:
                    next(reader.read(replace(each, first_offset=reached)), None)


def planning_of(options: MeterOptions, name: str, passed: int, *, lanes: int = 1) -> _Planning:
    """Return the planning of a meter in this process after so many ticks; a new one where ticks were taken back."""
    with _starting:
        planning = _plannings.get(name)
        if planning is None or planning.ticks != passed:
            take_holes()
            planning = _plannings[name] = _Planning(options, name, passed, passed == 0, lanes)
        return planning


class InLanes(beam.PTransform):
    """Bring the ranges of a lane to one place: a process that reads a partition on and on keeps what it asked for.

    Input: (lane, OffsetRange).
    Output: OffsetRange.
    """

    def expand(self, ranges: beam.PCollection) -> beam.PCollection:
        """Return the ranges."""
        return ranges | "InLane" >> beam.ParDo(_InLane()).with_output_types(OffsetRange)


class _InLane(beam.DoFn):
    def process(self, element: tuple[str, OffsetRange], _keyed: Any = _KEYED) -> Iterable[OffsetRange]:
        yield element[1]


class _CommitWhenWhole(beam.DoFn):
    def __init__(self, options: MeterOptions) -> None:
        self._options = options

    def process(
        self,
        element: tuple[str, tuple[bool, bytes]],
        _keyed: Any = _KEYED,
    ) -> Iterable[int]:
        is_plan, encoded = element[1]
        gathering = gathering_of(self._options)
        yield from gathering.plan(CommitPlan.decode(encoded)) if is_plan else gathering.part(CommitPart.decode(encoded))


class Gathering:
    """Gathers the parts of micro-batches in one process, and commits each that is whole."""

    def __init__(self, options: MeterOptions) -> None:
        self._lake, self._clock = options.settings.lake, options.clock
        lately = committed_shares(self._lake, options.flood.over_records)
        self._rejects = RejectWatch(options.flood, lately)
        self._plan: CommitPlan | None = None
        self._parts: dict[str, list[CommitPart]] = {}
        self._read: dict[str, set[tuple[str, int]]] = {}

    def plan(self, plan: CommitPlan) -> Iterator[int]:
        """Take a plan, and yield its commit if its parts were here before it. Parts of other plans are forgotten."""
        self._plan = plan
        self._parts = {plan.batch: self._parts.get(plan.batch, [])}
        self._read = {plan.batch: self._read.get(plan.batch, set())}
        yield from self._commit_if_whole()

    def part(self, part: CommitPart) -> Iterator[int]:
        """Take a part, and yield the commit that it makes whole."""
        chunk = part.chunk()
        self._parts.setdefault(chunk.stamp.batch, []).append(part)
        if part.kind == RANGE_PART:
            self._read.setdefault(chunk.stamp.batch, set()).add((chunk.topic, chunk.partition))
        yield from self._commit_if_whole()

    def _commit_if_whole(self) -> Iterator[int]:
        plan = self._plan
        # A look at all parts whenever one comes takes time that grows with the square of their number.
        if plan is None or len(self._read.get(plan.batch, ())) < len(plan.ranges):
            return
        if missing_parts(plan.ranges, self._parts[plan.batch]):
            return
        parts = self._parts.pop(plan.batch)
        self._read.pop(plan.batch, None)
        self._plan = None
        self._rejects.begin()
        self._rejects.note_parts(parts)
        number = commit_parts(parts, plan, now=self._clock())
        self._rejects.keep()
        yield number


def gathering_of(options: MeterOptions) -> Gathering:
    """Return what gathers parts for a lake in this process."""
    with _starting:
        return _gatherings.setdefault(str(options.settings.lake), Gathering(options))


def _report(done: MeterProgress) -> None:
    _log.info("commit %d: %d read, %d accepted, %d rejected", done.commit, done.read, done.accepted, done.rejected)


def _tell(message: str) -> None:
    _log.warning("%s", message)


_starting = threading.Lock()
_plannings: dict[str, _Planning] = {}
_gatherings: dict[str, Gathering] = {}
