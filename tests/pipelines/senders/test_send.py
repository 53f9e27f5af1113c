"""Sending to a real Kafka."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tollbook.contracts import shipped_folder
from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.senders import producer
from tollbook.senders.send import Progress, send_file
from tollbook.settings import Settings

MakeTopic = Callable[..., str]
Read = Callable[[str], list[Any]]

START_MS = 1_780_272_000_000
"""2026-06-01T00:00:00Z."""


def lines_of(events: int, *, tasks: int = 7) -> list[bytes]:
    """Return events of a few tasks, one millisecond apart."""
    return [
        json.dumps(
            {
                "source": "test",
                "event_id": f"e{number}",
                "task_id": f"task-{number % tasks}",
                "occurred_at": f"2026-06-01T00:{number // 60_000:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",
            }
        ).encode()
        for number in range(events)
    ]


def write(path: Path, lines: list[bytes]) -> str:
    """Write lines and return the path as text."""
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return str(path)


def test_each_line_is_stored_once_with_its_key_its_time_and_its_order(
    settings: Settings, event_time_topic: MakeTopic, stored: Read, tmp_path: Path
) -> None:
    """A task stays in one partition, in the order of the file, at the times of its events."""
    lines = lines_of(20_000)
    topic = event_time_topic()
    result = send_file(settings, write(tmp_path / "events.jsonl.gz", lines), topic=topic)
    assert (result.records, result.bytes) == (20_000, sum(map(len, lines)))
    assert result.complete
    found = stored(topic)
    assert len(found) == 20_000
    partitions_of, order_of = defaultdict(set), defaultdict(list)
    for record in found:
        event = json.loads(record.value)
        number = int(event["event_id"][1:])
        assert record.value == lines[number]
        assert record.key == event["task_id"].encode()
        assert record.timestamp_ms == START_MS + number
        partitions_of[record.key].add(record.partition)
        order_of[record.key].append(number)
    assert {len(places) for places in partitions_of.values()} == {1}
    assert all(numbers == sorted(numbers) for numbers in order_of.values())
    assert len({record.partition for record in found}) > 1


def test_bad_lines_are_stored_byte_for_byte_and_harm_no_neighbour(
    settings: Settings, new_topic: MakeTopic, stored: Read, tmp_path: Path
) -> None:
    """The meter rejects them, with their bytes; a sender that dropped them would lose them silently."""
    good = lines_of(3)
    bad = [b"null", b"\xff\xfe", b"{", good[0] + good[1], b"[1]", b"x" * 3_000_000]
    lines = [good[0], *bad[:3], good[1], *bad[3:], good[2]]
    topic = new_topic()
    result = send_file(settings, write(tmp_path / "events.jsonl", [lines[0], b"", *lines[1:]]), topic=topic)
    assert result.complete
    assert result.blank_lines == 1
    assert sorted(record.value for record in stored(topic)) == sorted(lines)


def test_a_record_that_the_topic_does_not_take_is_told_and_the_others_are_sent(
    settings: Settings, event_time_topic: MakeTopic, stored: Read, tmp_path: Path
) -> None:
    """Kafka would refuse the whole batch. What counts is the compressed size: a repetitive record passes."""
    noise = random.Random(1).randbytes(150_000).hex().encode()
    lines = [*lines_of(2), noise, b"x" * 300_000, *lines_of(3)]
    topic = event_time_topic(max_message_bytes="100000")
    problems: list[str] = []
    path = write(tmp_path / "events.jsonl", lines)
    result = send_file(settings, path, topic=topic, on_problem=problems.append)
    assert (result.records, result.too_large, result.unacknowledged) == (6, 1, 0)
    assert not result.complete
    (problem,) = problems
    assert problem.startswith(
        f"{path}:3: expected a record of at most 100000 bytes, which is what the topic takes, got "
    )
    assert noise not in {record.value for record in stored(topic)}


def test_an_event_of_the_far_future_is_sent_at_the_time_of_sending(
    settings: Settings, event_time_topic: MakeTopic, stored: Read, tmp_path: Path
) -> None:
    """Kafka refuses a batch with a record more than an hour ahead; the event goes, for the meter to judge."""
    line = b'{"event_id":"e","occurred_at":"2199-01-01T00:00:00Z"}'
    topic = event_time_topic()
    assert send_file(settings, write(tmp_path / "e.jsonl", [line]), topic=topic).complete
    (record,) = stored(topic)
    assert record.value == line
    assert START_MS < record.timestamp_ms < 7_000_000_000_000


def test_what_the_broker_refuses_is_counted_and_ends_the_sending(
    settings: Settings, event_time_topic: MakeTopic, stored: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic takes less than it said: nothing may pass for delivered, and nothing may wait for ever."""
    lines = [random.Random(number).randbytes(400).hex().encode() for number in range(200)]
    topic = event_time_topic(partitions=1, max_message_bytes="20000")
    monkeypatch.setattr(producer, "topic_limits", lambda *_: producer.TopicLimits())
    result = send_file(settings, write(tmp_path / "e.jsonl", lines), topic=topic)
    assert result.records + result.unacknowledged == 200
    assert result.unacknowledged > 0
    assert result.failure is not None
    assert "MessageSizeTooLargeError" in result.failure
    assert len(stored(topic)) == result.records


