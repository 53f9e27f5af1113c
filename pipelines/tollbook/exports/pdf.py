"""A printed document as PDF: A4 across, a table's heading on each of its pages, pages numbered, the same bytes always.

The letters are those of the fonts that every reader of PDF has, Windows-1252; any other letter is shown by its number,
such as `[U+6771]`. The HTML page has all letters.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import reportlab.rl_config
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from tollbook.exports.printed import Document, Table

# Pages are bytes in the file, not text: smaller, and quicker to write.
reportlab.rl_config.useA85 = 0

_PAGE: Final[tuple[float, float]] = landscape(A4)
_MARGIN: Final = 40.0
_PLAIN, _BOLD = "Helvetica", "Helvetica-Bold"
_SIZE: Final = 8.0
_LEADING: Final = 10.0
_PADDING: Final = 4.0
_NARROWEST: Final = 46.0
_SOFT: Final = 0.35
_RULE: Final = 0.75
_BAND: Final = 0.965
_SPACE, _TILDE = 0x20, 0x7E
Lines = tuple[tuple[str, ...], ...]


def pdf_bytes(document: Document) -> bytes:
    """Return a document as PDF."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=_PAGE, invariant=1, pageCompression=1)
    canvas.setTitle(_western(document.title))
    canvas.setAuthor("Tollbook")
    paper = _Paper(canvas, document)
    for place, table in enumerate(document.tables):
        if place:
            paper.turn()
        _set_table(paper, table)
    paper.notes(document.notes)
    canvas.save()
    return out.getvalue()


class _Paper:
    """The page that is written on, and how far down it is written."""

    def __init__(self, canvas: Any, document: Document) -> None:
        self.canvas = canvas
        self.number = 0
        self._title, self._subtitle = _western(document.title), _western(document.subtitle)
        self.height = 0.0
        self._begin()

    def turn(self) -> None:
        """Go on with a new page."""
        self.canvas.showPage()
        self._begin()

    def has_room(self, height: float) -> bool:
        """Return whether something fits above the bottom margin."""
        return self.height - height >= _MARGIN

    def notes(self, notes: Sequence[str]) -> None:
        """Write what stands beneath the tables."""
        for note in notes:
            for line in _wrapped(_western(note), _PLAIN, _PAGE[0] - 2 * _MARGIN):
                if not self.has_room(_LEADING):
                    self.turn()
                self.height -= _LEADING
                self._write(line, _PLAIN, _SIZE, _SOFT)

    def heading(self, text: str) -> None:
        """Write a heading."""
        self.height -= _LEADING
        self._write(text, _BOLD, _SIZE + 1, 0)
        self.height -= _PADDING

    def _begin(self) -> None:
        self.number += 1
        self.canvas.setFont(_PLAIN, _SIZE)
        self.canvas.setFillGray(_SOFT)
        self.canvas.drawRightString(_PAGE[0] - _MARGIN, _MARGIN / 2, f"Page {self.number}")
        self.canvas.drawString(_MARGIN, _MARGIN / 2, self._title)
        self.height = _PAGE[1] - _MARGIN
        if self.number == 1:
            for line in _wrapped(self._title, _BOLD, (_PAGE[0] - 2 * _MARGIN) / 2):
                self.height -= 2 * _LEADING
                self._write(line, _BOLD, 2 * _SIZE, 0)
            self.height -= 1.6 * _LEADING
            self._write(self._subtitle, _PLAIN, _SIZE + 1, _SOFT)
            self.height -= 1.5 * _LEADING

    def _write(self, text: str, font: str, size: float, gray: float) -> None:
        self.canvas.setFont(font, size)
        self.canvas.setFillGray(gray)
        self.canvas.drawString(_MARGIN, self.height, text)


