"""A book of the first version under this one: upgraded, built, and metered on, it tells what the simulator sent."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from kafka import KafkaProducer

from tollbook.broker.connect import admin
from tollbook.broker.topics import definition
from tollbook.demo.truth import compare
from tollbook.lake.manifest import newest
from tollbook.lake.upgrade import upgrade
from tollbook.senders.send import send_file
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "lake_v1"
TOPIC = "llm.usage.golden_v1"
OFFSETS = {0: 268, 1: 214}
LIST_COST = Decimal("4.251189930000")
# Two monthly fees of 25 USD. A credit of 0.50, bought for 0.45, is used up, so that usage of 0.50 costs 0.05 less.
CHARGED = Decimal("49.95")
LEDGER_V1 = """
create schema book;
create table book.lake_files (
    path varchar, table_name varchar, commit_number bigint, event_date date, schema_version integer, topic varchar,
    kafka_partition integer, told_rows bigint, told_input_tokens bigint, told_output_tokens bigint,
    told_list_cost decimal(38, 12), told_contracted_cost decimal(38, 12), held_rows bigint, held_input_tokens bigint,
    held_output_tokens bigint, held_list_cost decimal(38, 12), held_contracted_cost decimal(38, 12), live_calls bigint,
    live_input_tokens bigint, live_output_tokens bigint, live_list_cost decimal(38, 12)
);
create table book.partition_totals (
    topic varchar, kafka_partition integer, first_offset bigint, next_offset bigint, records bigint, tombstones bigint,
    control_offsets bigint, aborted_offsets bigint, missing_offsets bigint, usage_rows bigint, reject_rows bigint,
    silent_records bigint, further_items bigint, input_tokens bigint, output_tokens bigint, list_cost decimal(38, 12),
    contracted_cost decimal(38, 12)
);
create table book.rating_files (
    path varchar, rating_sequence bigint, event_date date, schema_version integer, told_rows bigint,
    told_list_cost_difference decimal(38, 12), told_contracted_cost_difference decimal(38, 12)
);
create table book.progress as
select
    4::bigint as taken_commit, 4::bigint as built_commit, 1::bigint as taken_rating, 1::bigint as built_rating,
    3::bigint as build_number, 'of the first version' as project_digest, true as whole, false as remake;
"""


def _on(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T07:00:00+00:00")


def _old_home(settings: Settings) -> dict[str, Any]:
    """Make a home of the first version; return what the simulator sent to it."""
    shutil.copytree(GOLDEN / "home", settings.home)
    truth: dict[str, Any] = json.loads((GOLDEN / "truth.json").read_text(encoding="utf-8"))
    return truth


def _assert_book(settings: Settings, truth: dict[str, Any]) -> None:
    comparison = compare(settings, truth)
    assert comparison.differences == ()
    costs = "sum(list_cost), sum(contracted_cost), sum(calls)::bigint"
    assert ask(settings, f"select {costs} from finance.fct_chargeback_by_team").rows == [(LIST_COST, LIST_COST, 400)]
    charges = "select sum(contracted_cost), sum(effective_cost) from finance.fct_period_charges"
    assert ask(settings, charges).rows == [(CHARGED, CHARGED)]
    assert ask(settings, "select count(*) from audit.fct_ledger_balance where difference <> 0").rows == [(0,)]


def test_an_upgraded_lake_builds_to_the_truth(tmp_path: Path) -> None:
    """What was metered, priced anew and charged by the first version is told by this one to the pico-dollar."""
    settings = Settings(home=tmp_path / "home")
    truth = _old_home(settings)
    upgrade(settings.lake, now=_on("2026-10-02"))
    build(settings, clock=lambda: _on("2026-10-02"))
    _assert_book(settings, truth)


def test_an_old_lake_and_warehouse_build_to_the_truth_without_an_upgrade_too(tmp_path: Path) -> None:
    """Who forgets to upgrade gets the same numbers: old manifests are read, and the old ledger is begun anew."""
    settings = Settings(home=tmp_path / "home")
    truth = _old_home(settings)
    settings.warehouse.mkdir()
    with duckdb.connect(settings.warehouse / "ledger.duckdb") as ledger:
        ledger.execute(LEDGER_V1)
    build(settings, clock=lambda: _on("2026-10-02"))
    _assert_book(settings, truth)
    # Builds are numbered on, so that no published file is taken for an older one.
    assert ask(settings, "select build_number, built_commit, built_rating from audit.publication").rows == [(4, 4, 1)]


@pytest.fixture
def old_topic(settings: Settings) -> str:
    """Return the topic of the old lake, with as many records in each partition as that has read."""
    servers = settings.bootstrap_servers
    assert servers is not None
    with admin(servers) as client:
        configs = definition(TOPIC).kafka_settings()
        client.create_topics({TOPIC: {"num_partitions": len(OFFSETS), "configs": configs}}, wait_for_metadata=True)
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=20)
    for partition, count in OFFSETS.items():
        for _ in range(count):
            producer.send(TOPIC, value=b"was read by the first version", partition=partition)
    producer.flush()
    producer.close()
    return TOPIC


def test_the_meter_goes_on_where_the_old_one_ended(settings: Settings, old_topic: str) -> None:
    """No record is read twice or left out: the same events sent again are all repeats, of an epoch of its own."""
    truth = _old_home(settings)
    _take_for_its_own(settings, old_topic)
    upgrade(settings.lake, now=_on("2026-10-02"))
    send_file(settings, str(GOLDEN / "input.jsonl.gz"), topic=old_topic)
    done = run_meter(MeterOptions(settings=settings, topics=(old_topic,), clock=lambda: _on("2026-10-03")))
    # 482 lines again, 12 of them broken; of those before none is read.
    assert (done.commit, done.read, done.accepted, done.rejected) == (5, 482, 470, 12)
    last = newest(settings.lake)
    assert last is not None
    assert last.epoch == 3
    totals = last.totals[old_topic]
    assert [totals[partition].first_offset for partition in OFFSETS] == [0, 0]
    assert sum(total.next_offset for total in totals.values()) == 2 * 482
    build(settings, clock=lambda: _on("2026-10-03"))
    _assert_book(settings, truth)


def _take_for_its_own(settings: Settings, topic: str) -> None:
    """Write the id of the broker's topic over that of the broker which the first version read from."""
    with admin(str(settings.bootstrap_servers)) as client:
        (described,) = client.describe_topics([topic])
    told = str(described["topic_id"])
    for path in (settings.lake / "commits").glob("*.json"):
        manifest = json.loads(path.read_bytes())
        path.write_bytes(path.read_bytes().replace(manifest["topic_ids"][topic].encode(), told.encode()))
