"""Makes views.sql: the models between the lake and the sums of its days, as Spark writes them.

The models of `dbt_project` are the only ones. dbt compiles them, sqlglot translates what it compiled, and a test holds
that views.sql is what this makes. Run it when a model changed:

    python infra/spark/make_views.py
"""

from __future__ import annotations

import json
import tempfile
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import sqlglot
from sqlglot import exp

from tollbook.settings import Settings
from tollbook.warehouse.project import run_dbt
from tollbook.warehouse.state import WarehouseFolder

VIEWS: Final = Path(__file__).with_name("views.sql")
DAYS: Final = "int_usage_days_summed"
"""The model that Spark makes: the last one that reads events. What comes after it is small."""
GROUPINGS: Final = {
    "usage_by_team": ("billing_period_start", "cost_center", "team", "billing_currency"),
    "usage_by_workflow": ("billing_period_start", "team", "workflow", "billing_currency"),
}
"""Views of its sums, by the columns that they are summed for."""
SOURCES: Final = {
    "scratch.lake.usage": "lake_usage",
    "scratch.lake.usage_elsewhere": "lake_usage_elsewhere",
    "scratch.lake.ratings": "lake_ratings",
    "scratch.plan.billing_days": "plan_billing_days",
    "scratch.plan.files": "plan_files",
    "scratch.plan.cross_date_keys": "plan_cross_date_keys",
}
"""What the models read, under the name it has in Spark. The head of views.sql and chargeback.py make them."""

_HEAD: Final = """\
-- Made by make_views.py of the models in dbt_project; change those, and run it again.
-- Every statement is a view of the session: nothing is written, and nothing is computed until one is read.
-- README.md says what must be there before: usage_delta, lake_ratings and plan_billing_days.
"""
_PROLOGUE: Final = """\
-- DuckDB tells rows apart by file and row number, Spark by what is as unique and does not depend on files: the place
-- in Kafka.
create or replace temporary view lake_usage as
select
    *,
    topic as filename,
    struct(partition, offset, coalesce(record_item, 0)) as file_row_number
from usage_delta;

-- A build of DuckDB's reads dates; Spark reads the table whole, so no telling of a call lies elsewhere.
create or replace temporary view lake_usage_elsewhere as
select * from lake_usage where false;

create or replace temporary view plan_cross_date_keys as
select
    struct(source, event_id) as call_key,
    event_date
from lake_usage_elsewhere;

-- Every row of the table bears its commit itself.
create or replace temporary view plan_files as
select
    filename as path,
    'usage' as role,
    cast(0 as bigint) as commit_number
from lake_usage
group by filename;
"""


def made_views() -> str:
    """Return what views.sql has to be: the views that `DAYS` needs, each after those that it reads, and its sums."""
    queries = compiled_models()
    days = next(name for name in queries if name.endswith(f".{DAYS}"))
    reads: dict[str, set[str]] = {}
    waiting = [days]
    while waiting:
        if (relation := waiting.pop()) not in reads:
            reads[relation] = _relations_in(queries[relation]) - SOURCES.keys()
            waiting += reads[relation]
    views = SOURCES | {relation: relation.rpartition(".")[2] for relation in reads}
    made = {
        views[relation]: translated(queries[relation], views)
        for relation in TopologicalSorter({name: sorted(reads[name]) for name in sorted(reads)}).static_order()
    }
    made |= {name: translated(_summed(queries[days], days, by), views) for name, by in GROUPINGS.items()}
    statements = [f"create or replace temporary view {name} as\n{query};\n" for name, query in made.items()]
    return "\n".join([_HEAD, _PROLOGUE, *statements])


