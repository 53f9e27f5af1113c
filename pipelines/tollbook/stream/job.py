"""The Beam job of one micro-batch, wired as the diagram reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import apache_beam as beam

from tollbook.connection.cluster import KafkaCluster
from tollbook.lake.layout import REJECTS, UNPARSED
from tollbook.stream import coders, decode, repeats  # noqa: F401  importing `coders` registers the Arrow coder
from tollbook.stream.aggregate import AggregateUsage
from tollbook.stream.attribute import AttributeUsage
from tollbook.stream.commit import CommitUsage
from tollbook.stream.decode import Clock, DecodeUsageEvents
from tollbook.stream.flood import watch_chunk
from tollbook.stream.micro_batch import PlanRanges, is_given_up, planned_commit
from tollbook.stream.parts import minutes_part
from tollbook.stream.rate import BookLoader, RateUsage
from tollbook.stream.read import ReadKafkaRecords
from tollbook.stream.repeats import MarkRepeats
from tollbook.stream.write import WriteRejects, WriteUsageParquet


@dataclass(frozen=True, slots=True)
class Job:
    """What micro-batches have in common: the pipeline of one runs for the next as well.

    Attributes:
        cluster: Kafka to read from.
        lake: Folder of the lake. Its path is the name under which steps find the planned micro-batch and the memory.
        epoch: The meter's epoch.
        ingest_date: UTC date under which rejects are written, `YYYY-MM-DD`.
        owners_path: Owner rules, or None.
        dimensions_path: Dimension rules, or None.
        load_book: Gives the price book on a worker.
        formats: Topic to format, for topics whose name does not tell it.
        clock: Time of ingestion and of the commit.
    """

    cluster: KafkaCluster
    lake: Path
    epoch: int
    ingest_date: str
    owners_path: Path | None
    dimensions_path: Path | None
    load_book: BookLoader
    clock: Clock
    formats: Mapping[str, str]


def build(pipeline: beam.Pipeline, job: Job) -> beam.PCollection:
    """Add the steps of a micro-batch to `pipeline` and return the number of its commit."""
    lake, epoch, ingest_date, name = job.lake, job.epoch, job.ingest_date, str(job.lake)
    decoded = (
        pipeline
        | "PlanRanges" >> PlanRanges(name)
        | "ReadKafkaRecords" >> ReadKafkaRecords(job.cluster, partial(is_given_up, name))
        | "DecodeUsageEvents"
        >> DecodeUsageEvents(job.clock, job.formats, job.dimensions_path, partial(watch_chunk, name))
    )
    rated = (
        decoded[decode.EVENTS]
        | "AttributeUsage" >> AttributeUsage(job.owners_path)
        | "RateUsage" >> RateUsage(job.load_book)
        | "MarkRepeats" >> MarkRepeats(name)
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
    return parts | "CommitUsage" >> CommitUsage(partial(planned_commit, name), job.clock)
