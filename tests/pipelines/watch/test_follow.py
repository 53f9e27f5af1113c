"""Following session files into a real Kafka, through kills, and from there into the ledger."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tollbook.errors import KafkaUnavailableError, LakeLockedError, MisuseError
from tollbook.formats.claude_code import ClaudeCodeDecoder
from tollbook.lake.log import locked_file
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.watch import follow
from tollbook.watch.follow import Watched, WatchOptions, watch
from tollbook.watch.position import Position, Positions

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SECRET = b"the prompt that nobody may read"
Call = Callable[..., bytes]
OnTopic = Callable[[str], list[Any]]
MakeTopic = Callable[..., str]


def ids(records: list[Any]) -> list[str]:
    """Return the message ids of records, sorted."""
    return sorted(json.loads(record.value)["message"]["id"] for record in records)


def once(settings: Settings, folder: Path, topic: str, **options: Any) -> Watched:
    """Send what is there now."""
    return watch(WatchOptions(settings, [folder], topic, **options), tell=pytest.fail)


def append(path: Path, *pieces: bytes) -> None:
    """Write to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(pieces))


def test_only_calls_are_sent_without_their_content_and_only_once(
    settings: Settings, new_topic: MakeTopic, on_topic: OnTopic, projects: Path, call: Call, spoken: bytes
) -> None:
    """The key is the session, so its calls stay in order; what is there a second time is not sent again."""
    topic, path = new_topic(), projects / "-home-ada-secret" / "session-1.jsonl"
    append(path, spoken, call("msg_1"), b"\n", call("msg_2"))
    done = once(settings, projects, topic)
    assert (done.files, done.lines, done.records, done.no_call, done.unreadable) == (1, 3, 2, 1, 0)
    assert done.reasons == {"user_line": 1}
    records = on_topic(topic)
    assert ids(records) == ["msg_1", "msg_2"]
    assert {record.key for record in records} == {b"session-1"}
    for record in records:
        assert SECRET not in record.value
        assert b"content" not in record.value
        assert b"/home/ada" not in record.value
    assert once(settings, projects, topic).records == 0
    append(path, call("msg_3"))
    append(projects / "-home-ada-secret" / "session-1" / "subagents" / "agent-a.jsonl", call("msg_4", isSidechain=True))
    assert once(settings, projects, topic).records == 2
    assert ids(on_topic(topic)) == ["msg_1", "msg_2", "msg_3", "msg_4"]


def test_it_follows_files_and_folders_that_appear_and_lines_that_are_half_written(
    settings: Settings, new_topic: MakeTopic, on_topic: OnTopic, projects: Path, call: Call
) -> None:
    """Between two looks anything may happen to the files."""
    topic, path = new_topic(), projects / "p" / "s.jsonl"
    third = call("msg_3")
    steps: list[Callable[[], object]] = [
        lambda: append(path, call("msg_1")),
        lambda: append(projects / "new" / "deep" / "t.jsonl", call("msg_2"), third[:50]),
        lambda: append(projects / "new" / "deep" / "t.jsonl", third[50:]),
        lambda: path.rename(projects / "p" / "s.old.jsonl"),
        lambda: append(path, call("msg_4")),
        lambda: path.write_bytes(call("msg_5")),
    ]
    waiting = iter(steps)

    def wait() -> bool:
        step = next(waiting, None)
        if step is not None:
            step()
        return step is not None

    done = watch(WatchOptions(settings, [projects], topic), tell=pytest.fail, wait=wait)
    assert (done.records, done.started_again) == (5, 1)
    assert ids(on_topic(topic)) == ["msg_1", "msg_2", "msg_3", "msg_4", "msg_5"]


def test_what_the_broker_did_not_acknowledge_is_sent_again(
    settings: Settings, new_topic: MakeTopic, on_topic: OnTopic, projects: Path, call: Call
) -> None:
    """A position is noted only behind the broker's word; with a next look nothing fails and nothing is lost."""
    topic = new_topic()
    append(projects / "s.jsonl", call("msg_1"))
    away = dataclasses.replace(settings, bootstrap_servers=None)
    with pytest.raises(KafkaUnavailableError):
        watch(WatchOptions(away, [projects], topic), tell=print)
    told: list[str] = []
    looks = iter([True, True, False])
    done = watch(WatchOptions(away, [projects], topic), tell=told.append, wait=lambda: next(looks))
    assert (done.records, len(told)) == (0, 1)
    assert once(settings, projects, topic).records == 1
    assert ids(on_topic(topic)) == ["msg_1"]


