"""Workbooks for people: one sheet, a heading, rows, and a total for each currency. Nothing in them is a formula.

Statements are many and small, and a library takes longer to begin a workbook than to fill it. So XlsxWriter makes one
for each set of columns, with its formats, panes, filter and print set-up, and the cells are written into copies of it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any, Final
from xml.sax.saxutils import escape

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from tollbook.chargeback.rounding import minor_digits

_NARROWEST: Final = 10
_WIDEST: Final = 44
_LONGEST_TEXT: Final = 32_767
_HEADER_ROW: Final = 4
_SUMMED: Final = (int, Decimal)
_SHEET: Final = "xl/worksheets/sheet1.xml"
_BOOK: Final = "xl/workbook.xml"
_PROPERTIES: Final = "docProps/core.xml"
_MADE_AT: Final = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_TITLE: Final = "title"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
# What XML cannot hold, and what a workbook would take for its own way to write that. Source: ECMA-376, ST_Xstring.
_NO_XML: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
# Kinds of cells, in the order in which the model workbook has them.
_TEXT, _WHOLE, _AMOUNT = range(3)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a workbook shows.

    Attributes:
        title: First line.
        subtitle: Second line.
        columns: Heading of each column by the name of its values, in order.
        currency: Name of the column of currencies, by which numbers are shown and summed.
    """

    title: str
    subtitle: str
    columns: Mapping[str, str]
    currency: str


@dataclass(frozen=True, slots=True)
class _Model:
    """A workbook without cells.

    Attributes:
        parts: A ZIP of its files, but for those that cells change.
        sheet: Its sheet.
        book: What lists its sheets and names.
        properties: Its title and dates.
        title: Style of the title.
        header: Style of the headings.
        rows: Styles of rows by kind of cell, and of totals, by digits behind the point.
    """

    parts: bytes
    sheet: str
    book: str
    properties: str
    title: str
    header: str
    rows: Mapping[int, tuple[tuple[str, ...], tuple[str, ...]]]


def workbook_bytes(sheet: Sheet, rows: Sequence[dict[str, Any]], *, made_at: datetime) -> bytes:
    """Return rows as an XLSX workbook. Texts are cells of text, whatever they begin with; unknown is an empty cell.

    Args:
        sheet: What it shows.
        rows: Shape (n_rows,), amounts in their currency's minor unit.
        made_at: When its data were made, UTC: it takes the place of the time of writing.
    """
    digits = {code: minor_digits(code) for code in {row[sheet.currency] for row in rows}}
    model = _model(len(sheet.columns), tuple(sorted(set(digits.values()))))
    names = [xl_col_to_name(place) for place in range(len(sheet.columns))]
    cells = [
        _row(1, [_text("A1", model.title, sheet.title)]),
        _row(2, [_text("A2", "0", sheet.subtitle)]),
        _row(
            _HEADER_ROW,
            [
                _text(f"{name}{_HEADER_ROW}", model.header, heading)
                for name, heading in zip(names, sheet.columns.values(), strict=True)
            ],
        ),
    ]
    totals = _totals(sheet, rows)
    shown = [*rows, *totals]
    looks = [model.rows[digits[row[sheet.currency]]][place >= len(rows)] for place, row in enumerate(shown)]
    columns = [[row.get(name) for row in shown] for name in sheet.columns]
    held = (_column(name, column, looks) for name, column in zip(names, columns, strict=True))
    cells += map(_row, count(_HEADER_ROW + 1), zip(*held, strict=True))
    filtered = f"A{_HEADER_ROW}:{names[-1]}{_HEADER_ROW + len(rows)}"
    written = {
        _SHEET: _filled(model.sheet, cells, filtered, _widths(sheet, columns)),
        _BOOK: re.sub(r"(_FilterDatabase[^>]*>)[^<]*", rf"\1Statement!{_fixed(filtered)}", model.book),
        _PROPERTIES: model.properties.replace(f">{_TITLE}<", f">{_escaped(sheet.title)}<").replace(
            f"{_MADE_AT:%Y-%m-%dT%H:%M:%SZ}", f"{made_at:%Y-%m-%dT%H:%M:%SZ}"
        ),
    }
    return _zipped({name: text.encode() for name, text in written.items()}, after=model.parts)


