"""Tables as people read them on paper: one for each currency, every cell a text, the same in HTML and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

UNKNOWN: Final = "–"
_NUMBERS: Final = (int, Decimal)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        heading: What stands above it.
        is_number: Whether it is set flush right and summed.
    """

    heading: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one currency.

    Attributes:
        currency: ISO 4217 code.
        columns: Columns, shape (n_columns,).
        rows: Cells, shape (n_rows, n_columns).
        total: Sums of the numbers; `UNKNOWN` where nothing is known, shape (n_columns,).
    """

    currency: str
    columns: tuple[Column, ...]
    rows: list[tuple[str, ...]]
    total: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What is printed.

    Attributes:
        title: First line.
        subtitle: Second line.
        tables: A table for each currency.
        notes: What stands beneath.
    """

    title: str
    subtitle: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def printed_tables(
    rows: Sequence[Row], headings: Mapping[str, str], numbers: frozenset[str], currency: str
) -> tuple[Table, ...]:
    """Return rows as tables, in the order in which currencies come.

    Args:
        rows: Shape (n_rows,), amounts in their currency's minor unit.
        headings: Heading of each column by the name of its values, in order.
        numbers: Names of those that are numbers.
        currency: Name of the values that are currencies.
    """
    columns = tuple(Column(heading, name in numbers) for name, heading in headings.items())
    by_currency: dict[str, list[Row]] = {}
    for row in rows:
        by_currency.setdefault(row[currency], []).append(row)
    return tuple(
        Table(
            currency=code,
            columns=columns,
            rows=[tuple(_cell(row[name], UNKNOWN if name in numbers else "") for name in headings) for row in held],
            total=tuple(
                _sum(held, name) if name in numbers else ("" if place else "Total")
                for place, name in enumerate(headings)
            ),
        )
        for code, held in by_currency.items()
    )


def _sum(rows: Sequence[Row], name: str) -> str:
    known = [row[name] for row in rows if row[name] is not None]
    return _cell(sum(known) if known else None, UNKNOWN)


def _cell(value: Any, absent: str) -> str:
    if value is None:
        return absent
    if isinstance(value, _NUMBERS):
        return f"{value:,}"
    return " ".join(str(value).split())
