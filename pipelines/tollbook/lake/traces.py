"""Traces: a look into every file below the home for an identifier, as the proof of an erasure.

Parquet and DuckDB files are read by their values, since compressed bytes tell nothing; all others, and what a database
left in its free pages, by their bytes. The broker's folder is left out: what Kafka keeps is Kafka's.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from tollbook.errors import UpkeepError
from tollbook.lake.person import Person

OUTSIDE: Final = "broker"
"""Folder below the home that is not looked at: the embedded broker's log."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A place that names the person.

    Attributes:
        path: File, below the home.
        column: Column that does, with its table in a database; None for bytes.
        rows: Rows that do; for bytes how often.
    """

    path: str
    column: str | None
    rows: int


def find_traces(home: Path, person: Person) -> list[Trace]:
    """Return every place in the files below `home` that names the person, by path; the broker's are left out.

    Raises:
        UpkeepError: A file cannot be looked into.
    """
    traces: list[Trace] = []
    for path in sorted(each for each in home.rglob("*") if each.is_file() and not each.is_symlink()):
        relative = path.relative_to(home)
        if relative.parts[0] != OUTSIDE:
            try:
                traces += _in_file(path, relative.as_posix(), person)
            except FileNotFoundError:
                continue  # a meter goes on meanwhile
            except duckdb.Error as fault:
                if path.exists():
                    raise UpkeepError(f"expected to look into {path}, got: {str(fault).splitlines()[0]}") from fault
    return traces


def _in_file(path: Path, name: str, person: Person) -> Iterator[Trace]:
    if path.suffix == ".parquet":
        yield from _in_parquet(path, name, person)
        return
    if path.suffix == ".duckdb":
        yield from _in_database(path, name, person)
    times = _in_bytes(path, person)
    if times:
        yield Trace(name, None, times)


def _in_parquet(path: Path, name: str, person: Person) -> Iterator[Trace]:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        source = f"read_parquet({_literal(str(path))}, hive_partitioning = false)"
        columns = connection.execute(f"describe select * from {source}").fetchall()
        yield from _in_columns(connection, source, [(row[0], row[1]) for row in columns], name, "", person)


def _in_database(path: Path, name: str, person: Person) -> Iterator[Trace]:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"attach {_literal(str(path))} as looked (read_only)")
        rows = connection.execute(
            "select columns.schema_name, columns.table_name, column_name, data_type from duckdb_columns() as columns "
            "semi join duckdb_tables() as tables on columns.table_oid = tables.table_oid "
            "and columns.database_oid = tables.database_oid where columns.database_name = 'looked' order by all"
        ).fetchall()
        tables: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for schema, table, column, kind in rows:
            tables.setdefault((schema, table), []).append((column, kind))
        for (schema, table), columns in tables.items():
            source = f'looked."{schema}"."{table}"'
            yield from _in_columns(connection, source, columns, name, f"{schema}.{table}.", person)


def _in_columns(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    columns: list[tuple[str, str]],
    name: str,
    prefix: str,
    person: Person,
) -> Iterator[Trace]:
    texts = [column for column, kind in columns if "VARCHAR" in kind or "BLOB" in kind]
    if not texts:
        return
    pattern = _literal(person.text_pattern())
    told = _literal(person.principal_id)
    counts = ", ".join(
        f'count(*) filter (contains(cast("{column}" as varchar), {told}) '
        f'and regexp_matches(cast("{column}" as varchar), {pattern}))'
        for column in texts
    )
    (found,) = connection.execute(f"select {counts} from {source}").fetchall()
    for column, rows in zip(texts, found, strict=True):
        if rows:
            yield Trace(name, f"{prefix}{column}", int(rows))


def _in_bytes(path: Path, person: Person) -> int:
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sum(1 for _ in person.pattern().finditer(content))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
