"""A meter that follows is watched: what a scrape shows is what was sent, and status says so in words."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from tollbook import cli, metrics
from tollbook.health.findings import findings
from tollbook.health.status import book_status
from tollbook.settings import Settings
from tollbook.warehouse.build import build

WAIT_SECONDS = 300.0
SECRET = "the-prompt-that-nobody-may-see"


def event(event_id: str, **fields: Any) -> bytes:
    """Return a record of a call of a minute ago: 1,000 tokens in, 100 out."""
    told = {
        "source": "anthropic",
        "event_id": event_id,
        "provider": "anthropic",
        "model": "claude-opus-4-5-20251101",
        "occurred_at": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(),
        "input_tokens": 1_000,
        "output_tokens": 100,
    }
    return json.dumps(told | fields).encode()


def plenty(_folder: Path) -> tuple[int, int, int]:
    """Return a disk with room, whatever this machine has. Unit: Bytes."""
    return 500 * 1024**3, 300 * 1024**3, 200 * 1024**3


def send(settings: Settings, topic: str, partition: int, values: list[bytes]) -> None:
    """Put records on a partition."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for value in values:
        producer.send(topic, value=value, partition=partition)
    producer.flush()
    producer.close()


class Meter:
    """A following meter in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.page = str(self.next_line("metrics")["address"])

    def next_line(self, event: str) -> dict[str, Any]:
        """Return the next line of its log of an event; every line must be an object."""
        assert self.process.stderr is not None
        for text in self.process.stderr:
            line: dict[str, Any] = json.loads(text)
            self.lines.append(line)
            if line["event"] == event:
                return line
        pytest.fail(f"the meter ended without telling {event}: {self.lines}")

    def read_until(self, records: int) -> None:
        """Wait until so many records are committed since it started."""
        while self.next_line("commit")["read"] < records:
            pass

    def scrape(self) -> dict[tuple[str, ...], float]:
        """Return what Prometheus would get, by name and labels in the order of their definition."""
        order = {name: metric.labels for metric in metrics.METRICS for name in metric.series}
        with urlopen(self.page, timeout=300) as answer:  # noqa: S310  our own server
            text = answer.read().decode()
        return {
            (sample.name, *(sample.labels[label] for label in order.get(sample.name, ()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@contextmanager
def following(settings: Settings, topic: str) -> Iterator[Meter]:
    """Run a meter; it is asked to stop at the end."""
    command = [sys.executable, "-m", "tollbook", "meter", "--follow", "--topic", f"{topic}=native"]
    options = ["--metrics-address", "0", "--log-format", "json", "--home", str(settings.home)]
    servers = ["--bootstrap-servers", str(settings.bootstrap_servers)]
    with subprocess.Popen(
        [*command, *options, *servers], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Meter(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0


def test_a_scrape_shows_what_was_sent_and_the_log_tells_it(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Two partitions: five calls, one of them told twice, and two records that are none."""
    topic = new_topic(partitions=2)
    first = [event("a"), event("b"), event("a"), SECRET.encode()]
    second = [event("c"), event("d"), event("e"), event("f", model=SECRET, input_tokens=-1)]
    started = time.time()
    send(settings, topic, 0, first)
    send(settings, topic, 1, second)
    with following(settings, topic) as meter:
        meter.read_until(8)
        told = meter.scrape()
        assert told["tollbook_records_total", topic, "0"] == 4
        assert told["tollbook_records_total", topic, "1"] == 4
        assert told["tollbook_lag_offsets", topic, "0"] == 0
        assert told["tollbook_accepted_events_total", topic, "0"] == 3
        assert told["tollbook_rejected_records_total", topic, "0"] == 1
        assert told["tollbook_accepted_events_total", topic, "1"] == 3
        assert told["tollbook_rejected_records_total", topic, "1"] == 1
        assert told["tollbook_tokens_total", topic, "input"] == 6_000
        assert told["tollbook_tokens_total", topic, "output"] == 600
        assert told["tollbook_stream_repeats_total",] == 1
        assert told["tollbook_skipped_offsets_total", topic, "0", "lost"] == 0
        assert told["tollbook_commit_duration_seconds_count",] == told["tollbook_commit_number",] >= 1
        assert told["tollbook_written_files_total", "usage"] == told["tollbook_lake_files", "usage"] >= 2
        assert told["tollbook_written_bytes_total", "usage"] == told["tollbook_lake_bytes", "usage"] > 0
        assert started - 120 < told["tollbook_newest_event_timestamp_seconds", topic] < started
        assert told["tollbook_watermark_timestamp_seconds", topic, "1"] > started
        assert told["tollbook_epoch",] == 1
        assert told["process_resident_memory_bytes",] > 0
        known = metrics.series_labels()
        assert {name for name, *_ in told if name.startswith("tollbook_")} <= set(known)

        seen = book_status(settings, now=datetime.now(UTC), answer_seconds=WAIT_SECONDS, disk_usage=plenty)
        assert seen.meter == meter.process.pid
        assert seen.kafka is not None
        assert (seen.kafka.lag, seen.kafka.remade, seen.kafka.absent) == (0, (), ())
        assert seen.lake is not None
        assert (seen.lake.last_day.records, seen.lake.last_day.rejected) == (8, 2)
        assert [finding.code for finding in findings(seen)] == ["nothing_published"]

        send(settings, topic, 1, [event("g")])
        meter.read_until(9)
        told = meter.scrape()
        assert told["tollbook_records_total", topic, "1"] == 5
        assert told["tollbook_commit_number",] >= 2
    assert book_status(settings, now=datetime.now(UTC), answer_seconds=WAIT_SECONDS).meter is None

    (line, *_) = [line for line in meter.lines if line["event"] == "metrics"]
    assert line["level"] == "info"
    assert SECRET not in json.dumps(meter.lines)