def _set_table(paper: _Paper, table: Table) -> None:
    widths = _widths(table)
    heading = _lines([column.heading for column in table.columns], widths, _BOLD)
    paper.heading(f"Amounts in {_western(table.currency)}")
    _set_row(paper, table, widths, heading, font=_BOLD, gray=_SOFT, ruled=1.0)
    rows = [*((row, _PLAIN) for row in table.rows), (table.total, _BOLD)]
    for place, (row, font) in enumerate(rows):
        lines = _lines(row, widths, font)
        if not paper.has_room(_height(lines)):
            paper.turn()
            _set_row(paper, table, widths, heading, font=_BOLD, gray=_SOFT, ruled=1.0)
        _set_row(paper, table, widths, lines, font=font, gray=0, ruled=0.3, banded=place % 2 == 1 and font == _PLAIN)
    paper.height -= _LEADING


def _set_row(
    paper: _Paper,
    table: Table,
    widths: Sequence[float],
    lines: Lines,
    *,
    font: str,
    gray: float,
    ruled: float,
    banded: bool = False,
) -> None:
    height = _height(lines)
    bottom = paper.height - height
    # One piece of PDF for the row: the library's own calls take ten times as long.
    drawn = []
    if banded:
        drawn.append(f"{_BAND} g {_MARGIN} {bottom:.2f} {_PAGE[0] - 2 * _MARGIN:.2f} {height:.2f} re f")
    drawn.append(f"{gray} g BT")
    left = _MARGIN
    for column, width, cell in zip(table.columns, widths, lines, strict=True):
        top = paper.height - _LEADING
        for line in cell:
            start = left + width - _PADDING - _width(line, font) if column.is_number else left + _PADDING
            drawn.append(f"1 0 0 1 {start:.2f} {top:.2f} Tm ({_escaped(line)}) Tj")
            top -= _LEADING
        left += width
    drawn.append(f"ET {_RULE} G {ruled} w {_MARGIN} {bottom:.2f} m {_PAGE[0] - _MARGIN:.2f} {bottom:.2f} l S")
    paper.canvas.setFont(font, _SIZE)
    paper.canvas.addLiteral(" ".join(drawn))
    paper.height = bottom


def _height(lines: Lines) -> float:
    return max(len(cell) for cell in lines) * _LEADING + _PADDING


def _lines(cells: Sequence[str], widths: Sequence[float], font: str) -> Lines:
    return tuple(
        _wrapped(_western(cell), font, width - 2 * _PADDING) for cell, width in zip(cells, widths, strict=True)
    )


def _widths(table: Table) -> list[float]:
    """Return widths of columns that fill the page: numbers get what they need, texts share the rest by their length."""
    needed = []
    for place, column in enumerate(table.columns):
        texts = {row[place] for row in table.rows} | {table.total[place]}
        word = max(_width(_western(each), _BOLD) for each in column.heading.split())
        needed.append(max(_NARROWEST, word, *(_width(_western(text), _BOLD) for text in texts)) + 2 * _PADDING)
    room = _PAGE[0] - 2 * _MARGIN
    fixed = sum(width for width, column in zip(needed, table.columns, strict=True) if column.is_number)
    told = sum(needed) - fixed
    share = max(room - fixed, _NARROWEST) / told if told else 1.0
    return [width if column.is_number else width * share for width, column in zip(needed, table.columns, strict=True)]


@lru_cache(maxsize=65_536)
def _wrapped(text: str, font: str, width: float) -> tuple[str, ...]:
    """Return a text in lines that fit, broken at blanks, and within a word that is too long for a line."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if _width(joined, font) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while _width(line, font) > width and len(line) > 1:
            fits = next(
                count for count in range(len(line) - 1, 0, -1) if count == 1 or _width(line[:count], font) <= width
            )
            lines.append(line[:fits])
            line = line[fits:]
    return (*lines, line)


@lru_cache(maxsize=65_536)
def _width(text: str, font: str) -> float:
    return float(stringWidth(text, font, _SIZE))


@lru_cache(maxsize=65_536)
def _western(text: str) -> str:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return "".join(each if _is_western(each) else f"[U+{ord(each):04X}]" for each in text)
    return text


@lru_cache(maxsize=65_536)
def _escaped(text: str) -> str:
    """Return a text as it stands between the parentheses of a PDF string, in the encoding of its fonts."""
    return "".join(
        chr(byte) if _SPACE <= byte <= _TILDE and chr(byte) not in "()\\" else f"\\{byte:03o}"
        for byte in text.encode("cp1252")
    )


def _is_western(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
