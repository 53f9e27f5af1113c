"""`tollbook rejects` on the command line: bounded, harmless to a terminal, and exact in JSON."""

from __future__ import annotations

import base64
import json

import pytest
from tests.pipelines.deadletters.conftest import DeadLetters, event

from tollbook import cli
from tollbook.deadletters.shown import harmless, harmless_bytes

CLEAR = b"\x1b[2J\x1b]0;owned\x07\xc2\x9b31m\xe2\x80\xae{not json"
"""Clears the screen, renames the window, colours by a one-byte escape and turns the line around."""


def _run(letters: DeadLetters, capsys: pytest.CaptureFixture[str], *words: str, expect: int = 0) -> str:
    home = ["--home", str(letters.settings.home)]
    servers = ["--bootstrap-servers", str(letters.settings.bootstrap_servers)] if words[0] == "replay" else []
    assert cli.main(["rejects", *words, *home, *servers]) == expect
    return capsys.readouterr().out


def test_from_the_list_to_the_record_that_counts(letters: DeadLetters, capsys: pytest.CaptureFixture[str]) -> None:
    """The way of an operator, by the words of the runbook."""
    for n in range(5):
        letters.send(event(str(n), occurred_at="2031-01-01T00:00:00Z"))
    letters.send(CLEAR)
    letters.meter()

    listed = _run(letters, capsys, "list", "--limit", "2")
    assert "5        time_out_of_range" in listed
    assert "and 4 more" in listed
    told = json.loads(_run(letters, capsys, "list", "--limit", "2", "--json", "--reason", "time_out_of_range"))
    assert (told["rejects"], len(told["listed"]), told["not_listed"]) == (5, 2, 3)
    assert told["by_reason"][0]["reason"] == "time_out_of_range"

    mend = ["--set", "occurred_at=2026-06-01T10:00:00Z"]
    dry = json.loads(_run(letters, capsys, "replay", *mend, "--dry-run", "--json", expect=1))
    assert (dry["rejects"], dry["replayed"], dry["by_topic"]) == (6, 5, {letters.topic: 5})
    assert (dry["refused"][0]["code"], dry["refused"][0]["examples"]) == ("not_native", [f"{letters.topic}:0:5"])
    assert "5" in _run(letters, capsys, "replay", *mend, "--reason", "time_out_of_range")
    _run(letters, capsys, "dismiss", f"{letters.topic}:0:5", "--note", "a test")
    assert json.loads(_run(letters, capsys, "list", "--json"))["rejects"] == 0
    assert letters.meter().accepted == 5


def test_what_a_sender_wrote_does_nothing_to_a_terminal(
    letters: DeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dead letter may be an attack on whoever opens it; its bytes are in the JSON as they came."""
    letters.send(CLEAR, key=b"\x1b[31mkey", headers=[("team", b"\x1b[1m")])
    letters.meter()
    reject_id = f"{letters.topic}:0:0"

    for words in (["list"], ["show", reject_id], ["list", "--json"], ["show", reject_id, "--json"]):
        shown = _run(letters, capsys, *words)
        assert [each for each in shown if not each.isprintable() and each != "\n"] == []
        assert "owned" not in shown or "\\x1b]0;owned\\x07" in shown
    document = json.loads(_run(letters, capsys, "show", reject_id, "--json"))
    assert base64.b64decode(document["value_base64"]) == CLEAR
    assert base64.b64decode(document["record_key_base64"]) == b"\x1b[31mkey"
    assert (document["reason"], document["value_state"]) == ("invalid_json", "unparsed")


def test_show_says_why_where_and_what_is_kept(letters: DeadLetters, capsys: pytest.CaptureFixture[str]) -> None:
    """Reason, field, expected, got, place and value are what a mend needs."""
    letters.send(event("a", input_tokens=-1, prompt="the launch is on Tuesday"))
    letters.meter()
    shown = _run(letters, capsys, "show", f"{letters.topic}:0:0")
    for part in ("out_of_range", "input_tokens", "-1", "scrubbed: what is left", '"event_id":"a"', "offset          0"):
        assert part in shown
    assert "Tuesday" not in shown
    for file in (letters.settings.lake / "unparsed").rglob("*.parquet"):
        file.unlink()
    _run(letters, capsys, "show", f"{letters.topic}:0:77", expect=2)


def test_texts_and_bytes_are_shown_with_codes_for_what_does_not_print() -> None:
    """Also half of a surrogate pair, and bytes that are no text."""
    assert harmless("a\x1b[0m\u202e\ud800\n") == "a\\x1b[0m\\u202e\\ud800\\n"
    assert harmless_bytes(b"\xff\x00ok") == "\\xff\\x00ok"
    assert harmless_bytes(b"x" * 10, limit=4) == "xxxx ... and 6 more bytes"


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--since", "yesterday"],
        ["list", "--reason", "bad"],
        ["replay", "--set", "occurred_at"],
        ["dismiss", "--note", "x"],
    ],
)
def test_misuse_is_told_apart(letters: DeadLetters, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Exit 2 is misuse, and nothing is changed."""
    letters.settings.lake.mkdir(parents=True)
    _run(letters, capsys, *words, expect=2)
