"""The price index as a step of dbt's: usage from the warehouse, prices from the book in force."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.price_index import price_index
from tollbook.rating.used import COLUMNS, used_units
from tollbook.warehouse.plan import planned_time
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder


def price_index_of(usage: Any, session: Any) -> pa.Table:
    """Return the price index of usage at the list prices in force in the home that the warehouse belongs to.

    Args:
        usage: DuckDB relation that has `tollbook.rating.used.COLUMNS`.
        session: DuckDB connection of the build.

    Returns:
        `tollbook.rating.price_index.INDEX_SCHEMA`.
    """
    with python_model(session) as settings:
        rows: list[tuple[date | str | int, ...]] = usage.project(", ".join(COLUMNS)).fetchall()
        calendar = planned_time(WarehouseFolder.of(settings))[1]
        used = used_units((dict(zip(COLUMNS, row, strict=True)) for row in rows), calendar)
        return price_index(used, PriceBook.load(settings).list_prices, calendar)
