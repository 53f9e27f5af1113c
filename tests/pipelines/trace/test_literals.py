"""Values as literals of SQL: DuckDB gives back what was told, whatever it holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest

from tollbook.trace.literals import bound, literal, table

VALUES: tuple[Any, ...] = (
    "it's ? -- \\ ; drop",
    "",
    -7,
    date(2026, 6, 1),
    datetime(2026, 6, 1, 12, 30, 0, 5, UTC),
    ["a'b", "?"],
    [],
    None,
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was_told(value: Any) -> None:
    """Identifiers come from people and from events: quotes and question marks among them."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        assert connection.execute(bound("select ? as told, 1 as one", [value])).fetchall() == [(value, 1)]


def test_values_and_question_marks_must_be_as_many() -> None:
    """A value that is left over would be a condition that nobody applies."""
    with pytest.raises(ValueError, match=r"expected 1 values for .select \?., got 2"):
        bound("select ?", [1, 2])


@pytest.mark.parametrize("value", [True, datetime(2026, 6, 1), 0.5])  # noqa: DTZ001  # what is refused
def test_other_values_are_refused(value: Any) -> None:
    """An instant without a zone would be read in that of the machine."""
    with pytest.raises(TypeError):
        literal(value)


@pytest.mark.parametrize("rows", [[], [{"name": "a", "day": date(2026, 6, 1)}, {"name": None, "day": None}]])
def test_a_table_has_the_rows_and_the_types_that_were_told(rows: list[dict[str, Any]]) -> None:
    """Without rows too."""
    with duckdb.connect() as connection:
        answer = connection.execute(table({"name": "varchar", "day": "date"}, rows))
        assert [str(column[1]) for column in answer.description or ()] == ["VARCHAR", "DATE"]
        assert answer.fetchall() == [(row["name"], row["day"]) for row in rows]
