"""Live aggregates: they correct themselves, over a restart too, and are published beside the exact marts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from kafka import KafkaProducer

from tollbook.lake.live_file import built_commit, live_path
from tollbook.lake.manifest import FileEntry, LiveSums, newest
from tollbook.lake.snapshot import load_snapshot
from tollbook.settings import Settings
from tollbook.stream.live import LiveUsage
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

NOW = datetime(2026, 6, 2, 12, 0, 30, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "source": "anthropic",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "occurred_at": "2026-06-02T10:00:05Z",
    "workflow": "w",
    "input_tokens": 1000,
    "output_tokens": 100,
}
# claude-opus-4-5: 5 USD a million input tokens, 25 output (genai-prices 0.2.3): 0.005 + 0.0025.
COST = Decimal("0.0075")


def _meter(settings: Settings, topic: str, *events: dict[str, Any]) -> None:
    """Send events to the only partition of a topic and run a meter of its own over them."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for event in events:
        producer.send(topic, value=json.dumps(EVENT | event).encode())
    producer.flush()
    producer.close()
    run_meter(MeterOptions(settings=settings, topics=(topic,), clock=lambda: NOW))


def _entries(settings: Settings, table: str) -> list[FileEntry]:
    snapshot = load_snapshot(settings.lake)
    assert snapshot is not None
    return [file.entry for file in snapshot.of(table)]


def _minutes(settings: Settings, columns: str, suffix: str = "") -> list[tuple[Any, ...]]:
    paths = [str(settings.lake / entry.path) for entry in _entries(settings, "usage_minute")]
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(f"select {columns} from read_parquet({paths}) {suffix}").fetchall()


def _live_sums(settings: Settings) -> LiveSums:
    """Return what the manifests tell of all usage files together."""
    total = LiveSums()
    for entry in _entries(settings, "usage"):
        assert entry.live is not None
        total += entry.live
    return total


def _publish(settings: Settings, live: LiveUsage, **options: Any) -> bool:
    manifest = newest(settings.lake)
    assert manifest is not None
    return live.publish(manifest.commit, now=NOW, **options)


def _published(settings: Settings) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        sql = "select is_since_build, strftime(event_minute, '%d %H:%M'), calls, list_cost from read_parquet(?)"
        return connection.execute(f"{sql} order by all", [str(live_path(settings.serve))]).fetchall()


