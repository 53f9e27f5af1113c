"""Billed costs: what invoices say of charges."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the billed cost of charges that invoices are for."""
    from tollbook.warehouse.chargeback import charges_billed_of

    return charges_billed_of(dbt.ref("int_invoice_lines_read"), dbt.ref("int_charges_joined"), session)
