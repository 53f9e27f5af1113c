"""Lines of invoices as rows of FOCUS Invoice Detail, and which of them bills a charge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from tollbook.chargeback.statement_lines import Row
from tollbook.exports.focus.columns import json_text

TAX: Final = "Tax"
TERMS: Final = "As agreed with the issuer"
_LINKED_BY: Final = ("BillingAccountId", "BillingCurrency", "ChargeCategory", "InvoiceId", "InvoiceIssuerName")


@dataclass(frozen=True, slots=True)
class InvoiceLinks:
    """Invoice Detail, found by what it settles.

    Attributes:
        details: Rows of Invoice Detail by obligation, without taxes, each with the model that it is for.
    """

    details: dict[str, list[tuple[str | None, Row]]]

    @classmethod
    def among(cls, lines: Iterable[Row], details: Iterable[Row]) -> InvoiceLinks:
        """Return links to rows of Invoice Detail, which are those of the lines, in their order."""
        held: defaultdict[str, list[tuple[str | None, Row]]] = defaultdict(list)
        for line, detail in zip(lines, details, strict=True):
            if line["charge_category"] != TAX:
                held[line["obligation"]].append((line["model"], detail))
        return cls(dict(held))

    def of(self, charge: Row, row: Row) -> Row:
        """Return `InvoiceId` and `InvoiceDetailId` of a row of Cost and Usage.

        A row of Invoice Detail is named where it alone bills the row, and agrees with it in what FOCUS has in both.
        """
        billing = [
            detail
            for model, detail in self.details.get(charge["obligation"], ())
            if model is None or model == charge["model"]
        ]
        if charge["billed_cost"] is None or not row["BilledCost"] or not billing:
            invoice = f"provisional/{row['InvoiceIssuerName']}/{charge['billing_period_start']:%Y-%m}"
            return {"InvoiceId": invoice, "InvoiceDetailId": None}
        invoice = ", ".join(sorted({detail["ReferenceInvoiceId"] for detail in billing}))
        told = row | {"InvoiceId": invoice}
        linked = len(billing) == 1 and all(billing[0][name] == told[name] for name in _LINKED_BY)
        return {"InvoiceId": invoice, "InvoiceDetailId": billing[0]["InvoiceDetailId"] if linked else None}


def invoice_detail(lines: Iterable[Row], begins_at: datetime, ends_at: datetime) -> list[Row]:
    """Return lines of invoices about a billing period as rows of Invoice Detail.

    Args:
        lines: Rows of `finance.fct_invoice_lines` whose cost is known.
        begins_at: When the billing period begins.
        ends_at: When it ends.
    """
    return [
        {
            "BilledCost": line["billed_cost"],
            "BillingAccountId": line["vendor"],
            "BillingCurrency": line["billing_currency"],
            "BillingPeriodEnd": ends_at,
            "BillingPeriodStart": begins_at,
            "ChargeCategory": line["charge_category"],
            "InvoiceDetailCreated": _instant(line["issued_on"]),
            "InvoiceDetailDescription": line["charge_description"],
            "InvoiceDetailGrain": None if line["model"] is None else json_text({"x_ModelId": line["model"]}),
            "InvoiceDetailId": f"{line['vendor']}/{line['invoice_id']}/{line['line_id']}",
            "InvoiceDetailLastUpdated": _instant(line["issued_on"]),
            "InvoiceId": line["invoice_id"],
            "InvoiceIssueDate": _instant(line["issued_on"]),
            "InvoiceIssueStatus": "Issued",
            "InvoiceIssuerName": line["vendor"],
            "PaymentCurrency": line["invoice_currency"],
            "PaymentCurrencyBilledCost": line["invoice_amount"],
            "PaymentDueDate": None,
            "PaymentTerms": TERMS,
            "ReferenceInvoiceId": line["credit_note_for"] or line["invoice_id"],
        }
        for line in lines
    ]


def _instant(day: date) -> datetime:
    return datetime.combine(day, time(0), UTC)
