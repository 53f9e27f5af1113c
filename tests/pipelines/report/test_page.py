"""The page: it says what the book says, escapes whatever events say, and reaches for nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from plotly.offline import get_plotlyjs

from tollbook.report.charts import plotly_text
from tollbook.report.page import write_page

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

HOSTILE = (
    '<script>document.title="taken"</script>',
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "</script><svg onload=alert(1)>",
    "<!--<script>",
    "<a href='javascript:alert(1)'>team</a>",
    "%{x} &amp; ${y}",
    "\N{RIGHT-TO-LEFT OVERRIDE}maet",
    "n" * 1_000,
)


LIBRARY = get_plotlyjs()


class Parsed(HTMLParser):
    """A page taken apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Remember text and scripts."""
        if self._inside[-1:] == ["script"]:
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif self._inside[-1:] != ["style"]:
            self.text.append(data)

    @property
    def said(self) -> str:
        """What a reader reads, with single spaces."""
        return " ".join("".join(f"{text} " for text in self.text).replace("\N{NO-BREAK SPACE}", " ").split())

    @property
    def figures(self) -> dict[str, Any]:
        """The figures of the charts."""
        (found,) = [text for attributes, text in self.scripts if attributes.get("id") == "figures"]
        return dict(json.loads(found))


def written(book: Book, *, note: str | None = None) -> tuple[str, Parsed]:
    """Publish a book, write its page and return it, whole and taken apart."""
    settings = book.publish()
    path = settings.exports / "page.html"
    size = write_page(settings, path, note=note)
    page = path.read_text(encoding="utf-8")
    assert size == path.stat().st_size
    assert list(path.parent.iterdir()) == [path]
    return page, Parsed(page.replace(LIBRARY, ""))


def test_the_page_says_what_the_book_says(two_months: Book) -> None:
    """Bill, change, unpriced share, balance; from when to when, which version, and that costs are list costs."""
    page, parsed = written(two_months, note="Made up")

    assert page.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert "<title>AI usage and its cost, August to September 2026</title>" in page
    for words in (
        "Made up",
        "1 Aug 2026 to 3 Sep 2026",
        two_months.version,
        "list costs",
        "Bill, Sep 2026 (1–3) $6.00 +50 % on August",
        "Bill, all months $10.00",
        "Calls without a known price 29 % 2 of 7 calls",
        "Book balanced yes",
        "12 records read = 8 accepted + 2 duplicates + 2 rejected + 0 conflicts",
        "10.000000000001",
        "own-model home 2 2 500 k",
        "Failure 1 2.0 6.50 M $6.00 $6.00",
        "At least one call failed 1 2.0 6.50 M $6.00 $6.00",
    ):
        assert words in parsed.said, words


def test_headings_are_one_title_then_sections_then_parts(two_months: Book) -> None:
    """People who cannot see the page walk by its headings."""
    _, parsed = written(two_months)

    assert parsed.headings[0] == "h1"
    assert parsed.headings.count("h1") == 1
    assert parsed.headings[1] == "h2"
    charts = [attributes for tag, attributes in parsed.elements if (attributes.get("id") or "").startswith("chart-")]
    assert len(charts) == len(parsed.figures) == 7
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in charts)


def test_charts_draw_the_amounts_of_the_book(two_months: Book) -> None:
    """What is drawn and what is written come from the same decimals."""
    figures = written(two_months)[1].figures

    assert figures["bill"]["data"][0]["y"] == [4.0, 6.0]
    assert figures["price"]["data"][0]["text"] == ["$2.00", "$1.00"]
    assert figures["task-tokens"]["data"][0]["y"] == [1_000_000, 6_500_000]
    search, legal, totals = figures["teams"]["data"]
    assert (search["name"], search["y"], legal["y"]) == ("search", [1.0, 6.0], [3.0, None])
    assert totals["text"] == ["$4.00", "$6.00"]
    assert figures["days"]["data"][0]["y"][:2] == [1.0, None]


def test_nothing_on_the_page_points_to_a_network(two_months: Book) -> None:
    """It opens on a plane, and tells nobody that it was opened."""
    page, parsed = written(two_months)

    for tag, attributes in parsed.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster", "formaction", "background", "ping"):
            assert attributes.get(name) in (None, "data:,"), (tag, attributes)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_browser_may_run_our_scripts_and_load_nothing(two_months: Book) -> None:
    """So that no name in an event can ever run, even if one were not escaped."""
    page, parsed = written(two_months)

    (policy,) = [attributes["content"] for _, attributes in parsed.elements if attributes.get("http-equiv") is not None]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode("utf-8")).digest()).decode("ascii") for each in scripts]
    assert rules["script-src"] == " ".join(f"'sha256-{each}'" for each in hashes)
    assert len(scripts) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_events_call_themselves_is_text(book: Book, name: str) -> None:
    """A team's name is written by whoever has a key; it must not become markup, script or a link."""
    book.use("2026-08-01", "1.00", team="search")
    book.task("task", "2026-08-01 10:00:00+00", "1.00")
    plain = written(book)[1]
    book.rows.clear()
    book.use("2026-08-01", "1.00", team=name, workflow=name, model=name, providers=name)
    book.task(name, "2026-08-01 10:00:00+00", "1.00", team=name, workflow=name, outcome=name)
    page, parsed = written(book, note=name)

    known = {(tag, tuple(attributes)) for tag, attributes in plain.elements}
    added = [(tag, attributes) for tag, attributes in parsed.elements if (tag, tuple(attributes)) not in known]
    assert [tag for tag, _ in added if tag not in {"p", "i"}] == []
    assert name in "".join(parsed.text)
    (figures,) = re.findall(r'id="figures">(.*?)</script>', page, re.DOTALL)
    assert not re.search(r"[<>&]", figures)
    drawn = parsed.figures["teams"]["data"][0]["name"]
    assert "<" not in drawn
    assert drawn == plotly_text(name)


