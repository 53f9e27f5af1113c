"""A topic and a book of its own, for tests of what happens when Kafka does not go on where the book ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from kafka import KafkaProducer, TopicPartition

from tollbook.broker.connect import admin
from tollbook.lake.gaps import GapRecord, load_gaps
from tollbook.lake.manifest import Manifest, PartitionTotals, newest
from tollbook.lake.snapshot import load_snapshot
from tollbook.settings import Settings
from tollbook.stream.gap_acceptance import AcceptedGaps, accept_gaps
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.publish import PUBLISHED

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# 400 tokens at 5 USD a million, 600 from the cache at 0.50, 100 of output at 25 (genai-prices 0.2.3): 0.0048 USD.
EVENT: dict[str, Any] = {
    "source": "anthropic",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "occurred_at": "2026-06-01T10:00:00Z",
    "workflow": "w",
    "input_tokens": 1000,
    "cache_read_tokens": 600,
    "output_tokens": 100,
}


@dataclass(frozen=True)
class GapCase:
    """One topic and one book."""

    settings: Settings
    topic: str

    def send(self, *told: str | bytes, partition: int = 0, keys: str = "") -> None:
        """Put a batch for each call, told by its id, or record on a partition; with its letter of `keys` if any."""
        producer = KafkaProducer(bootstrap_servers=self.settings.bootstrap_servers, linger_ms=0)
        for number, each in enumerate(told):
            value = json.dumps(EVENT | {"event_id": each}).encode() if isinstance(each, str) else each
            key = keys[number].encode() if keys else None
            producer.send(self.topic, value=value, partition=partition, key=key).get()
        producer.close()

    def meter(self, **options: Any) -> MeterProgress:
        """Meter until caught up."""
        return run_meter(MeterOptions(settings=self.settings, topics=(self.topic,), clock=lambda: NOW, **options))

    def accept(self, *places: str) -> AcceptedGaps:
        """Accept the gaps at `places`."""
        return accept_gaps(self.settings, places, author="ada", reason="disk was full", clock=lambda: NOW)

    def newest_manifest(self) -> Manifest:
        """Return the newest manifest."""
        manifest = newest(self.settings.lake)
        assert manifest is not None
        return manifest

    def gaps(self) -> list[GapRecord]:
        """Return every gap of the lake."""
        return load_gaps(self.settings.lake, newest(self.settings.lake))

    def total(self, partition: int = 0) -> PartitionTotals:
        """Return the totals of a partition, which account for every offset of the book."""
        found = self.newest_manifest().totals[self.topic][partition]
        no_record = found.tombstones + found.control + found.aborted + found.missing + found.lost
        assert found.next_offset - found.first_offset == found.records + no_record
        return found

    def drop_before(self, offset: int, *, partition: int = 0) -> None:
        """Let Kafka delete what lies before an offset, as retention does."""
        with self.admin() as client:
            client.delete_records({TopicPartition(self.topic, partition): offset})

    def make_anew(self, *, partitions: int = 1) -> None:
        """Delete the topic and make another by its name."""
        with self.admin() as client:
            self.delete(client)
            spec = {"num_partitions": partitions, "replication_factor": 1}
            client.create_topics({self.topic: spec}, wait_for_metadata=True)

    def delete(self, client: Any) -> None:
        """Delete the topic."""
        client.delete_topics([self.topic])
        self.wait_for(lambda: self.topic not in client.list_topics())

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """Give a client that changes topics."""
        assert self.settings.bootstrap_servers is not None
        with admin(self.settings.bootstrap_servers) as client:
            yield client

    @staticmethod
    def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
        """Return as soon as a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)

    def rows_of(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """Return columns of a table of the lake."""
        snapshot = load_snapshot(self.settings.lake)
        assert snapshot is not None
        files = [str(self.settings.lake / file.entry.path) for file in snapshot.of(table)]
        return duckdb.sql(f"select {columns} from read_parquet({files}) order by all").fetchall()

    def publish(self) -> Published:
        """Build, see that all is balanced, and return what readers see."""
        build(self.settings)
        published = Published((self.settings.serve / PUBLISHED).resolve())
        assert published.rows("select count(*) from audit.fct_ledger_balance where difference <> 0") == [(0,)]
        return published


@dataclass(frozen=True)
class Published:
    """A published file."""

    path: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with duckdb.connect(self.path, read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def new_case(settings: Settings, new_topic: Callable[..., str]) -> Callable[..., GapCase]:
    """Return a function that makes a topic, by default of one partition, with a book of its own."""
    return lambda *, partitions=1: GapCase(settings, new_topic(partitions=partitions))
