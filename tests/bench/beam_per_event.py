"""The plain way to write it in Beam: an element an event. Kafka to priced, aggregated Parquet, for comparison."""

from __future__ import annotations

import argparse
import bisect
import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.parquetio import WriteToParquet
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from kafka import KafkaConsumer, TopicPartition

sys.path.insert(0, str(Path(__file__).parent))

import workload

SCHEMA = pa.schema([
    ("event_id", pa.string()), ("occurred_at", pa.string()), ("model", pa.string()), ("team", pa.string()),
    ("input_tokens", pa.int64()), ("output_tokens", pa.int64()), ("cost", pa.int64()),
])  # fmt: skip
SUMS = pa.schema([("minute", pa.int64()), ("team", pa.string()), ("model", pa.string()), ("cost", pa.int64())])


class ReadPartition(beam.DoFn):
    """Yield the values of one partition up to its end."""

    def __init__(self, servers: str, topic: str, limit: int) -> None:
        self._servers, self._topic, self._limit = servers, topic, limit

    def process(self, element: int) -> Iterator[bytes]:
        """Read one partition."""
        consumer = KafkaConsumer(bootstrap_servers=self._servers, group_id=None, enable_auto_commit=False)
        place = TopicPartition(self._topic, element)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = min(consumer.end_offsets([place])[place], self._limit)
        while consumer.position(place) < end:
            for record in consumer.poll(timeout_ms=1000).get(place, []):
                if record.offset < end:
                    yield record.value
        consumer.close()


class PriceEvent(beam.DoFn):
    """Price one event by the table in force."""

    def setup(self) -> None:
        """Load prices and owners."""
        rows = json.loads((workload.folder() / "catalogue.json").read_text())
        self._prices: dict[tuple[str, str, str], list[Any]] = {}
        for row in rows:
            key = (row["provider"], row["model"], row["service_tier"])
            self._prices.setdefault(key, []).append((row["valid_from"], row))
        owners = json.loads((workload.folder() / "owners.json").read_text())
        self._owners = {row["api_key_id"]: row["team"] for row in owners}

    def process(self, element: bytes) -> Iterator[Any]:
        """Price one event."""
        event = json.loads(element)
        used = event["usage"]
        moment = datetime.fromisoformat(event["occurred_at"])
        periods = self._prices[event["provider"], event["model"], event["service_tier"]]
        millis = int(moment.timestamp() * 1000)
        price = periods[bisect.bisect_right(periods, millis, key=lambda period: period[0]) - 1][1]
        cached, written = used["cached_input_tokens"], used["cache_write_tokens"]
        cost = (
            (used["input_tokens"] - cached - written) * price["r_in"]
            + cached * price["r_cached"]
            + written * price["r_cwrite"]
            + used["output_tokens"] * price["r_out"]
        )
        row = {
            "event_id": event["event_id"],
            "occurred_at": event["occurred_at"],
            "model": event["model"],
            "team": self._owners.get(event["api_key_id"], "unallocated"),
            "input_tokens": used["input_tokens"],
            "output_tokens": used["output_tokens"],
            "cost": cost,
        }
        yield TimestampedValue(row, moment.timestamp())


def main() -> None:
    """Run once and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    arguments = parser.parse_args()
    partitions = 4
    used = resource.getrusage(resource.RUSAGE_SELF)
    wall, cpu = time.perf_counter(), used.ru_utime + used.ru_stime
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        events = (
            pipeline
            | beam.Create(range(partitions))
            | beam.ParDo(ReadPartition(arguments.bootstrap_servers, arguments.topic, arguments.events // partitions))
            | beam.ParDo(PriceEvent())
        )
        _ = events | "Detail" >> WriteToParquet(f"{arguments.out}/detail", SCHEMA, file_name_suffix=".parquet")
        _ = (
            events
            | beam.WindowInto(FixedWindows(60))
            | beam.Map(lambda row: ((row["team"], row["model"]), row["cost"]))
            | beam.CombinePerKey(sum)
            | beam.Map(
                lambda pair, window=beam.DoFn.WindowParam: {
                    "minute": int(window.start),
                    "team": pair[0][0],
                    "model": pair[0][1],
                    "cost": pair[1],
                }
            )
            | "Sums" >> WriteToParquet(f"{arguments.out}/sums", SUMS, file_name_suffix=".parquet")
        )
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - cpu
    wall = time.perf_counter() - wall
    print(
        json.dumps(
            {
                "events": arguments.events,
                "wall_s": round(wall, 3),
                "cpu_s": round(cpu, 3),
                "events_per_cpu_s": int(arguments.events / cpu),
                "peak_mib": used.ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
