"""Meters and builds of several machines on one lake in an object store, with a real Kafka and an S3 server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import duckdb
import pytest
from deltalake import DeltaTable
from kafka import KafkaProducer

from tollbook.errors import FencedError, LakeLockedError
from tollbook.lake.binding import connect
from tollbook.lake.compaction import compact
from tollbook.lake.expiry import Retention, expire
from tollbook.lake.manifest import newest
from tollbook.lake.remote import held_files
from tollbook.lake.snapshot import load_snapshot
from tollbook.lake.steps import listening
from tollbook.lake.store import LakeStore
from tollbook.logs import Notice
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.warehouse.build import build

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# claude-opus-4-5: 5 USD a million input tokens, 0.50 from the cache, 25 output (genai-prices 0.2.3).
# 400 x 5 + 600 x 0.5 + 100 x 25 = 4,800 USD for a million such calls.
COST = Decimal("0.0048")
NewHome = Callable[..., Settings]
NewTopic = Callable[..., str]


class Wire(Protocol):
    """The way to the server."""

    def cut(self) -> None: ...

    def mend(self) -> None: ...


def _send(settings: Settings, topic: str, *event_ids: str) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for event_id in event_ids:
        event = {
            "source": "anthropic",
            "event_id": event_id,
            "provider": "anthropic",
            "model": "claude-opus-4-5-20251101",
            "occurred_at": "2026-06-01T10:00:00Z",
            "workflow": "w",
            "input_tokens": 1000,
            "cache_read_tokens": 600,
            "output_tokens": 100,
        }
        producer.send(topic, value=json.dumps(event).encode(), partition=0)
    producer.flush()
    producer.close()


def _meter(settings: Settings, topic: str, **options: Any) -> MeterProgress:
    return run_meter(MeterOptions(settings=settings, topics=(topic,), clock=lambda: NOW, **options))


def _event_ids(settings: Settings, url: str) -> list[str]:
    """Return what the lake's files in force hold, read from the store alone; every call has its cost."""
    snapshot = load_snapshot(settings.lake)
    assert snapshot is not None
    store, found = LakeStore(url), []
    for file in snapshot.of("usage"):
        copy = settings.home / "copy.parquet"
        content = store.read(file.entry.path)
        assert content is not None
        copy.write_bytes(content)
        rows = duckdb.sql(f"select event_id, list_cost from '{copy}'").fetchall()
        assert {cost for _, cost in rows} == {COST}
        found += [event_id for event_id, _ in rows]
    return sorted(found)


def _totals(settings: Settings) -> tuple[int, int, Decimal]:
    with duckdb.connect((settings.serve / "tollbook.duckdb").resolve(), read_only=True) as published:
        ((calls, tokens, cost),) = published.execute(
            "select sum(calls), sum(total_tokens), sum(list_cost) from finance.fct_chargeback_by_team"
        ).fetchall()
        assert published.execute("select count(*) from audit.fct_ledger_balance where difference <> 0").fetchall() == [
            (0,)
        ]
    return int(calls), int(tokens), cost


def _data_in(url: str) -> set[str]:
    return {path for table in ("usage", "usage_minute", "rejects") for path in LakeStore(url).sizes(table)}


def _named(settings: Settings) -> set[str]:
    snapshot = load_snapshot(settings.lake)
    assert snapshot is not None
    return {file.entry.path for file in snapshot.files} | {file.path for file in snapshot.retired}


@pytest.fixture
def homes(new_home: NewHome, settings: Settings) -> Callable[[str], Settings]:
    """Return a function that makes the home of another machine, on the session's Kafka and one lake."""
    return lambda name: new_home(name, bootstrap_servers=settings.bootstrap_servers)


def test_a_new_machine_with_an_empty_home_goes_on(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str
) -> None:
    """A machine is lost with its disk: another reads on at the offsets and builds the same totals from the store."""
    topic = new_topic(partitions=1)
    first = homes("first")
    _send(first, topic, "a", "b")
    assert _meter(first, topic).read == 2
    second = homes("second")
    _send(second, topic, "b", "c")
    assert _meter(second, topic).read == 2
    build(second)
    assert _totals(second) == (3, 3 * 1100, 3 * COST)
    assert _event_ids(second, lake_url) == ["a", "b", "b", "c"]
    build(first)
    assert _totals(first) == _totals(second)


