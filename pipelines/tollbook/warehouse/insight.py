"""Why a bill is what it is, as steps of dbt's: tables from the warehouse, prices from the book in force."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.bills import DRIVERS_SCHEMA, USAGE_SCHEMA, read_bills
from tollbook.insight.price_volume_mix import EFFECTS_SCHEMA, METHOD, Pair, every_pair, price_volume_mix
from tollbook.rating.book import PriceBook
from tollbook.rating.unit_prices import UNIT_PRICES_SCHEMA, unit_prices
from tollbook.rating.used import COLUMNS, used_units
from tollbook.warehouse.plan import planned_time
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

PERIODS_EXPLAINED: Final = 13
"""Billing periods whose pairs are explained: a year, and the month it is compared with."""

REMADE_SCHEMA: Final = EFFECTS_SCHEMA.append(pa.field("inputs_version", pa.string()))

_MART: Final = "tollbook.insight.fct_price_volume_mix"
_HAS_MART: Final = """
    select count(*) from duckdb_tables()
    where database_name = 'tollbook' and schema_name = 'insight' and table_name = 'fct_price_volume_mix'
"""
_HELD: Final = f"""
    select from_period_start, to_period_start, min(inputs_version) as version, max(inputs_version) as other
    from {_MART}
    group by all
"""
_PERIOD: Final = "billing_period_start"


def unit_prices_of(usage: Any, session: Any) -> pa.Table:
    """Return the average list price of each unit of tokens that was used, by the price book in force.

    Args:
        usage: DuckDB relation that has `tollbook.rating.used.COLUMNS`.
        session: DuckDB connection of the build.

    Returns:
        `tollbook.rating.unit_prices.UNIT_PRICES_SCHEMA`.
    """
    with python_model(session) as settings:
        rows = usage.project(", ".join(COLUMNS)).fetchall()
        calendar = planned_time(WarehouseFolder.of(settings))[1]
        used = used_units((dict(zip(COLUMNS, row, strict=True)) for row in rows), calendar)
        return unit_prices(used, PriceBook.load(settings).list_prices, calendar)


def price_volume_mix_of(usage: Any, drivers: Any, prices: Any, session: Any) -> pa.Table:
    """Return what changed bills between the last billing periods, for the pairs whose bills are not those of the mart.

    Args:
        usage: DuckDB relation that has the columns of `USAGE_SCHEMA`.
        drivers: DuckDB relation that has the columns of `DRIVERS_SCHEMA`.
        prices: DuckDB relation of `UNIT_PRICES_SCHEMA`.
        session: DuckDB connection of the build.

    Returns:
        `REMADE_SCHEMA`: the effects of each such pair, and a row of it that has no effect: what the mart holds of the
        pair is to be deleted, of pairs that have left the last periods too.
    """
    with python_model(session) as settings:
        is_full = json.loads(WarehouseFolder.of(settings).plan.read_text(encoding="utf-8"))["is_full"]
        held = {} if is_full else _held(session)
        relations = (
            (usage, USAGE_SCHEMA),
            (drivers, DRIVERS_SCHEMA),
            (prices, UNIT_PRICES_SCHEMA),
        )
        charged = drivers.project(_PERIOD).distinct().fetchall()
        last = sorted(period for (period,) in charged)[-PERIODS_EXPLAINED:]
        versions = _versions(relations, last)
        now = {pair: _version(versions, pair) for pair in every_pair(last)}
        remade = [pair for pair, version in now.items() if held.get(pair) != version]
        tables = [_of_periods(each, schema, remade) for each, schema in relations]
        effects = price_volume_mix(read_bills(*tables), remade)
        return pa.concat_tables(
            [_versioned(effects, now), _marks([*remade, *(pair for pair in held if pair not in now)])]
        )


def _held(session: Any) -> dict[Pair, str | None]:
    """Return which state of their bills the pairs in the mart are of; None where rows are of several."""
    if not session.execute(_HAS_MART).fetchall()[0][0]:
        return {}
    rows = session.execute(_HELD).fetchall()
    return {(before, after): version if version == other else None for before, after, version, other in rows}


def _versions(relations: Iterable[tuple[Any, pa.Schema]], periods: Sequence[date]) -> Mapping[date, list[str]]:
    """Return what tells one state of a period's rows from another, whatever their order, for each relation."""
    versions: defaultdict[date, list[str]] = defaultdict(list)
    for relation, schema in relations:
        held = _filtered(relation, periods)
        for period, digest in held.aggregate(f"{_PERIOD}, sum(hash({', '.join(schema.names)}))", _PERIOD).fetchall():
            versions[period].append(f"{schema.names[-1]} {digest}")
    return versions


def _version(versions: Mapping[date, list[str]], pair: Pair) -> str:
    told = [METHOD, *(each for period in pair for each in (str(period), *versions[period]))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _of_periods(relation: Any, schema: pa.Schema, pairs: Iterable[Pair]) -> pa.Table:
    periods = sorted({day for pair in pairs for day in pair})
    return _filtered(relation, periods).project(", ".join(schema.names)).to_arrow_table().cast(schema)


def _filtered(relation: Any, periods: Sequence[date]) -> Any:
    listed = ", ".join(f"date '{day}'" for day in periods)
    return relation.filter(f"{_PERIOD} in ({listed})" if periods else "false")


def _versioned(effects: pa.Table, versions: Mapping[Pair, str]) -> pa.Table:
    firsts, lasts = (effects[name].to_pylist() for name in EFFECTS_SCHEMA.names[:2])
    told = pa.array([versions[pair] for pair in zip(firsts, lasts, strict=True)], pa.string())
    return effects.append_column(REMADE_SCHEMA.field("inputs_version"), told)


def _marks(pairs: Iterable[Pair]) -> pa.Table:
    return pa.Table.from_pylist(list(_marked(pairs)), schema=REMADE_SCHEMA)


def _marked(pairs: Iterable[Pair]) -> Iterator[dict[str, date]]:
    for before, after in pairs:
        yield {"from_period_start": before, "to_period_start": after}
