"""How fast analysts' questions are answered by published marts as large as very many events would make them.

The marts of a book that was really built are told again: by a second organisation of the same size, and for quarters
before it, so that tenfold is five quarters of two organisations. Rows keep the columns, the order and the storage of
the published file, older quarters first, as builds append them. Bridges are of every pair of the last 13 periods, and
forecasts do not grow with history. Then each question is put many times, in turn with the others: to one connection,
and each time to a new one. Wall time is what a person waits, CPU time what it would be at most on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
from insight_questions import QUERIES

QUARTERS = 5
ORGANISATIONS = 2
PERIODS_EXPLAINED = 13
LIMIT_MS = 150
SHARED_NAMES = ("unallocated", "unknown", "all", "other")
NAMES = (
    *("team", "workflow", "cost_center", "customer_id", "person", "task_id", "charge_id", "origin_charge_id"),
    *("corrects_charge_id", "journal_line_id"),
)
AS_THEY_ARE = ("publication", "fct_kafka_offsets", "fct_offset_gaps")
OF_NOW = ("fct_forecast",)
PAIRS = "insight.fct_price_volume_mix"


def enlarge(published: Path, out: Path, quarters: int, organisations: int) -> dict[str, int]:
    """Write marts as large as so many times the events would make them; return the rows of each."""
    out.unlink(missing_ok=True)
    with duckdb.connect() as made:
        made.execute("set TimeZone = 'UTC'")
        made.execute(f"attach '{out}' as large (storage_version 'v1.2.0')")
        made.execute(f"attach '{published}' as book (read_only)")
        made.execute("use large")
        tables = made.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'book' order by all"
        ).fetchall()
        for schema, table in tables:
            name = f"{schema}.{table}"
            made.execute(f"create schema if not exists {schema}")
            made.execute(f"create table {name} as from book.{name} limit 0")
            again = "select 0" if table in (*AS_THEY_ARE, *OF_NOW) else f"from range({quarters - 1}, -1, -1)"
            for (quarter,) in made.execute(again).fetchall():
                columns = made.execute(f"describe {name}").fetchall()
                told = {column: _told(column, kind, quarter) for column, kind, *_ in columns}
                is_named = table not in AS_THEY_ARE and any(column in NAMES for column in told)
                for number in range(organisations if is_named else 1):
                    if name == PAIRS:
                        continue
                    listed = ", ".join(f"{each.format(number=number)} as {column}" for column, each in told.items())
                    made.execute(f"insert into {name} select {listed} from book.{name}")
        _add_pairs(made, organisations)
        made.execute("checkpoint large")
        return {
            f"{schema}.{table}": made.execute(f"select count(*) from {schema}.{table}").fetchall()[0][0]
            for schema, table in tables
        }


def _told(column: str, kind: str, quarter: int) -> str:
    """Return a column as it is told again, `{number}` being the organisation."""
    if column == "task_id":
        return f"{column} || '~{quarter}~{{number}}'"
    if column in NAMES:
        shared = ", ".join(f"'{name}'" for name in SHARED_NAMES)
        return f"if({{number}} = 0 or {column} in ({shared}), {column}, {column} || '~{{number}}')"
    if kind == "DATE":
        return f"cast({column} - interval {3 * quarter} month as date)"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"{column} - interval {3 * quarter} month"
    return column


def _add_pairs(made: duckdb.DuckDBPyConnection, organisations: int) -> None:
    """Add bridges of every pair of the last periods, each as one of the book's."""
    periods = [
        day
        for (day,) in made.execute(
            "select distinct billing_period_start from insight.fct_cost_drivers order by all desc limit ?",
            [PERIODS_EXPLAINED],
        ).fetchall()
    ]
    of_book = made.execute(
        f"select distinct from_period_start, to_period_start from book.{PAIRS} order by all"
    ).fetchall()
    for place, (before, after) in enumerate(combinations(sorted(periods), 2)):
        for number in range(organisations):
            names = ", ".join(
                f"{_told(name, 'VARCHAR', 0).format(number=number)} as {name}" for name in ("team", "workflow")
            )
            made.execute(
                f"insert into {PAIRS} select * replace (date '{before}' as from_period_start, "
                f"date '{after}' as to_period_start, {names}) from book.{PAIRS} "
                "where from_period_start = ? and to_period_start = ?",
                of_book[place % len(of_book)],
            )


