"""The driver for runners that stream, driven by the tests: what a runner loses, repeats, takes back or mixes up.

The steps between plan and commit are the real ones, on Beam's in-process runner; Kafka and the lake are real.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from kafka import KafkaProducer

from tollbook.broker.connect import cluster_of
from tollbook.errors import FencedError, RejectFloodError
from tollbook.lake.manifest import Manifest, newest
from tollbook.settings import Settings
from tollbook.stream import ticks
from tollbook.stream.flood import FloodLimit
from tollbook.stream.job import Job, meter_ranges
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.stream.micro_batch import PreparedPipeline
from tollbook.stream.parts import RANGE_PART, CommitPart, missing_parts
from tollbook.stream.planner import PlannedBatch
from tollbook.stream.ranges import OffsetRange
from tollbook.stream.read import close_consumers
from tollbook.stream.ticks import Gathering, lane_of, planning_of

EVENT: dict[str, Any] = {"source": "s", "provider": "anthropic", "model": "m", "occurred_at": "2026-06-01T10:00:00Z"}
_parts: list[bytes] = []


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """Begin with a process that has driven nothing yet."""
    new_process()
    yield
    close_consumers()


def new_process() -> None:
    """Forget what this process knows of meters, as one that is started again."""
    ticks._plannings.clear()
    ticks._gatherings.clear()


def send(settings: Settings, topic: str, numbers: range, *, poison: int = 0) -> None:
    """Send events of one input token each, and records that are none."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for number in numbers:
        producer.send(topic, value=json.dumps(EVENT | {"event_id": str(number), "input_tokens": 1}).encode())
    for _ in range(poison):
        producer.send(topic, value=b"{")
    producer.flush()
    producer.close()


def _collect(part: bytes) -> None:
    _parts.append(part)


def parts_of(batch: PlannedBatch, settings: Settings) -> list[CommitPart]:
    """Return what the steps make of a planned micro-batch."""
    job = Job(
        cluster=cluster_of(settings),
        lake=settings.lake,
        owners_path=None,
        dimensions_path=None,
        formats={},
        clock=MeterOptions(settings=settings, topics=()).clock,
        watch=lambda _records, _decoded: None,
        is_given_up=lambda: False,
    )
    _parts.clear()

    def build(pipeline: beam.Pipeline) -> None:
        made = meter_ranges(pipeline | beam.Create(batch.plan.ranges), job)
        _ = made | "Collect" >> beam.Map(_collect)

    PreparedPipeline(build).run()
    return [CommitPart.decode(each) for each in _parts]


def committed(gathering: Gathering, batch: PlannedBatch, parts: list[CommitPart]) -> list[int]:
    """Give a plan and its parts to the commit, in an order by chance, and return the commits it made."""
    told: list[Any] = [batch.plan, *parts]
    random.Random(len(told)).shuffle(told)
    return [
        number
        for each in told
        for number in (gathering.part(each) if isinstance(each, CommitPart) else gathering.plan(each))
    ]


def manifest_of(settings: Settings) -> Manifest:
    """Return the newest manifest."""
    manifest = newest(settings.lake)
    assert manifest is not None
    return manifest


def totals(settings: Settings) -> tuple[int, int, int]:
    """Return events, rejects and input tokens of the book."""
    counted = [each for topic in manifest_of(settings).totals.values() for each in topic.values()]
    return (
        sum(each.usage_rows for each in counted),
        sum(each.reject_rows for each in counted),
        sum(each.input_tokens for each in counted),
    )


def begun(batch: PlannedBatch | None) -> PlannedBatch:
    """Return a micro-batch that must be there."""
    assert batch is not None
    return batch


@pytest.fixture
def options(settings: Settings, new_topic: Callable[..., str]) -> MeterOptions:
    """Return a meter of a topic with 40 events and two records that are none, on four partitions."""
    topic = new_topic()
    send(settings, topic, range(40), poison=2)
    return MeterOptions(settings=settings, topics=(topic,), follow=True)


def test_one_micro_batch_is_under_way_and_the_next_is_planned_when_it_is_committed(options: MeterOptions) -> None:
    """Two at once would read the same offsets."""
    settings = options.settings
    planning = planning_of(options, "m", 0)
    batch = begun(planning.tick())
    assert planning.tick() is None
    assert len(committed(Gathering(options), batch, parts_of(batch, settings))) == 1
    assert totals(settings) == (40, 2, 40)
    assert planning.tick() is None  # there is nothing more
    send(settings, options.topics[0], range(40, 45))
    batch = begun(planning.tick())
    committed(Gathering(options), batch, parts_of(batch, settings))
    assert totals(settings) == (45, 2, 45)


