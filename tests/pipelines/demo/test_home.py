"""The demo keeps out of a book that is someone's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tollbook.broker import Broker
from tollbook.demo import home as demo_home
from tollbook.demo.home import DemoFiles, read_truth, refuse_a_book, refuse_added_events, refuse_another_demo
from tollbook.demo.run import run_demo
from tollbook.demo.steps import Steps
from tollbook.errors import MisuseError
from tollbook.settings import Settings

TRUTH: dict[str, Any] = {"simulation": {"events": 5, "seed": 1}, "events": 5}


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Return an empty home."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def with_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every lake have commits."""
    monkeypatch.setattr(demo_home, "newest_commit", lambda _lake: 3)


def test_an_empty_home_is_the_demos(home: Settings) -> None:
    """Nothing is there that could be lost."""
    assert read_truth(DemoFiles.of(home)) is None
    refuse_a_book(home)


@pytest.mark.usefixtures("with_commits")
def test_a_home_with_a_book_is_refused_before_anything_is_started(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made-up usage in a real book could only be taken out by hand."""

    def start(*_: object) -> None:
        raise AssertionError("it started the broker")

    monkeypatch.setattr(Broker, "up", start)

    with pytest.raises(MisuseError, match=r"found a book in .*tollbook demo --home FOLDER"):
        run_demo(home, events=5, seed=1, steps=Steps())
    assert not home.home.exists()


def test_a_home_with_owner_rules_of_its_own_is_refused(home: Settings) -> None:
    """The demo would write its rules over them."""
    home.owners.parent.mkdir(parents=True)
    home.owners.write_text("rules: []\n", encoding="utf-8")

    with pytest.raises(MisuseError, match="expected an empty home"):
        refuse_a_book(home)


def test_a_topic_with_records_is_someones_book(home: Settings) -> None:
    """They were sent and not yet metered."""
    with pytest.raises(MisuseError, match="expected an empty home"):
        refuse_a_book(home, sent=1)


def test_the_home_of_the_same_demo_is_taken_again_and_of_another_is_not(home: Settings) -> None:
    """Also a simulator that came to other events by the same seed makes another demo."""
    other = TRUTH | {"events": 6}
    refuse_another_demo(home, TRUTH, dict(TRUTH), sent=7)
    refuse_another_demo(home, TRUTH, other, sent=0)
    with pytest.raises(MisuseError, match="found one with --events 5 --seed 1"):
        refuse_another_demo(home, TRUTH, other, sent=7)


def test_a_demo_into_which_more_was_sent_is_refused(home: Settings) -> None:
    """Its totals can no longer be those of the simulation."""
    refuse_added_events(home, simulated=5, published=5)
    refuse_added_events(home, simulated=5, published=3)  # interrupted before everything was sent
    with pytest.raises(MisuseError, match="other events were sent since"):
        refuse_added_events(home, simulated=5, published=6)


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_a_truth_file_that_is_none_is_of_no_simulation(home: Settings, text: str) -> None:
    """It matches none, so the home is refused rather than used."""
    files = DemoFiles.of(home)
    files.truth.parent.mkdir(parents=True)
    files.truth.write_text(text, encoding="utf-8")

    assert read_truth(files) == {}
    files.truth.write_text(json.dumps(TRUTH), encoding="utf-8")
    assert read_truth(files) == TRUTH
