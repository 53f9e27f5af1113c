"""Charges that no call bears by itself, by who bears them: one place allocates, exactly."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the lines of origin charges."""
    from tollbook.warehouse.chargeback import charges_allocated_of

    return charges_allocated_of(dbt.ref("int_charge_origins_computed"), dbt.ref("int_usage_charges_summed"), session)
