"""What the log of charges in the lake tells of each charge scope."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return the scopes up to the entry by which the charges were read."""
    from tollbook.warehouse.period_charges import charge_scopes_told

    # The log is told as it was when the charges were read.
    dbt.ref("int_period_charges_computed")
    return charge_scopes_told(session)
