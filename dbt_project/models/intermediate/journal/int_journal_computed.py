"""The journal: every billing period as a double entry, by the code that exports it."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """Return every journal line."""
    from tollbook.warehouse.journal import journal_of

    return journal_of(dbt.ref("fct_charges"), dbt.ref("dim_billing_periods"), session)
