"""The dbt project: its words, its shapes, its unit tests, and that a plain `dbt build` works on a plan."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
import yaml

from tollbook.contracts import usage_record_schema
from tollbook.errors import BuildFailedError
from tollbook.lake.merge import USAGE_VERSION
from tollbook.warehouse.book import BOOK
from tollbook.warehouse.build import build
from tollbook.warehouse.keys import SAME_CALL_DAYS
from tollbook.warehouse.project import WAREHOUSE_VARIABLE, project_folder, run_dbt
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

FIXED_MARTS = {
    "finance": {"fct_chargeback_by_team", "fct_chargeback_by_workflow", "fct_journal"},
    "engineering": {"fct_agent_costs", "fct_hidden_cost", "fct_task_economics", "fct_tasks", "fct_usage_daily"},
    "insight": {
        *("fct_forecast", "fct_margins", "fct_price_index", "fct_price_volume_mix", "fct_subsidies"),
        "fct_unit_cost_paths",
    },
    "audit": {"fct_ledger_balance"},
}
COSTS = ("list_cost", "contracted_cost", "effective_cost", "billed_cost")
TOKENS = (
    "input_tokens",
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
)


@lru_cache(maxsize=1)
def documents() -> dict[Path, dict[str, Any]]:
    """Return every YAML file of the models."""
    return {path: yaml.safe_load(path.read_text()) for path in sorted((project_folder() / "models").rglob("*.yml"))}


def models() -> dict[str, dict[str, Any]]:
    """Return what is said of each model."""
    return {each["name"]: each for document in documents().values() for each in document.get("models", [])}


def sources(name: str) -> dict[str, dict[str, Any]]:
    """Return the tables of one source."""
    return {
        table["name"]: table
        for document in documents().values()
        for source in document.get("sources", [])
        if source["name"] == name
        for table in source["tables"]
    }


def duckdb_type(arrow: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type, asked from DuckDB itself."""
    shape = pa.schema([("value", arrow)]).empty_table()
    with duckdb.connect() as connection:
        connection.register("shape", shape)
        return str(connection.execute("select column_type from (describe from shape)").fetchall()[0][0]).lower()


def test_every_model_and_column_is_described_and_the_grain_comes_first() -> None:
    """People find out what a row is before they sum it."""
    files = {path.stem for suffix in ("sql", "py") for path in (project_folder() / "models").rglob(f"*.{suffix}")}
    assert files == set(models())
    for name, model in models().items():
        assert model["description"].startswith("One row per "), name
        for column in model["columns"]:
            assert column["description"].strip(), (name, column["name"])


def test_marts_enforce_a_contract_and_test_their_grain() -> None:
    """A mart with a column of another type, or with two rows where one is promised, must not be published."""
    for path in (project_folder() / "models" / "marts").rglob("fct_*.sql"):
        model = models()[path.stem]
        grain = model["data_tests"][0]["grain"]["arguments"]["columns"]
        columns = {column["name"]: column for column in model["columns"]}
        assert all(column["data_type"] for column in columns.values()), path
        for name in grain:
            assert columns[name]["constraints"] == [{"type": "not_null"}], (path, name)


@pytest.mark.parametrize(("schema", "names"), FIXED_MARTS.items())
def test_fixed_names_stay(schema: str, names: set[str]) -> None:
    """Queries, exports and scripts of other people rest on these names."""
    folder = project_folder() / "models" / "marts" / schema
    assert names <= {path.stem for path in folder.glob("*.sql")}


@pytest.mark.parametrize(
    "name", ["fct_chargeback_by_team", "fct_chargeback_by_workflow", "fct_tasks", "fct_usage_daily"]
)
def test_marts_have_four_costs_in_decimals_and_tokens_in_whole_numbers(name: str) -> None:
    """Money is never a float, and every sum of costs has what it leaves out beside it."""
    types = {column["name"]: column["data_type"] for column in models()[name]["columns"]}
    assert {types[cost] for cost in COSTS} == {"decimal(38,12)"}
    assert {types[tokens] for tokens in (*TOKENS, "calls", "unpriced_calls", "unpriced_tokens")} == {"bigint"}


def test_source_columns_are_those_of_the_contract() -> None:
    """The shape of a usage row is written once, in schemas/; what dbt says of it may not drift."""
    told = {column["name"]: column["data_type"] for column in sources("lake")["usage"]["columns"]}
    made_by_the_reader = {"event_date": "date", "filename": "varchar", "file_row_number": "bigint"}
    assert (
        told == {each.name: duckdb_type(each.type) for each in usage_record_schema(USAGE_VERSION)} | made_by_the_reader
    )


