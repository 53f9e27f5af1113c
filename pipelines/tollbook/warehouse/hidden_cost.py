"""What usage costs beside raw inference, as a step of dbt's."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.hidden_cost import CLASSES_SCHEMA, PURPOSES_SCHEMA, hidden_cost
from tollbook.rating.unit_prices import UNIT_PRICES_SCHEMA
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

COMPUTED_SCHEMA: Final = PURPOSES_SCHEMA.append(pa.field("catalogue_version", pa.string()))

_KEYS: Final = CLASSES_SCHEMA.names.index("calls")
_MART: Final = "tollbook.engineering.fct_hidden_cost"
_HAS_MART: Final = """
    select count(*) from duckdb_tables()
    where database_name = 'tollbook' and schema_name = 'engineering' and table_name = 'fct_hidden_cost'
"""


def hidden_cost_of(days: Any, prices: Any, planned: Any, session: Any) -> pa.Table:
    """Return what usage costs by what it was for, of billing periods that have planned days, or are of older prices.

    Args:
        days: DuckDB relation of days of calls by what they were for, which has the columns of `CLASSES_SCHEMA`.
        prices: DuckDB relation of `UNIT_PRICES_SCHEMA`.
        planned: DuckDB relation of the days that the build makes anew, with `billing_period_start`.
        session: DuckDB connection of the build.

    Returns:
        `COMPUTED_SCHEMA`, and a row without a purpose for each period: what the mart holds of it is to be deleted.
    """
    with python_model(session) as settings:
        is_full = json.loads(WarehouseFolder.of(settings).plan.read_text(encoding="utf-8"))["is_full"]
        told = [row[0] for row in prices.project("catalogue_version").distinct().fetchall()]
        version = told[0] if told else None
        periods = {row[0] for row in planned.project("billing_period_start").distinct().fetchall()}
        if is_full or not session.execute(_HAS_MART).fetchall()[0][0]:
            periods |= {row[0] for row in days.project("billing_period_start").distinct().fetchall()}
        else:
            older = f"select distinct billing_period_start from {_MART} where catalogue_version is distinct from ?"
            periods |= {row[0] for row in session.execute(older, [version]).fetchall()}
        listed = ", ".join(f"date '{day}'" for day in sorted(periods)) or "null"
        names = CLASSES_SCHEMA.names
        sums = ", ".join((*names[:_KEYS], *(f"sum({name}) as {name}" for name in names[_KEYS:])))
        held = days.filter(f"billing_period_start in ({listed})").aggregate(sums, ", ".join(names[:_KEYS]))
        classes = held.project(", ".join(names)).to_arrow_table().cast(CLASSES_SCHEMA)
        computed = hidden_cost(classes, prices.to_arrow_table().select(UNIT_PRICES_SCHEMA.names))
        rows = computed.append_column(
            COMPUTED_SCHEMA.field("catalogue_version"), pa.array([version] * computed.num_rows, pa.string())
        )
        marks = [{"billing_period_start": day} for day in sorted(periods)]
        return pa.concat_tables([rows, pa.Table.from_pylist(marks, schema=COMPUTED_SCHEMA)])
