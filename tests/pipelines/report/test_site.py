"""The report site as it is written: what pages hold, what they say, and that they reach for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.report import site_rows
from tests.pipelines.report.site_rows import OCTOBER, SEPTEMBER, drive

from tollbook.cli import main
from tollbook.errors import OutdatedPublicationError
from tollbook.insight.effects import EFFECTS
from tollbook.report import chrome
from tollbook.report.site import questions, words
from tollbook.report.site.contents import PAGES
from tollbook.report.site.embedded import embedded, pico, read_book
from tollbook.report.site.pages import rendered
from tollbook.report.site.write import write_site

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _small_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave plotly out, whose megabytes tell nothing here; tests in the browser have pages with it."""
    monkeypatch.setattr(chrome, "_plotly", lambda: "window.Plotly = {};")


@pytest.fixture
def explained(book: Book) -> Book:
    """Return the small book of `site_rows`."""
    return site_rows.explain(book)


def records(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table that a page holds, by name of their fields."""
    return [dict(zip(table["fields"], row, strict=True)) for row in table["rows"]]


@given(st.integers(-(10**30), 10**30))
def test_an_amount_is_embedded_with_every_digit(amount: int) -> None:
    """Whatever its size: the page adds what the book has, not what a float makes of it."""
    sign, digits = ("-" if amount < 0 else ""), f"{abs(amount):013}"

    assert pico(Decimal(f"{sign}{digits[:-12]}.{digits[-12:]}")) == str(amount)


def test_rows_number_their_names_and_hold_amounts_as_text() -> None:
    """Unknown stays unknown, and a count is no amount."""
    rows = [(date(2026, 9, 1), "search", Decimal("1.5"), 3), (date(2026, 9, 1), "legal", None, 0)]
    numbers: dict[str, dict[Any, int]] = {
        "periods": {date(2026, 9, 1): 0},
        "teams": {"legal": 0, "search": 1},
        "workflows": {},
    }

    assert embedded(["period", "team", "cost", "calls"], rows, numbers) == {
        "fields": ["period", "team", "cost", "calls"],
        "amounts": ["cost"],
        "rows": [[0, 1, "1500000000000", 3], [0, 0, None, 0]],
    }


def test_pages_hold_the_sums_of_the_book(explained: Book) -> None:
    """Calls without a task count as one each; a task counts once though two kinds of cohorts tell of it."""
    read = read_book(explained.publish())

    assert [(each.start, each.is_over) for each in read.periods] == [
        *((SEPTEMBER, True), (OCTOBER, True), (date(2026, 11, 1), False)),
    ]
    drivers = records(read.tables["drivers"])
    assert [each["cost"] for each in drivers if each["period"] == 0] == [
        *("10000000000000", "9007199254740993000001"),
    ]
    assert [each["tasks"] for each in drivers if each["period"] == 0] == [15, 10]
    cohorts = records(read.tables["cohorts"])
    assert sum(each["tasks"] for each in cohorts) == 3
    assert [each["priced_succeeded_tasks"] for each in cohorts] == [0, 1]
    agents = {each["agent"]: each["inclusive_cost"] for each in records(read.tables["agents"])}
    assert agents == {"main": "4000000000000", "helper": "3000000000000"}
    branches = {tuple(each["path"]): each["cost"] for each in records(read.tables["branches"])}
    assert branches == {
        ("main",): "1000000000000",
        ("main", "helper"): "2500000000000",
        ("main", "helper", "main"): "500000000000",
    }


def test_teams_that_only_a_forecast_tells_of_have_names(explained: Book) -> None:
    """A scenario may assume a team that has used nothing, and a team may be too young to be in any bill."""
    read = read_book(explained.publish())

    assert read.teams == ("legal", "new", "search", "tax")
    assert {team for team, _ in read.cells} == {"legal", "search"}
    assert read.names["months"] == ("Nov 2026", "Dec 2026")


def test_history_ends_with_the_last_complete_day_and_its_weeks_are_whole(explained: Book) -> None:
    """The week to 31 October has 4 and 1 USD, the one before 3; what came on 1 November is not known to a forecast."""
    read = read_book(explained.publish())
    history = records(read.tables["history"])
    search, legal = (read.teams.index(team) for team in ("search", "legal"))

    assert {(each["label"], each["team"]): each["cost"] for each in history if each["span"] == "month"} == {
        ("Sep 2026", search): pico(Decimal(20)),
        ("Sep 2026", legal): pico(Decimal(2)),
        ("Oct 2026", search): pico(Decimal(30)),
        ("Oct 2026", legal): pico(Decimal(1)),
    }
    weeks = {(each["label"], each["team"]): each["cost"] for each in history if each["span"] == "week"}
    assert {key: weeks[key] for key in weeks if key[0] in {"24 Oct 2026", "31 Oct 2026"}} == {
        ("24 Oct 2026", search): pico(Decimal(3)),
        ("31 Oct 2026", search): pico(Decimal(4)),
        ("31 Oct 2026", legal): pico(Decimal(1)),
    }
    # Nine whole weeks go back to 30 August, so the first begins before 1 September and is left out.
    assert min(each["starts"] for each in history if each["span"] == "week") >= "2026-09-01"


def test_percentiles_are_there_for_every_choice(explained: Book) -> None:
    """They cannot be added: tasks of 0.5, 1 and 3 USD have a median of 1, search's alone one of 1 too, legal's 0.5."""
    read = read_book(explained.publish())
    found = records(read.tables["percentiles"])
    legal, search = (read.teams.index(team) for team in ("legal", "search"))
    medians = {(each["period"], each["team"], each["workflow"]): each["p50"] for each in found}

    one, half = "1000000000000", "500000000000"
    assert medians[None, None, None] == one
    assert medians[1, None, None] == medians[None, search, None] == medians[1, search, 0] == one
    assert medians[0, None, None] == medians[None, legal, 1] == half
    assert (0, search, None) not in medians


def test_of_many_workflows_the_dearest_have_names_and_none_is_lost(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five workflows of 1 to 5 USD with room for two names: 5 and 4 stand, 3 + 2 + 1 are summed."""
    monkeypatch.setattr(
        questions,
        "PREPARATION",
        [each.replace(f"<= {questions.MOST_WORKFLOWS}", "<= 2") for each in questions.PREPARATION],
    )
    book._add_period(OCTOBER, date(2026, 11, 1))
    for cost in range(1, 6):
        drive(book, OCTOBER, ("search", f"workflow-{cost}"), str(cost))
    read = read_book(book.publish())

    named = [workflow for _, workflow in read.cells]
    assert named == [questions.OTHER_WORKFLOWS, "workflow-4", "workflow-5"]
    assert [each["cost"] for each in records(read.tables["drivers"])] == [
        *("6000000000000", "4000000000000", "5000000000000"),
    ]


def test_every_effect_purpose_rule_and_reason_has_words() -> None:
    """A new one must not come to the page without a name; the fixed order is that of the bridge."""
    assert tuple(words.EFFECTS) == EFFECTS
    assert {group for _, group, _ in words.EFFECTS.values()} == set(words.GROUPS)
    margins = (ROOT / "dbt_project/models/marts/insight/_margins__models.yml").read_text("utf-8")
    reasons = re.search(r"name: unknown_reason\n.*?\n.*?description: (.*)", margins)
    assert reasons is not None
    assert set(re.findall(r"`(\w+)`", reasons[1])) == set(words.REASONS)
    insight = ROOT / "dbt_project/models/marts/insight"
    of_columns = {"inference_paths", "break_even_tokens", "covered_hours"}
    for file, column, known in (
        ("_forecast__models.yml", "forecast_method", words.METHODS),
        ("_forecast__models.yml", "reason", words.FORECAST_REASONS),
        ("_unit_cost_paths__models.yml", "inference_path", words.PATHS),
        ("_unit_cost_paths__models.yml", "excluded_reason", words.EXCLUDED),
        ("_unit_cost_paths__models.yml", "cost_kind", words.COST_KINDS),
        ("_unit_cost_paths__models.yml", "break_even_reason", words.BREAK_EVEN),
        ("_unit_cost_paths__models.yml", "caveats", words.CAVEATS),
    ):
        told = re.search(rf"- name: {column}\n.*?\n.*?description: (.*)", (insight / file).read_text("utf-8"))
        assert told is not None, column
        assert set(re.findall(r"`(\w+)`", told[1])) - of_columns <= set(known), column
    contract = (ROOT / "dbt_project/models/marts/engineering/_engineering__models.yml").read_text("utf-8")
    purposes, rules = (re.search(rf"name: {name}\n.*?\n.*?description: (.*)", contract) for name in ("purpose", "rule"))
    assert purposes is not None
    assert rules is not None
    assert set(re.findall(r"`(\w+)`", purposes[1])) == set(words.PURPOSES)
    assert set(re.findall(r"`(\w+)`", rules[1])) - {"_by_tokens"} == set(words.RULES)


def test_the_site_opens_on_the_bridge_and_its_pages_link_to_each_other(explained: Book) -> None:
    """Each page tells which version it shows; none points to anything but the others."""
    settings = explained.publish()
    pages = write_site(settings, note="Made up & more")

    folder = settings.exports / "report"
    assert [path.name for path in pages] == [each.file for each in PAGES]
    assert next(iter(pages)) == folder / "index.html"
    assert sorted(folder.iterdir()) == sorted(pages)
    for path, size in pages.items():
        page = path.read_text("utf-8")
        assert path.stat().st_size == size
        body = page[page.index("<body>") : page.index('<script type="application/json"')]
        assert re.findall(r'href="([^"]+)"', body) == [each.file for each in PAGES]
        assert body.count("aria-current=page") == 1
        for told in (explained.version, "lake commit 42", "2026-11-01 06:30 UTC", "Made up &amp; more"):
            assert told in body


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file)
def test_the_browser_may_run_the_scripts_of_a_page_and_load_nothing(explained: Book, page: Any) -> None:
    """So that no name in an event can ever run, even if one were not escaped."""
    text = rendered(page, read_book(explained.publish()))

    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == " ".join(f"'sha256-{each}'" for each in hashes)
    assert not re.search(r"url\(|@import|https?:", "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL)))


def test_names_of_events_cannot_leave_the_data(book: Book) -> None:
    """They are only in the element of data, which holds no character that could end it."""
    hostile = "</script><svg onload=alert(1)><!--"
    book._add_period(OCTOBER, date(2026, 11, 1))
    drive(book, OCTOBER, (hostile, hostile), "1")
    text = rendered(PAGES[0], read_book(book.publish()))

    (data,) = re.findall(r'id="book">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data)["teams"] == [hostile]
    assert not re.search(r"[<>&]", data)
    assert "onload=alert" not in text.replace(data, "")


def test_the_command_tells_where_the_pages_are(explained: Book, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths on stdout, the one to open first; as JSON with their sizes."""
    settings = explained.publish()
    expected = [str(settings.exports / "report" / each.file) for each in PAGES]

    assert main(["report", "--home", str(settings.home)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == expected
    assert err == f"Open {expected[0]} in a browser\n"
    assert main(["report", "--home", str(settings.home), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["path"] for each in told] == expected
    assert [each["bytes"] for each in told] == [Path(path).stat().st_size for path in expected]


def test_without_a_published_file_there_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to run, and makes no folder."""
    code = main(["report", "--home", str(tmp_path)])

    assert code == 2
    assert "run `tollbook warehouse build`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_published_file_of_an_older_version_says_what_it_lacks(explained: Book) -> None:
    """A build makes what it lacks: a column, or a table."""
    settings = explained.publish()
    for lack, told in (
        ("alter table insight.fct_customer_concentration drop column lorenz_shares", "lorenz_shares"),
        ("drop table insight.fct_price_volume_mix", "fct_price_volume_mix"),
    ):
        with duckdb.connect((settings.serve / "tollbook.duckdb").resolve()) as file:
            file.execute(lack)
        with pytest.raises(OutdatedPublicationError, match=f"{told}.*tollbook warehouse build"):
            read_book(settings)


def test_a_book_of_nothing_has_pages(book: Book) -> None:
    """The first publish can come before the first event."""
    assert len(write_site(book.publish())) == len(PAGES)
