"""Reconciliation: vendors' reports and invoices against events, each difference named."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return every comparison."""
    from tollbook.warehouse.chargeback import reconciliation_of

    return reconciliation_of(dbt.ref("int_usage_hours_summed"), dbt.ref("int_charge_origins_computed"), session)