@pytest.mark.parametrize(("table", "schema"), BOOK.items())
def test_bookkeeping_columns_are_those_that_are_written(table: str, schema: pa.Schema) -> None:
    """What the build writes before dbt runs is what dbt says it reads."""
    told = {column["name"]: column["data_type"] for column in sources("book")[table]["columns"]}
    assert told == {each.name: duckdb_type(each.type) for each in schema}


def test_identity_is_bounded_alike_in_plan_and_models() -> None:
    """The plan searches as far as the models look; a difference would lose tellings without a word."""
    project = yaml.safe_load((project_folder() / "dbt_project.yml").read_text())
    assert project["vars"]["same_call_days"] == SAME_CALL_DAYS


def test_every_macro_is_described() -> None:
    """A macro without a word is read as often as it is called."""
    folder = project_folder() / "macros"
    described = {each["name"] for each in yaml.safe_load((folder / "_macros.yml").read_text())["macros"]}
    defined = {
        line.split()[2].split("(")[0]
        for path in folder.rglob("*.sql")
        for line in path.read_text().splitlines()
        if line.startswith("{% macro ")
    }
    assert defined == described


def test_only_staging_reads_sources() -> None:
    """One place knows how the lake looks."""
    for path in (project_folder() / "models").rglob("*.sql"):
        assert ("source(" in path.read_text()) == ("staging" in path.parts), path


def test_unit_tests_pass(lake: LakeBuilder, event: Any) -> None:
    """Arithmetic worked by hand beside the models; they need the project's relations, so a small lake comes first."""
    lake.commit([event("a")])
    build(lake.settings)

    failures = run_dbt(WarehouseFolder.of(lake.settings), ["build", "--select", "+test_type:unit"])

    assert failures == ()


def test_plain_dbt_build_works_on_the_plan(lake: LakeBuilder, event: Any) -> None:
    """Analysts work with dbt's own command line; given the plan of the last build it makes the same marts.

    Also where another version of the project left a view for a table, and a table for a view.
    """
    lake.commit([event("a"), event("b", "2026-06-02")])
    build(lake.settings)
    before = lake.everything()
    with duckdb.connect(lake.settings.warehouse / "tollbook.duckdb") as marts:
        for name in ("finance.fct_chargeback_by_team", "engineering.fct_usage_daily"):
            marts.execute(f"drop table {name}")
            marts.execute(f"create view {name} as select 1 as nothing")
    with duckdb.connect(lake.settings.warehouse / "scratch.duckdb") as scratch:
        scratch.execute("drop view staging.stg_plan__dates")
        scratch.execute("create table staging.stg_plan__dates (nothing integer)")
    command = [str(Path(sys.executable).with_name("dbt")), "build", "--project-dir", str(project_folder())]
    command += ["--profiles-dir", str(project_folder()), "--target-path", str(lake.settings.warehouse / "target")]
    command += ["--log-path", str(lake.settings.warehouse / "logs"), "--exclude-resource-type", "unit_test"]

    done = subprocess.run(
        command,
        env=os.environ | {WAREHOUSE_VARIABLE: str(lake.settings.warehouse)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    with duckdb.connect(lake.settings.warehouse / "tollbook.duckdb", read_only=True) as marts:
        marts.execute("set TimeZone = 'UTC'")
        for name, rows in before.items():
            assert marts.execute(f"from {name} order by all").fetchall() == rows


def test_full_refresh_without_a_full_plan_is_refused(lake: LakeBuilder, event: Any) -> None:
    """A full refresh from a plan of one date would drop all the others."""
    lake.commit([event("a")])
    build(lake.settings)
    lake.commit([event("b", "2026-06-02")])
    build(lake.settings)

    with pytest.raises(BuildFailedError, match="a full refresh needs a plan of every date"):
        run_dbt(WarehouseFolder.of(lake.settings), ["build", "--full-refresh"])


def test_columns_that_differ_from_those_of_the_table_are_refused(lake: LakeBuilder, event: Any) -> None:
    """Rows are inserted by name, so a column that no model makes any more would be null without a word."""
    lake.commit([event("a")])
    build(lake.settings)
    with duckdb.connect(lake.settings.warehouse / "ledger.duckdb") as ledger:
        ledger.execute("alter table intermediate.int_telling_days_summed add column left_behind integer")
    lake.commit([event("b")])

    with pytest.raises(BuildFailedError, match=r"int_telling_days_summed.*held left_behind INTEGER.*--full-refresh"):
        build(lake.settings)
