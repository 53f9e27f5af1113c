"""Progress: a line for each step, and nothing that a library says."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from tollbook.demo.steps import Steps, library_logs_in


def test_each_step_ends_in_a_line_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, where no script that reads the tables meets them; names in brackets are no markup."""
    steps = Steps()
    with steps.step("send") as step:
        step.now("[red]half[/red]")
        step.result = "5 records on [llm.usage]"
    steps.total()

    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line[6:] for line in captured.err.splitlines()] == [
        " s  send       5 records on [llm.usage]",
        " s  in all",
    ]


def test_a_step_that_fails_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A time behind its name would look like success."""
    with pytest.raises(ZeroDivisionError), Steps().step("meter"):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_what_libraries_log_is_kept_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would bury the progress, and it may be what explains a failure."""
    path = tmp_path / "demo" / "libraries.log"
    before = logging.getLogger().handlers[:]
    with library_logs_in(path):
        logging.getLogger("some.library").warning("part absent")
        logging.getLogger("some.library").info("part present")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old ways", DeprecationWarning, stacklevel=1)

    text = path.read_text(encoding="utf-8")
    assert "WARNING some.library: part absent" in text
    assert "part present" not in text
    assert "old ways" in text
    assert capsys.readouterr().err == ""
    assert logging.getLogger().handlers == before