def named(marts: Path) -> dict[str, Any]:
    """Return what questions are about: the last whole period and the one before, a large team, a workflow, a task."""
    with duckdb.connect(marts, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        periods = connection.execute(
            "select distinct billing_period_start from insight.fct_cost_drivers order by all desc limit 2"
        ).fetchall()
        ((newest, task_id, day),) = connection.execute(
            "select max(started_at), min(task_id), date_trunc('day', arg_min(started_at, task_id)) "
            "from engineering.fct_tasks"
        ).fetchall()
        ((team, workflow),) = connection.execute(
            "select team, workflow from insight.fct_cost_drivers where workflow <> 'unknown' "
            "group by all order by sum(tasks) desc, team, workflow limit 1"
        ).fetchall()
    return {
        "period": periods[0][0],
        "before": periods[1][0],
        "newest": newest,
        "task_id": task_id,
        "day": day,
        "team": team,
        "workflow": workflow,
    }


def connected(marts: Path) -> duckdb.DuckDBPyConnection:
    """Return a new connection, as `tollbook sql` opens it."""
    connection = duckdb.connect(marts, read_only=True)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def measure(marts: Path, rounds: int, cold_rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of each question, warm and cold, rounds in turn."""
    about = named(marts)
    given = {name: {key: value for key, value in about.items() if f"${key}" in sql} for name, sql in QUERIES.items()}
    warm: dict[str, list[tuple[float, float]]] = {name: [] for name in QUERIES}
    cold: dict[str, list[tuple[float, float]]] = {name: [] for name in QUERIES}
    rows = {}
    with connected(marts) as connection:
        for number in range(rounds + 1):
            for name, sql in QUERIES.items():
                began = (time.perf_counter(), time.process_time())
                rows[name] = len(connection.execute(sql, given[name]).fetchall())
                if number:
                    warm[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    for _ in range(cold_rounds):
        for name, sql in QUERIES.items():
            began = (time.perf_counter(), time.process_time())
            with connected(marts) as connection:
                connection.execute(sql, given[name]).fetchall()
            cold[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return {
        name: {
            "rows": rows[name],
            "p50_ms": percentile([wall for wall, _ in warm[name]], 50),
            "p95_ms": percentile([wall for wall, _ in warm[name]], 95),
            "max_ms": percentile([wall for wall, _ in warm[name]], 100),
            "cpu_p50_ms": percentile([cpu for _, cpu in warm[name]], 50),
            "cold_p50_ms": percentile([wall for wall, _ in cold[name]], 50),
            "cold_p95_ms": percentile([wall for wall, _ in cold[name]], 95),
        }
        for name in QUERIES
    }


def percentile(seconds: list[float], percent: int) -> float:
    """Return the value that so many percent do not exceed, by nearest rank. Unit: Milliseconds."""
    ordered = sorted(seconds)
    return round(1000 * ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 1)


def table(found: dict[str, Any]) -> str:
    """Return what was measured as a Markdown table."""
    lines = [
        f"| {found['title']} | rows | p50 ms | p95 ms | max ms | CPU p50 ms | new connection p50 ms | p95 ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, told in found["queries"].items():
        over = f" (over {LIMIT_MS})" if told["p95_ms"] >= LIMIT_MS else ""
        lines.append(
            f"| {name}{over} | {told['rows']:,} | {told['p50_ms']} | {told['p95_ms']} | {told['max_ms']} | "
            f"{told['cpu_p50_ms']} | {told['cold_p50_ms']} | {told['cold_p95_ms']} |"
        )
    most = ", ".join(f"{rows:,} {name}" for name, rows in sorted(found["rows"].items(), key=lambda each: -each[1])[:6])
    return "\n".join([*lines, "", f"{most}; {found['bytes'] / 1e6:,.0f} MB; load {found['load']}"])


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="published file of a book")
    parser.add_argument("--marts", type=Path, required=True, help="where the larger marts are written")
    parser.add_argument("--events", type=int, required=True, help="events of the book")
    parser.add_argument("--quarters", type=int, default=QUARTERS)
    parser.add_argument("--organisations", type=int, default=ORGANISATIONS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--cold-rounds", type=int, default=10)
    given = parser.parse_args()
    rows = enlarge(given.published.resolve(), given.marts, given.quarters, given.organisations)
    times = given.quarters * given.organisations
    found = {
        "title": f"roll-ups of {times * given.events:,} events, warm",
        "queries": measure(given.marts, given.rounds, given.cold_rounds),
        "rows": rows,
        "bytes": given.marts.stat().st_size,
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(found | {"table": table(found)}))


if __name__ == "__main__":
    main()
