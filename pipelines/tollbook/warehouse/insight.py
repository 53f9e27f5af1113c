"""Why a bill is what it is, as steps of dbt's: tables from the warehouse, prices from the book in force."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.unit_prices import unit_prices
from tollbook.rating.used import COLUMNS, used_units
from tollbook.warehouse.plan import planned_time
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder


def unit_prices_of(usage: Any, session: Any) -> pa.Table:
    """Return the average list price of each unit of tokens that was used, by the price book in force.

    Args:
        usage: DuckDB relation that has `tollbook.rating.used.COLUMNS`.
        session: DuckDB connection of the build.

    Returns:
        `tollbook.rating.unit_prices.UNIT_PRICES_SCHEMA`.
    """
    with python_model(session) as settings:
        rows = usage.project(", ".join(COLUMNS)).fetchall()
        calendar = planned_time(WarehouseFolder.of(settings))[1]
        used = used_units((dict(zip(COLUMNS, row, strict=True)) for row in rows), calendar)
        return unit_prices(used, PriceBook.load(settings).list_prices, calendar)
