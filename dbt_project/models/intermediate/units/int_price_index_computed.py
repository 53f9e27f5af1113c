"""The price index, computed by `tollbook.rating`: dbt never multiplies tokens by a price."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the index of all usage at the list prices of the price book in force."""
    from tollbook.warehouse.price_index import price_index_of

    return price_index_of(dbt.ref("fct_unit_usage"), session)
