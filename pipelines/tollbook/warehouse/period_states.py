"""Which billing periods of a computed mart are of another state of their inputs than the one at hand."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from tollbook.warehouse.state import WarehouseFolder

_PERIOD: Final = "billing_period_start"
_HAS_MART: Final = """
    select count(*) from duckdb_tables()
    where database_name = 'tollbook' and schema_name = 'insight' and table_name = ?
"""


def period_versions(
    relations: Iterable[tuple[Any, Sequence[str]]], common: str, by_period: Mapping[date, str] | None = None
) -> Mapping[date, str]:
    """Return what tells one state of a period's inputs from another, whatever the order of their rows.

    Args:
        relations: DuckDB relations with `billing_period_start`, and the names of the columns that count.
        common: What counts for every period.
        by_period: What else counts for a period, where something does.

    Returns:
        16 hexadecimal digits for each period that a relation has rows of.
    """
    texts: defaultdict[date, list[str]] = defaultdict(list)
    for place, (relation, names) in enumerate(relations):
        summed = relation.aggregate(f"{_PERIOD}, sum(hash({', '.join(names)}))", _PERIOD)
        for period, digest in summed.fetchall():
            texts[period].append(f"{place} {digest}")
    return {
        period: hashlib.sha256("\n".join([common, *told, (by_period or {}).get(period, "")]).encode()).hexdigest()[:16]
        for period, told in texts.items()
    }


def changed_periods(session: Any, folder: WarehouseFolder, mart: str, versions: Mapping[date, str]) -> list[date]:
    """Return the periods that a build makes anew, in order: those of another state, and those of which nothing is left.

    Args:
        session: DuckDB connection of the build.
        folder: The warehouse: a plan that is full makes all.
        mart: Table of the schema `insight`, with `inputs_version`.
        versions: State of each period's inputs.
    """
    is_full = json.loads(folder.plan.read_text(encoding="utf-8"))["is_full"]
    held = {} if is_full else _held(session, mart)
    return sorted(
        {period for period, version in versions.items() if held.get(period) != version} | (held.keys() - versions)
    )


def _held(session: Any, mart: str) -> dict[date, str | None]:
    """Return which state of their inputs the periods in the mart are of; None where rows are of several."""
    if not session.execute(_HAS_MART, [mart]).fetchall()[0][0]:
        return {}
    told = f"select {_PERIOD}, min(inputs_version), max(inputs_version) from tollbook.insight.{mart} group by all"
    return {period: first if first == last else None for period, first, last in session.execute(told).fetchall()}
