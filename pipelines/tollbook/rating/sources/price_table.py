"""A price table in CSV as dated prices, by a mapping that says what its columns hold.

The shape of the mapping is `schemas/documents/price_table.schema.json`, whose descriptions are the manual. A row is the
whole price of a model from its date on, until the model's next row. Nothing of a table is read when one value of it
cannot be.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tollbook.errors import DocumentFault, MisuseError, ReferenceDataError
from tollbook.rating.money import PICO_PER_USD
from tollbook.rating.prices import Price
from tollbook.rating.sources.price_limits import PRICE_LIMITS
from tollbook.rating.units import DEFAULT_TIER, load_units
from tollbook.reference.documents import Document, read_document, refuse

UNKNOWN_PROVIDER: Final = "unknown"
# As tables write amounts, `2.5e-06` among them; an exponent beyond two digits is no price, and fills the memory.
_AMOUNT: Final = re.compile(r"\+?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][-+]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a table.

    Attributes:
        line: Number of the line in the file, the heading being 1.
        provider: Who bills; empty where the row does not say.
        valid_from: First instant of the price.
        valid_to: First instant after it, where the row says so.
        removed: Whether the row ends the model's price and gives none.
        rates: Place in the mapping's `prices` to the rates there.
    """

    line: int
    provider: str
    valid_from: datetime
    valid_to: datetime | None
    removed: bool
    rates: Mapping[int, Mapping[str, Fraction]]


@dataclass(slots=True)
class _Table:
    """A table that is being read.

    Attributes:
        path: The table.
        mapping: What its columns hold.
        faults: What could not be read so far.
    """

    path: Path
    mapping: Mapping[str, Any]
    faults: list[DocumentFault]

    def note(self, line: int, column: str, expected: str, came: str) -> None:
        """Note a value that cannot be read."""
        self.faults.append(DocumentFault(str(self.path), line, column, repr(came) if came else "nothing", expected))


