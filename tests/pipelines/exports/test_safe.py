"""Names and texts that events chose are harmless in file names, in CSV and in workbooks."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollbook.contracts import contract
from tollbook.exports.cells import safe_text, told_text
from tollbook.exports.file_names import safe_file_name
from tollbook.exports.tables import csv_bytes
from tollbook.exports.workbook import Sheet, workbook_bytes

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
FORMULAS = st.builds("".join, st.tuples(st.sampled_from(("", " ", "'")), st.sampled_from(STARTS), TEXTS))
ANY = TEXTS | FORMULAS
MADE_AT = datetime(2026, 7, 2, tzinfo=UTC)
SHEET = Sheet("Title", "Subtitle", {"team": "Team", "billing_currency": "Currency"}, "billing_currency")


@given(ANY)
@example("../../etc/passwd")
@example("..")
@example("")
@example("CON")
@example("a/b\\c:d\0e")
def test_a_file_name_leads_nowhere(name: str) -> None:
    """No path, no hidden file, no device, and short enough for any file system."""
    made = safe_file_name(name)

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= 51
    assert made not in {"con", "prn", "aux", "nul"}


@given(ANY, ANY)
@example("search", "Search")
@example("a b", "a-b")
def test_other_names_have_other_file_names(first: str, second: str) -> None:
    """Also where case does not count."""
    assert (safe_file_name(first) == safe_file_name(second)) == (first == second)


@given(ANY)
@example("=cmd|' /C calc'!A0")
@example("  =1+1")
@example("'=1")
@example("＝1+1")
def test_a_cell_is_no_formula_and_can_be_told_back(text: str) -> None:
    """The first character that is seen decides; nothing of the text is lost."""
    cell = safe_text(text)

    assert not cell.startswith(STARTS)
    assert not cell.lstrip().startswith(STARTS)
    assert told_text(cell) == text


@pytest.mark.parametrize("start", STARTS)
def test_each_start_of_a_formula_is_guarded(start: str) -> None:
    """OWASP's list, full-width forms included."""
    assert safe_text(f"{start}1") == f"'{start}1"


def total(team: str | None) -> dict[str, Any]:
    """Return a row of `statement_total/v1` of which only the team and the currency are told."""
    return dict.fromkeys(contract("statement_total").names) | {"team": team, "billing_currency": "USD"}


@given(ANY)
@example('a"b,c\r\nd')
@example("a\rb")
def test_csv_gives_back_what_was_written(text: str) -> None:
    """A reader of RFC 4180 sees one record, whatever the text holds."""
    written = csv_bytes(contract("statement_total"), [total(text)]).decode()
    header, row = csv.reader(io.StringIO(written, newline=""), strict=True)

    assert told_text(dict(zip(header, row, strict=True))["team"]) == text


def test_csv_tells_nothing_from_unknown() -> None:
    """An empty text is quoted, unknown is not."""
    rows = csv_bytes(contract("statement_total"), [total(""), total(None)]).decode().splitlines()

    assert [row.split(",")[1] for row in rows] == ["team", '""', ""]


@settings(max_examples=40)
@given(ANY)
@example('=HYPERLINK("http://evil.example", 1)')
@example("http://evil.example")
@example("mailto:a@evil.example")
@example("{=1}")
@example("12")
def test_a_workbook_holds_texts_as_texts(text: str) -> None:
    """No formula, no link, no number is made of a text, in a cell or in the heading."""
    sheet = Sheet(text, text, SHEET.columns, SHEET.currency)
    made = workbook_bytes(sheet, [{"team": text, "billing_currency": "USD"}], made_at=MADE_AT)
    with zipfile.ZipFile(io.BytesIO(made)) as book:
        page = book.read("xl/worksheets/sheet1.xml").decode()
        names = book.namelist()

    assert not re.search(r"<f[ >]|<hyperlink|t=\"str\"", page)
    assert not [name for name in names if "externalLink" in name or "sheet1.xml.rels" in name]
    # Every cell holds a text, but for empty ones, and the page is well formed whatever the text is.
    assert not [cell for cell in re.findall(r"<c [^>]*[^/]>", page) if 't="inlineStr"' not in cell]
    ET.fromstring(page)  # noqa: S314 - our own page


def test_a_workbook_shows_the_text_itself() -> None:
    """A cell of text needs no guard, so people see the name as it is."""
    made = workbook_bytes(SHEET, [{"team": "=1+1", "billing_currency": "USD"}], made_at=MADE_AT)
    with zipfile.ZipFile(io.BytesIO(made)) as book:
        texts = re.findall(r"<t[^>]*>(.*?)</t>", book.read("xl/worksheets/sheet1.xml").decode())

    assert "=1+1" in map(html.unescape, texts)


def test_a_workbook_has_formats_filter_and_totals_of_its_rows() -> None:
    """Two dollars and a yen: cents and none, a filter over three rows, a total for each currency beneath."""
    sheet = Sheet("Costs", "June", {**SHEET.columns, "amount": "Amount"}, SHEET.currency)
    rows = [
        {"team": team, "billing_currency": currency, "amount": Decimal(amount)}
        for team, currency, amount in (("a", "USD", "1.50"), ("b", "USD", "0.25"), ("c", "JPY", "150"))
    ]
    with zipfile.ZipFile(io.BytesIO(workbook_bytes(sheet, rows, made_at=MADE_AT))) as book:
        page, names = (book.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "workbook"))
        styles, properties = (book.read(name).decode() for name in ("xl/styles.xml", "docProps/core.xml"))

    last = chr(ord("A") + len(sheet.columns) - 1)
    assert f'<autoFilter ref="A4:{last}7"/>' in page
    assert f"Statement!$A$4:${last}$7<" in names
    assert f'<dimension ref="A1:{last}9"/>' in page
    values = dict(re.findall(rf'<c r="({last}[0-9]+)" s="[0-9]+"><v>([^<]*)</v>', page))
    assert values == {
        f"{last}{row}": told for row, told in zip(range(5, 10), ("1.50", "0.25", "150", "1.75", "150"), strict=True)
    }
    used = dict(re.findall(rf'<c r="({last}[0-9]+)" s="([0-9]+)"', page))
    assert used[f"{last}5"] == used[f"{last}6"]
    assert len({used[f"{last}{row}"] for row in (5, 7, 8, 9)}) == 4
    assert 'formatCode="#,##0.00"' in styles
    assert 'formatCode="#,##0"' in styles
    assert ">Costs<" in properties
    assert f"{MADE_AT:%Y-%m-%dT%H:%M:%SZ}" in properties