def test_a_watcher_that_dies_before_it_noted_how_far_it_was_tells_again_and_the_call_counts_once(
    settings: Settings,
    new_topic: MakeTopic,
    on_topic: OnTopic,
    projects: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pitfalls 7 and 13: at least once on the topic, exactly once in the ledger."""
    topic = new_topic()
    append(projects / "s.jsonl", call("msg_1"), call("msg_2"))

    def die(_positions: Positions, _reached: list[Position]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Positions, "advance", die)
        with pytest.raises(KeyboardInterrupt):
            once(settings, projects, topic)
    assert once(settings, projects, topic).records == 2
    records = on_topic(topic)
    assert len(records) == 4
    decoded = ClaudeCodeDecoder().decode(pa.array([record.value for record in records], pa.binary()), now=NOW)
    keys = {tuple(row[name] for name in ("source", "event_id", "revision")) for row in decoded.events.to_pylist()}
    assert keys == {("anthropic", "msg_1", 100), ("anthropic", "msg_2", 100)}


def test_a_long_file_is_sent_in_runs_and_resumed_between_them(
    settings: Settings,
    new_topic: MakeTopic,
    on_topic: OnTopic,
    projects: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory is bounded by the run, and so is what is sent again."""
    monkeypatch.setattr(follow, "RUN_RECORDS", 10)
    monkeypatch.setattr("tollbook.watch.lines.BLOCK_BYTES", 4096)
    topic = new_topic()
    append(projects / "s.jsonl", *(call(f"msg_{number:03d}") for number in range(100)))
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) >= 3

    options = WatchOptions(settings, [projects], topic)
    first = watch(options, tell=print, wait=lambda: True, should_stop=should_stop)
    assert 0 < first.records < 100
    assert once(settings, projects, topic).records == 100 - first.records
    assert ids(on_topic(topic)) == [f"msg_{number:03d}" for number in range(100)]


def test_lines_that_cannot_be_read_are_told_by_their_place_and_never_sent(
    settings: Settings, new_topic: MakeTopic, on_topic: OnTopic, projects: Path, call: Call
) -> None:
    """Nobody can say what in them is content, so not even the message quotes them."""
    topic, path = new_topic(), projects / "s.jsonl"
    append(path, b'{"type":"assistant","x":"' + SECRET + b"\n", call("msg_1"), b"[1]\n")
    told: list[str] = []
    done = watch(WatchOptions(settings, [projects], topic), tell=told.append)
    assert (done.records, done.unreadable) == (1, 2)
    assert told[0].startswith(f"{path}, byte 0: expected a line of a session, got invalid_json")
    assert SECRET.decode() not in "".join(told)
    assert ids(on_topic(topic)) == ["msg_1"]


def test_files_that_are_gone_are_forgotten(
    settings: Settings, new_topic: MakeTopic, projects: Path, call: Call
) -> None:
    """Claude Code deletes old sessions; the state must not grow for ever, nor its inodes deceive."""
    topic = new_topic()
    append(projects / "s.jsonl", call("msg_1"))
    append(projects / "t.jsonl", call("msg_2"))
    once(settings, projects, topic)
    (projects / "s.jsonl").unlink()
    append(projects / "t.jsonl", call("msg_3"))
    once(settings, projects, topic)
    (left,) = Positions(settings.home / "watch" / "claude_code.json").all()
    assert left.path.endswith("t.jsonl")


def test_misuse_is_told_before_anything_is_read(settings: Settings, projects: Path) -> None:
    """Two watchers of one home would send each line twice."""
    with pytest.raises(MisuseError, match="a folder of session files"):
        once(settings, projects / "none", "llm.usage.claude_code")
    with locked_file(settings.home / "watch" / ".claude_code.lock", doing="watch"), pytest.raises(LakeLockedError):
        once(settings, projects, "llm.usage.claude_code")


