"""What a token of each kind cost by the list, computed by `tollbook.rating`: dbt never multiplies tokens by a price."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the average list price of each unit of tokens, by the price book in force."""
    from tollbook.warehouse.insight import unit_prices_of

    return unit_prices_of(dbt.ref("fct_unit_usage"), session)