@pytest.mark.slow
def test_a_second_machine_takes_over_and_the_first_is_fenced(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str
) -> None:
    """No lock reaches another machine: the last that began is the meter, and what the first had read counts once."""
    topic = new_topic(partitions=1)
    first, second = homes("first"), homes("second")
    _send(first, topic, "a", "b", "c", "d", "e")
    others: list[MeterProgress] = []

    def takes_over(_progress: MeterProgress) -> None:
        if not others:
            others.append(_meter(second, topic))

    with pytest.raises(FencedError, match="another meter took over"):
        run_meter(
            MeterOptions(settings=first, topics=(topic,), clock=lambda: NOW, max_commit_records=2), report=takes_over
        )
    assert [each.read for each in others] == [3]
    assert _meter(second, topic).read == 0
    assert _event_ids(second, lake_url) == ["a", "b", "c", "d", "e"]
    assert _data_in(lake_url) == _named(second)
    build(second)
    assert _totals(second) == (5, 5 * 1100, 5 * COST)


_KILLED = """
import os, signal, sys
from pathlib import Path
from tollbook.lake.steps import listening
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter

def kill(step):
    if step == sys.argv[1] and any((lake / "usage").rglob("*.parquet")):
        os.kill(os.getpid(), signal.SIGKILL)

settings = Settings(home=Path(sys.argv[2]), bootstrap_servers=sys.argv[3], lake_url=sys.argv[4])
lake = settings.lake
with listening(kill):
    run_meter(MeterOptions(settings=settings, topics=(sys.argv[5],)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["folders_synced", "entry_written", "entry_linked"])
def test_a_kill_around_the_commit_loses_and_doubles_nothing(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str, step: str
) -> None:
    """Files that were uploaded and not committed are swept from the store, and their events are read again, once."""
    topic = new_topic(partitions=1)
    first, second = homes("first"), homes("second")
    _send(first, topic, "a", "b")
    told = [step, str(first.home), str(first.bootstrap_servers), lake_url, topic]
    ended = subprocess.run([sys.executable, "-c", _KILLED, *told], env=os.environ, check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    left = _data_in(lake_url)
    assert len(left) == 2  # usage and its minutes were in the store before the kill
    committed = step == "entry_linked"
    assert _meter(second, topic).read == (0 if committed else 2)
    assert _event_ids(second, lake_url) == ["a", "b"]
    assert _data_in(lake_url) == _named(second)
    assert (left <= _data_in(lake_url)) == committed
    assert _meter(first, topic).read == 0


@pytest.mark.slow
def test_a_store_that_goes_away_and_comes_back_loses_nothing(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str, wire: Wire
) -> None:
    """A meter that follows waits, as for Kafka, and commits what it could not under an epoch of its own."""
    topic = new_topic(partitions=1)
    settings = homes("first")
    _send(settings, topic, "a")
    told: list[Mapping[str, Any]] = []
    done: list[MeterProgress] = []

    def hear(message: str) -> None:
        if isinstance(message, Notice):
            told.append({"event": message.event})
            if message.event == "store_away":
                wire.mend()

    def see(progress: MeterProgress) -> None:
        done.append(progress)
        if len(done) == 1:
            _send(settings, topic, "b")

    def cut(step: str) -> None:
        if step == "folders_synced" and len(done) == 1 and not told:
            wire.cut()

    options = MeterOptions(settings=settings, topics=(topic,), follow=True, clock=lambda: NOW)
    with listening(cut):
        run_meter(options, report=see, tell=hear, should_stop=lambda: len(done) == 2)
    assert [each["event"] for each in told if each["event"] == "store_away"] == ["store_away"]
    manifest = newest(settings.lake)
    assert manifest is not None
    assert manifest.epoch == 2
    assert _event_ids(settings, lake_url) == ["a", "b"]
    assert _data_in(lake_url) == _named(settings)


@pytest.mark.slow
def test_compaction_on_another_machine_is_seen_by_all(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str
) -> None:
    """Upkeep can run where the meter does not; builds anywhere take what it made, and the totals stay."""
    topic = new_topic(partitions=1)
    first, second = homes("first"), homes("second")
    for event_id in ("a", "b"):
        _send(first, topic, event_id)
        _meter(first, topic)
    build(first)
    connect(second.lake, second.lake_url)
    done = compact(second.lake, until=NOW, clock=lambda: NOW)
    assert done.files_before == 4
    table = DeltaTable(f"{lake_url}/delta/usage", storage_options={"allow_http": "true"})
    assert sorted(table.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist()) == ["a", "b"]
    build(first)
    assert _totals(first) == (2, 2 * 1100, 2 * COST)
    _send(first, topic, "c")
    assert _meter(first, topic).read == 1
    assert _event_ids(first, lake_url) == ["a", "b", "c"]


@pytest.mark.slow
def test_upkeep_gives_up_when_another_machine_did_it_meanwhile(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str
) -> None:
    """Two compactions of the same files would count their events twice: the second finds the first and ends."""
    topic = new_topic(partitions=1)
    first, second = homes("first"), homes("second")
    for event_id in ("a", "b"):
        _send(first, topic, event_id)
        _meter(first, topic)
    connect(second.lake, second.lake_url)
    others: list[int] = []

    def meanwhile(step: str) -> None:
        if step == "compaction_written" and not others:
            others.append(0)
            others.append(compact(first.lake, until=NOW, clock=lambda: NOW).commits)

    with listening(meanwhile), pytest.raises(LakeLockedError, match=r"commit \d+ of .* did so meanwhile"):
        compact(second.lake, until=NOW, clock=lambda: NOW)
    assert others == [0, 1]
    compact(second.lake, until=NOW, clock=lambda: NOW)
    assert _event_ids(second, lake_url) == ["a", "b"]
    assert _data_in(lake_url) == _named(second)


@pytest.mark.slow
def test_expiry_deletes_replaced_files_from_the_store(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str
) -> None:
    """What nobody can ask for any more is not paid for, whichever machine made it."""
    topic = new_topic(partitions=1)
    first, second = homes("first"), homes("second")
    for event_id in ("a", "b"):
        _send(first, topic, event_id)
        _meter(first, topic)
    connect(second.lake, second.lake_url)
    compact(second.lake, until=NOW, clock=lambda: NOW)
    snapshot = load_snapshot(second.lake)
    assert snapshot is not None
    replaced = [file.path for file in snapshot.retired]
    assert len(replaced) == len(held_files(second.lake, replaced)) == 4
    expire(second.lake, now=NOW)  # a checkpoint of the compaction, before which manifests may go
    _send(first, topic, "c")
    _meter(first, topic)
    connect(second.lake, second.lake_url)
    expired = expire(
        second.lake, now=NOW + timedelta(days=8), retention=Retention(commits=0, every_commit=timedelta(0))
    )
    assert expired.files == 4
    assert held_files(second.lake, replaced) == {}
    connect(first.lake, first.lake_url)
    assert _event_ids(first, lake_url) == ["a", "b", "c"]


@pytest.mark.slow
def test_a_lake_in_a_store_needs_no_copy_to_be_read_by_others(
    homes: Callable[[str], Settings], new_topic: NewTopic, lake_url: str
) -> None:
    """A machine that only builds has, of the lake, what it read and nothing more."""
    topic = new_topic(partitions=1)
    first, reader = homes("first"), homes("reader")
    _send(first, topic, "a")
    _meter(first, topic)
    build(reader)
    assert _totals(reader) == (1, 1100, COST)
    copies = {path.relative_to(reader.lake).as_posix() for path in reader.lake.rglob("*.parquet")}
    assert copies <= _data_in(lake_url) | set(LakeStore(lake_url).sizes("reference"))