def test_parts_are_looked_through_when_all_ranges_were_read_and_not_whenever_one_comes(
    options: MeterOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at all of them each time takes a commit of thousands of parts minutes."""
    looked: list[int] = []

    def look(ranges: list[OffsetRange], parts: list[CommitPart]) -> list[str]:
        looked.append(len(parts))
        return missing_parts(ranges, parts)

    monkeypatch.setattr(ticks, "missing_parts", look)
    batch = begun(planning_of(options, "m", 0).tick())
    parts = sorted(parts_of(batch, options.settings), key=lambda part: part.kind == RANGE_PART)
    gathering = Gathering(options)
    assert list(gathering.plan(batch.plan)) == []
    assert len([number for part in parts for number in gathering.part(part)]) == 1
    assert looked == [len(parts)]


def test_a_process_that_is_started_again_plans_from_the_book_and_fences_what_was_left(options: MeterOptions) -> None:
    """Whatever a checkpoint restores, the commit of the batch before either counts or is refused."""
    settings = options.settings
    lost = begun(planning_of(options, "m", 0).tick())
    parts = parts_of(lost, settings)
    new_process()
    batch = begun(planning_of(options, "m", 1).tick())
    assert batch.plan.epoch > lost.plan.epoch
    assert batch.plan.ranges[0].first_offset == lost.plan.ranges[0].first_offset
    with pytest.raises(FencedError):
        committed(Gathering(options), lost, parts)
    committed(Gathering(options), batch, parts_of(batch, settings))
    assert totals(settings) == (40, 2, 40)
    written = {path.relative_to(settings.lake).as_posix() for path in (settings.lake / "usage").rglob("*.parquet")}
    assert written == {entry.path for entry in manifest_of(settings).files if entry.table == "usage"}


def test_ticks_that_were_taken_back_are_noticed_though_the_process_lives_on(options: MeterOptions) -> None:
    """Another process may have died with parts that nobody will send again."""
    planning = planning_of(options, "m", 0)
    lost = begun(planning.tick())
    assert planning_of(options, "m", 1) is planning
    planning.tick()
    restored = planning_of(options, "m", 1)
    assert restored is not planning
    batch = begun(restored.tick())
    assert batch.plan.epoch > lost.plan.epoch
    committed(Gathering(options), batch, parts_of(batch, options.settings))
    assert totals(options.settings) == (40, 2, 40)


def test_a_commit_that_was_made_before_its_process_died_is_not_made_again(options: MeterOptions) -> None:
    """The runner restores what lay before it; the manifest is what counts."""
    settings = options.settings
    batch = begun(planning_of(options, "m", 0).tick())
    committed(Gathering(options), batch, parts_of(batch, settings))
    new_process()
    assert planning_of(options, "m", 1).tick() is None
    assert totals(settings) == (40, 2, 40)


def test_parts_of_a_batch_that_never_became_whole_do_not_stop_the_next(options: MeterOptions) -> None:
    """They come from before a restart, to a process that lived on."""
    settings = options.settings
    lost = begun(planning_of(options, "m", 0).tick())
    gathering = Gathering(options)
    assert committed(gathering, lost, parts_of(lost, settings)[1:]) == []
    new_process()
    batch = begun(planning_of(options, "m", 1).tick())
    assert len(committed(gathering, batch, parts_of(batch, settings))) == 1
    assert totals(settings) == (40, 2, 40)


def test_a_meter_that_another_took_over_from_does_not_take_the_lake_back(options: MeterOptions) -> None:
    """A runner starts what failed again and again; two meters would fence each other for ever."""
    planning_of(options, "m", 0).tick()
    new_process()
    other = planning_of(options, "other", 0)
    batch = begun(other.tick())
    with pytest.raises(FencedError, match="to be that of the meter m, but commit 2 is of epoch 2 of other:"):
        planning_of(options, "m", 1).tick()
    committed(Gathering(options), batch, parts_of(batch, options.settings))
    assert totals(options.settings) == (40, 2, 40)


def test_the_embedded_meter_goes_on_where_a_streaming_one_ended(options: MeterOptions) -> None:
    """One lake, whatever runs the job."""
    settings = options.settings
    batch = begun(planning_of(options, "m", 0).tick())
    committed(Gathering(options), batch, parts_of(batch, settings))
    send(settings, options.topics[0], range(35, 50))
    assert run_meter(MeterOptions(settings=settings, topics=options.topics)).accepted == 15
    assert totals(settings) == (55, 2, 55)


def test_a_job_left_running_is_fenced_before_an_embedded_meter_sweeps(options: MeterOptions) -> None:
    """Its command was killed: the files of its micro-batch are deleted, so it may not commit them any more."""
    settings = options.settings
    left = begun(planning_of(options, "job@host", 0).tick())
    parts = parts_of(left, settings)
    assert run_meter(MeterOptions(settings=settings, topics=options.topics)).accepted == 40
    with pytest.raises(FencedError):
        committed(Gathering(options), left, parts)
    assert totals(settings) == (40, 2, 40)


def test_a_flood_of_rejects_is_stopped_at_the_commit_with_its_causes(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """No worker sees all rejects, so they are judged where the parts come together."""
    topic = new_topic(partitions=2)
    send(settings, topic, range(10), poison=30)
    options = MeterOptions(
        settings=settings, topics=(topic,), follow=True, flood=FloodLimit(max_share=0.5, over_records=20)
    )
    batch = begun(planning_of(options, "m", 0).tick())
    with pytest.raises(RejectFloodError, match=r"at most 50% .*got \d+ of \d+") as flood:
        committed(Gathering(options), batch, parts_of(batch, settings))
    assert f"on {topic}" in flood.value.message
    assert "invalid_json" in flood.value.message
    assert manifest_of(settings).totals == {}


def test_the_partitions_of_a_topic_are_shared_out_evenly() -> None:
    """A lane without work is a processor without work."""
    for topic in ("llm.usage", "llm.usage.litellm"):
        assert sorted(lane_of(topic, partition, 4) for partition in range(8)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_plan_that_reaches_the_commit_after_its_parts_is_committed(options: MeterOptions) -> None:
    """They come by two ways."""
    batch = begun(planning_of(options, "m", 0).tick())
    gathering = Gathering(options)
    for part in parts_of(batch, options.settings):
        assert list(gathering.part(part)) == []
    assert len(list(gathering.plan(batch.plan))) == 1
