"""Putting overlays into use: superseded, never edited."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tollbook.errors import ReferenceDataError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.sources import loading
from tollbook.rating.sources.compose import compose
from tollbook.rating.sources.loading import LoadedOverlay, load_overlay

NOW = datetime(2026, 7, 1, tzinfo=UTC)
BASE = Catalogue.from_rows(
    [
        Price("p", "m", {"input_tokens": 4, "output_tokens": 8}),
        Price("p", "m", {"input_tokens": 6, "output_tokens": 8}, above_input_tokens=200_000),
    ],
    version="v",
)
HEAD = "price_overlay: 1\nname: own\nentries:\n"
JUNE = """\
  - entry_id: june
    provider: p
    model: m
    rates: {output_tokens: "2.50"}
    known_from: 2026-06-01T00:00:00Z
    source: s
"""
LATER = JUNE.replace("june", "later").replace("06-01", "06-15").replace("2.50", "2.00")


def load(tmp_path: Path, text: str) -> LoadedOverlay:
    """Put an overlay into use, from a file beside the folder of those in use."""
    (tmp_path / "new.yml").write_text(text)
    return load_overlay(tmp_path / "new.yml", tmp_path / "prices", BASE, now=NOW)


def refused(tmp_path: Path, text: str) -> list[str]:
    """Return why an overlay is not taken, after checking that what was in use still is."""
    before = {path: path.read_bytes() for path in (tmp_path / "prices").glob("[!.]*")}
    with pytest.raises(ReferenceDataError) as caught:
        load(tmp_path, text)
    assert {path: path.read_bytes() for path in (tmp_path / "prices").glob("[!.]*")} == before
    return [str(fault).removeprefix(f"{tmp_path}/new.yml:") for fault in caught.value.faults]


def test_an_overlay_is_put_into_use_under_its_name(tmp_path: Path) -> None:
    """Loading it again, with one entry more, replaces the file and tells what is new."""
    first = load(tmp_path, HEAD + JUNE)
    assert (first.path, first.new, first.notices) == (tmp_path / "prices" / "own.yml", ("june",), ())
    second = load(tmp_path, HEAD + JUNE + LATER)
    assert (second.new, second.version == first.version) == (("later",), False)
    assert [path.name for path in (tmp_path / "prices").glob("[!.]*")] == ["own.yml"]


def test_stale_prices_are_superseded_and_no_entry_in_use_is_ever_edited_or_dropped(tmp_path: Path) -> None:
    """Elsewhere a price was edited in place and history was repriced by it (litellm#31868, #40360)."""
    load(tmp_path, HEAD + JUNE + LATER)
    assert refused(tmp_path, HEAD + JUNE.replace("2.50", "3.00") + LATER) == [
        "4: june: expected the entry as it is in use: it is superseded by a later one, never edited"
    ]
    assert refused(tmp_path, HEAD + LATER) == [
        "1: june: expected every entry in use to stay: it is superseded by a later one, or withdrawn, never dropped"
    ]
    # The same in another order, with other spaces and a comment, is the same.
    load(tmp_path, "# ours\n" + HEAD + LATER + JUNE.replace('{output_tokens: "2.50"}', '{ output_tokens: "2.50" }'))


def test_nobody_knows_of_the_future(tmp_path: Path) -> None:
    """A price of next month may be known today; that it is known next month cannot be."""
    assert refused(tmp_path, HEAD + JUNE.replace("2026-06-01", "2026-08-01")) == [
        "4: june/known_from: expected known_from not after now, 2026-07-01T00:00:00Z, got 2026-08-01T00:00:00Z"
    ]


def test_a_name_that_nothing_answers_to_is_refused(tmp_path: Path) -> None:
    """A misspelt pattern guards nothing."""
    assert refused(tmp_path, HEAD + JUNE.replace("model: m", 'models: ["mm*"]')) == [
        "4: june: expected a model of p that 'mm*' stands for, found none"
    ]


def test_entries_that_contradict_another_overlay_are_refused(tmp_path: Path) -> None:
    """Two files may tell of one model, but not of one rate of it from one knowledge time."""
    load(tmp_path, HEAD + JUNE)
    with pytest.raises(
        ReferenceDataError, match=r"new\.yml:4: .* p m, .* second:june and own:june .*prices/own\.yml:4"
    ):
        load(tmp_path, HEAD.replace("own", "second") + JUNE)
    assert [path.name for path in (tmp_path / "prices").glob("[!.]*")] == ["own.yml"]


def test_a_rate_that_loses_its_tier_is_told(tmp_path: Path) -> None:
    """A rate is replaced whole; whoever forgot the tier for long requests hears of it."""
    loaded = load(tmp_path, HEAD + JUNE.replace("output", "input"))
    assert loaded.notices == (
        (
            "own:june: input_tokens of m now also hold above 200,000 input tokens; "
            "above_input_tokens would tell them apart"
        ),
    )


def test_an_overlay_that_waits_for_another_keeps_what_that_one_put_into_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people load at once: the later one checked against what was there before, and dropped the earlier entries."""
    (tmp_path / "one.yml").write_text(HEAD + JUNE)
    (tmp_path / "two.yml").write_text(HEAD + LATER)
    begun, outcomes = threading.Event(), []

    def slow(*told: Any, **more: Any) -> Catalogue:
        if not begun.is_set():
            begun.set()
            other.join(0.5)
        return compose(*told, **more)

    def load_other() -> None:
        begun.wait()
        try:
            load_overlay(tmp_path / "two.yml", tmp_path / "prices", BASE, now=NOW)
        except ReferenceDataError as refusal:
            outcomes.append(refusal.message)

    monkeypatch.setattr(loading, "compose", slow)
    other = threading.Thread(target=load_other)
    other.start()
    load_overlay(tmp_path / "one.yml", tmp_path / "prices", BASE, now=NOW)
    other.join()
    assert [path.read_text() for path in (tmp_path / "prices").glob("*.yml")] == [HEAD + JUNE]
    assert "june: expected every entry in use to stay" in outcomes[0]


def test_what_was_checked_is_what_is_put_into_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may be saved again between the check and the copy, with a price that nobody checked."""

    def edited_meanwhile(*told: Any, **more: Any) -> Catalogue:
        (tmp_path / "new.yml").write_text(HEAD + JUNE.replace("2.50", "-1"))
        return compose(*told, **more)

    monkeypatch.setattr(loading, "compose", edited_meanwhile)
    loaded = load(tmp_path, HEAD + JUNE)
    assert loaded.path.read_text() == HEAD + JUNE
