"""What of a published reconciliation is beyond a tolerance, and its sums for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Context, Decimal
from typing import Any, Final

import duckdb

from tollbook.errors import NothingPublishedError, QueryError
from tollbook.reconcile.residuals import TIMING
from tollbook.reconcile.table import INVOICE, MATCHED, VENDOR_REPORT
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED

_EXACT: Final = Context(prec=76)
_HUNDRED: Final = 100
_GROUPED: Final = ("comparison", "vendor", "billing_period_start", "residual_kind")
_BY_DAY: Final = ("usage_date", "model", "project_id")
_AMOUNTS: Final = (
    *("our_calls", "vendor_calls", "our_tokens", "vendor_tokens", "residual_tokens"),
    *("our_cost", "vendor_cost", "invoice_cost", "residual_cost"),
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much may differ: a residual is beyond it when it is above the larger of the two.

    Attributes:
        usd: Amount, by vendor, billing period and reason. Unit: USD.
        percent: The same as a share of what the vendor reports or invoices. Unit: percent.
    """

    usd: Decimal = Decimal("1.00")
    percent: Decimal = Decimal(1)

    def allows(self, residual: Decimal, whole: Decimal) -> bool:
        """Return whether a residual may be, of a whole in the same unit."""
        return abs(residual) <= max(self.usd, self._share(whole))

    def allows_share(self, residual: Decimal, whole: Decimal) -> bool:
        """Return whether a residual that is no money may be: only the share counts."""
        return abs(residual) <= self._share(whole)

    def _share(self, whole: Decimal) -> Decimal:
        return _EXACT.divide(_EXACT.multiply(abs(whole), self.percent), Decimal(_HUNDRED))


DEFAULT_TOLERANCE: Final = Tolerance()
"""One dollar, or one percent where that is more."""