def read_price_table(path: Path, mapping: Path) -> list[Price]:
    """Return the prices of a CSV table.

    Args:
        path: The table: UTF-8, with a line of headings.
        mapping: A `price_table` document.

    Raises:
        MisuseError: The table cannot be read, or lacks a column that the mapping names.
        ReferenceDataError: The mapping breaks its schema, or values of the table cannot be read: each with its line,
            column, value and what was expected.
    """
    document = read_document(mapping, "price_table")
    _check_rate_keys(document)
    table = _Table(path, document.content, [])
    series: defaultdict[str, list[_Row]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            headings = next(lines, [])
            _check_columns(table, headings)
            for row_cells in lines:
                if not row_cells:
                    continue
                cells = _cells(table, lines.line_num, headings, row_cells)
                model = cells.get(table.mapping["model"], "").strip()
                row = _read_row(table, lines.line_num, model, cells) if cells else None
                if row is not None:
                    series[model].append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MisuseError(f"expected a CSV file at {path}: {error}") from error
    for rows in series.values():
        rows.sort(key=lambda row: row.valid_from)
        for before, row in pairwise(rows):
            if before.valid_from == row.valid_from:
                expected = f"expected one row of a model for each time, this one repeats line {before.line}"
                table.note(row.line, table.mapping["valid_from"], expected, f"{row.valid_from:%Y-%m-%dT%H:%M:%SZ}")
    refuse(table.faults)
    return [price for model, rows in series.items() for price in _prices(table, model, rows)]


def _cells(table: _Table, line: int, headings: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """Return the cells of a line by their headings; none where a cell more or less has moved what they mean."""
    if len(row) == len(headings):
        return dict(zip(headings, row, strict=True))
    rule = f"expected {len(headings)} cells as in the heading"
    table.faults.append(DocumentFault(str(table.path), line, "", str(len(row)), rule))
    return {}


def _prices(table: _Table, model: str, rows: list[_Row]) -> Iterator[Price]:
    # A table may learn later who bills a model; it is one model all the while.
    otherwise = table.mapping.get("unknown_provider", UNKNOWN_PROVIDER)
    provider = next((row.provider for row in reversed(rows) if row.provider), otherwise)
    for place, row in enumerate(rows):
        following = rows[place + 1].valid_from if place + 1 < len(rows) else None
        for number, rates in ({} if row.removed else row.rates).items():
            part = table.mapping["prices"][number]
            yield Price(
                provider=provider,
                model=model,
                rates=rates,
                service_tier=part.get("service_tier", DEFAULT_TIER),
                valid_from=row.valid_from,
                valid_to=row.valid_to or following,
                above_input_tokens=part.get("above_input_tokens"),
                price_list=table.mapping["name"],
                source=f"{table.path.name}, line {row.line}",
            )


def _read_row(table: _Table, line: int, model: str, cells: Mapping[str, str]) -> _Row | None:
    mapping, before = table.mapping, len(table.faults)
    since = _instant(table, line, mapping["valid_from"], cells)
    until = _instant(table, line, mapping["valid_to"], cells) if "valid_to" in mapping else None
    if not model:
        table.note(line, mapping["model"], "expected a model", "")
    if since is None and not cells[mapping["valid_from"]].strip():
        table.note(line, mapping["valid_from"], "expected a date or a time", "")
    if since is not None and until is not None and until <= since:
        table.note(line, mapping["valid_to"], "expected an end after the beginning", cells[mapping["valid_to"]])
    rates: dict[int, dict[str, Fraction]] = {}
    for number, part in enumerate(mapping["prices"]):
        told = {key: _rate(table, line, column, key, cells) for key, column in part["rates"].items()}
        known = {key: rate for key, rate in told.items() if rate is not None}
        if known:
            rates[number] = known
    if len(table.faults) > before or since is None:
        return None
    ends = "removed" in mapping and cells[mapping["removed"]["column"]].strip() == mapping["removed"]["equals"]
    provider = cells[mapping["provider"]].strip() if "provider" in mapping else ""
    return _Row(line, mapping.get("providers", {}).get(provider, provider), since, until, ends, rates)


def _instant(table: _Table, line: int, column: str, cells: Mapping[str, str]) -> datetime | None:
    text = cells[column].strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        table.note(line, column, "expected a date or a time such as 2026-06-01", text)
        return None


def _rate(table: _Table, line: int, column: str, key: str, cells: Mapping[str, str]) -> Fraction | None:
    text = cells[column].strip()
    if not text:
        return None
    per = load_units().amounts[key]
    if _AMOUNT.fullmatch(text):
        rate = Fraction(text) * PICO_PER_USD / per
        try:
            Price(provider="", model="", rates={key: rate})
        except ReferenceDataError:
            pass
        else:
            return rate
    expected = f"expected what {per:,} units cost in USD: a number of 0 or more, {PRICE_LIMITS}"
    table.note(line, column, expected, text)
    return None


def _check_rate_keys(mapping: Document) -> None:
    refuse(
        [
            mapping.fault(["prices", number, "rates", key], f"expected a rate key of units.yml, got {key!r}", came="")
            for number, part in enumerate(mapping.content["prices"])
            for key in part["rates"]
            if key not in load_units().rate_keys
        ]
    )


def _check_columns(table: _Table, headings: Sequence[str]) -> None:
    mapping = table.mapping
    named = [mapping[name] for name in ("model", "provider", "valid_from", "valid_to") if name in mapping]
    named += [mapping["removed"]["column"]] if "removed" in mapping else []
    named += [column for part in mapping["prices"] for column in part["rates"].values()]
    twice = sorted({each for each in named if headings.count(each) > 1})
    if twice:
        raise MisuseError(f"expected each column once in {table.path}, got {', '.join(twice)} more than once")
    absent = sorted(set(named) - set(headings))
    if absent:
        raise MisuseError(f"expected the columns {', '.join(absent)} in {table.path}, got {', '.join(headings)}")