def test_chart_labels_are_short_and_turn_no_text_around() -> None:
    """Plotly shows some markup in texts, and a thousand letters would push the bars off the page."""
    assert plotly_text("<b>a</b> & b") == "&lt;b&gt;a&lt;/b&gt; &amp; b"
    assert plotly_text("a\u202eb\x00c") == "a\ufffdb\ufffdc"
    assert plotly_text("n" * 1_000) == "n" * 33 + "…"


def test_many_teams_become_six_and_the_others(book: Book) -> None:
    """Six colours can be told apart; the seventh to the ninth team are one grey part, and none is lost."""
    for number in range(9):
        book.use("2026-08-01", str(10 - number), team=f"team-{number}")
    series = written(book)[1].figures["teams"]["data"][:-1]

    assert [each["name"] for each in series] == [*(f"team-{number}" for number in range(6)), "3 others"]
    assert series[-1]["y"] == [2 + 3 + 4]


def test_a_book_of_nothing_is_a_page_that_says_so(book: Book) -> None:
    """The first publish can come before the first event."""
    _, parsed = written(book)

    assert "The book holds no calls yet." in parsed.said


def test_a_book_without_any_price_shows_no_cost(book: Book) -> None:
    """Own hardware only: calls and tokens are known, costs are not."""
    book.use("2026-08-01", None)
    book.use("2026-09-01", None)
    book.task("task", "2026-08-01 10:00:00+00", None)
    _, parsed = written(book)

    assert "Bill, Sep 2026 (1–1) unknown" in parsed.said
    assert "$" not in parsed.said
    assert parsed.figures["bill"]["data"][0]["y"] == [None, None]


def test_years_of_usage_stay_one_page(book: Book) -> None:
    """Thirty months and twenty teams."""
    for number in range(30):
        start = date(2024 + number // 12, number % 12 + 1, 1)
        for team in range(20):
            book.use(start.isoformat(), f"{Decimal(team) + 1}", team=f"team-{team:02}", tokens=10)
    page, parsed = written(book)

    assert len(page) < 7_000_000
    assert "January 2024 to June 2026" in parsed.said


def test_a_page_that_cannot_be_written_leaves_the_one_before(two_months: Book, tmp_path: Path) -> None:
    """Readers never meet half a page."""
    settings = two_months.publish()
    path = tmp_path / "page.html"
    write_page(settings, path)
    before = path.read_bytes()
    (settings.serve / "tollbook.duckdb").unlink()

    with pytest.raises(Exception, match="tollbook warehouse build"):
        write_page(settings, path)
    assert path.read_bytes() == before
