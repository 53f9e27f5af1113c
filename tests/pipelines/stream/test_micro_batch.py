"""A pipeline that is built once and runs for each micro-batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from kafka import KafkaProducer

from tollbook.lake.manifest import newest
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.stream.micro_batch import MicroBatch, PlanRanges, PreparedPipeline, plan_micro_batch, planned
from tollbook.stream.plan import CommitPlan
from tollbook.stream.ranges import OffsetRange

PLAN = CommitPlan(
    lake=Path("lake"),
    base=0,
    batch="b",
    epoch=1,
    epoch_owner="o",
    writer="w",
    catalogue_version="c",
    reference_version="none",
)
_seen: list[list[int]] = []


def _split_by_partition(element: OffsetRange) -> Iterable[Any]:
    """Send even partitions one way and odd ones another, as decoding does with rejects."""
    if element.partition == 7:
        raise ValueError("partition 7")
    yield beam.pvalue.TaggedOutput("odd", element) if element.partition % 2 else element


def _see(together: tuple[int, Iterable[OffsetRange]]) -> int:
    _seen.append(sorted(each.first_offset for each in together[1]))
    return len(_seen)


def _under_one_key(element: OffsetRange) -> tuple[int, OffsetRange]:
    return 0, element


def _pipeline(name: str) -> PreparedPipeline:
    def build(pipeline: beam.Pipeline) -> None:
        split = (
            pipeline
            | "Plan" >> PlanRanges(name)
            | "Split" >> beam.FlatMap(_split_by_partition).with_outputs("odd", main="even")
        )
        merged = (split["even"], split["odd"]) | "Merge" >> beam.Flatten()
        _ = merged | "Key" >> beam.Map(_under_one_key) | "Gather" >> beam.GroupByKey() | "See" >> beam.Map(_see)

    return PreparedPipeline(build)


def _plan(name: str, *first_offsets: int, partition: int = 0) -> None:
    ranges = [OffsetRange("t", partition + n, first, first + 1) for n, first in enumerate(first_offsets)]
    plan_micro_batch(name, MicroBatch(replace(PLAN, ranges=tuple(ranges))))


def test_each_run_takes_the_ranges_that_are_planned_then() -> None:
    """What is left over of the run before would be read twice."""
    _seen.clear()
    pipeline = _pipeline("each-run")
    for first_offsets in ((1, 2), (3,), (5, 4, 6)):
        _plan("each-run", *first_offsets)
        pipeline.run()
    assert _seen == [[1, 2], [3], [4, 5, 6]]


def test_what_a_step_raises_is_raised_by_the_first_run_and_by_later_ones() -> None:
    """A micro-batch that failed must not pass for one that was committed."""
    _seen.clear()
    pipeline = _pipeline("raises")
    for partition in (7, 0, 7):
        _plan("raises", 1, partition=partition)
        if partition == 7:
            with pytest.raises(Exception, match="partition 7"):
                pipeline.run()
        else:
            pipeline.run()
    assert _seen == [[1]]


def test_a_name_that_nothing_is_planned_under_is_an_error() -> None:
    """A worker elsewhere has no plan of this process; it must not read nothing in silence."""
    with pytest.raises(KeyError, match="nobody"):
        planned("nobody")


def test_nothing_of_a_micro_batch_that_is_given_up_is_in_the_book(
    settings: Settings, new_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop that cannot wait leaves the book as it was, and the next run reads everything once."""
    topic = new_topic(partitions=1)
    event = {"source": "s", "provider": "anthropic", "model": "m", "occurred_at": "2026-06-01T10:00:00Z"}
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for number in range(30):
        producer.send(topic, value=json.dumps(event | {"event_id": str(number), "input_tokens": 1}).encode())
    producer.flush()
    producer.close()
    options = MeterOptions(settings=settings, topics=(topic,))
    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr("tollbook.stream.meter._Meter._is_out_of_patience", lambda _meter: True)
        outcome = run_meter(options, tell=lambda message: told.append(str(message)))
    assert (outcome.read, newest(settings.lake)) == (0, None)
    assert any("gave up the commit under way" in message for message in told)
    assert run_meter(options).accepted == 30