def test_the_log_of_a_follow_is_one_object_a_line(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Each commit with its offsets, counts and seconds; the end too."""
    topic = new_topic(partitions=1)
    send(settings, topic, 0, [event("a"), SECRET.encode()])
    with following(settings, topic) as meter:
        line = meter.next_line("commit")
        assert (line["read"], line["accepted"], line["rejected"], line["commit"]) == (2, 1, 1, 1)
        assert line["offsets"] == {topic: {"0": 2}}
        assert line["seconds"] > 0
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
        meter.process.send_signal(signal.SIGTERM)
        assert meter.next_line("stopping")["level"] == "info"
        assert meter.process.stderr is not None
        assert SECRET not in json.dumps(meter.lines) + meter.process.stderr.read()


def test_a_book_that_was_read_and_built_is_current_and_balanced(
    settings: Settings, new_topic: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The status of a home from its beginning: no book, nothing published, current, behind, and no broker."""
    arguments = ["status", "--home", str(settings.home), "--bootstrap-servers", str(settings.bootstrap_servers)]

    def status(*more: str) -> tuple[int, str]:
        code = cli.main([*arguments, *more])
        return code, capsys.readouterr().out

    code, words = status()
    assert (code, words.splitlines()[0]) == (1, f"There is no book at {settings.home} yet.")

    topic = new_topic(partitions=2)
    send(settings, topic, 0, [event("a"), event("b")])
    meter = ["meter", "--until-caught-up", "--topic", f"{topic}=native", *arguments[1:]]
    assert cli.main(meter) == 0
    capsys.readouterr()
    code, words = status()
    assert (code, words.splitlines()[0]) == (1, "The book is not published yet.")
    assert "run `tollbook warehouse build`" in words

    build(settings)
    code, words = status()
    assert (code, words.splitlines()[0]) == (0, "The book is current and balanced.")
    assert "answers; nothing waits (1 topic, 2 partitions)" in words
    assert "2 records read, 2 events accepted, 0 dead letters (0.00 %), 0 conflicts (0.00 %)" in words
    assert "amounts compared, all equal" in words

    send(settings, topic, 1, [event("c")] * 3)
    code, words = status("--json")
    told = json.loads(words)
    assert (code, told["well"], told["verdict"]) == (1, False, "The book is balanced but not current.")
    assert [finding["code"] for finding in told["findings"]] == ["unread"]
    assert [each["lag"] for each in told["kafka"]["partitions"]] == [0, 3]
    code, words = status()
    assert "3 offsets wait to be read, and no meter runs" in words
    assert [line.split() for line in words.splitlines() if line.startswith(topic)] == [[topic, "1", "3", "0", "0", "3"]]

    arguments[-1] = "127.0.0.1:9"
    code, words = status()
    assert code == 1
    assert "Kafka does not answer, so nobody can say whether records wait: expected a Kafka broker at 127.0." in words
    assert words.splitlines()[0] == "The book is balanced; whether it is current is not known."
