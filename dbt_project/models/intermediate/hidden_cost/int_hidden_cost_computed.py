"""What calls cost beside raw inference: a known cost, split over what its tokens were for."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the cost of each purpose, for the billing periods that changed."""
    from tollbook.warehouse.hidden_cost import hidden_cost_of

    return hidden_cost_of(
        dbt.ref("int_hidden_days_summed"),
        dbt.ref("int_unit_prices_computed"),
        dbt.ref("stg_plan__billing_days"),
        session,
    )
