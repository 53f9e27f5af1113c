"""What people read of a statement: a workbook, an HTML page, a PDF.

Processes that do nothing else begin with this module, so it needs neither DuckDB nor Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tollbook.exports.html import html_bytes
from tollbook.exports.pdf import pdf_bytes
from tollbook.exports.printed import Document, printed_tables
from tollbook.exports.workbook import Sheet, workbook_bytes

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, in no format yet.

    Attributes:
        path: Where it goes, below the folder of the export and without an ending.
        record: Name of the contract that its rows have.
        rows: Rows, shape (n_rows,).
        sheet: What the workbook shows.
        printed: Heading of each printed column by the name of its values, in order.
        numbers: Names of the columns that are numbers.
        notes: What stands beneath a printed statement.
        made_at: When its data were made, UTC.
    """

    path: str
    record: str
    rows: Sequence[Row]
    sheet: Sheet
    printed: dict[str, str]
    numbers: frozenset[str]
    notes: tuple[str, ...]
    made_at: datetime


def for_people(statements: Iterable[Statement]) -> dict[str, bytes]:
    """Return the workbooks, pages and PDF of statements by path."""
    files: dict[str, bytes] = {}
    for each in statements:
        tables = printed_tables(each.rows, each.printed, each.numbers, each.sheet.currency)
        document = Document(each.sheet.title, each.sheet.subtitle, tables, each.notes)
        files[f"{each.path}.xlsx"] = workbook_bytes(each.sheet, each.rows, made_at=each.made_at)
        files[f"{each.path}.html"] = html_bytes(document)
        files[f"{each.path}.pdf"] = pdf_bytes(document)
    return files
