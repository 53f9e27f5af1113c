"""Charges that no call bears by itself: rating, platforms, plans, fleets, untagged usage, residuals of invoices."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return every such charge as a whole."""
    from tollbook.warehouse.chargeback import charge_origins_of

    return charge_origins_of(
        dbt.ref("int_usage_charges_summed"),
        dbt.ref("int_period_charges_computed"),
        dbt.ref("int_usage_hours_summed"),
        session,
    )