def _zipped(parts: Mapping[str, bytes], *, after: bytes = b"") -> bytes:
    """Return a ZIP of parts, behind those that are in another: these are not compressed again."""
    out = io.BytesIO(after)
    with zipfile.ZipFile(out, "a" if after else "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(zipfile.ZipInfo(name, _ZIP_TIME), part, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@lru_cache(maxsize=32)
def _model(columns: int, digits: tuple[int, ...]) -> _Model:
    """Return a workbook of some columns, for currencies of some digits behind the point."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties({"title": _TITLE, "author": "Tollbook", "created": _MADE_AT})
    page = book.add_worksheet("Statement")
    page.write_blank(0, 0, None, book.add_format({"bold": True, "font_size": 14}))
    header = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    page.write_blank(_HEADER_ROW - 1, 0, None, header)
    first = _HEADER_ROW
    for number, each in enumerate(digits):
        places = "." + "0" * each if each else ""
        for total, look in enumerate(({}, {"bold": True, "top": 1})):
            for kind, shown in enumerate(({}, {"num_format": "#,##0"}, {"num_format": f"#,##0{places}"})):
                page.write_blank(first + 2 * number + total, kind, None, book.add_format(look | shown))
    page.set_column(0, columns - 1, _NARROWEST)
    page.freeze_panes(_HEADER_ROW, 0)
    page.autofilter(_HEADER_ROW - 1, 0, _HEADER_ROW, columns - 1)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(_HEADER_ROW - 1)
    book.close()
    with zipfile.ZipFile(out) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    sheet = parts.pop(_SHEET).decode()
    # A blank cell without a look of its own is none: it has the style of all cells.
    styles = dict(re.findall(r'<c r="([A-Z]+[0-9]+)" s="([0-9]+)"', sheet))
    rows = {
        each: tuple(
            tuple(styles.get(f"{xl_col_to_name(kind)}{first + 1 + 2 * number + total}", "0") for kind in range(3))
            for total in range(2)
        )
        for number, each in enumerate(digits)
    }
    return _Model(
        book=parts.pop(_BOOK).decode(),
        properties=parts.pop(_PROPERTIES).decode(),
        parts=_zipped(parts),
        sheet=sheet,
        title=styles["A1"],
        header=styles[f"A{_HEADER_ROW}"],
        rows={each: (body, total) for each, (body, total) in rows.items()},
    )


def _filled(sheet: str, cells: Sequence[str], filtered: str, widths: Sequence[int]) -> str:
    """Return the sheet of a model with cells, and with what it says of them."""
    columns = "".join(
        f'<col min="{place}" max="{place}" width="{width}.7109375" customWidth="1"/>'
        for place, width in enumerate(widths, 1)
    )
    last = filtered.partition(":")[2].rstrip("0123456789")
    for pattern, text in (
        (r'<dimension ref="[^"]*"/>', f'<dimension ref="A1:{last}{_HEADER_ROW + len(cells) - 3}"/>'),
        (r"<cols>.*?</cols>", f"<cols>{columns}</cols>"),
        (r"<sheetData>.*</sheetData>", f"<sheetData>{''.join(cells)}</sheetData>"),
        (r'<autoFilter ref="[^"]*"/>', f'<autoFilter ref="{filtered}"/>'),
    ):
        before, found, after = _around(pattern, sheet)
        if not found:
            raise ValueError(f"expected {pattern} in a workbook's sheet, got {sheet[:200]}")
        sheet = f"{before}{text}{after}"
    return sheet


def _around(pattern: str, text: str) -> tuple[str, bool, str]:
    found = re.search(pattern, text, re.DOTALL)
    return (text[: found.start()], True, text[found.end() :]) if found else (text, False, "")


def _row(number: int, cells: Sequence[str]) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def _column(name: str, column: Sequence[Any], looks: Sequence[tuple[str, ...]]) -> list[str]:
    return [
        f'<c r="{name}{number}" s="{look[_TEXT]}"/>'
        if value is None
        else f'<c r="{name}{number}" s="{look[_TEXT]}" {_told(value)}'
        if isinstance(value, str)
        else f'<c r="{name}{number}" s="{look[_AMOUNT]}"><v>{value:f}</v></c>'
        if isinstance(value, Decimal)
        else f'<c r="{name}{number}" s="{look[_WHOLE]}"><v>{value}</v></c>'
        for number, (value, look) in enumerate(zip(column, looks, strict=True), _HEADER_ROW + 1)
    ]


def _text(place: str, style: str, text: str) -> str:
    return f'<c r="{place}" s="{style}" {_told(text)}'


@lru_cache(maxsize=65_536)
def _told(text: str) -> str:
    """Return what a cell of text says behind its place and style."""
    return f't="inlineStr"><is><t xml:space="preserve">{_escaped(text[:_LONGEST_TEXT])}</t></is></c>'


def _escaped(text: str) -> str:
    return escape(_NO_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", text))


def _fixed(cells: str) -> str:
    """Return a range as a name has it: `$A$4:$Q$9` of `A4:Q9`."""
    return re.sub(r"([A-Z]+)([0-9]+)", r"$\1$\2", cells)


def _widths(sheet: Sheet, columns: Sequence[Sequence[Any]]) -> list[int]:
    widths = []
    for heading, column in zip(sheet.columns.values(), columns, strict=True):
        longest = max(len(heading), *(len(str(value)) for value in column if value is not None), 0)
        widths.append(max(_NARROWEST, min(_WIDEST, longest + 2)))
    return widths


def _totals(sheet: Sheet, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row of sums for each currency; a sum of nothing known is unknown."""
    by_currency: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_currency.setdefault(row[sheet.currency], []).append(row)
    first = next(iter(sheet.columns))
    totals = []
    for code, held in by_currency.items():
        total: dict[str, Any] = {first: "Total", sheet.currency: code}
        for name in sheet.columns:
            known = [row[name] for row in held if isinstance(row[name], _SUMMED)]
            if known:
                total[name] = sum(known)
        totals.append(total)
    return totals
