"""The Beam job, wired as the diagram reads: from the offsets of micro-batches to the parts of their commits.

Nothing in it depends on one micro-batch, nor on the runner: what drives the reading comes before it, what gathers the
parts and commits them comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import apache_beam as beam

from tollbook.connection.cluster import KafkaCluster
from tollbook.lake.layout import REJECTS, UNPARSED
from tollbook.rating.store import recorded_book
from tollbook.stream import coders, decode, read, repeats  # noqa: F401  importing `coders` registers the Arrow coder
from tollbook.stream.aggregate import AggregateUsage
from tollbook.stream.attribute import AttributeUsage
from tollbook.stream.decode import Clock, DecodeUsageEvents
from tollbook.stream.flood import WatchChunk
from tollbook.stream.parts import TAKEN_BACK_PART, minutes_part
from tollbook.stream.rate import RateUsage
from tollbook.stream.read import ReadKafkaRecords
from tollbook.stream.remember import memory_at
from tollbook.stream.repeats import MarkRepeats
from tollbook.stream.write import WriteRejects, WriteUsageParquet


@dataclass(frozen=True, slots=True)
class Job:
    """What all micro-batches have in common.

    Attributes:
        cluster: Kafka to read from.
        lake: Folder of the lake.
        owners_path: Owner rules, or None.
        dimensions_path: Dimension rules, or None.
        formats: Topic to format, for topics whose name does not tell it.
        clock: Time of ingestion.
        watch: Told of each chunk once it is decoded.
        is_given_up: Says, in the process that reads, whether to end in the middle.
    """

    cluster: KafkaCluster
    lake: Path
    owners_path: Path | None
    dimensions_path: Path | None
    formats: Mapping[str, str]
    clock: Clock
    watch: WatchChunk
    is_given_up: Callable[[], bool]


def meter_ranges(ranges: beam.PCollection, job: Job) -> beam.PCollection:
    """Read, decode, attribute, price, aggregate and write what is in `ranges`.

    Input: OffsetRange, each with the stamp of its micro-batch.
    Output: encoded CommitPart, one of each kind for each range and chunk, in any order (`tollbook.stream.parts`).
    """
    batches = ranges | "ReadKafkaRecords" >> ReadKafkaRecords(job.cluster, job.is_given_up)
    decoded = batches[read.BATCHES] | "DecodeUsageEvents" >> DecodeUsageEvents(
        job.clock, job.formats, job.dimensions_path, job.watch
    )
    rated = (
        decoded[decode.EVENTS]
        | "AttributeUsage" >> AttributeUsage(job.owners_path)
        | "RateUsage" >> RateUsage(partial(recorded_book, job.lake))
        | "MarkRepeats" >> MarkRepeats(partial(memory_at, job.lake))
    )
    counted = (
        rated[repeats.MARKED]
        | "AggregateUsage" >> AggregateUsage()
        | "EncodeMinutes" >> beam.Map(minutes_part).with_output_types(bytes)
    )
    taken_back = rated[repeats.TAKEN_BACK] | "EncodeTakenBack" >> beam.Map(
        partial(minutes_part, kind=TAKEN_BACK_PART)
    ).with_output_types(bytes)
    usage = rated[repeats.MARKED] | "WriteUsageParquet" >> WriteUsageParquet(job.lake)
    rejects = decoded[decode.REJECTS] | "WriteRejects" >> WriteRejects(job.lake, REJECTS)
    unparsed = decoded[decode.UNPARSED] | "WriteUnparsed" >> WriteRejects(job.lake, UNPARSED)
    parts = (batches[read.RANGES], usage, counted, taken_back, rejects, unparsed)
    return parts | "MergeParts" >> beam.Flatten()
