"""The meter, end to end: a real Kafka in, committed Parquet out."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tollbook.broker.connect import admin
from tollbook.errors import LakeLockedError, LakeWriteError, MisuseError, OffsetGapError
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import commits_after, newest
from tollbook.rating import store
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter

NOW = datetime(2026, 11, 24, tzinfo=UTC)
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
# claude-opus-4-5: 5 USD a million input tokens, 0.50 from the cache, 25 output (genai-prices 0.2.3).
# 400 x 5 + 600 x 0.5 + 100 x 25 = 4,800 USD for a million such calls.
COST = Decimal("0.0048")


def _clock() -> datetime:
    return NOW


def _event(event_id: str, **fields: Any) -> bytes:
    return json.dumps(EVENT | {"event_id": event_id} | fields).encode()


def _send(settings: Settings, topic: str, values: list[bytes], partition: int | None = None) -> None:
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, max_request_size=16 * 1024 * 1024, linger_ms=20
    )
    for value in values:
        producer.send(topic, value=value, partition=partition)
    producer.flush()
    producer.close()


def _meter(settings: Settings, topic: str, **options: Any) -> MeterProgress:
    return run_meter(MeterOptions(settings=settings, topics=(topic,), clock=_clock, **options))


def _files(settings: Settings, table: str) -> list[str]:
    return [
        str(settings.lake / entry.path)
        for manifest in commits_after(settings.lake, 0)
        for entry in manifest.files
        if entry.table == table
    ]


def _query(settings: Settings, table: str, columns: str, suffix: str = "") -> list[tuple[Any, ...]]:
    return duckdb.sql(f"select {columns} from read_parquet({_files(settings, table)}) {suffix}").fetchall()


def test_events_are_priced_attributed_and_committed(settings: Settings, new_topic: Callable[..., str]) -> None:
    """The spine: what was sent is in the lake, at the price and the owner of its time."""
    topic = new_topic()
    settings.owners.parent.mkdir(parents=True)
    settings.owners.write_text(
        "rules: [{rule_id: r, match: {workflow: w}, team: search, cost_center: cc-1, valid_from: 2026-01-01T00:00:00Z}]"
    )
    _send(settings, topic, [_event("a"), _event("b", occurred_at="2026-06-02T00:00:00Z"), _event("c", model="no-such")])
    progress = _meter(settings, topic)
    assert (progress.read, progress.accepted, progress.rejected) == (3, 3, 0)
    rows = _query(
        settings, "usage", "event_id, owner_team, owner_rule, list_cost, cost_basis, unpriced_reason", "order by 1"
    )
    assert rows == [
        ("a", "search", "r", COST, "rated", None),
        ("b", "search", "r", COST, "rated", None),
        ("c", "search", "r", None, "unpriced", "unknown_model"),
    ]
    manifest = newest(settings.lake)
    assert manifest is not None
    usage = [entry for entry in manifest.files if entry.table == "usage"]
    assert sum(entry.list_cost_pico_usd for entry in usage) == 2 * 4_800_000_000
    assert sum(entry.unpriced_events for entry in usage) == 1
    assert {entry.event_date for entry in usage} == {"2026-06-01", "2026-06-02"}


def test_a_commit_is_priced_by_one_recorded_book_and_the_next_by_that_of_its_day(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """Every amount leads back to its prices, those that held before a file was changed too."""
    topic = new_topic()
    _send(settings, topic, [_event("a")])
    _meter(settings, topic)
    settings.price_overlays.mkdir(parents=True)
    (settings.price_overlays / "own.yml").write_text(
        """{price_overlay: 1, name: own, entries: [{entry_id: a, provider: anthropic, model: claude-opus-4-5,
        rates: {output_tokens: "50"}, known_from: 2026-06-01T00:00:00Z, source: s}]}"""
    )
    _send(settings, topic, [_event("b"), _event("c")])
    _meter(settings, topic)
    _meter(settings, topic)
    first, second = store.versions(settings.lake)
    # 100 output tokens at 50 instead of 25 USD a million are 0.0025 more.
    dearer = COST + Decimal("0.0025")
    rows = _query(settings, "usage", "event_id, list_cost, catalogue_version", "order by 1")
    assert rows == [("a", COST, first.version), ("b", dearer, second.version), ("c", dearer, second.version)]
    assert [manifest.catalogue_version for manifest in commits_after(settings.lake, 0)] == [
        first.version,
        second.version,
    ]
    assert store.read_book(settings.lake, first).version == first.version


def test_contracts_exchange_rates_and_the_policy_of_the_home_price_what_the_meter_reads(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """Negotiated prices and the providers' own figures reach the lake, with their sums in the manifest."""
    topic = new_topic()
    settings.contracts.mkdir(parents=True)
    (settings.contracts / "a.yml").write_text(
        """{contract: 1, contract_id: tenth-off, provider: anthropic, currency: USD, valid_from: 2026-06-02,
        known_from: 2026-01-01T00:00:00Z, author: a, reason: r, terms: [{term_id: t, discount: {percent: "10"}}]}"""
    )
    settings.exchange_rates.write_text(
        """{exchange_rates: 1, rates: [{currency: EUR, usd: "1.25", valid_from: 2026-06-01T00:00:00Z, source: s}]}"""
    )
    settings.cost_policy.write_text("{cost_policy: 1, providers: {openai: provider_reported}}")
    told = {"provider_cost": "0.02", "provider_cost_currency": "EUR"}
    by_contract = {"occurred_at": "2026-06-02T00:00:00Z"}
    sent = [_event("a"), _event("b", **by_contract), _event("c", model="no-such", **told)]
    _send(settings, topic, [*sent, _event("d", provider="openai", model="gpt-4o", **told)])
    _meter(settings, topic)
    columns = "event_id, list_cost, contracted_cost, contract_id, cost_basis, rated_list_cost is not null"
    reported = Decimal("0.025")
    # Ten percent off 0.0048 USD; 0.02 EUR at 1.25.
    assert _query(settings, "usage", columns, "order by 1") == [
        ("a", COST, COST, None, "rated", False),
        ("b", COST, Decimal("0.00432"), "tenth-off", "rated", False),
        ("c", reported, reported, None, "provider_reported", False),
        ("d", reported, reported, None, "provider_reported", True),
    ]
    manifest = newest(settings.lake)
    assert manifest is not None
    expected = 4_800_000_000 + 4_320_000_000 + 2 * 25_000_000_000
    assert sum(entry.contracted_cost_pico_usd for entry in manifest.files) == expected
    assert sum(each.contracted_cost_pico_usd for each in manifest.totals[topic].values()) == expected


