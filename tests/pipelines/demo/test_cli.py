"""`tollbook demo` as a command: what it prints and how it exits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tollbook import cli
from tollbook.cli import demo as command
from tollbook.demo import interrupts, run
from tollbook.demo.home import DemoFiles
from tollbook.demo.run import DemoOutcome
from tollbook.demo.truth import Comparison
from tollbook.report.facts import read_facts

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book


def let_it_find(book: Book, monkeypatch: pytest.MonkeyPatch, *differences: str) -> list[str]:
    """Let the demo find differences in a book; return the arguments of a call of it."""
    settings = book.publish()
    outcome = DemoOutcome(DemoFiles.of(settings), read_facts(settings), Comparison(36, differences))
    monkeypatch.setattr(run, "run_demo", lambda *_, **__: outcome)
    return ["demo", "--home", str(settings.home)]


def test_a_book_that_differs_from_the_truth_is_a_finding_that_says_what(
    two_months: Book, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo that shows wrong totals and exits well would be worse than none."""
    differences = [f"all events: {number} simulated, 0 in the book" for number in range(25)]

    assert cli.main(let_it_find(two_months, monkeypatch, *differences)) == 1
    captured = capsys.readouterr()
    assert "Chargeback by team" in captured.out
    assert "The book differs from what was simulated:\n  all events: 0 simulated, 0 in the book\n" in captured.err
    assert captured.err.endswith("  and 5 more\n")
    assert "Try next" not in captured.err


def test_what_to_try_next_names_the_home_unless_it_is_the_usual_one(
    two_months: Book, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is there to be pasted."""
    arguments = let_it_find(two_months, monkeypatch)
    assert cli.main(arguments) == 0
    assert f" warehouse status --home {arguments[-1]}" in capsys.readouterr().err

    monkeypatch.setenv("TOLLBOOK_HOME", arguments[-1])
    assert cli.main(["demo"]) == 0
    assert " warehouse status\n" in capsys.readouterr().err


def test_an_interrupt_is_told_and_the_process_ends_at_once(
    two_months: Book, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shells want 130."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def leave(code: int) -> None:
        raise SystemExit(code)

    arguments = let_it_find(two_months, monkeypatch)
    monkeypatch.setattr(run, "run_demo", interrupt)
    monkeypatch.setattr(os, "_exit", leave)

    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == interrupts.EXIT_INTERRUPTED
    assert capsys.readouterr().err.endswith("tollbook: interrupted\n")


def test_fewer_events_than_one_are_misuse() -> None:
    """An empty demo shows nothing."""
    assert cli.main(["demo", "--events", "0"]) == cli.EXIT_MISUSE
    assert command.DEFAULT_EVENTS > 0
