"""What plans are worth to those who use them, computed by `tollbook.insight`."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return persons under plans and plans on offer, of the billing periods whose inputs have changed."""
    from tollbook.warehouse.subsidies import subsidies_of

    return subsidies_of(dbt.ref("int_person_days_summed"), dbt.ref("fct_charge_origins"), session)
