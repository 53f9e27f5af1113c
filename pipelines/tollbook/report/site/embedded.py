"""What a page holds of the published file, as JSON: amounts are text in whole pico-units, names are numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from tollbook.errors import OutdatedPublicationError
from tollbook.report.facts import Publication, published_file
from tollbook.report.site import outlook_questions, questions, task_questions, value_questions
from tollbook.settings import Settings

_NUMBERED: Final = {
    **dict.fromkeys(("period", "before", "after"), "periods"),
    "team": "teams",
    "workflow": "workflows",
    "subscription": "subscriptions",
    "product": "products",
    "month": "months",
    "workload": "workloads",
}
"""Column of any table to the list that it is numbered by."""


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period.

    Attributes:
        start: Its first day.
        state: `open`, `soft_closed` or `closed`.
        is_over: Whether it had ended when the book was made.
    """

    start: date
    state: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class Book:
    """What the pages show of a published file; all of it from one version.

    Attributes:
        publication: Which version.
        periods: Billing periods, in order.
        cells: Team and workflow, in order of name.
        teams: Teams of the cells, and those that only a forecast tells of, in order of name.
        names: List of other names to what is in it, in order: `subscriptions`, `products`, `months`, `workloads`.
        tables: Name of a table to what a page holds of it.
    """

    publication: Publication
    periods: tuple[Period, ...]
    cells: tuple[tuple[str, str], ...]
    teams: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, Mapping[str, Any]]

    def as_json(self, tables: Sequence[str]) -> dict[str, Any]:
        """Return what a page holds: the lists that rows number, and some tables."""
        workflows = workflows_of(self.cells)
        return {
            "periods": [
                {"start": each.start.isoformat(), "label": f"{each.start:%b %Y}", "is_over": each.is_over}
                for each in self.periods
            ],
            "teams": self.teams,
            "workflows": workflows,
            **self.names,
            "cells": [[self.teams.index(team), workflows.index(workflow)] for team, workflow in self.cells],
            "tables": {name: self.tables[name] for name in tables},
        }


TABLES: Final[Mapping[str, str]] = {
    "drivers": questions.DRIVERS,
    "effects": questions.EFFECTS,
    "prices": questions.PRICES,
    "cohorts": task_questions.COHORTS,
    "percentiles": task_questions.PERCENTILES,
    "agents": task_questions.AGENTS,
    "branches": task_questions.BRANCHES,
    "dearest": task_questions.DEAREST,
    "hidden": questions.HIDDEN,
    "plans": value_questions.PLANS,
    "persons": value_questions.PERSONS,
    "curves": value_questions.CURVES,
    "margins": value_questions.MARGINS,
    "concentration": value_questions.CONCENTRATION,
    "forecast": outlook_questions.FORECAST,
    "history": outlook_questions.HISTORY,
    "paths": outlook_questions.PATHS,
}
"""Name of each table that pages may hold, and its question."""

NAMES: Final[Mapping[str, str]] = {
    "subscriptions": value_questions.SUBSCRIPTIONS,
    "products": value_questions.PRODUCTS,
    "months": outlook_questions.MONTHS,
    "workloads": outlook_questions.WORKLOADS,
}
"""Name of each list that can be chosen from, and its question."""


def read_book(settings: Settings) -> Book:
    """Return what the pages show of the published file.

    Raises:
        NothingPublishedError: There is no published file yet.
        OutdatedPublicationError: The published file was made by a version without what the pages show.
    """
    path = published_file(settings)
    try:
        return _read(path)
    except (duckdb.CatalogException, duckdb.BinderException) as lack:
        lacking = str(lack).splitlines()[0]
        raise OutdatedPublicationError(
            f"expected the tables that the report shows in {path}, got: {lacking} Run `tollbook warehouse build`"
        ) from lack


def _read(path: Path) -> Book:
    with duckdb.connect(path, read_only=True) as book:
        book.execute("set TimeZone = 'UTC'")
        for statement in questions.PREPARATION:
            book.execute(statement)
        (_, commit, built_at) = _rows(book, questions.PUBLICATION)[0]
        periods = tuple(Period(*row) for row in _rows(book, questions.PERIODS))
        cells = tuple((team, workflow) for team, workflow in _rows(book, questions.CELLS))
        teams = tuple(str(row[0]) for row in _rows(book, questions.TEAMS))
        names = {name: tuple(str(row[0]) for row in _rows(book, question)) for name, question in NAMES.items()}
        lists: dict[str, Sequence[Any]] = {
            "periods": [each.start for each in periods],
            "teams": teams,
            "workflows": workflows_of(cells),
            **names,
        }
        numbers = {name: {value: number for number, value in enumerate(values)} for name, values in lists.items()}
        tables = {}
        for name, question in TABLES.items():
            answer = book.execute(question)
            columns = [each[0] for each in answer.description or []]
            tables[name] = embedded(columns, answer.fetchall(), numbers)
    return Book(Publication(path.name, commit, built_at), periods, cells, teams, names, tables)


def embedded(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], numbers: Mapping[str, Mapping[Any, int]]
) -> dict[str, Any]:
    """Return a table as JSON can hold it.

    Args:
        columns: Names of its columns.
        rows: Values, one for each column.
        numbers: List to the number of each of its values: `periods`, `teams`, `workflows`.

    Returns:
        `fields`: names of the columns. `amounts`: those whose values are whole pico-units as text. `rows`: values, in
        the order of the fields, null where unknown.
    """
    amounts = [name for place, name in enumerate(columns) if any(isinstance(row[place], Decimal) for row in rows)]
    numbered = [numbers.get(_NUMBERED.get(name, "")) for name in columns]
    return {
        "fields": list(columns),
        "amounts": amounts,
        "rows": [[_value(value, places) for value, places in zip(row, numbered, strict=True)] for row in rows],
    }


def pico(amount: Decimal) -> str:
    """Return an amount of at most twelve decimals in whole pico-units, exactly, as text."""
    return str(int(f"{amount:.12f}".replace(".", "")))


def workflows_of(cells: Sequence[tuple[str, str]]) -> list[str]:
    """Return the different workflows in order of name."""
    return sorted({workflow for _, workflow in cells})


def _value(value: Any, places: Mapping[Any, int] | None) -> Any:
    if value is None:
        return None
    if places is not None:
        return places[value]
    if isinstance(value, Decimal):
        return pico(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def _rows(book: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return book.execute(query).fetchall()
