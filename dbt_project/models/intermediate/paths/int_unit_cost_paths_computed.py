"""What workloads would cost on each path of inference, computed by `tollbook.insight`."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return workloads by path, of the billing periods whose inputs have changed."""
    from tollbook.warehouse.unit_cost_paths import unit_cost_paths_of

    return unit_cost_paths_of(
        dbt.ref("int_path_days_summed"), dbt.ref("int_tasks_counted"), dbt.ref("fct_charge_origins"), session
    )
