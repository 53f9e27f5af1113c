"""What changed bills from one period to another, computed by `tollbook.insight`."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the effects of the pairs of periods whose bills are not those that the mart was made of."""
    from tollbook.warehouse.insight import price_volume_mix_of

    usage, drivers = dbt.ref("int_usage_nodes_summed"), dbt.ref("fct_cost_drivers")
    return price_volume_mix_of(usage, drivers, dbt.ref("int_unit_prices_computed"), session)
