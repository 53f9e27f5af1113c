"""Upkeep beside everything else: a meter that follows, readers and a build go on while files are replaced and erased.

Every event has 1,000 input tokens and 100 output tokens.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import duckdb
from kafka import KafkaProducer

from tollbook.errors import ExpiredCommitError
from tollbook.lake.compaction import compact
from tollbook.lake.erasure import erase
from tollbook.lake.manifest import COMPACTION, commits_after
from tollbook.lake.overview import lake_state
from tollbook.lake.person import Person
from tollbook.lake.snapshot import load_snapshot
from tollbook.lake.traces import find_traces
from tollbook.lake.travel import files_in_force
from tollbook.settings import Settings
from tollbook.warehouse.build import build
from tollbook.warehouse.status import warehouse_status

ROUNDS, A_ROUND = 6, 40
PATIENCE_SECONDS = 300
EVENT: dict[str, Any] = {
    "source": "anthropic",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "input_tokens": 1000,
    "output_tokens": 100,
    "workflow": "w",
}


def utc_now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def events(number: int) -> list[bytes]:
    """Return the events of one round, over two dates; a quarter of them are Anna's."""
    return [
        json.dumps(
            EVENT
            | {
                "event_id": f"e-{number}-{each}",
                "occurred_at": f"2026-06-0{1 + each % 2}T10:00:00Z",
                "principal_id": "u-anna" if each % 4 == 0 else "u-bert",
            }
        ).encode()
        for each in range(A_ROUND)
    ]


@contextmanager
def following_meter(settings: Settings, topic: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a meter that follows, in a process of its own, and stop it as an operator does."""
    command = [sys.executable, "-m", "tollbook", "meter", "--follow", "--topic", topic, "--home", str(settings.home)]
    assert settings.bootstrap_servers is not None
    meter = subprocess.Popen(
        [*command, "--bootstrap-servers", settings.bootstrap_servers], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        yield meter
    finally:
        meter.send_signal(signal.SIGTERM)
        _, told = meter.communicate(timeout=PATIENCE_SECONDS)
    assert meter.returncode == 0, told.decode()


def wait_for_rows(settings: Settings, rows: int, done: threading.Event) -> None:
    """Wait until the lake holds so many rows of usage."""
    for _ in range(PATIENCE_SECONDS * 10):
        snapshot = load_snapshot(settings.lake) if settings.lake.is_dir() else None
        if snapshot is not None and sum(file.entry.rows for file in snapshot.of("usage")) >= rows:
            return
        done.wait(0.1)
    raise AssertionError(f"expected {rows} rows, got {snapshot}")


class Reader(threading.Thread):
    """Reads the usage in force again and again, and holds it against what the manifest of the same commit tells."""

    def __init__(self, settings: Settings, done: threading.Event) -> None:
        super().__init__()
        self._settings, self._done = settings, done
        self.reads = 0
        self.faults: list[str] = []

    def run(self) -> None:
        """Read until it is done."""
        while not self._done.wait(0.02):
            try:
                self._read()
            except ExpiredCommitError:
                continue  # the newest commit of a moment ago held a person who was erased since
            except Exception as fault:  # noqa: BLE001 - whatever a reader meets is a fault of upkeep
                self.faults.append(repr(fault))

    def _read(self) -> None:
        snapshot, files = files_in_force(self._settings.lake, table="usage")
        if snapshot is None or not files:
            return
        paths = [str(self._settings.lake / file.entry.path) for file in files]
        try:
            # A connection of its own: the one that duckdb offers is the process's, and so another thread's too.
            with duckdb.connect() as connection:
                found = connection.execute(
                    "select count(*), count(distinct event_id), sum(input_tokens)::bigint from read_parquet($paths)",
                    {"paths": paths},
                ).fetchall()
        except duckdb.IOException:
            files_in_force(self._settings.lake, table="usage", commit=snapshot.manifest.commit)
            raise
        totals = [each for partitions in snapshot.manifest.totals.values() for each in partitions.values()]
        rows = sum(each.usage_rows for each in totals)
        if found != [(rows, rows, sum(each.input_tokens for each in totals))]:
            self.faults.append(f"commit {snapshot.manifest.commit}: {found}, told {rows}")
        self.reads += 1


def test_upkeep_beside_a_meter_readers_and_a_build(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Nobody notices that files are replaced: no error, nothing torn, nothing lost, nothing twice."""
    topic = new_topic(partitions=2)
    done = threading.Event()
    reader = Reader(settings, done)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    anna = Person("u-anna")
    try:
        with following_meter(settings, topic):
            for number in range(ROUNDS):
                for value in events(number):
                    producer.send(topic, value=value)
                producer.flush()
                wait_for_rows(settings, number * A_ROUND + 1, done)
                if number == 0:
                    reader.start()
                compact(settings.lake, until=utc_now(), clock=utc_now)
                if number == ROUNDS // 2:
                    build(settings)
                    erase(settings.lake, anna, reason="request 17", clock=utc_now)
            wait_for_rows(settings, ROUNDS * A_ROUND, done)
            compact(settings.lake, until=utc_now(), clock=utc_now)
    finally:
        done.set()
        producer.close()
        if reader.is_alive():
            reader.join()

    assert reader.faults == []
    assert reader.reads > 0
    erase(settings.lake, anna, reason="request 17", clock=utc_now)
    assert find_traces(settings.home, anna) == []
    build(settings)
    status = warehouse_status(settings)
    assert status.is_well
    with duckdb.connect((settings.serve / "tollbook.duckdb").resolve(), read_only=True) as published:
        sums = "select sum(calls)::int, sum(input_tokens)::int, sum(output_tokens)::int"
        rows = published.execute(f"{sums} from finance.fct_chargeback_by_team").fetchall()
    assert rows == [(240, 240_000, 24_000)]
    kinds = [manifest.kind for manifest in commits_after(settings.lake, 0)]
    assert kinds.count(COMPACTION) >= ROUNDS
    state = lake_state(settings.lake, now=utc_now())
    assert state is not None
    assert state.unnamed_files == 0