def translated(duckdb_sql: str, views: dict[str, str]) -> str:
    """Return a query of DuckDB's as Spark writes it.

    Args:
        duckdb_sql: The query.
        views: Full name of each relation that it may read, to the view that stands for it.

    Raises:
        sqlglot.errors.UnsupportedError: sqlglot knows that Spark has nothing that means the same. What it does not
            know, `make spark` finds: it compares amounts.
        KeyError: It reads a relation that has no view.
    """
    tree = sqlglot.parse_one(duckdb_sql, read="duckdb")
    for comment in tree.walk():
        comment.comments = None
    tree = tree.transform(_as_spark, views)
    return str(tree.sql(dialect="spark", pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE))


def compiled_models() -> dict[str, str]:
    """Return the models that dbt needs for `DAYS`, as a full refresh runs them: full name of each to its query."""
    with tempfile.TemporaryDirectory() as home:
        folder = WarehouseFolder.of(Settings(home=Path(home)))
        folder.root.mkdir(parents=True)
        failures = run_dbt(folder, ["compile", "--full-refresh", "--select", f"+{DAYS}"])
        if failures:
            raise SystemExit(f"expected dbt to compile {DAYS} and what it reads, got: {failures}")
        manifest = json.loads((folder.target / "manifest.json").read_bytes())
        root = folder.target / "compiled" / manifest["metadata"]["project_name"]
        return {
            node["relation_name"].replace('"', ""): path.read_text(encoding="utf-8")
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and (path := root / node["original_file_path"]).suffix == ".sql"
            if path.exists()
        }


def _relations_in(duckdb_sql: str) -> set[str]:
    tables = sqlglot.parse_one(duckdb_sql, read="duckdb").find_all(exp.Table)
    return {_full_name(table) for table in tables if table.db}


def _summed(query: str, relation: str, by: tuple[str, ...]) -> str:
    """Return a query of DuckDB's that sums everything that `query` does, for fewer columns."""
    sums = [each for each in sqlglot.parse_one(query, read="duckdb", into=exp.Select).selects if each.find(exp.Sum)]
    columns = [*by, *(f"cast(sum({each.alias}) as {each.this.to.sql('duckdb')}) as {each.alias}" for each in sums)]
    return f"select {', '.join(columns)} from {relation} group by all"


def _full_name(table: exp.Table) -> str:
    return f"{table.catalog}.{table.db}.{table.name}"


def _as_spark(node: exp.Expression, views: dict[str, str]) -> exp.Expression:
    """Return what a part of a query has to be for Spark, where sqlglot alone would change its meaning or refuse."""
    match node:
        case exp.Table() if node.db:
            return exp.to_table(views[_full_name(node)], alias=node.alias or None)
        case exp.Anonymous() if node.name.lower() == "hash":
            # A hash stands for values that are compared, nulls as equal ones: Spark compares the values themselves.
            return exp.Anonymous(this="struct", expressions=node.expressions)
        case exp.Select():
            return _without_replace(node)
        case exp.Filter(this=exp.Count(this=exp.Star())) if isinstance(node.parent, exp.Window):
            # Spark's window functions take no filter.
            return exp.Count(this=exp.Case(ifs=[exp.If(this=node.expression.this, true=exp.Literal.number(1))]))
        case exp.Sub(this=exp.Column(this=exp.Identifier(this="event_date"))):
            # Dates apart are a number of days to DuckDB, an interval to Spark.
            return exp.DateDiff(this=node.left, expression=node.right)
        case _:
            return node


def _without_replace(select: exp.Select) -> exp.Select:
    """Return a `* replace (... as name)` as `* except (name), ... as name`. No model goes by the order of columns."""
    columns: list[exp.Expression] = []
    for column in select.expressions:
        star = column.this if isinstance(column, exp.Column) else column
        replaced = star.args.get("replace") if isinstance(star, exp.Star) else None
        columns.append(column)
        if replaced:
            star.set("replace", None)
            star.set("except_", [exp.to_identifier(each.alias) for each in replaced])
            columns += replaced
    select.set("expressions", columns)
    return select


if __name__ == "__main__":
    VIEWS.write_text(made_views(), encoding="utf-8")
