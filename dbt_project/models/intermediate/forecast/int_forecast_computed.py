"""What usage will cost by team, computed in Python: dbt never multiplies tokens by a price."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the forecast of every team for the months ahead."""
    from tollbook.warehouse.forecast import forecast_of

    return forecast_of(
        dbt.ref("int_usage_days_summed"),
        dbt.ref("fct_tasks"),
        dbt.ref("int_tasks_owned_summed"),
        session,
    )
