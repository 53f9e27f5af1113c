"""Usage by billing period and unit, from the published file."""

from __future__ import annotations

from typing import Final

from tollbook.rating.used import COLUMNS, UsedUnit, used_units
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED
from tollbook.warehouse.query import ask

_USED: Final = f"select {', '.join(COLUMNS)} from insight.fct_unit_usage"
_HAS_IT: Final = "select count(*) from duckdb_tables() where schema_name = 'insight' and table_name = 'fct_unit_usage'"


def read_used_units(settings: Settings) -> list[UsedUnit] | None:
    """Return what was used; None where nothing is published yet, or by a version that did not tell it.

    Raises:
        QueryError: The published file cannot be read.
        ReferenceDataError: The billing calendar has a fault.
    """
    if not (settings.serve / PUBLISHED).exists() or not ask(settings, _HAS_IT).rows[0][0]:
        return None
    answer = ask(settings, _USED)
    rows = (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
    return list(used_units(rows, billing_calendar(settings)))
