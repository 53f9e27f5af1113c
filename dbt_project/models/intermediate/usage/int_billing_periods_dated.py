"""When billing periods begin and end: one place knows time zones, the billing calendar."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the billing periods of usage and charges, with their instants."""
    from tollbook.warehouse.billing_periods import billing_periods_of

    return billing_periods_of([dbt.ref("int_usage_charges_summed"), dbt.ref("int_charge_origins_computed")], session)
