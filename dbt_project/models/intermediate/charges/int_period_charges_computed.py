"""The charges of billing periods, computed by `tollbook.rating`: dbt never multiplies tokens by a price."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Write charges that changed to the lake, and return those that hold."""
    from tollbook.warehouse.period_charges import period_charges_of

    return period_charges_of(dbt.ref("int_account_days_summed"), session)