def test_memory_is_bounded_by_waiting_for_the_broker(
    settings: Settings, new_topic: MakeTopic, stored: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be larger than memory, and kafka-python's own queue has no end."""
    monkeypatch.setattr(producer, "MAX_UNACKNOWLEDGED_BYTES", 1)
    monkeypatch.setattr(producer, "BATCH_BYTES", 10_000)
    waited: list[int] = []
    told = producer.CountingProducer._make_room

    def make_room(self: producer.CountingProducer) -> None:
        told(self)
        waited.append(self._pending_bytes)

    monkeypatch.setattr(producer.CountingProducer, "_make_room", make_room)
    topic = new_topic()
    result = send_file(settings, write(tmp_path / "e.jsonl", lines_of(2_000)), topic=topic)
    assert result.records == len(stored(topic)) == 2_000
    assert max(waited) <= 1


def test_a_file_that_breaks_off_is_sent_as_far_as_it_goes(
    settings: Settings, new_topic: MakeTopic, stored: Read, tmp_path: Path
) -> None:
    """Half an upload: what is there counts, and the end says that it was not all."""
    path = tmp_path / "e.jsonl.gz"
    write(path, lines_of(50_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    topic = new_topic()
    result = send_file(settings, str(path), topic=topic)
    assert not result.complete
    assert result.failure is not None
    assert "whole gzip file" in result.failure
    assert result.unacknowledged == 0
    assert 0 < result.records == len(stored(topic)) < 50_000


def test_a_mapped_file_is_sent_and_its_bad_rows_are_told(
    settings: Settings, event_time_topic: MakeTopic, stored: Read, tmp_path: Path
) -> None:
    """The way of the traces: CSV in, native events out, the Kafka time from the row."""
    path = tmp_path / "trace.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n?,1,2\n", encoding="utf-8"
    )
    problems: list[str] = []
    topic = event_time_topic()
    result = send_file(
        settings,
        str(path),
        mapping_path=shipped_folder("schemas") / "examples" / "mappings" / "azure-llm-2023.mapping.yml",
        topic=topic,
        on_problem=problems.append,
    )
    assert (result.records, result.unmapped, result.complete) == (1, 1, False)
    assert problems == [f"{path}:3: expected `occurred_at` to be a time like %Y-%m-%d %H:%M:%S.%f, got '?'"]
    (record,) = stored(topic)
    assert record.key == b"conv-1"
    assert record.timestamp_ms == 1_700_158_546_680
    assert json.loads(record.value)["input_tokens"] == 374


def test_progress_ends_with_the_whole_file(settings: Settings, new_topic: MakeTopic, tmp_path: Path) -> None:
    """It is what the user looks at."""
    path = write(tmp_path / "e.jsonl", lines_of(100))
    told: list[Progress] = []
    send_file(settings, path, topic=new_topic(), on_progress=told.append)
    size = Path(path).stat().st_size
    assert told[-1] == Progress(size, size, 100)


def test_misuse_is_told_before_anything_is_sent(settings: Settings, tmp_path: Path) -> None:
    """A wrong name, format or mapping ends with exit code 2."""
    path = write(tmp_path / "e.jsonl", lines_of(1))
    with pytest.raises(MisuseError, match=r"expected a format of native, .*, got 'xml'"):
        send_file(settings, path, format_name="xml")
    with pytest.raises(MisuseError, match=r"none\.yml, found nothing"):
        send_file(settings, path, mapping_path=tmp_path / "none.yml")
    with pytest.raises(MisuseError, match="a topic nobody-made-it"):
        send_file(settings, path, topic="nobody-made-it")
    with pytest.raises(KafkaUnavailableError, match="tollbook broker up"):
        send_file(dataclasses.replace(settings, bootstrap_servers=None), path)


def tollbook(settings: Settings, *arguments: str) -> list[str]:
    """Return the command line of `tollbook send` on this broker."""
    assert settings.bootstrap_servers is not None
    servers = ["--bootstrap-servers", settings.bootstrap_servers]
    return [sys.executable, "-m", "tollbook", "send", *arguments, *servers]


def test_the_command_reads_standard_input_prints_json_and_says_by_its_exit_code_whether_all_went(
    settings: Settings, new_topic: MakeTopic, tmp_path: Path
) -> None:
    """Scripts read stdout and the exit code; people read stderr."""
    topic = new_topic()
    piped = b"\n".join(lines_of(5))
    done = subprocess.run(
        tollbook(settings, "-", "--topic", topic, "--json"), input=piped, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["topic"] == topic
    assert (told["records"], told["bytes"]) == (5, len(piped) - 4)
    assert told["seconds"] >= 0


def test_the_command_tells_rows_that_cannot_be_mapped_and_ends_with_1(
    settings: Settings, new_topic: MakeTopic, tmp_path: Path
) -> None:
    """The good rows are on the topic, and nobody can overlook the others."""
    mapping = tmp_path / "m.yml"
    mapping.write_text(
        "mapping: 1\ninput: {format: jsonl}\nfields:\n  source: {constant: x}\n  event_id: {column: event_id}\n"
        "  occurred_at: {column: occurred_at}\n",
        encoding="utf-8",
    )
    bad = write(tmp_path / "bad.jsonl", [*lines_of(1), b"null"])
    done = subprocess.run(
        tollbook(settings, bad, "--mapping", str(mapping), "--topic", new_topic()),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert f"{bad}:2: expected the row to be one JSON object" in done.stderr
    assert "1 acknowledged, 1 not mapped, 0 too large, 0 not acknowledged" in done.stderr
    assert done.stdout.splitlines()[0].startswith("topic")


def test_ctrl_c_ends_the_command_with_what_was_acknowledged(
    settings: Settings, new_topic: MakeTopic, stored: Read
) -> None:
    """A pipe that never ends is stopped by hand; what was sent by then is known to the record."""
    topic = new_topic()
    process = subprocess.Popen(
        tollbook(settings, "-", "--topic", topic, "--json"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"\n".join(lines_of(5)) + b"\n{")
    process.stdin.flush()
    while len(stored(topic)) < 5:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    told = json.loads(out)
    assert (told["records"], told["unacknowledged"], told["interrupted"]) == (5, 0, True)
    assert b"Traceback" not in err
