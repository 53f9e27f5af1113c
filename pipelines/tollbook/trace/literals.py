"""Values as literals of SQL.

DuckDB imports pandas when the first parameter is bound or the first table registered, which takes two seconds: longer
than any question here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

Value = str | int | date | datetime | Sequence[str] | None


def bound(sql: str, parameters: Sequence[Value]) -> str:
    """Return a statement with its question marks replaced by literals, in order; it has no others.

    Raises:
        ValueError: There are not as many question marks as values.
    """
    parts = sql.split("?")
    if len(parts) != len(parameters) + 1:
        raise ValueError(f"expected {len(parts) - 1} values for {sql!r}, got {len(parameters)}")
    told = [literal(value) for value in parameters]
    return parts[0] + "".join(value + part for value, part in zip(told, parts[1:], strict=True))


def literal(value: Value) -> str:
    """Return a value as a literal.

    Raises:
        TypeError: It is of another type, as truth values are, or an instant without a zone.
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool) or (isinstance(value, datetime) and value.tzinfo is None):
        raise TypeError(f"expected a text, a whole number, a date, an instant or a list of texts, got {value!r}")
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat()}'"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return "[" + ", ".join(literal(each) for each in value) + "]::varchar[]"


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Value]]) -> str:
    """Return a query that yields rows.

    Args:
        columns: Column to its type.
        rows: Column to value.
    """
    names = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
    told = [", ".join(literal(row[name]) for name in columns) for row in rows]
    kept = "where false" if not told else ""
    values = ", ".join(f"({each})" for each in told or [", ".join(["null"] * len(columns))])
    return f"select {names} from (values {values}) as told ({', '.join(columns)}) {kept}"
