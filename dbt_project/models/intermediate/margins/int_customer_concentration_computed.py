"""How usage is spread over customers, computed by `tollbook.insight`."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the concentration of the billing periods that changed."""
    from tollbook.warehouse.customer_concentration import customer_concentration_of

    return customer_concentration_of(dbt.ref("int_product_days_summed"), dbt.ref("stg_plan__billing_days"), session)
