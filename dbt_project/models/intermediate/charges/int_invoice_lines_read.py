"""Lines of the invoices that are known."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the lines of the invoices that were known when the build was planned."""
    from tollbook.warehouse.chargeback import invoice_lines_of

    dbt.ref("stg_plan__scope")
    return invoice_lines_of(session)