def test_a_growing_answer_a_void_and_a_repeat_correct_the_minutes_even_after_a_restart(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """A meter that was stopped must not count what it counted before again."""
    topic = new_topic(partitions=1)
    first: list[dict[str, Any]] = [
        {"event_id": "a", "revision": 10},
        {"event_id": "b"},
        {"event_id": "c", "occurred_at": "2026-06-01T23:59:59Z"},
    ]
    _meter(settings, topic, *first)
    void = {"event_id": "c", "revision": 1, "action": "void", "action_reason": "never happened"}
    grown = {"event_id": "a", "revision": 20, "input_tokens": 3000, "workflow": "v"}
    _meter(settings, topic, {"event_id": "b"}, void, grown, {"event_id": "a", "revision": 15})
    columns = "event_minute::date::varchar, workflow, sum(calls)::int, sum(input_tokens)::int, sum(list_cost)"
    grown_cost = Decimal("0.0175")  # 3,000 x 5 + 100 x 25 USD a million
    assert _minutes(settings, columns, "group by all order by all") == [
        ("2026-06-01", "w", 0, 0, Decimal(0)),
        ("2026-06-02", "v", 1, 3000, grown_cost),
        ("2026-06-02", "w", 1, 1000, COST),
    ]
    expected = LiveSums(calls=2, input_tokens=4000, output_tokens=200, list_cost_pico_usd=25_000_000_000)
    assert _live_sums(settings) == expected


def test_small_commits_sum_to_what_one_commit_sums_to(settings: Settings, new_topic: Callable[..., str]) -> None:
    """How the stream is cut must not change the live figures."""
    topic = new_topic(partitions=1)
    events = [{"event_id": str(n % 7), "revision": n % 5, "input_tokens": 100 + n} for n in range(60)]
    _meter(settings, topic, *events[:23])
    _meter(settings, topic, *events[23:31])
    _meter(settings, topic, *events[31:])
    # Of each of the seven calls the first telling of revision 4 counts. 4 = n % 5 and k = n % 7: by the remainder
    # theorem n = 14, 29, 9, 24, 4, 19, 34 for k = 0..6, so 700 + 14 + 29 + 9 + 24 + 4 + 19 + 34 input tokens.
    assert _minutes(settings, "sum(calls)::int, sum(input_tokens)::int") == [(7, 833)]


def test_recent_minutes_are_published_and_older_ones_left_out(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """What one looks at is now; what was built is in the marts."""
    topic = new_topic(partitions=1)
    old = {"event_id": "old", "occurred_at": "2026-06-02T05:59:00Z"}
    _meter(settings, topic, {"event_id": "a"}, {"event_id": "b"}, old)
    live = LiveUsage(settings.lake, settings.serve)
    assert _publish(settings, live)
    # Nothing is built: all of it is since the build, of which what is older than six hours is told by the hour.
    assert _published(settings) == [(True, "02 05:00", 1, COST), (True, "02 10:00", 2, 2 * COST)]
    settings.serve.joinpath("CURRENT").write_text("tollbook-0000000001-c000000000001.duckdb\n")
    assert built_commit(settings.serve) == 1
    assert _publish(settings, live, at_once=True)
    assert _published(settings) == [(False, "02 10:00", 2, 2 * COST)]
    _meter(settings, topic, {"event_id": "a", "revision": 1, "occurred_at": "2026-06-02T10:01:00Z"})
    assert _publish(settings, live, at_once=True)
    assert _published(settings) == [
        (False, "02 10:00", 2, 2 * COST),
        (True, "02 10:00", -1, -COST),
        (True, "02 10:01", 1, COST),
    ]


def test_what_is_published_is_not_published_again(settings: Settings, new_topic: Callable[..., str]) -> None:
    """A meter that waits costs nothing, and a busy one publishes once a second."""
    topic = new_topic(partitions=1)
    clock = [100.0]
    live = LiveUsage(settings.lake, settings.serve, clock=lambda: clock[0])
    _meter(settings, topic, {"event_id": "a"})
    assert _publish(settings, live)
    assert not _publish(settings, live, at_once=True)
    _meter(settings, topic, {"event_id": "b"})
    assert not _publish(settings, live)
    clock[0] += 1.0
    assert _publish(settings, live)
    assert (pq.read_schema(live_path(settings.serve)).metadata or {})[b"tollbook.commit"] == b"2"
    assert list(live_path(settings.serve).parent.iterdir()) == [live_path(settings.serve)]


def test_marts_and_what_came_since_their_build_add_up(
    settings: Settings, new_topic: Callable[..., str], tmp_path: Path
) -> None:
    """A dashboard adds both: a call in neither or in both would be a wrong bill."""
    topic = new_topic(partitions=1)
    assert tmp_path in settings.home.parents
    _meter(settings, topic, {"event_id": "a"}, {"event_id": "b"}, {"event_id": "b"})
    _meter(settings, topic, {"event_id": "a", "revision": 1, "input_tokens": 2000})
    build(settings)
    sql = "select amount_in::int, difference::int from audit.fct_ledger_balance where hand_over = 'usage_to_minutes'"
    assert ask(settings, f"{sql} and measure = 'input_tokens'").rows == [(3000, 0)]
    assert ask(settings, "select count(*) from audit.fct_ledger_balance where difference <> 0").rows == [(0,)]
    assert ask(settings, "from live.usage_since_build").rows == []
    live = LiveUsage(settings.lake, settings.serve)
    _publish(settings, live)
    assert ask(settings, "from live.usage_since_build").rows == []
    void = {"event_id": "b", "revision": 1, "action": "void", "action_reason": "never happened"}
    _meter(settings, topic, void, {"event_id": "d", "input_tokens": 5000})
    _publish(settings, live, at_once=True)
    both = """
        select sum(calls)::int, sum(input_tokens)::int, sum(list_cost) from (
            select calls, input_tokens, list_cost from engineering.fct_usage_daily
            union all
            select calls, input_tokens, list_cost from live.usage_since_build
        )"""
    # a: 2,000 tokens, 0.0125 USD; d: 5,000 tokens, 0.0275 USD; b is voided.
    assert ask(settings, both).rows == [(2, 7000, Decimal("0.04"))]
    assert ask(settings, "select sum(calls)::int from live.usage_by_minute").rows == [(2,)]
