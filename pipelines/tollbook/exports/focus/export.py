"""`tollbook export focus`: a billing period as the data sets of a version of FOCUS, as CSV and Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from tollbook.chargeback.statement_lines import Row
from tollbook.errors import MisuseError
from tollbook.exports.focus.charges import BilledPeriod, cost_and_usage
from tollbook.exports.focus.columns import (
    BILLING_PERIOD,
    CONTRACT_COMMITMENT,
    COST_AND_USAGE,
    DATA_SETS,
    FOCUS_1_4,
    INVOICE_DETAIL,
    REJECTED,
    VERSIONS,
    data_set,
)
from tollbook.exports.focus.commitments import contract_commitment
from tollbook.exports.focus.invoices import InvoiceLinks, invoice_detail
from tollbook.exports.folder import Export, put_export
from tollbook.exports.lines import PublishedPeriod, read_published
from tollbook.exports.tables import csv_bytes, parquet_bytes
from tollbook.rating.sources.contracts import contracts_version, read_contracts
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings

FOCUS: Final = "focus"
_CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class FocusExport:
    """A billing period in a version of FOCUS.

    Attributes:
        export: Where it lies.
        focus_version: Version of FOCUS.
        publication: What it was made of.
        rows: Rows by data set, and of rejected charges.
        unknown_charges: Charges of unknown cost, which are listed and in no data set of FOCUS.
    """

    export: Export
    focus_version: str
    publication: Mapping[str, Any]
    rows: dict[str, int]
    unknown_charges: int

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "focus_version": self.focus_version,
            **self.publication,
            "rows": self.rows,
            "unknown_charges": self.unknown_charges,
            **self.export.as_dict(),
        }


def export_focus(settings: Settings, period: str, focus_version: str = FOCUS_1_4) -> FocusExport:
    """Write a billing period as FOCUS below `exports/focus/<period>/<focus version>-<version>/`.

    Charges of unknown cost are in `rejected_charge` alone: FOCUS allows no null there, and they are not zero.

    Args:
        settings: Where the book lives.
        period: The billing period, `YYYY-MM`.
        focus_version: One of `VERSIONS`.

    Raises:
        MisuseError: It is no period or no version, or nothing was charged in it.
        NothingPublishedError: There is no published file yet.
        OutdatedPublicationError: The published file is of a version that had no such charges.
        ReferenceDataError: A contract has a fault.
        ExportChangedError: It is there, and not as it was written.
    """
    if focus_version not in VERSIONS:
        raise MisuseError(f"expected a version of FOCUS among {', '.join(VERSIONS)}, got {focus_version!r}")
    charges, lines, periods, published = read_published(settings, period, _charges, _invoices, _periods, _published)
    publication, dimension = PublishedPeriod.of(period, published[0]), periods[0]
    told_at = dimension.get("closed_at") or publication.built_at
    contracts = read_contracts(settings.contracts, as_of=told_at)
    version = publication.version
    if focus_version == FOCUS_1_4 and contracts:
        version += f"-contracts-{contracts_version(contracts)}"
    billed = BilledPeriod(dimension["period_begins_at"], dimension["period_ends_at"])
    known = [line for line in lines if line["billed_cost"] is not None]
    details = invoice_detail(known, billed.begins_at, billed.ends_at)
    commitments = contract_commitment(contracts, billing_calendar(settings), told_at)
    names = frozenset(str(each["ContractCommitmentId"]) for each in commitments)
    rows, rejected = cost_and_usage(charges, billed, InvoiceLinks.among(known, details), names)
    tables: dict[str, list[Row]] = {
        COST_AND_USAGE: rows,
        BILLING_PERIOD: _billing_periods(billed, dimension, rows, details, told_at),
        INVOICE_DETAIL: details,
        CONTRACT_COMMITMENT: commitments,
        REJECTED: rejected,
    }
    held = {name: tables[name] for name in (*DATA_SETS[focus_version], REJECTED)}
    counts = {name: len(each) for name, each in held.items()}
    facts = {
        "export": FOCUS,
        "focus_version": focus_version,
        "version": version,
        **publication.as_dict(),
        "rows": counts,
        "unknown_charges": len(rejected),
    }
    folder = settings.exports / FOCUS / period / f"{focus_version}-{version}"
    export = put_export(folder, _files(held, focus_version), facts)
    return FocusExport(export, focus_version, publication.as_dict(), counts, len(rejected))


def _billing_periods(
    period: BilledPeriod, dimension: Row, rows: list[Row], details: list[Row], told_at: datetime
) -> list[Row]:
    issuers = {row["InvoiceIssuerName"] for row in (*rows, *details)}
    return [
        {
            "BillingPeriodCreated": period.begins_at,
            "BillingPeriodEnd": period.ends_at,
            "BillingPeriodLastUpdated": max(told_at, period.begins_at),
            "BillingPeriodStart": period.begins_at,
            "BillingPeriodStatus": "Closed" if dimension.get("period_state") == _CLOSED else "Open",
            "InvoiceIssuerName": issuer,
        }
        for issuer in sorted(issuers)
    ]


def _files(tables: Mapping[str, list[Row]], version: str) -> dict[str, bytes]:
    """Return the files of data sets; one without rows has none, since readers of FOCUS refuse it."""
    files: dict[str, bytes] = {}
    for name, rows in tables.items():
        if not rows and name != REJECTED:
            continue
        shape = data_set(name, version)
        files[f"{name}.csv"] = csv_bytes(shape, rows)
        files[f"{name}.parquet"] = parquet_bytes(shape, rows)
        files[f"{name}.schema.json"] = (json.dumps(shape.json_schema, indent=2, ensure_ascii=False) + "\n").encode()
    return files


def _charges(start: date) -> str:
    return f"select * from finance.fct_charges where billing_period_start = date '{start}' order by all"


def _invoices(start: date) -> str:
    return f"select * from finance.fct_invoice_lines where billing_period_start = date '{start}' order by all"


def _periods(start: date) -> str:
    return f"select * from finance.dim_billing_periods where billing_period_start = date '{start}'"


def _published(_start: date) -> str:
    return "select build_number, built_commit, built_at from audit.publication"