def test_no_prompt_is_in_the_ledger_and_each_call_is_priced_once(
    settings: Settings, new_topic: MakeTopic, projects: Path, call: Call, spoken: bytes
) -> None:
    """End to end: 4 x 5 + 600 x 0.5 + 100 x 25 = 2,820 USD for a million calls of claude-opus-4-5; two calls here."""
    topic = new_topic()
    resumed = call("msg_1", session="session-2")
    append(projects / "s.jsonl", spoken, call("msg_1", output_tokens=2), call("msg_1"), call("msg_2"))
    append(projects / "t.jsonl", resumed, b"")
    assert once(settings, projects, topic, labels={"team": "search"}).records == 4
    options = MeterOptions(settings=settings, topics=(topic,), formats={topic: "claude_code"}, clock=lambda: NOW)
    progress = run_meter(options)
    assert (progress.read, progress.accepted, progress.rejected) == (4, 4, 0)
    kept = [path for path in settings.home.rglob("*") if path.is_file()]
    usage = [str(path) for path in kept if path.suffix == ".parquet" and "usage" in path.parts]
    rows = duckdb.sql(
        "select event_id, team, max_by(list_cost, revision), count(distinct revision) "
        f"from read_parquet({usage}) group by all order by all"
    ).fetchall()
    cost = Decimal("0.00282")
    assert rows == [("msg_1", "search", cost, 2), ("msg_2", "search", cost, 1)]
    for path in kept:
        content = path.read_bytes()
        assert SECRET not in content, path
        assert b"/home/ada" not in content, path


def command(settings: Settings, folder: Path, topic: str, *arguments: str) -> list[str]:
    """Return the command line of `tollbook watch claude-code` on this broker."""
    assert settings.bootstrap_servers is not None
    told = ["--folder", str(folder), "--topic", topic, "--home", str(settings.home), "--json"]
    told += ["--bootstrap-servers", settings.bootstrap_servers, *arguments]
    return [sys.executable, "-m", "tollbook", "watch", "claude-code", *told]


def noted(settings: Settings) -> int:
    """Return how many bytes of all files are noted as sent."""
    state = settings.home / "watch" / "claude_code.json"
    return sum(each.offset for each in Positions(state).all()) if state.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_following_well(
    settings: Settings, new_topic: MakeTopic, projects: Path, call: Call, number: signal.Signals
) -> None:
    """Services are stopped so, every day."""
    path = projects / "s.jsonl"
    append(path, call("msg_1"))
    process = subprocess.Popen(
        command(settings, projects, new_topic(), "--interval", "0.05"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while noted(settings) < path.stat().st_size:
        assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, json.loads(out)["records"]) == (0, 1), err
    assert b"Traceback" not in err


def test_a_killed_watcher_resumes_and_nothing_is_there_twice(
    settings: Settings, new_topic: MakeTopic, on_topic: OnTopic, projects: Path, call: Call
) -> None:
    """Killed without a warning while a line is half-written; the next one goes on behind the last whole line."""
    topic, path = new_topic(), projects / "s.jsonl"
    half = call("msg_2")
    append(path, call("msg_1"))
    process = subprocess.Popen(command(settings, projects, topic, "--interval", "0.05"), stdout=subprocess.DEVNULL)
    whole = path.stat().st_size
    while noted(settings) < whole:
        assert process.poll() is None
    append(path, half[:70])
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=300)
    append(path, half[70:], call("msg_3"))
    done = subprocess.run(command(settings, projects, topic, "--once"), capture_output=True, timeout=300, check=False)
    assert (done.returncode, json.loads(done.stdout)["records"]) == (0, 2), done.stderr
    assert ids(on_topic(topic)) == ["msg_1", "msg_2", "msg_3"]


def test_the_command_ends_with_1_where_lines_could_not_be_read_and_with_2_on_misuse(
    settings: Settings, new_topic: MakeTopic, projects: Path, call: Call
) -> None:
    """Schedulers look at the exit code."""
    append(projects / "s.jsonl", call("msg_1"), b"{\n")
    topic = new_topic()
    found = subprocess.run(command(settings, projects, topic, "--once"), capture_output=True, timeout=300, check=False)
    assert (found.returncode, json.loads(found.stdout)["unreadable"]) == (1, 1), found.stderr
    wrong = command(settings, projects, topic, "--once", "--label", "team")
    misused = subprocess.run(wrong, capture_output=True, timeout=300, check=False)
    assert (misused.returncode, misused.stdout) == (2, b"")
