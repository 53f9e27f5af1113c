"""Models as the last build compiled them, for those who ask what they say of single calls.

Which telling of a call stands, what it costs and which line it is in is said by the models alone. Who traces a call
runs them again, on the tellings of that call.
"""

from __future__ import annotations

from typing import Final

import duckdb

from tollbook.errors import WarehouseStateError
from tollbook.warehouse.state import WarehouseFolder

_STAGING, _SCRATCH, _LEDGER = "scratch.staging", "scratch.intermediate", "ledger.intermediate"
_MODELS: Final = {
    "stg_lake__usage": ("staging/lake", _STAGING),
    "stg_lake__usage_elsewhere": ("staging/lake", _STAGING),
    "stg_lake__ratings": ("staging/lake", _STAGING),
    "stg_plan__files": ("staging/plan", _STAGING),
    "stg_plan__billing_days": ("staging/plan", _STAGING),
    "stg_plan__places": ("staging/plan", _STAGING),
    "stg_plan__closed_periods": ("staging/plan", _STAGING),
    "int_ratings_in_force": ("intermediate/tellings", _SCRATCH),
    "int_tellings_rated": ("intermediate/tellings", _SCRATCH),
    "int_tellings_elsewhere_rated": ("intermediate/tellings", _SCRATCH),
    "int_tellings_resolved": ("intermediate/tellings", _SCRATCH),
    "int_calls_deduplicated": ("intermediate/tellings", _SCRATCH),
    "int_lineage_days_summed": ("intermediate/lineage", _LEDGER),
    "int_lineage_days_placed": ("intermediate/lineage", _SCRATCH),
}
"""Models in the order in which they read each other: folder of each, and schema that others find it in."""
CALLS: Final = "int_calls_deduplicated"


def call_place(relation: str) -> str:
    """Return what tells a call of a relation from all others, in SQL: `topic/partition/offset/item`."""
    columns = ("topic", "kafka_partition", "kafka_offset", "record_item")
    return " || '/' || ".join(f"{relation}.{column}" for column in columns)


def make_schemas(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the databases and schemas that models read and write, in memory."""
    for database in ("scratch", "ledger"):
        connection.execute(f"attach ':memory:' as {database}")
    for schema in ("scratch.lake", "scratch.plan", _STAGING, _SCRATCH, _LEDGER):
        connection.execute(f"create schema {schema}")


def run_models(folder: WarehouseFolder, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the models of tellings, calls and their lines over `scratch.lake` and `scratch.plan`, as tables.

    `calls` has the calls as the model says. Models after it see each call under a topic of its own, its
    `call_place`, so that what they sum stays one call.

    Raises:
        WarehouseStateError: The last build's models are not there.
    """
    for name, (place, schema) in _MODELS.items():
        sql = _compiled(folder, place, name)
        if name == CALLS:
            connection.execute(f"create table calls as {sql}")
            sql = f"select * replace ({call_place('calls')} as topic) from calls"
        connection.execute(f"create table {schema}.{name} as {sql}")


def _compiled(folder: WarehouseFolder, place: str, name: str) -> str:
    path = folder.target / "compiled" / "tollbook" / "models" / place / f"{name}.sql"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as absent:
        raise WarehouseStateError(
            f"expected the model {name} as the last build compiled it at {path}, found none: "
            "run `tollbook warehouse build --full-refresh`"
        ) from absent
