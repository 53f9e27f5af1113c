"""Terms of contracts that commit the organisation as rows of FOCUS Contract Commitment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from tollbook.chargeback.statement_lines import Row
from tollbook.exports.focus.columns import json_text
from tollbook.rating.contract_terms import ALL_MODELS, CommittedUse, Contract, PrepaidCredit, SpendCommitment, Term
from tollbook.rating.periods.calendar import BillingCalendar

NO_END: Final = datetime(9999, 12, 31, tzinfo=UTC)
_PER_TERM: Final = "term"
_MONEY: Final = Decimal("1e-12")
_EXACT: Final = Context(prec=76)
_MONTHS: Final = 12


def contract_commitment(contracts: Iterable[Contract], calendar: BillingCalendar, made_at: datetime) -> list[Row]:
    """Return the terms that commit the organisation: committed use, promised spend, prepaid credit.

    Args:
        contracts: Contracts as they are known.
        calendar: Days of the contracts as instants.
        made_at: When it is told which have begun and ended.
    """
    return sorted(
        (row for each in contracts for row in _of_contract(each, calendar, made_at)),
        key=lambda row: str(row["ContractCommitmentId"]),
    )


def _of_contract(contract: Contract, calendar: BillingCalendar, made_at: datetime) -> Iterator[Row]:
    for term in contract.terms:
        told = _told(term)
        if told is not None:
            first, beyond = _days(term)
            begins, ends = calendar.begins(first), NO_END if beyond is None else calendar.begins(beyond)
            status = "Pending" if made_at < begins else "Active" if made_at < ends else "Expired"
            yield told | {
                "BillingCurrency": contract.currency,
                "ContractCommitmentApplicability": _applicability(contract, term),
                "ContractCommitmentCreated": contract.known_from,
                "ContractCommitmentDescription": term.description,
                "ContractCommitmentDiscountPercentage": None,
                "ContractCommitmentDurationType": _duration(first, beyond),
                "ContractCommitmentId": f"{contract.contract_id}/{term.term_id}",
                "ContractCommitmentLastUpdated": contract.known_from,
                "ContractCommitmentLifecycleStatus": status,
                "ContractCommitmentOfferCategory": "Negotiated",
                "ContractCommitmentPeriodEnd": ends,
                "ContractCommitmentPeriodStart": begins,
                "ContractId": contract.contract_id,
                "ContractPeriodEnd": NO_END if contract.valid_to is None else calendar.begins(contract.valid_to),
                "ContractPeriodStart": calendar.begins(contract.valid_from),
                "InvoiceIssuerName": contract.provider,
                "ServiceProviderName": contract.provider,
            }


def _told(term: Term) -> Row | None:
    """Return what depends on the kind of a term, None for one that commits to nothing."""
    body = term.body
    if isinstance(body, CommittedUse):
        return _kind("committed_use", monthly=True, cost=body.fee) | {
            "ContractCommitmentCategory": "Usage",
            "ContractCommitmentQuantity": Decimal(body.included_tokens),
            "ContractCommitmentUnit": "Tokens",
        }
    if isinstance(body, SpendCommitment):
        return _kind("spend_commitment", monthly=body.per != _PER_TERM, cost=body.amount)
    if isinstance(body, PrepaidCredit):
        return _kind("prepaid_credit", monthly=False, cost=body.price) | {
            "ContractCommitmentBenefitCategory": "Entitlement",
            "ContractCommitmentPaymentModel": "All Upfront",
            "ContractCommitmentPaymentUpfrontPercentage": Decimal(1),
        }
    return None


def _kind(name: str, *, monthly: bool, cost: Fraction) -> Row:
    return {
        "ContractCommitmentBenefitCategory": "Discount",
        "ContractCommitmentCategory": "Spend",
        "ContractCommitmentCost": _EXACT.divide(Decimal(cost.numerator), cost.denominator).quantize(_MONEY),
        "ContractCommitmentFulfillmentInterval": "Monthly" if monthly else "Full Period",
        "ContractCommitmentModel": "Continuous" if monthly else "Discontinuous",
        "ContractCommitmentPaymentInterval": "Monthly" if monthly else "One-Time",
        "ContractCommitmentPaymentModel": "No Upfront",
        "ContractCommitmentPaymentUpfrontPercentage": Decimal(0),
        "ContractCommitmentQuantity": None,
        "ContractCommitmentType": name,
        "ContractCommitmentUnit": None,
    }


def _days(term: Term) -> tuple[date, date | None]:
    body = term.body
    return (body.purchased_on, body.expires_on) if isinstance(body, PrepaidCredit) else (term.valid_from, term.valid_to)


def _duration(first: date, beyond: date | None) -> str:
    if beyond is None:
        return "1 Month"
    months = (beyond.year - first.year) * _MONTHS + beyond.month - first.month + (beyond.day > first.day)
    return f"{months} Months" if months > 1 else "1 Month"


def _applicability(contract: Contract, term: Term) -> str:
    patterns = term.reach.models if term.reach.models != ALL_MODELS else contract.models
    if patterns == ALL_MODELS:
        return json_text({"IsGlobalScope": True})
    rules: list[dict[str, Any]] = []
    plain = sorted(each for each in patterns if "*" not in each)
    if plain:
        rules.append({"Dimension": "x_ModelId", "Operator": "In", "Values": plain})
    rules += [
        {"Dimension": "x_ModelId", "Operator": "StartsWith", "Values": [each[:-1]]}
        for each in patterns
        if each.endswith("*") and "*" not in each[:-1]
    ]
    if len(rules) != (len(patterns) - len(plain)) + bool(plain):
        return json_text({"IsComplexScope": True, "x_Models": list(patterns)})
    return json_text({"Inclusions": rules, "InclusionOperator": "Or"})
