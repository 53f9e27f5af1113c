"""Reconciliation as rows: of each comparison what agrees, and what differs by reason. Amounts of rows add up.

A comparison's row `matched` holds what both sides tell; a row of a reason holds, on the side that tells it, what the
other side does not. So sums over rows are the sides as they are, and `residual_` columns sum to their difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import decimal_of, digest
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.reconcile.invoiced import PeriodUnit, period_of
from tollbook.reconcile.residuals import REASONS, DayUnit, Measure

VENDOR_REPORT, INVOICE, MATCHED = "vendor_report", "invoice", "matched"
_MONEY: Final = pa.decimal128(38, 12)
RECONCILIATION_SCHEMA: Final = pa.schema(
    [
        ("reconciliation_id", pa.string()),
        ("comparison", pa.string()),
        ("vendor", pa.string()),
        ("billing_period_start", pa.date32()),
        ("usage_date", pa.date32()),
        ("model", pa.string()),
        ("project_id", pa.string()),
        ("residual_kind", pa.string()),
        ("our_calls", pa.int64()),
        ("vendor_calls", pa.int64()),
        ("residual_calls", pa.int64()),
        ("our_tokens", pa.int64()),
        ("vendor_tokens", pa.int64()),
        ("residual_tokens", pa.int64()),
        ("our_cost", _MONEY),
        ("vendor_cost", _MONEY),
        ("invoice_cost", _MONEY),
        ("residual_cost", _MONEY),
        ("billing_currency", pa.string()),
        ("is_booked", pa.bool_()),
    ]
)
"""Reconciliation. Costs in USD; null where a side does not tell."""

_IDENTITY: Final = (
    *("comparison", "vendor", "billing_period_start", "usage_date", "model", "project_id", "residual_kind"),
)
Row = dict[str, Any]


def reconciliation_table(days: Iterable[DayUnit], periods: Iterable[PeriodUnit], calendar: BillingCalendar) -> pa.Table:
    """Return comparisons as `RECONCILIATION_SCHEMA`, shape (n_rows,).

    Args:
        days: Days of vendors' reports, named.
        periods: Billing periods of invoices, named.
        calendar: Billing calendar: a day of UTC is in the period in which it begins.
    """
    rows = [row for unit in days for row in _day_rows(unit, calendar)]
    rows += [row for unit in periods for row in _period_rows(unit)]
    named = [{"reconciliation_id": digest(row.get(name) for name in _IDENTITY), **row} for row in rows]
    return pa.Table.from_pylist(named, schema=RECONCILIATION_SCHEMA)


def _day_rows(unit: DayUnit, calendar: BillingCalendar) -> Iterator[Row]:
    common = {
        "comparison": VENDOR_REPORT,
        "vendor": unit.vendor,
        "billing_period_start": period_of(unit.day, calendar),
        "usage_date": unit.day,
        "model": unit.model,
        "project_id": unit.project_id,
        "billing_currency": "USD",
        "is_booked": False,
    }
    for kind in _kinds(*unit.measures):
        calls, tokens, cost = (_sides(measure, kind) for measure in unit.measures)
        yield {
            **common,
            "residual_kind": kind,
            **dict(zip(("our_calls", "vendor_calls", "residual_calls"), calls, strict=True)),
            **dict(zip(("our_tokens", "vendor_tokens", "residual_tokens"), tokens, strict=True)),
            **dict(zip(("our_cost", "vendor_cost", "residual_cost"), map(_amount, cost), strict=True)),
        }


def _period_rows(unit: PeriodUnit) -> Iterator[Row]:
    for kind in _kinds(unit.cost):
        is_matched = kind == MATCHED
        yield {
            "comparison": INVOICE,
            "vendor": unit.vendor,
            "billing_period_start": unit.period.start,
            "model": unit.model,
            "residual_kind": kind,
            "our_calls": unit.calls if is_matched else 0,
            "our_tokens": unit.tokens if is_matched else 0,
            **dict(
                zip(("our_cost", "invoice_cost", "residual_cost"), map(_amount, _sides(unit.cost, kind)), strict=True)
            ),
            "vendor_cost": _amount(unit.vendor_cost if is_matched or unit.vendor_cost is None else 0),
            "billing_currency": "USD",
            "is_booked": unit.is_final and not is_matched,
        }


def _kinds(*measures: Measure) -> Iterator[str]:
    yield MATCHED
    yield from (reason for reason in REASONS if any(measure.parts.get(reason) for measure in measures))


def _sides(measure: Measure, kind: str) -> tuple[int | None, int | None, int | None]:
    """Return our part, the other side's part and the residual of a row."""
    if kind == MATCHED:
        ours = measure.ours - sum(-part for part in measure.parts.values() if part < 0)
        return ours, None if measure.theirs is None else ours, None if measure.theirs is None else 0
    part = measure.parts.get(kind, 0)
    return max(0, -part), None if measure.theirs is None else max(0, part), None if measure.theirs is None else part


def _amount(pico: int | None) -> Any:
    return None if pico is None else decimal_of(pico)
