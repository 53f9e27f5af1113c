"""Sending files of every format: what holds content loses it before it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tollbook.errors import MisuseError, RejectedRecordError
from tollbook.formats.registry import FORMATS
from tollbook.reference.dimensions import default_dimensions
from tollbook.senders.formats import format_records
from tollbook.senders.lines import open_source
from tollbook.senders.outgoing import Outgoing
from tollbook.senders.send import send_file
from tollbook.settings import Settings

SECRET = "the prompt that nobody may read"
PROTOBUF = b"\n\x04\n\x02\n\x00"
LINE = {
    "type": "assistant",
    "sessionId": "s-1",
    "timestamp": "2026-06-01T00:00:00.250Z",
    "message": {"id": "msg_1", "content": SECRET, "usage": {"input_tokens": 1, "output_tokens": 1}},
}
RESPONSE = {
    "provider": "openai",
    "occurred_at": "2026-06-01T00:00:00.250Z",
    "task_id": "t-1",
    "body": {"id": "c-1", "choices": [SECRET], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "note": SECRET}},
}


def records_of(path: Path, content: bytes, format_name: str) -> tuple[Outgoing, int, list[str], list[str]]:
    """Return the records of a file, how many lines were blank, why lines are refused and why they are silent."""
    path.write_bytes(content)
    every, blanks = Outgoing(), 0
    refused: list[str] = []
    silent: list[str] = []

    def refuse(line: int, error: RejectedRecordError) -> None:
        refused.append(f"{line}: {error.reason}")

    with open_source(str(path)) as source:
        for records, blank in format_records(source, format_name, default_dimensions(), refuse, silent.append):
            blanks += blank
            for each in zip(records.values, records.keys, records.timestamps_ms, records.lines, strict=True):
                every.add(*each)
    return every, blanks, refused, silent


def test_session_lines_lose_their_content_and_those_without_a_call_stay_behind(tmp_path: Path) -> None:
    """The key is the session, the time the call's own; what cannot be read is not sent."""
    lines = [json.dumps(LINE), '{"type":"user","message":{"content":"' + SECRET + '"}}', "", "{" + SECRET]
    records, blanks, refused, silent = records_of(tmp_path / "s.jsonl", "\n".join(lines).encode(), "claude_code")
    assert (len(records), blanks, refused, silent) == (1, 1, ["4: invalid_json"], ["user_line"])
    assert (records.keys, records.timestamps_ms, records.lines) == ([b"s-1"], [1_780_272_000_250], [1])
    assert SECRET.encode() not in records.values[0]


def test_response_bodies_lose_their_content(tmp_path: Path) -> None:
    """The key is the task."""
    records, _, refused, _ = records_of(
        tmp_path / "r.jsonl", json.dumps(RESPONSE).encode() + b"\n[]", "provider_response"
    )
    assert (records.keys, records.timestamps_ms, refused) == ([b"t-1"], [1_780_272_000_250], ["2: not_an_object"])
    assert SECRET.encode() not in records.values[0]
    assert json.loads(records.values[0])["body"] == {"id": "c-1", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}


def test_payloads_of_litellm_lose_their_content(tmp_path: Path) -> None:
    """A log of a proxy holds the messages; what is left reads as the callback would have sent it."""
    payload = {"id": "chatcmpl-1", "model": "gpt-5", "prompt_tokens": 7, "response_cost": 0.1, "messages": [SECRET]}
    content = json.dumps(payload | {"response": SECRET}).encode() + b"\n[]\n{"
    records, _, refused, _ = records_of(tmp_path / "l.jsonl", content, "litellm")
    assert refused == ["2: not_an_object", "3: invalid_json"]
    assert SECRET.encode() not in records.values[0]
    kept = json.loads(records.values[0])
    assert (kept["id"], kept["prompt_tokens"], kept["response_cost"]) == ("chatcmpl-1", 7, 0.1)


def test_lines_of_other_formats_go_as_they_are(tmp_path: Path) -> None:
    """What is no event becomes a dead letter of the meter."""
    records, blanks, refused, _ = records_of(tmp_path / "e.jsonl", b'{"a": 1}\n\nnot json\n', "cloudevents")
    assert (records.values, blanks, refused) == ([b'{"a": 1}', b"not json"], 1, [])


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b'{"resourceSpans": []}\n\n{"resourceSpans": [1]}\n', [b'{"resourceSpans": []}', b'{"resourceSpans": [1]}']),
        (b'{\n  "resourceSpans": []\n}\n', [b'{\n  "resourceSpans": []\n}\n']),
        (PROTOBUF, [PROTOBUF]),
        (b"\x00\x00\x00\x06" + PROTOBUF + b"\x00\x00\x00\x00\x00\x00\x00\x06" + PROTOBUF, [PROTOBUF, PROTOBUF]),
        (b"\x00\x00\x00\x99" + PROTOBUF, [b"\x00\x00\x00\x99" + PROTOBUF]),
        (b"", []),
    ],
    ids=["json lines", "one json document", "one message", "messages with lengths", "something else", "nothing"],
)
@pytest.mark.parametrize("name", ["otlp_traces", "otlp_logs", "otlp_metrics"])
def test_exports_are_records_however_the_file_holds_them(
    tmp_path: Path, name: str, content: bytes, values: list[bytes]
) -> None:
    """Protobuf has no lines: a byte of a new line in it must not cut it."""
    assert records_of(tmp_path / "export", content, name)[0].values == values


def test_every_format_can_be_sent(
    settings: Settings, event_time_topic: Callable[..., str], stored: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    """By its name alone, to its own topic; a mapping makes native events and no other."""
    path = tmp_path / "records"
    for name in FORMATS:
        content = LINE if name == "claude_code" else RESPONSE if name == "provider_response" else {"name": name}
        path.write_text(json.dumps(content) + "\n" + json.dumps({"type": "user", "message": SECRET}) + "\n")
        topic = event_time_topic()
        result = send_file(settings, str(path), format_name=name, topic=topic)
        assert result.records == len(stored(topic)) == (2 - result.no_call - result.unmapped)
        assert (result.no_call, result.unmapped) == (int(name == "claude_code"), int(name == "provider_response"))
    with pytest.raises(MisuseError, match="a mapping or a format"):
        send_file(settings, str(path), format_name="litellm", mapping_path=path)
