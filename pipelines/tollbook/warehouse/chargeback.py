"""Charges and who bears them as steps of dbt's: origins, their allocation, lines of invoices, and billed costs.

All follow the reference files in use and what was known when the build was planned; nothing is written to the lake.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.invoices import CHARGE_WEIGHTS_SCHEMA, INVOICE_LINES_SCHEMA, billed_costs, invoice_lines
from tollbook.chargeback.places import Places
from tollbook.chargeback.shared import SharedCharges
from tollbook.chargeback.usage_lines import USAGE_LINES_SCHEMA, UsageLines
from tollbook.closing.adjustments import read_adjustments
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.rating.sources.exchange import ExchangeRates, read_exchange_rates
from tollbook.rating.units import load_names
from tollbook.reconcile.book import Reconciliation
from tollbook.reconcile.store import VENDOR_USAGE, newest_report
from tollbook.reference.dated.kinds import (
    ACCOUNTS,
    ALLOCATION_RULES,
    ENTITIES,
    ESTIMATES,
    FLEETS,
    HIERARCHY,
    INVOICES,
    OFFERS,
    PATHS,
    PLATFORMS,
    REVENUE,
    SUBSCRIPTIONS,
)
from tollbook.reference.dated.use import ReferenceBook, read_reference
from tollbook.settings import Settings
from tollbook.warehouse.plan import planned_scope, planned_time
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.reconciliation import reconciliation_book
from tollbook.warehouse.state import WarehouseFolder

NO_SHARED_CHARGES: Final = "none"
_HELD: Final[dict[tuple[str, int], Reconciliation]] = {}
"""What the charges of a build were reconciled by, until its mart is made of the same."""
_CHARGING: Final = (
    *(HIERARCHY, PLATFORMS, SUBSCRIPTIONS, FLEETS, ALLOCATION_RULES, INVOICES, ESTIMATES),
    *(ACCOUNTS, ENTITIES, OFFERS, PATHS, REVENUE),
)


def charge_origins_of(usage_lines: Any, period_charges: Any, usage_hours: Any, session: Any) -> pa.Table:
    """Return every charge that no call bears by itself, before it is allocated.

    Args:
        usage_lines: DuckDB relation of the usage of billing periods, with the columns of `USAGE_LINES_SCHEMA`.
        period_charges: DuckDB relation of the charges of rating, as `period_charges_of` returns them.
        usage_hours: DuckDB relation of usage by hour, with the columns of `USAGE_HOURS_SCHEMA`.
        session: DuckDB connection of the build.

    Returns:
        `ORIGIN_SCHEMA`.
    """
    with python_model(session) as settings:
        _HELD.clear()
        reconciled = _HELD[_plan_written(settings)] = _reconciled(settings, usage_hours)
        return _shared(settings, usage_lines).origins(period_charges.to_arrow_table().to_pylist(), reconciled)


def reconciliation_of(usage_hours: Any, origins: Any, session: Any) -> pa.Table:
    """Return vendors' reports and invoices against events, every difference named.

    Args:
        usage_hours: DuckDB relation of usage by hour, with the columns of `USAGE_HOURS_SCHEMA`.
        origins: DuckDB relation of `ORIGIN_SCHEMA`.
        session: DuckDB connection of the build.

    Returns:
        `RECONCILIATION_SCHEMA`.
    """
    with python_model(session) as settings:
        reconciled = _HELD.pop(_plan_written(settings), None) or _reconciled(settings, usage_hours)
        return reconciled.table(origins.to_arrow_table().to_pylist())


def charges_allocated_of(origins: Any, usage_lines: Any, session: Any) -> pa.Table:
    """Return the lines of origin charges by those who bear them.

    Args:
        origins: DuckDB relation of `ORIGIN_SCHEMA`.
        usage_lines: DuckDB relation of the usage of billing periods.
        session: DuckDB connection of the build.

    Returns:
        `ALLOCATED_SCHEMA`.
    """
    with python_model(session) as settings:
        return _shared(settings, usage_lines).allocated(origins.to_arrow_table())


def invoice_lines_of(session: Any) -> pa.Table:
    """Return the lines of the invoices that are known, `INVOICE_LINES_SCHEMA`."""
    with python_model(session) as settings:
        now, calendar = planned_time(WarehouseFolder.of(settings))
        return invoice_lines(read_reference(settings.reference).known(INVOICES, now), _exchange(settings), calendar)


def charges_billed_of(lines: Any, charges: Any, session: Any) -> pa.Table:
    """Return the billed cost of charges that invoices are for.

    Args:
        lines: DuckDB relation of `INVOICE_LINES_SCHEMA`.
        charges: DuckDB relation with the columns of `CHARGE_WEIGHTS_SCHEMA`.
        session: DuckDB connection of the build.

    Returns:
        `BILLED_SCHEMA`.
    """
    with python_model(session):
        told = lines.project(", ".join(INVOICE_LINES_SCHEMA.names)).to_arrow_table().cast(INVOICE_LINES_SCHEMA)
        names = ", ".join(CHARGE_WEIGHTS_SCHEMA.names)
        held = charges.project(names) if told.num_rows else charges.project(names).limit(0)
        return billed_costs(told, held.to_arrow_table().cast(CHARGE_WEIGHTS_SCHEMA))


def places_of(settings: Settings, now: datetime) -> Places:
    """Return the hierarchy in use.

    Raises:
        ReferenceDataError: A reference file has a fault.
    """
    return Places.of(read_reference(settings.reference).known(HIERARCHY, now))


def shared_inputs(settings: Settings, calendar: BillingCalendar, now: datetime) -> str:
    """Return a digest of all that decides shared charges, but for the usage and the charges of rating.

    Raises:
        ReferenceDataError: A reference file has a fault.
    """
    book = read_reference(settings.reference)
    files = [file for kind in _CHARGING for file in book.files.get(kind, ())]
    reports = newest_report(settings.lake)
    if not files and not reports:
        return NO_SHARED_CHARGES
    texts = [*(f"{file.kind} {file.name} {file.version}" for file in files), f"{VENDOR_USAGE} {reports}"]
    # Each billing period that begins has charges of its own, and so has each day on which a purchase falls due.
    today = calendar.day_at(now)
    due = sorted(day for day in _due_days(book, now) if day <= today)
    texts += [_exchange(settings).version, str(BillingPeriod.of(today).start), *map(str, due)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _due_days(book: ReferenceBook, now: datetime) -> set[Any]:
    entries = [entry for kind in (SUBSCRIPTIONS, FLEETS) for entry in book.known(kind, now)]
    return {entry.valid_from for entry in entries}


def _shared(settings: Settings, usage_lines: Any) -> SharedCharges:
    scope = planned_scope(WarehouseFolder.of(settings))
    names = ", ".join(USAGE_LINES_SCHEMA.names)
    return SharedCharges(
        book=read_reference(settings.reference),
        usage=UsageLines(usage_lines.project(names).to_arrow_table()),
        exchange=_exchange(settings),
        calendar=scope.calendar,
        known_at=scope.now,
        provider_of=lru_cache(maxsize=1024)(load_names().provider),
        adjustments=read_adjustments(settings.lake).up_to(scope.adjustment_number),
    )


def _plan_written(settings: Settings) -> tuple[str, int]:
    """Return which plan a build goes by: of one build, what is compared for the charges is compared for the mart."""
    plan = WarehouseFolder.of(settings).plan
    return str(plan), plan.stat().st_mtime_ns


def _reconciled(settings: Settings, usage_hours: Any) -> Reconciliation:
    scope = planned_scope(WarehouseFolder.of(settings))
    return reconciliation_book(
        settings,
        usage_hours,
        book=read_reference(settings.reference),
        exchange=_exchange(settings),
        calendar=scope.calendar,
        known_at=scope.now,
        provider_of=lru_cache(maxsize=1024)(load_names().provider),
    )


def _exchange(settings: Settings) -> ExchangeRates:
    path = settings.exchange_rates
    return read_exchange_rates(path) if path.exists() else ExchangeRates()