def test_live_sums_are_by_minute_and_count_a_repeat_once(settings: Settings, new_topic: Callable[..., str]) -> None:
    """The live view shows spend, not deliveries."""
    topic = new_topic(partitions=1)
    _send(settings, topic, [_event("a"), _event("b"), _event("a"), _event("c", occurred_at="2026-06-01T10:01:00Z")])
    _meter(settings, topic)
    rows = _query(settings, "usage_minute", "minute(event_minute)::int, calls, list_cost", "order by 1")
    assert rows == [(0, 2, 2 * COST), (1, 1, COST)]
    assert _query(settings, "usage", "count(*), count(*) filter (stream_repeat)") == [(4, 1)]


def test_every_offset_is_accounted_for(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Read = usage rows + rejects, and offsets = records + tombstones + control + aborted + missing."""
    topic = new_topic(partitions=1)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, transactional_id=f"tx-{topic}")
    producer.init_transactions()
    for commits in (True, False):
        producer.begin_transaction()
        producer.send(topic, value=_event("a"))
        producer.send(topic, key=b"k", value=None)
        producer.send(topic, value=b"poison")
        producer.flush()
        if commits:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    _meter(settings, topic)
    manifest = newest(settings.lake)
    assert manifest is not None
    total = manifest.totals[topic][0]
    assert (total.first_offset, total.next_offset) == (0, 8)
    assert (total.records, total.tombstones, total.control, total.aborted, total.missing) == (2, 1, 2, 3, 0)
    assert (total.usage_rows, total.reject_rows) == (1, 1)
    assert {(each.kind, each.count) for each in manifest.skipped} == {("tombstones", 1), ("control", 2), ("aborted", 3)}


def test_a_reject_keeps_reason_place_and_bytes_in_the_lake_and_on_kafka(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """A dead letter must be found, understood and replayed."""
    topic = new_topic(partitions=1)
    wrong = _event("x", input_tokens=-1)
    secret = _event("y", input_tokens=-2, prompt="the launch is on Tuesday")
    _send(settings, topic, [_event("a"), wrong, b"{not json", secret, _event("b")])
    progress = _meter(settings, topic)
    assert (progress.accepted, progress.rejected) == (2, 3)
    columns = 'reject_id, topic, "partition", "offset", reason, field, value_state, value, value_bytes'
    rows = _query(settings, "rejects", columns, 'order by "offset"')
    assert rows[0] == (f"{topic}:0:1", topic, 0, 1, "out_of_range", "input_tokens", "whole", wrong, len(wrong))
    assert rows[1][4:8] == ("invalid_json", None, "unparsed", None)
    assert rows[2][6] == "scrubbed"
    assert b"Tuesday" not in rows[2][7]
    assert _query(settings, "unparsed", "reject_id, value") == [(f"{topic}:0:2", b"{not json")]
    published = [each for each in _published(settings) if each["topic"] == topic]
    assert [each["reject_id"] for each in published] == [f"{topic}:0:{offset}" for offset in (1, 2, 3)]
    assert base64.b64decode(published[0]["value_base64"]) == wrong
    assert published[1]["value_base64"] is None


def _published(settings: Settings) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap_servers, group_id=None, enable_auto_commit=False)
    places = [TopicPartition("llm.usage.rejects", n) for n in consumer.partitions_for_topic("llm.usage.rejects")]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    records: list[Any] = []
    while any(consumer.position(place) < ends[place] for place in places):
        for batch in consumer.poll(timeout_ms=500).values():
            records.extend(batch)
    consumer.close()
    return sorted((json.loads(record.value) for record in records), key=lambda each: (each["topic"], each["offset"]))


def test_a_record_of_five_megabytes_is_one_reject(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Size alone must not stop the meter or harm neighbours."""
    topic = new_topic(partitions=1)
    _send(settings, topic, [_event("a"), _event("big", note="x" * 5_000_000), _event("b")])
    _meter(settings, topic)
    assert _query(settings, "rejects", "reason, value_bytes > 5000000") == [("record_too_large", True)]
    assert _query(settings, "usage", "event_id", "order by 1") == [("a",), ("b",)]


def test_a_second_run_reads_nothing_again(settings: Settings, new_topic: Callable[..., str]) -> None:
    """The manifest is what says how far the book goes."""
    topic = new_topic()
    _send(settings, topic, [_event(str(n)) for n in range(50)])
    assert _meter(settings, topic).read == 50
    again = _meter(settings, topic)
    assert (again.read, again.commit) == (0, 1)
    _send(settings, topic, [_event("late", occurred_at="2026-01-01T00:00:00Z")])
    assert _meter(settings, topic).read == 1
    assert _query(settings, "usage", "count(*)") == [(51,)]


def test_small_commits_hold_what_one_large_commit_holds(settings: Settings, new_topic: Callable[..., str]) -> None:
    """How the stream is cut must not change the book."""
    topic = new_topic()
    values = [_event(str(n), input_tokens=1000 + n) if n % 17 else b"poison" for n in range(200)]
    _send(settings, topic, values)
    other = replace(settings, home=settings.home.with_name("other"))
    assert _meter(settings, topic, max_commit_records=23).commit > 5
    assert _meter(other, topic).commit == 1
    columns = "* exclude (ingested_at, stream_repeat)"
    order = 'order by "partition", "offset"'
    assert _query(settings, "usage", columns, order) == _query(other, "usage", columns, order)
    sums = "event_minute, model, sum(calls), sum(list_cost)"
    assert _query(settings, "usage_minute", sums, "group by all") == _query(other, "usage_minute", sums, "group by all")


def test_two_topics_are_read_side_by_side_over_several_commits(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """Each format has a topic of its own."""
    one, two = new_topic(), new_topic(partitions=1)
    _send(settings, one, [_event(f"a{n}") for n in range(60)])
    _send(settings, two, [_event(f"b{n}") for n in range(60)])
    progress = run_meter(MeterOptions(settings=settings, topics=(one, two), clock=_clock, max_commit_records=25))
    assert progress.read == 120
    assert _query(settings, "usage", "count(distinct event_id)") == [(120,)]


def test_a_topic_made_anew_stops_the_meter(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Its offsets are other records: going on by number would skip the first of them without a word."""
    topic = new_topic(partitions=1)
    _send(settings, topic, [_event(str(n)) for n in range(3)])
    _meter(settings, topic)
    assert settings.bootstrap_servers is not None
    with admin(settings.bootstrap_servers) as client:
        client.delete_topics([topic])
        _wait_for(lambda: topic not in client.list_topics())
        client.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    _send(settings, topic, [_event(f"new {n}") for n in range(5)])
    with pytest.raises(OffsetGapError, match="made anew"):
        _meter(settings, topic)


def test_records_deleted_from_a_partition_that_was_empty_before_are_missed(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """Retention may be faster than the meter; what it took unread is said, not skipped."""
    topic = new_topic(partitions=2)
    _send(settings, topic, [_event("a")], partition=0)
    _meter(settings, topic)
    _send(settings, topic, [_event(str(n)) for n in range(10)], partition=1)
    assert settings.bootstrap_servers is not None
    with admin(settings.bootstrap_servers) as client:
        client.delete_records({TopicPartition(topic, 1): 4})
    with pytest.raises(OffsetGapError, match="4 offsets were deleted before they were read"):
        _meter(settings, topic)


def test_sums_beyond_64_bits_of_pico_dollars_are_committed(settings: Settings, new_topic: Callable[..., str]) -> None:
    """A client that reports garbage counts must not stop the meter."""
    topic = new_topic(partitions=1)
    # o1-pro: 600 USD a million output tokens, so 600,000 USD a call of 1e9; 40 of them are 24 million USD.
    dear = {"provider": "openai", "model": "o1-pro", "output_tokens": 1_000_000_000, "input_tokens": 0}
    _send(settings, topic, [_event(str(n), **dear, cache_read_tokens=None) for n in range(40)])
    _meter(settings, topic)
    manifest = newest(settings.lake)
    assert manifest is not None
    assert manifest.totals[topic][0].list_cost_pico_usd == 40 * 600_000 * 10**12


def test_a_second_meter_on_the_lake_is_refused(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Two meters on one lake would both read the same offsets."""
    topic = new_topic()
    with writer_lock(settings.lake), pytest.raises(LakeLockedError):
        _meter(settings, topic)


def test_a_topic_that_does_not_exist_is_named(settings: Settings) -> None:
    """A misspelt topic must not look like an empty one."""
    with pytest.raises(MisuseError, match=r"llm\.usage\.misspelt"):
        _meter(settings, "llm.usage.misspelt")


def test_a_lake_that_cannot_be_written_ends_in_a_clear_error_and_a_clean_restart(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """A full disk must neither lose nor double anything once there is room."""
    topic = new_topic()
    _send(settings, topic, [_event("a")])
    settings.lake.mkdir(parents=True)
    in_the_way = settings.lake / "usage"
    in_the_way.write_text("not a folder")
    with pytest.raises(LakeWriteError, match="usage/event_date=2026-06-01"):
        _meter(settings, topic)
    in_the_way.unlink()
    assert _meter(settings, topic).accepted == 1


def _start(settings: Settings, topic: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tollbook", "meter", "--topic", topic, *arguments]
    environment = os.environ | {
        "TOLLBOOK_HOME": str(settings.home),
        "TOLLBOOK_BOOTSTRAP_SERVERS": str(settings.bootstrap_servers),
    }
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_killed_at_random_moments_the_book_is_the_same(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Kill -9 is nothing: no event lost, none doubled, no orphan that stays."""
    topic = new_topic()
    dates = [f"2026-06-{day:02d}T10:00:00Z" for day in range(1, 11)]
    values = [_event(str(n), occurred_at=dates[n % 10]) if n % 50 else b"poison" for n in range(6_000)]
    _send(settings, topic, values)
    moments = random.Random(7)
    for _ in range(3):
        before = newest(settings.lake)
        process = _start(settings, topic, "--until-caught-up", "--max-commit-records", "400")
        known = before.commit if before else 0
        _wait_for(lambda: process.poll() is not None or (newest(settings.lake) or _NONE).commit > known)  # noqa: B023
        time.sleep(moments.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    _meter(settings, topic)
    assert _query(settings, "usage", "count(*), count(distinct event_id), sum(list_cost)") == [
        (5880, 5880, 5880 * COST)
    ]
    assert _query(settings, "rejects", "count(*), count(distinct reject_id)") == [(120, 120)]
    assert _query(settings, "usage_minute", "sum(calls)::int, sum(list_cost)") == [(5880, 5880 * COST)]
    named = {path for table in ("usage", "usage_minute", "rejects", "unparsed") for path in _files(settings, table)}
    named |= {str(settings.lake / file.path) for entry in store.versions(settings.lake) for file in entry.files}
    there = {str(path) for path in settings.lake.rglob("*") if path.suffix in {".parquet", ".tmp"}}
    assert there == named


class _NONE:
    commit = 0


def test_follow_reads_what_comes_and_sigterm_ends_it_cleanly(settings: Settings, new_topic: Callable[..., str]) -> None:
    """A service manager stops a meter with SIGTERM; nothing may be left half done."""
    topic = new_topic()
    _send(settings, topic, [_event("a")])
    process = _start(settings, topic, "--follow", "--json")
    _wait_for(lambda: newest(settings.lake) is not None)
    _send(settings, topic, [_event("b"), _event("c")])
    _wait_for(lambda: _query(settings, "usage", "count(*)") == [(3,)])
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    assert json.loads(output)["accepted"] == 3
    assert b"Traceback" not in errors


def test_a_file_of_the_lake_holds_money_as_an_integer_of_pico_dollars(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """decimal(18, 12) in an INT64: exact, and readable by every engine."""
    topic = new_topic()
    _send(settings, topic, [_event("a")])
    _meter(settings, topic)
    (path,) = _files(settings, "usage")
    schema = pq.ParquetFile(path).schema
    columns = {schema.column(index).path: schema.column(index) for index in range(len(schema))}
    assert columns["list_cost"].physical_type == "INT64"
    assert Path(path).parent.name == "event_date=2026-06-01"
