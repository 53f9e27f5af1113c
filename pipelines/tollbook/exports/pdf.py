"""A printed document as PDF: A4 across, a table's heading on each of its pages, pages numbered, the same bytes always.

The letters are those of the fonts that every reader of PDF has, Windows-1252; any other letter is shown by its number,
such as `[U+6771]`. The HTML page has all letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase.pdfmetrics import getFont

from tollbook.exports.pdf_file import pdf_file
from tollbook.exports.printed import Document, Table

_PAGE: Final[tuple[float, float]] = landscape(A4)
_MARGIN: Final = 40.0
_INNER: Final = _PAGE[0] - 2 * _MARGIN
_PLAIN, _BOLD = "Helvetica", "Helvetica-Bold"
_FONTS: Final = {_PLAIN: "F1", _BOLD: "F2"}
_SIZE: Final = 8.0
_LEADING: Final = 10.0
_PADDING: Final = 4.0
_NARROWEST: Final = 46.0
_SOFT: Final = 0.35
_RULE: Final = 0.75
_BAND: Final = 0.965
_SPACE, _TILDE = 0x20, 0x7E
_PER_MILLE: Final = 1000
_WHOLE_PARTS: Final = re.compile(r".*[-_./:@]")


class _Column(NamedTuple):
    """Where a column of a table is set.

    Attributes:
        left: Its left edge. Unit: Points.
        width: Its width. Unit: Points.
        is_number: Whether its cells are set flush right.
    """

    left: float
    width: float
    is_number: bool


class _Cell(NamedTuple):
    """A cell as a piece of PDF, set from the top of its row.

    Attributes:
        drawn: Operators between `BT` and `ET`.
        lines: How many lines it has.
    """

    drawn: str
    lines: int


@dataclass(frozen=True, slots=True)
class _Look:
    """How a row is set.

    Attributes:
        font: Name of its font.
        gray: Of its letters, 0 is black.
        ruled: Width of the rule beneath it. Unit: Points.
        banded: Whether it has a ground.
    """

    font: str
    gray: float
    ruled: float
    banded: bool = False


_HEADING: Final = _Look(_BOLD, _SOFT, 1.0)
_BODY: Final = (_Look(_PLAIN, 0, 0.3), _Look(_PLAIN, 0, 0.3, banded=True))
_TOTAL: Final = _Look(_BOLD, 0, 0.3)


def pdf_bytes(document: Document) -> bytes:
    """Return a document as PDF."""
    paper = _Paper(document)
    for place, table in enumerate(document.tables):
        if place:
            paper.turn()
        _set_table(paper, table)
    paper.notes(document.notes)
    return pdf_file(paper.numbered(), _PAGE, fonts={name: font for font, name in _FONTS.items()}, title=document.title)


class _Paper:
    """The page that is written on, and how far down it is written."""

    def __init__(self, document: Document) -> None:
        self.height = 0.0
        self._pages: list[list[str]] = []
        self._title, self._subtitle = _western(document.title), _western(document.subtitle)
        self.turn()

    def turn(self) -> None:
        """Go on with a new page."""
        self._pages.append([])
        self.height = _PAGE[1] - _MARGIN
        if len(self._pages) > 1:
            return
        for line in _wrapped(self._title, _BOLD, _INNER / 2):
            self.height -= 2 * _LEADING
            self.write(line, font=_BOLD, size=2 * _SIZE)
        self.height -= 1.6 * _LEADING
        self.write(self._subtitle, size=_SIZE + 1, gray=_SOFT)
        self.height -= 1.5 * _LEADING

    def has_room(self, height: float) -> bool:
        """Return whether something fits above the bottom margin."""
        return self.height - height >= _MARGIN

    def draw(self, drawn: str) -> None:
        """Add operators to the page."""
        self._pages[-1].append(drawn)

    def write(self, text: str, *, font: str = _PLAIN, size: float = _SIZE, gray: float = 0) -> None:
        """Write a line at the height."""
        self.draw(_text(text, _MARGIN, self.height, font=font, size=size, gray=gray))

    def notes(self, notes: Sequence[str]) -> None:
        """Write what stands beneath the tables."""
        for note in notes:
            for line in _wrapped(_western(note), _PLAIN, _INNER):
                if not self.has_room(_LEADING):
                    self.turn()
                self.height -= _LEADING
                self.write(line, gray=_SOFT)

    def heading(self, text: str) -> None:
        """Write a heading."""
        self.height -= _LEADING
        self.write(text, font=_BOLD, size=_SIZE + 1)
        self.height -= _PADDING

    def numbered(self) -> list[str]:
        """Return the pages, each with the title and its number at its foot."""
        (title, *more) = _wrapped(self._title, _PLAIN, _INNER - 2 * _NARROWEST)
        foot = _text(f"{title} …" if more else title, _MARGIN, _MARGIN / 2, gray=_SOFT)
        pages = []
        for number, drawn in enumerate(self._pages, 1):
            told = f"Page {number} of {len(self._pages)}"
            right = _text(told, _PAGE[0] - _MARGIN - _width(told, _PLAIN), _MARGIN / 2, gray=_SOFT)
            pages.append("\n".join((foot, right, *drawn)))
        return pages


def _set_table(paper: _Paper, table: Table) -> None:
    columns = _columns(table)
    heading = tuple(column.heading for column in table.columns)
    paper.heading(f"Amounts in {_western(table.currency)}")
    _set_row(paper, columns, heading, _HEADING)
    for place, row in enumerate((*table.rows, table.total)):
        look = _TOTAL if place == len(table.rows) else _BODY[place % 2]
        _set_row(paper, columns, row, look, again=heading)
    paper.height -= _LEADING


def _set_row(
    paper: _Paper, columns: Sequence[_Column], cells: Sequence[str], look: _Look, *, again: Sequence[str] | None = None
) -> None:
    """Set a row; where the page has no room for it, the row `again` stands above it on a new one."""
    font = look.font
    drawn = [_cell(text, font, column) for text, column in zip(cells, columns, strict=True)]
    height = max(cell.lines for cell in drawn) * _LEADING + _PADDING
    if again is not None and not paper.has_room(height):
        paper.turn()
        _set_row(paper, columns, again, _HEADING)
    bottom = paper.height - height
    band = f"{_BAND} g {_MARGIN} {bottom:.2f} {_INNER:.2f} {height:.2f} re f " if look.banded else ""
    # The row is the origin of its cells, so that a cell is the same piece wherever it stands.
    paper.draw(
        f"{band}{look.gray} g q 1 0 0 1 0 {paper.height - _LEADING:.2f} cm BT /{_FONTS[font]} {_SIZE} Tf "
        f"{' '.join([cell.drawn for cell in drawn])} ET Q "
        f"{_RULE} G {look.ruled} w {_MARGIN} {bottom:.2f} m {_PAGE[0] - _MARGIN:.2f} {bottom:.2f} l S"
    )
    paper.height = bottom


@lru_cache(maxsize=65_536)
def _cell(text: str, font: str, column: _Column) -> _Cell:
    drawn, top = [], 0.0
    lines = _wrapped(_western(text), font, column.width - 2 * _PADDING)
    for line in lines:
        start = column.width - _PADDING - _width(line, font) if column.is_number else _PADDING
        drawn.append(f"1 0 0 1 {column.left + start:.2f} {top:g} Tm ({_escaped(line)}) Tj")
        top -= _LEADING
    return _Cell(" ".join(drawn), len(lines))


def _text(text: str, left: float, height: float, *, font: str = _PLAIN, size: float = _SIZE, gray: float = 0) -> str:
    return f"{gray} g BT /{_FONTS[font]} {size} Tf {left:.2f} {height:.2f} Td ({_escaped(text)}) Tj ET"


def _columns(table: Table) -> list[_Column]:
    """Return columns that fill the page: numbers get what they need, texts share the rest."""
    needed = []
    for place, column in enumerate(table.columns):
        texts = {row[place] for row in table.rows} | {table.total[place]}
        word = max(_width(_western(each), _BOLD) for each in column.heading.split())
        needed.append(max(_NARROWEST, word, *(_width(_western(text), _BOLD) for text in texts)) + 2 * _PADDING)
    told = [place for place, column in enumerate(table.columns) if not column.is_number]
    room = max(_INNER - sum(needed) + sum(needed[place] for place in told), _NARROWEST)
    for place, width in zip(told, _shared([needed[place] for place in told], room), strict=True):
        needed[place] = width
    columns, left = [], _MARGIN
    for width, column in zip(needed, table.columns, strict=True):
        columns.append(_Column(left, width, column.is_number))
        left += width
    return columns


def _shared(needed: Sequence[float], room: float) -> list[float]:
    """Return widths that fill the room: what is short keeps what it needs, and the long ones share what is left."""
    if sum(needed) <= room:
        return [width * room / sum(needed) for width in needed]
    shared = list(needed)
    for taken, place in enumerate(sorted(range(len(needed)), key=needed.__getitem__)):
        shared[place] = min(needed[place], room / (len(needed) - taken))
        room -= shared[place]
    return shared


@lru_cache(maxsize=65_536)
def _wrapped(text: str, font: str, width: float) -> tuple[str, ...]:
    """Return a text in lines that fit, broken at blanks, and a word that is too long for a line at its punctuation."""
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
            begun = _WHOLE_PARTS.match(line[:fits])
            fits = begun.end() if begun and 2 * begun.end() > fits else fits
            lines.append(line[:fits])
            line = line[fits:]
    return (*lines, line)


@lru_cache(maxsize=65_536)
def _width(text: str, font: str) -> float:
    return sum(map(_letter_widths(font).__getitem__, text.encode("cp1252"))) * _SIZE / _PER_MILLE


@lru_cache
def _letter_widths(font: str) -> tuple[int, ...]:
    """Return the widths of a font's letters by their code of Windows-1252. Unit: A thousandth of the size."""
    return tuple(getFont(font).widths)


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
