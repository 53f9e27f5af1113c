"""A flood of rejects stops the meter before it is committed, and what comes after it is not lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kafka import KafkaProducer

from tollbook.contracts import contract
from tollbook.errors import RejectFloodError
from tollbook.formats.native import NativeDecoder
from tollbook.lake.manifest import newest, newest_commit
from tollbook.settings import Settings
from tollbook.stream.flood import FloodLimit, RejectWatch, committed_shares
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.stream.ranges import ChunkOrigin

NOW = datetime(2026, 11, 24, tzinfo=UTC)
GOOD = (
    b'{"source":"s","event_id":"%d","occurred_at":"2026-06-01T00:00:00Z","provider":"openai","model":"gpt-5",'
    b'"input_tokens":1,"output_tokens":1}'
)
BAD = b"{not json"


def _note(watch: RejectWatch, good: int, bad: int, *, first_offset: int = 0) -> None:
    """Let a watch see a chunk of so many records, the good ones first."""
    values = [GOOD % n for n in range(good)] + [BAD] * bad
    count = len(values)
    columns = {
        "topic": ["t"] * count,
        "partition": pa.array([3] * count, pa.int32()),
        "offset": pa.array(range(first_offset, first_offset + count), pa.int64()),
        "value": pa.array(values, pa.binary()),
    }
    schema = contract("kafka_record").arrow_schema
    records = pa.RecordBatch.from_pylist(pa.table(columns).to_pylist(), schema=schema)
    origin = ChunkOrigin("t", 3, first_offset, first_offset + count, count, 0, 0, 0)
    watch.note(origin.attach(records), NativeDecoder().decode(records.column("value"), now=NOW))


def test_a_share_of_exactly_the_limit_is_no_flood_and_one_record_more_is() -> None:
    """A limit is what may be."""
    limit = FloodLimit(0.5, over_records=100)
    at_the_limit, above = RejectWatch(limit), RejectWatch(limit)
    _note(at_the_limit, 50, 50)
    with pytest.raises(RejectFloodError, match=r"at most 50% of the last records to be rejected, got 51 of 100"):
        _note(above, 49, 51)


def test_few_records_are_no_flood_however_many_of_them_are_bad() -> None:
    """One bad record out of one says nothing yet."""
    watch = RejectWatch(FloodLimit(0.5, over_records=100))
    _note(watch, 0, 99)
    with pytest.raises(RejectFloodError):
        _note(watch, 0, 1, first_offset=99)


def test_only_the_last_records_count() -> None:
    """A million good records of yesterday must not hide a flood of today."""
    watch = RejectWatch(FloodLimit(0.5, over_records=100), committed=[(1_000_000, 0)] * 3 + [(40, 0)])
    _note(watch, 0, 30)
    with pytest.raises(RejectFloodError, match="got 70 of 110"):
        _note(watch, 0, 40, first_offset=30)


def test_a_flood_that_is_committed_little_by_little_is_one_and_stops_nothing_once_it_is_mended() -> None:
    """A supervisor that starts the meter again and again must not take the flood in by small commits."""
    watch = RejectWatch(FloodLimit(0.5, over_records=100), committed=[(60, 60), (40, 0)])
    watch.begin()
    with pytest.raises(RejectFloodError):
        _note(watch, 0, 10)
    watch.begin()
    _note(watch, 10, 0)
    watch.keep()


def test_what_a_micro_batch_noted_that_was_not_committed_is_forgotten() -> None:
    """It is read again, and would count twice."""
    watch = RejectWatch(FloodLimit(0.5, over_records=100))
    _note(watch, 0, 60)
    watch.begin()
    _note(watch, 0, 60)
    watch.keep()
    watch.begin()
    with pytest.raises(RejectFloodError, match="got 100 of 100"):
        _note(watch, 0, 40)


def test_the_diagnosis_names_causes_with_an_example_and_what_to_do() -> None:
    """Whoever is woken up by it must not have to look for anything."""
    watch = RejectWatch(FloodLimit(0.0, over_records=1))
    with pytest.raises(RejectFloodError) as caught:
        _note(watch, 1, 2)
    message = caught.value.message
    assert "2 invalid_json on t: the text is not one JSON document" in message
    assert "such as t:3:1, expected one JSON document" in message
    assert "--topic TOPIC=FORMAT" in message
    assert "--max-reject-share" in message


def test_without_a_limit_nothing_is_a_flood() -> None:
    """An operator may want them all as rejects."""
    watch = RejectWatch(FloodLimit(None, over_records=1))
    _note(watch, 0, 10)


def _send(settings: Settings, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, linger_ms=20)
    for value in values:
        producer.send(topic, value=value)
    producer.flush()
    producer.close()


def _meter(settings: Settings, topic: str, flood: FloodLimit, most: int = 1_000) -> MeterProgress:
    return run_meter(
        MeterOptions(settings=settings, topics=(topic,), clock=lambda: NOW, flood=flood, max_commit_records=most)
    )


def test_the_meter_stops_before_a_flood_and_goes_on_without_loss(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """The commits before stand; nothing of the flood is in the lake; a higher limit takes every record in once."""
    topic = new_topic(partitions=1)
    limit = FloodLimit(0.5, over_records=1_000)
    _send(settings, topic, [GOOD % n for n in range(2_000)] + [BAD] * 1_500 + [GOOD % n for n in range(2_000, 2_500)])

    for _ in range(2):
        with pytest.raises(RejectFloodError, match="invalid_json on"):
            _meter(settings, topic, limit)
        manifest = newest(settings.lake)
        assert manifest is not None
        total = manifest.totals[topic][0]
        assert (total.records, total.usage_rows, total.reject_rows) == (2_000, 2_000, 0)
        assert committed_shares(settings.lake, 1_000)[-1] == (1_000, 0)
    assert _meter(settings, topic, FloodLimit(1.0, over_records=1_000)).accepted == 500

    manifest = newest(settings.lake)
    assert manifest is not None
    total = manifest.totals[topic][0]
    assert (total.records, total.usage_rows, total.reject_rows) == (4_000, 2_500, 1_500)
    files = {entry.path for entry in manifest.files}
    assert files
    rejects = list((settings.lake / "rejects").rglob("*.parquet"))
    assert sum(pq.read_metadata(path).num_rows for path in rejects) == 1_500


def test_the_command_ends_with_a_diagnosis_on_stderr_and_no_traceback(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """It runs under a service manager, and its last words go to a log."""
    topic = new_topic(partitions=1)
    _send(settings, topic, [BAD] * 200)
    environment = os.environ | {
        "TOLLBOOK_HOME": str(settings.home),
        "TOLLBOOK_BOOTSTRAP_SERVERS": str(settings.bootstrap_servers),
    }
    command = [sys.executable, "-m", "tollbook", "meter", "--until-caught-up", "--topic", topic]
    options = ["--reject-window-records", "100"]

    stopped = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)

    assert (stopped.returncode, newest_commit(settings.lake)) == (1, 0)
    assert "got 200 of 200: nothing of this commit is in the book" in stopped.stderr
    assert f"such as {topic}:0:0" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "[while running" not in stopped.stderr
    all_the_same = [*command, *options, "--max-reject-share", "none"]
    taken = subprocess.run(all_the_same, env=environment, capture_output=True, text=True, check=False)
    assert (taken.returncode, newest_commit(settings.lake)) == (0, 1)
    wrong = subprocess.run([*command, "--max-reject-share", "2"], env=environment, capture_output=True, check=False)
    assert wrong.returncode == 2
