"""Statements on paper: what HTML and PDF show, and what they never do."""

from __future__ import annotations

import re
import zlib
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from tollbook.exports.html import html_bytes
from tollbook.exports.pdf import pdf_bytes
from tollbook.exports.printed import Document, printed_tables

D = Decimal
HEADINGS = {"workflow": "Workflow", "model": "Model", "calls": "Calls", "amount": "Charged"}
NUMBERS = frozenset({"calls", "amount"})
VOID = {"meta"}


class Page(HTMLParser):
    """An HTML page as it is read: the tags that are open, the cells, and every tag that was there."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells[-1] += data


def row(workflow: str, amount: str | None, *, currency: str = "USD", model: str | None = "gpt-5") -> dict[str, Any]:
    """Return a row of one thousand calls."""
    told = None if amount is None else D(amount)
    return {"workflow": workflow, "model": model, "calls": 1000, "amount": told, "currency": currency}


def document(*rows: dict[str, Any], title: str = "AI costs of search") -> Document:
    """Return rows as a document."""
    return Document(title, "Billing period 2026-06", printed_tables(rows, HEADINGS, NUMBERS, "currency"), ("A note.",))


def pages(pdf: bytes) -> list[str]:
    """Return the text of each page of a PDF, as it is drawn."""
    streams = re.findall(rb"/Filter /FlateDecode >>\nstream\n(.*?)\nendstream", pdf, re.DOTALL)
    drawn = [zlib.decompressobj().decompress(stream).decode("latin-1") for stream in streams]
    return [" ".join(re.findall(r"\(((?:[^()\\]|\\.)*)\) Tj", each)) for each in drawn]


def test_each_currency_has_a_table_and_its_sum() -> None:
    """1,234.50 and 0.50 are 1,235.00 dollars; yen stand apart, and what is unknown is no zero."""
    dollars, yen = document(row("a", "1234.50"), row("b", "0.50", model=None), row("a", None, currency="JPY")).tables

    assert dollars.rows == [("a", "gpt-5", "1,000", "1,234.50"), ("b", "", "1,000", "0.50")]
    assert dollars.total == ("Total", "", "2,000", "1,235.00")
    assert (yen.currency, yen.rows, yen.total) == ("JPY", [("a", "gpt-5", "1,000", "–")], ("Total", "", "1,000", "–"))


def test_html_shows_names_as_they_are_and_runs_nothing() -> None:
    """Teams are named by events: markup in a name is text, and the page has no script, form, image or address."""
    evil = '<script>alert(1)</script> & "co"'
    page = html_bytes(document(row(evil, "1.00"), title=f"AI costs of {evil}"))
    read = Page(page)

    assert read.open == []
    assert evil in read.cells
    assert read.tags <= {
        *("html", "head", "meta", "title", "style", "body", "header", "h1", "p", "section", "h2", "div"),
        *("table", "thead", "tbody", "tfoot", "tr", "th", "td", "footer"),
    }
    assert not {name for name in read.attributes if name.startswith("on") or name in {"href", "src"}}
    assert b"url(" not in page
    assert b"default-src 'none'" in page


def test_html_is_light_dark_and_made_for_paper() -> None:
    """Headings repeat on each printed page, rows stay whole, and each currency begins a page."""
    page = html_bytes(document(row("a", "1.00"))).decode()

    assert "prefers-color-scheme: dark" in page
    for rule in (
        "thead { display: table-header-group; }",
        "break-inside: avoid",
        "section + section { break-before: page; }",
    ):
        assert rule in page


def test_a_page_breaks_names_between_their_words() -> None:
    """A kind of charge is read at a glance: `prepaid_drawdown` breaks after its underscore, never within a word."""
    page = html_bytes(document(row("prepaid_drawdown", "1.00"))).decode()
    assert ">prepaid_<wbr>drawdown</td>" in page
    assert "overflow-wrap: anywhere" not in page.split("td {", 1)[1]


def test_a_long_pdf_repeats_its_heading_and_loses_no_row() -> None:
    """120 rows take several pages; each has the heading and its number, and the sum stands at the end."""
    told = pages(pdf_bytes(document(*(row(f"workflow-{number}", "1.00") for number in range(120)))))

    assert len(told) > 3
    for number, page in enumerate(told, 1):
        assert f"Page {number}" in page
        assert "Workflow Model Calls Charged" in page
    assert sorted(int(each) for page in told for each in re.findall(r"workflow-(\d+)", page)) == list(range(120))
    assert "Total  120,000 120.00 A note." in told[-1]


def test_a_pdf_is_the_same_bytes_each_time() -> None:
    """So that a second export is `unchanged`."""
    assert pdf_bytes(document(row("a", "1.00"))) == pdf_bytes(document(row("a", "1.00")))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Grüße", r"Gr\374\337e"),
        ("東", "[U+6771]"),
        (r"(a\b)", r"\050a\134b\051"),
        ("a\nb", "a b"),
    ],
)
def test_names_in_a_pdf_break_nothing(name: str, shown: str) -> None:
    """Letters of Windows-1252 by their code, others by their number, and what means something to PDF escaped."""
    (page,) = pages(pdf_bytes(document(row(name, "1.00"))))

    assert shown in page


def test_a_name_without_blanks_is_broken_and_whole() -> None:
    """300 letters do not run over the next column."""
    (page,) = pages(pdf_bytes(document(row("x" * 300, "1.00"))))

    assert page.count("x") == 300
    assert max(len(each) for each in re.findall("x+", page)) < 200


def test_short_columns_keep_their_words_beside_a_long_one() -> None:
    """A name of 300 letters takes no room from the model beside it, and is broken behind its hyphens."""
    (page,) = pages(pdf_bytes(document(row("long-" * 60, "1.00", model="claude-sonnet-4-5"))))

    assert " claude-sonnet-4-5 " in page
    assert {each[-1] for each in re.findall(r"\S*long-\S*", page)} == {"-"}
