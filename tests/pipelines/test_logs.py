"""What is told on stderr: sentences for people, JSON lines for machines, and nothing from inside a record."""

from __future__ import annotations

import io
import json
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest
import typer

from tollbook import cli
from tollbook.cli.options import telling
from tollbook.errors import LakeLockedError, MisuseError
from tollbook.logs import WARNING, JsonLog, Notice
from tollbook.settings import LOG_FORMAT_VARIABLE, chosen_log_format

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what stderr holds, every line of it as an object."""
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_a_notice_is_its_sentence_to_people() -> None:
    """What takes sentences takes notices: lists of tests, progress, the demo."""
    notice = Notice("commit 7: 10 read", event="commit", commit=7)
    assert notice == "commit 7: 10 read"
    assert f"{notice}!" == "commit 7: 10 read!"
    with pytest.raises(ValueError, match="names of facts"):
        Notice("a", event="b", time=1)


def test_a_line_has_the_time_the_event_and_the_facts() -> None:
    """Fields that alerts rest on, in the order that people read."""
    stream = io.StringIO()
    log = JsonLog(stream, lambda: NOON)
    log(Notice("commit 7: 10 read", event="commit", commit=7, offsets={"llm.usage": {"0": 10}}))
    log("a sentence with a \n break and Zürich")
    assert stream.getvalue() == (
        '{"time": "2026-06-01T12:00:00.000Z", "level": "info", "event": "commit", "message": "commit 7: 10 read", '
        '"commit": 7, "offsets": {"llm.usage": {"0": 10}}}\n'
        '{"time": "2026-06-01T12:00:00.000Z", "level": "info", "event": "note", '
        '"message": "a sentence with a \\n break and Zürich"}\n'
    )


def test_a_signal_that_comes_while_a_line_is_written_tells_after_it() -> None:
    """A handler interrupts the thread that writes, and would wait for it for ever."""

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if '"event": "commit"' in text:
                log(Notice("stopping after the commit under way", event="stopping"))
            return super().write(text)

    stream = Interrupted()
    log = JsonLog(stream)
    writer = Thread(target=log, args=(Notice("commit 7: 10 read", event="commit", commit=7),), daemon=True)
    writer.start()
    writer.join(timeout=300)
    assert not writer.is_alive()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["commit", "stopping"]


def test_lines_of_several_threads_are_whole_and_none_is_lost() -> None:
    """Who finds another at work leaves the line to it."""
    stream = io.StringIO()
    log = JsonLog(stream)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: log(Notice("told", event="note", number=number)), range(2_000)))
    assert sorted(json.loads(line)["number"] for line in stream.getvalue().splitlines()) == list(range(2_000))


def test_people_get_sentences_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The human format stays what it was."""
    with telling(None) as tell:
        tell(Notice("commit 7: 10 read", event="commit", commit=7))
    assert capsys.readouterr().err == "commit 7: 10 read\n"


def test_an_error_of_ours_is_a_line_and_keeps_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Schedulers read the code, log collectors the line."""
    with pytest.raises(typer.Exit) as stopped, telling("json"):
        raise LakeLockedError("expected to be the only one to meter")
    assert stopped.value.exit_code == 1
    with pytest.raises(typer.Exit) as misused, telling("json"):
        raise MisuseError("expected another option")
    assert misused.value.exit_code == 2
    told = [(line["level"], line["event"], line["error"], line["message"]) for line in lines(capsys)]
    assert told == [
        ("error", "error", "LakeLockedError", "expected to be the only one to meter"),
        ("error", "error", "MisuseError", "expected another option"),
    ]


def test_a_fault_names_its_place_and_never_what_it_failed_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A library quotes the value that it cannot read, which may be a prompt."""
    with pytest.raises(typer.Exit) as stopped, telling("json"):
        pa.array(["my secret prompt"]).cast(pa.int64())
    assert stopped.value.exit_code == 1
    err = capsys.readouterr().err
    (line,) = [json.loads(each) for each in err.splitlines()]
    assert (line["event"], line["error"]) == ("fault", "ArrowInvalid")
    assert any(frame.startswith("test_logs.py:") for frame in line["at"])
    assert "secret" not in err


def test_ctrl_c_is_a_line_and_keeps_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but lines, to the last."""
    with pytest.raises(SystemExit) as stopped, telling("json"):
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert [(line["event"], line["level"]) for line in lines(capsys)] == [("interrupted", WARNING)]


def test_what_libraries_warn_of_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A collector that meets half a line of text drops it, or stops."""
    with telling("json"):
        logging.getLogger("somebody.else").warning("first %s\nsecond", "line")
        logging.getLogger("somebody.else").info("not told")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", stacklevel=1)
    first, second = lines(capsys)
    assert (first["event"], first["logger"], first["message"]) == ("library", "somebody.else", "first line")
    assert (second["event"], second["logger"]) == ("library", "py.warnings")
    handlers = [handler for handler in logging.getLogger().handlers if "Library" in type(handler).__name__]
    assert handlers == []


def test_the_format_comes_from_the_flag_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every setting does; a typo is misuse and says where it stands."""
    assert chosen_log_format(None) == "text"
    monkeypatch.setenv(LOG_FORMAT_VARIABLE, "json")
    assert (chosen_log_format(None), chosen_log_format("text")) == ("json", "text")
    with pytest.raises(MisuseError, match="--log-format to be one of text, json, got 'xml'"):
        chosen_log_format("xml")
    monkeypatch.setenv(LOG_FORMAT_VARIABLE, "logfmt")
    with pytest.raises(MisuseError, match="TOLLBOOK_LOG_FORMAT"):
        chosen_log_format(None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["warehouse", "build"], "expected a lake at"),
        (["meter", "--until-caught-up", "--metrics-address", "0"], "expected --metrics-address with --follow"),
        (["meter", "--follow", "--metrics-address", "host"], "expected a metrics address as HOST:PORT or PORT"),
    ],
    ids=["build", "metrics without follow", "no address"],
)
def test_misuse_of_a_command_is_a_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    """From the first moment on, stderr holds nothing else."""
    home = ["--home", str(tmp_path), "--log-format", "json"]
    assert cli.main([*arguments, *home]) == 2
    (line,) = lines(capsys)
    assert (line["error"], line["exit_code"]) == ("MisuseError", 2)
    assert expected in line["message"]
