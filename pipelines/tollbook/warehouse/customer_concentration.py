"""How usage is spread over customers, as a step of dbt's, of the billing periods that have planned days."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.customer_concentration import CONCENTRATION_SCHEMA, CUSTOMERS_SCHEMA, customer_concentration
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

_PERIOD: Final = "billing_period_start"
_SUMS: Final = ", ".join(f"sum({name}) as {name}" for name in CUSTOMERS_SCHEMA.names[3:])
_KEY: Final = ", ".join(CUSTOMERS_SCHEMA.names[:3])
_HAS_MART: Final = """
    select count(*) from duckdb_tables()
    where database_name = 'tollbook' and schema_name = 'insight' and table_name = 'fct_customer_concentration'
"""


def customer_concentration_of(days: Any, planned: Any, session: Any) -> pa.Table:
    """Return how usage is spread over customers.

    Args:
        days: DuckDB relation of days of usage by product and customer.
        planned: DuckDB relation of the days that the build makes anew, with `billing_period_start`.
        session: DuckDB connection of the build.

    Returns:
        `CONCENTRATION_SCHEMA` of each period that is made anew, and a row without a measure for it: what the mart holds
        of it is to be deleted.
    """
    with python_model(session) as settings:
        is_full = json.loads(WarehouseFolder.of(settings).plan.read_text(encoding="utf-8"))["is_full"]
        is_new = is_full or not session.execute(_HAS_MART).fetchall()[0][0]
        source = days if is_new else planned
        periods = sorted(row[0] for row in source.project(_PERIOD).distinct().fetchall())
        listed = ", ".join(f"date '{period}'" for period in periods) or "null"
        used = days.filter(f"{_PERIOD} in ({listed})").aggregate(f"{_KEY}, {_SUMS}", _KEY)
        customers = used.project(", ".join(CUSTOMERS_SCHEMA.names)).to_arrow_table().cast(CUSTOMERS_SCHEMA)
        marks = pa.Table.from_pylist([{_PERIOD: period} for period in periods], schema=CONCENTRATION_SCHEMA)
        return pa.concat_tables([customer_concentration(customers), marks])
