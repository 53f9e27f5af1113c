"""What products earned, in USD: reference data and exchange rates are read by Python alone."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the revenue in force when the build was planned."""
    from tollbook.warehouse.product_revenue import product_revenue_of

    dbt.ref("stg_plan__scope")
    return product_revenue_of(session)
