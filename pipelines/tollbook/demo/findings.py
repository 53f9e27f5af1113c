"""The published marts against what a scenario expects of them: row by row, amount by amount."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from tollbook.demo.truth import Comparison
from tollbook.errors import MisuseError, QueryError
from tollbook.report.facts import published_file
from tollbook.settings import Settings

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")

Row = Mapping[str, Any]
Key = tuple[str, ...]


def read_truth_file(path: Path) -> dict[str, Any]:
    """Return what a truth file of `tollbook simulate` says.

    Raises:
        MisuseError: There is no such file, or it is another.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MisuseError(f"expected a truth file of `tollbook simulate` at {path}: {error}") from error
    if not isinstance(told, dict) or "simulation" not in told:
        raise MisuseError(f"expected a truth file of `tollbook simulate` at {path}, got another file")
    return told


def compare_findings(settings: Settings, scenario: Mapping[str, Any]) -> Comparison:
    """Compare the published marts with what must stand in them.

    Args:
        settings: Where the book lives.
        scenario: The part `scenario` of a truth file.

    Raises:
        MisuseError: It names what cannot be a mart or column.
        NothingPublishedError: There is no published file yet.
        QueryError: The published file lacks a mart, or a column of it.
    """
    amounts = 0
    differences: list[str] = []
    with duckdb.connect(published_file(settings), read_only=True) as book:
        for expected in scenario["expected"]:
            held = _held(book, expected)
            wanted = {_key(row, expected["key"]): row for row in expected["rows"]}
            for key in sorted(held.keys() | wanted.keys()):
                what = f"{expected['mart']} {' '.join(key)}"
                amounts += len(wanted.get(key) or held[key]) - len(expected["key"])
                differences += _of_row(what, wanted.get(key), held.get(key), expected["within"])
    return Comparison(amounts, tuple(differences))


def _held(book: duckdb.DuckDBPyConnection, expected: Mapping[str, Any]) -> dict[Key, Row]:
    """Return the rows of a mart that are told of, by key."""
    where, key = expected["where"], expected["key"]
    told = [name for row in expected["rows"] for name in row]
    columns = list(dict.fromkeys([*key, *told, *expected["within"]]))
    for name in (expected["mart"], *where, *columns):
        if not _NAME.fullmatch(name):
            raise MisuseError(f"expected the name of a mart or column in the truth file, got {name!r}")
    condition = " and ".join(f"{name} = ?" for name in where)
    sql = f"select {', '.join(columns)} from {expected['mart']} where {condition}"
    try:
        rows = book.execute(sql, list(where.values())).fetchall()
    except duckdb.Error as error:
        raise QueryError(f"expected the columns {', '.join(columns)} in {expected['mart']}: {error}") from error
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    return {_key(row, key): row for row in found}


def _key(row: Row, names: Sequence[str]) -> Key:
    return tuple(_text(row[name]) for name in names)


def _of_row(what: str, wanted: Row | None, held: Row | None, within: Mapping[str, str]) -> Iterator[str]:
    """Yield in words what differs in a row; one that is missing stands for zeros where a mart may be off."""
    if wanted is None or held is None:
        row = held if wanted is None else wanted
        zero = bool(within) and all(_is_near(row and row.get(name), 0, off) for name, off in within.items())
        if not zero:
            yield f"{what}: {'one row simulated, none in the book' if held is None else 'no row simulated, one there'}"
        return
    for name, value in wanted.items():
        came, off = held[name], within.get(name)
        same = _is_near(came, value, off) if off is not None else _is_same(came, value)
        if not same:
            yield f"{what} {name}: {_text(value)} simulated, {_text(came)} in the book"


def _is_same(came: Any, value: Any) -> bool:
    if isinstance(came, Decimal) and value is not None:
        return came == Decimal(value)
    return _text(came) == _text(value)


def _is_near(came: Any, value: Any, off: str) -> bool:
    if came is None or value is None:
        return came is None and value is None
    return abs(Decimal(came) - Decimal(value)) <= Decimal(off)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value.isoformat() if isinstance(value, date) else str(value)
