"""The Beam job of one micro-batch, wired as the diagram reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from tollbook.lake.layout import REJECTS, UNPARSED
from tollbook.stream import coders, decode, repeats  # noqa: F401  importing `coders` registers the Arrow coder
from tollbook.stream.aggregate import AggregateUsage
from tollbook.stream.attribute import AttributeUsage
from tollbook.stream.commit import CommitPlan, CommitUsage
from tollbook.stream.decode import Clock, DecodeUsageEvents
from tollbook.stream.parts import minutes_part
from tollbook.stream.ranges import OffsetRange
from tollbook.stream.rate import BookLoader, RateUsage
from tollbook.stream.read import ReadKafkaRecords
from tollbook.stream.repeats import MarkRepeats
from tollbook.stream.write import WriteRejects, WriteUsageParquet


@dataclass(frozen=True, slots=True)
class Job:
    """What a micro-batch needs besides its ranges.

    Attributes:
        bootstrap_servers: Kafka to read from.
        plan: What the commit must know.
        owners_path: Owner rules, or None.
        dimensions_path: Dimension rules, or None.
        load_book: Gives the price book on a worker.
        formats: Topic to format, for topics whose name does not tell it.
        clock: Time of ingestion and of the commit.
    """

    bootstrap_servers: str
    plan: CommitPlan
    owners_path: Path | None
    dimensions_path: Path | None
    load_book: BookLoader
    clock: Clock
    formats: Mapping[str, str]


def build(pipeline: beam.Pipeline, ranges: list[OffsetRange], job: Job) -> beam.PCollection:
    """Add the steps of one micro-batch to `pipeline` and return the number of its commit."""
    lake, epoch = job.plan.lake, job.plan.epoch
    ingest_date = job.clock().date().isoformat()
    decoded = (
        pipeline
        | "PlanRanges" >> beam.Create(ranges, reshuffle=False)
        | "ReadKafkaRecords" >> ReadKafkaRecords(job.bootstrap_servers)
        | "DecodeUsageEvents" >> DecodeUsageEvents(job.clock, job.formats, job.dimensions_path)
    )
    rated = (
        decoded[decode.EVENTS]
        | "AttributeUsage" >> AttributeUsage(job.owners_path)
        | "RateUsage" >> RateUsage(job.load_book)
        | "MarkRepeats" >> MarkRepeats(str(lake))
    )
    counted = (
        rated[repeats.MARKED]
        | "AggregateUsage" >> AggregateUsage()
        | "EncodeMinutes" >> beam.Map(minutes_part).with_output_types(bytes)
    )
    taken_back = rated[repeats.TAKEN_BACK] | "EncodeTakenBack" >> beam.Map(minutes_part).with_output_types(bytes)
    usage = rated[repeats.MARKED] | "WriteUsageParquet" >> WriteUsageParquet(lake, epoch)
    rejects = decoded[decode.REJECTS] | "WriteRejects" >> WriteRejects(lake, epoch, REJECTS, ingest_date)
    unparsed = decoded[decode.UNPARSED] | "WriteUnparsed" >> WriteRejects(lake, epoch, UNPARSED, ingest_date)
    parts = (usage, counted, taken_back, rejects, unparsed) | "MergeParts" >> beam.Flatten()
    return parts | "CommitUsage" >> CommitUsage(job.plan, job.clock)