@dataclass(frozen=True, slots=True)
class Unreconciled:
    """A residual beyond the tolerance, or an invoice that cannot be compared.

    Attributes:
        comparison: `vendor_report` or `invoice`.
        vendor: Vendor.
        billing_period: First day of the billing period.
        residual_kind: Reason of the residual; None where nothing could be compared.
        residual: How much; None where nothing could be compared.
        unit: `USD` or `Tokens`.
        message: The same in words, with what to do.
    """

    comparison: str
    vendor: str
    billing_period: date
    residual_kind: str | None
    residual: Decimal | None
    unit: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def unreconciled(
    published: duckdb.DuckDBPyConnection,
    period: date | None = None,
    *,
    vendor: str | None = None,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> list[Unreconciled]:
    """Return what is beyond a tolerance, summed by vendor, billing period and reason.

    Of invoices every reason counts, and an amount that no exchange rate turns into USD. Of vendors' reports `timing`
    does not, since another day or a later report has it; where a report has no cost, its tokens are judged by share.

    Args:
        published: Connection to a published file.
        period: First day of a billing period; None for all.
        vendor: Vendor; None for all.
        tolerance: How much may differ.
    """
    return [*_residuals(published, period, vendor, tolerance), *_unknown_invoices(published, period, vendor)]


def summed(
    published: duckdb.DuckDBPyConnection, period: date | None = None, vendor: str | None = None, *, by_day: bool = False
) -> list[dict[str, Any]]:
    """Return the reconciliation for people, by vendor, billing period and reason, or by day, model and project too.

    Args:
        published: Connection to a published file.
        period: First day of a billing period; None for all.
        vendor: Vendor; None for all.
        by_day: A row a day, model and project.
    """
    columns = ", ".join((*_GROUPED, *(_BY_DAY if by_day else ())))
    sums = ", ".join(f"sum({name}) as {name}" for name in _AMOUNTS)
    answer = published.execute(
        f"""
        select {columns}, {sums} from finance.fct_reconciliation
        where ($period is null or billing_period_start = $period) and ($vendor is null or vendor = $vendor)
        group by {columns}
        order by comparison desc, vendor, billing_period_start, {"usage_date, model, project_id, " if by_day else ""}
            residual_kind <> '{MATCHED}', residual_kind
        """,
        {"period": period, "vendor": vendor},
    )
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def open_published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Return a connection to the published file, read only.

    Raises:
        NothingPublishedError: There is no published file yet.
        QueryError: It is of a version that had no reconciliation.
    """
    path = settings.serve / PUBLISHED
    if not path.exists():
        raise NothingPublishedError(f"expected a published file at {path}, found none: run `tollbook warehouse build`")
    connection = duckdb.connect(path.resolve(), read_only=True)
    found = connection.execute("select 1 from duckdb_tables() where table_name = 'fct_reconciliation'").fetchone()
    if found is None:
        connection.close()
        raise QueryError(f"expected finance.fct_reconciliation in {path}, found none: run `tollbook warehouse build`")
    return connection


def _residuals(
    published: duckdb.DuckDBPyConnection, period: date | None, vendor: str | None, tolerance: Tolerance
) -> Iterator[Unreconciled]:
    rows = summed(published, period, vendor)
    for row in rows:
        key = tuple(row[name] for name in _GROUPED[:3])
        kind, is_invoice = row["residual_kind"], row["comparison"] == INVOICE
        if kind == MATCHED or (kind == TIMING and not is_invoice):
            continue
        side = "invoice_cost" if is_invoice else "vendor_cost"
        mine = [each for each in rows if tuple(each[name] for name in _GROUPED[:3]) == key]
        whole = sum((each[side] for each in mine if each[side] is not None), Decimal(0))
        told = any(each[side] is not None for each in mine)
        if told and row["residual_cost"] is not None and not tolerance.allows(row["residual_cost"], whole):
            yield _finding(row, row["residual_cost"], "USD", whole)
        elif not told and row["residual_tokens"] is not None:
            tokens = Decimal(sum(each["vendor_tokens"] or 0 for each in mine))
            if not tolerance.allows_share(Decimal(row["residual_tokens"]), tokens):
                yield _finding(row, Decimal(row["residual_tokens"]), "Tokens", tokens)


def _unknown_invoices(
    published: duckdb.DuckDBPyConnection, period: date | None, vendor: str | None
) -> Iterator[Unreconciled]:
    rows = published.execute(
        """
        select distinct vendor, billing_period_start, invoice_id, invoice_currency from finance.fct_invoice_lines
        where billed_cost is null and starts_with(obligation, 'usage ')
            and ($period is null or billing_period_start = $period) and ($vendor is null or vendor = $vendor)
        order by all
        """,
        {"period": period, "vendor": vendor},
    ).fetchall()
    for name, start, invoice, currency in rows:
        message = (
            f"{name} {start:%Y-%m}: invoice {invoice} is in {currency}, for which no exchange rate is known on its day "
            "of issue: load one with `tollbook reference load exchange_rates.yml`"
        )
        yield Unreconciled(INVOICE, name, start, None, None, currency, message)


def _finding(row: dict[str, Any], residual: Decimal, unit: str, whole: Decimal) -> Unreconciled:
    vendor, start, kind = row["vendor"], row["billing_period_start"], row["residual_kind"]
    what = "invoiced" if row["comparison"] == INVOICE else "reported by the vendor"
    amount = f"{residual:,.2f} USD of {whole:,.2f}" if unit == "USD" else f"{residual:,.0f} tokens of {whole:,.0f}"
    advice = (
        "`tollbook reconcile --by-day` shows where"
        if row["comparison"] == VENDOR_REPORT
        else "a vendor's report, loaded with `tollbook reconcile load`, says more"
    )
    message = f"{vendor} {start:%Y-%m}: {kind}, {amount} {what} is beyond the tolerance; {advice}"
    return Unreconciled(row["comparison"], vendor, start, kind, residual, unit, message)
