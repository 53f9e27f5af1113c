"""Workbooks for people: one sheet, a heading, rows, and a total for each currency. Nothing in them is a formula."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import xlsxwriter

from tollbook.exports.rounding import minor_digits

_OPTIONS: Final = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_NARROWEST: Final = 10
_WIDEST: Final = 44
_HEADER_ROW: Final = 3
_SUMMED: Final = (int, Decimal)


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


def workbook_bytes(sheet: Sheet, rows: Sequence[dict[str, Any]], *, made_at: datetime) -> bytes:
    """Return rows as an XLSX workbook. Texts are cells of text, whatever they begin with; unknown is an empty cell.

    Args:
        sheet: What it shows.
        rows: Shape (n_rows,), amounts in their currency's minor unit.
        made_at: When its data were made, UTC: it takes the place of the time of writing.
    """
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, _OPTIONS)
    book.set_properties({"title": sheet.title, "author": "Tollbook", "created": made_at.replace(tzinfo=None)})
    page = book.add_worksheet("Statement")
    formats = _Formats(book)
    page.write_string(0, 0, sheet.title, formats.title)
    page.write_string(1, 0, sheet.subtitle)
    for place, heading in enumerate(sheet.columns.values()):
        page.write_string(_HEADER_ROW, place, heading, formats.header)
    shown = [*rows, *_totals(sheet, rows)]
    for number, row in enumerate(shown, _HEADER_ROW + 1):
        for place, name in enumerate(sheet.columns):
            _write(
                page,
                (number, place),
                row.get(name),
                formats.of(row[sheet.currency], bold=number > _HEADER_ROW + len(rows)),
            )
    for place, (name, heading) in enumerate(sheet.columns.items()):
        longest = max(len(str(text)) for text in (heading, *(row.get(name) or "" for row in shown)))
        page.set_column(place, place, max(_NARROWEST, min(_WIDEST, longest + 2)))
    page.freeze_panes(_HEADER_ROW + 1, 0)
    if rows:
        page.autofilter(_HEADER_ROW, 0, _HEADER_ROW + len(rows), len(sheet.columns) - 1)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(_HEADER_ROW)
    book.close()
    return out.getvalue()


class _Formats:
    """Formats of cells, each made once."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._numbers: dict[tuple[int, bool], dict[type, Any]] = {}
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.header = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})

    def of(self, currency: str, *, bold: bool) -> dict[type, Any]:
        """Return the formats of a row by the type of a value."""
        key = (minor_digits(currency), bold)
        if key not in self._numbers:
            digits = "." + "0" * key[0] if key[0] else ""
            look = {"bold": True, "top": 1} if bold else {}
            self._numbers[key] = {
                str: self._book.add_format(look),
                int: self._book.add_format(look | {"num_format": "#,##0"}),
                Decimal: self._book.add_format(look | {"num_format": f"#,##0{digits}"}),
            }
        return self._numbers[key]


def _write(page: Any, place: tuple[int, int], value: Any, formats: dict[type, Any]) -> None:
    if value is None:
        page.write_blank(*place, None, formats[str])
    elif isinstance(value, str):
        page.write_string(*place, value, formats[str])
    else:
        page.write_number(*place, value, formats[type(value)])


def _totals(sheet: Sheet, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row of sums for each currency; a sum of nothing known is unknown."""
    totals: dict[str, dict[str, Any]] = {}
    first = next(iter(sheet.columns))
    for row in rows:
        total = totals.setdefault(row[sheet.currency], {first: "Total", sheet.currency: row[sheet.currency]})
        for name in sheet.columns:
            if isinstance(row[name], _SUMMED):
                total[name] = total.get(name, 0) + row[name]
    return list(totals.values())
