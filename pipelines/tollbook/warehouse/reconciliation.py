"""Reconciliation as steps of dbt's: what is compared, by the reports and invoices known when the build was planned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollbook.chargeback.invoices import invoice_lines
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.reconcile.book import PERIOD_SUMS_SCHEMA, Reconciliation
from tollbook.reconcile.days import USAGE_HOURS_SCHEMA, compare_days
from tollbook.reconcile.store import read_standing
from tollbook.reference.dated.kinds import INVOICES
from tollbook.reference.dated.use import ReferenceBook
from tollbook.settings import Settings


def reconciliation_book(
    settings: Settings,
    usage_hours: Any,
    *,
    book: ReferenceBook,
    exchange: ExchangeRates,
    calendar: BillingCalendar,
    known_at: datetime,
    provider_of: Callable[[str], str],
) -> Reconciliation:
    """Return what is reconciled.

    Args:
        settings: Where the book lives.
        usage_hours: DuckDB relation of usage by hour, with the columns of `USAGE_HOURS_SCHEMA`.
        book: Reference data, for the invoices.
        exchange: Dated rates to USD.
        calendar: Billing calendar.
        known_at: What was learned later is not known.
        provider_of: Gives the price list's name of a provider by any of its names.

    Raises:
        CorruptManifestError: A vendor's report in the lake is missing or damaged.
    """
    rows = read_standing(settings.lake, known_at)
    lines = invoice_lines(book.known(INVOICES, known_at), exchange, calendar).to_pylist()
    return Reconciliation(
        days=compare_days(rows, _hours_of(usage_hours, rows), exchange, provider_of),
        lines=lines,
        usage=_period_sums(usage_hours).to_pylist() if lines else [],
        calendar=calendar,
        today=calendar.day_at(known_at),
        provider_of=provider_of,
    )


def _hours_of(usage_hours: Any, rows: pa.Table) -> pa.Table:
    """Return the hours of the days that vendors report, and of those between."""
    if not rows.num_rows:
        return USAGE_HOURS_SCHEMA.empty_table()
    first, last = pc.min(rows["bucket_start"]).as_py().date(), pc.max(rows["bucket_end"]).as_py().date()
    names = ", ".join(USAGE_HOURS_SCHEMA.names)
    chosen = usage_hours.filter(f"usage_date between date '{first}' and date '{last}'")
    return chosen.project(names).to_arrow_table().cast(USAGE_HOURS_SCHEMA)


def _period_sums(usage_hours: Any) -> pa.Table:
    summed = usage_hours.aggregate(
        "provider, billing_period_start, cast(date_trunc('month', usage_date) as date) as month_start, model, "
        "cast(sum(calls) as bigint) as calls, cast(sum(unpriced_calls) as bigint) as unpriced_calls, "
        "cast(sum(total_tokens) as bigint) as total_tokens, "
        "cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost",
        "provider, billing_period_start, cast(date_trunc('month', usage_date) as date), model",
    )
    return summed.to_arrow_table().cast(PERIOD_SUMS_SCHEMA)
