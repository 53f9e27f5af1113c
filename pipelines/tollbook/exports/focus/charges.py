"""Charges of a billing period as rows of FOCUS Cost and Usage.

A charge is one row but in two cases. A Purchase whose effective cost is not zero is a purchase without effective cost
and its use, since FOCUS lets purchases count as they are used up. And no unit price makes list and contracted cost of
opposite signs, so each gets a row. The parts sum to the charge in each cost; calls and tokens are told once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from tollbook.chargeback.statement_lines import Row
from tollbook.exports.focus.columns import INTERNAL, json_text
from tollbook.exports.focus.invoices import InvoiceLinks
from tollbook.exports.focus.quantities import USED_BY_CALLS, before_conversion, consumed, priced
from tollbook.exports.focus.services import OF_SKUS, PURCHASE, USAGE, service_of, sku_of

CREDIT: Final = "Credit"
ADJUSTMENT: Final = "Adjustment"
CORRECTION: Final = "Correction"
_ZERO: Final = Decimal(0)
_KNOWN: Final = ("list_cost", "contracted_cost", "effective_cost")
_HOSTED: Final = frozenset({"hyperscaler", "model_api", "neo_cloud"})
_COUNTS: Final = {
    "x_AcceleratorSeconds": "accelerator_seconds",
    "x_CacheReadTokens": "cache_read_tokens",
    "x_CacheWriteTokens": "cache_write_tokens",
    "x_InputTokens": "input_tokens",
    "x_OutputTokens": "output_tokens",
    "x_ReasoningTokens": "reasoning_tokens",
    "x_UncachedInputTokens": "uncached_input_tokens",
}
_TOLD: Final = {
    "BillingCurrency": "billing_currency",
    "ChargeClass": "charge_class",
    "ChargeDescription": "charge_description",
    "ChargeFrequency": "charge_frequency",
    "PricingCurrency": "pricing_currency",
    "SubAccountId": "team",
    "SubAccountName": "team",
    "x_BusinessUnit": "business_unit",
    "x_ChargeComponent": "charge_component",
    "x_ChargeId": "charge_id",
    "x_ChargeKind": "charge_kind",
    "x_ContractId": "contract_id",
    "x_CorrectsBillingPeriodStart": "corrects_period_start",
    "x_CostBasis": "cost_basis",
    "x_CostCenter": "cost_center",
    "x_ExchangeRate": "exchange_rate",
    "x_InferencePath": "inference_path",
    "x_ModelId": "model",
    "x_Obligation": "obligation",
    "x_ReferenceEntry": "reference_entry",
    "x_ServiceTier": "service_tier",
    "x_SourceId": "source_id",
    "x_SourceKind": "source_kind",
    "x_SubscriptionId": "subscription_id",
    "x_Team": "team",
    "x_Workflow": "workflow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What of a charge one row tells.

    Attributes:
        name: Part, as in `x_ChargePart`.
        category: FOCUS ChargeCategory.
        listed: List cost.
        contracted: Contracted cost.
        effective: Effective cost.
        effective_priced: Effective cost in the pricing currency.
        billed: Billed cost.
        counted: Whether calls and tokens are told here.
    """

    name: str
    category: str
    listed: Decimal = _ZERO
    contracted: Decimal = _ZERO
    effective: Decimal = _ZERO
    effective_priced: Decimal = _ZERO
    billed: Decimal = _ZERO
    counted: bool = False


@dataclass(frozen=True, slots=True)
class BilledPeriod:
    """A billing period as FOCUS has it.

    Attributes:
        begins_at: When it begins, UTC.
        ends_at: When it ends, exclusive, UTC.
    """

    begins_at: datetime
    ends_at: datetime


def cost_and_usage(
    charges: Iterable[Row], period: BilledPeriod, links: InvoiceLinks, commitments: frozenset[str]
) -> tuple[list[Row], list[Row]]:
    """Return the rows of charges, and the charges of unknown cost, for which FOCUS has none.

    Args:
        charges: Rows of `finance.fct_charges`, all of one billing period.
        period: The billing period.
        links: Finds the invoice of a charge.
        commitments: Names of the commitments that Contract Commitment has.

    Returns:
        Columns of `focus/cost_and_usage` in every version, and `focus/rejected_charge`.
    """
    rows: list[Row] = []
    rejected: list[Row] = []
    for charge in map(_listed, charges):
        unknown = [name for name in _KNOWN if charge[name] is None]
        if unknown:
            rejected.append(_rejected(charge, period, unknown))
        else:
            rows.extend(_rows(charge, period, links, commitments))
    _add_origin_costs(rows)
    return rows, rejected


def issuer_of(charge: Row) -> str:
    """Return who invoices a charge."""
    return str(charge["billed_by"] or INTERNAL)


def _listed(charge: Row) -> Row:
    """Return a charge with a list cost: a fee has no list price, and FOCUS then has its contracted cost there."""
    if charge["list_cost"] is None and charge["charge_kind"] != USED_BY_CALLS:
        return charge | {"list_cost": charge["contracted_cost"]}
    return charge


def _rows(charge: Row, period: BilledPeriod, links: InvoiceLinks, commitments: frozenset[str]) -> Iterator[Row]:
    common = _common(charge, period)
    for part in _parts(charge):
        row = common | _amounts(charge, part) | _allocation(charge, part) | sku_of(charge, part.category)
        row |= links.of(charge, row)
        row["ContractApplied"] = _contract_applied(charge, part, commitments)
        yield row


def _parts(charge: Row) -> Iterator[_Part]:
    """Yield the parts of a charge whose list, contracted and effective cost are known."""
    listed, contracted, effective = (charge[name] for name in _KNOWN)
    effective_priced = charge["pricing_currency_effective_cost"]
    billed = contracted if charge["billed_cost"] is None else charge["billed_cost"]
    category = charge["charge_category"]
    if category == CREDIT and effective != billed:
        category = ADJUSTMENT
    used = {"effective": effective, "effective_priced": _ZERO if effective_priced is None else effective_priced}
    splits = category == PURCHASE and effective != 0
    if splits:
        yield _Part(name="use", category=USAGE, **used)
        used = {}
    if listed * contracted < 0:
        yield _Part(name="list", category=category, listed=listed)
        yield _Part(name="contracted", category=category, contracted=contracted, billed=billed, counted=True, **used)
    else:
        name = "purchase" if splits else "whole"
        yield _Part(
            name=name, category=category, listed=listed, contracted=contracted, billed=billed, counted=True, **used
        )


def _common(charge: Row, period: BilledPeriod) -> Row:
    issuer = issuer_of(charge)
    service, (category, subcategory) = service_of(charge)
    hosted = charge["inference_path"] in _HOSTED
    return {name: charge[source] for name, source in _TOLD.items()} | {
        "BillingAccountId": charge["billing_account_id"] or issuer,
        "BillingAccountName": None,
        "BillingPeriodEnd": period.ends_at,
        "BillingPeriodStart": period.begins_at,
        "ChargePeriodEnd": charge["charge_period_end"] or period.ends_at,
        "ChargePeriodStart": charge["charge_period_start"] or period.begins_at,
        "HostProviderName": charge["provider"] if hosted else None,
        "InvoiceIssuerName": issuer,
        "ProviderName": issuer,
        "PublisherName": charge["provider"] or INTERNAL,
        "ServiceCategory": category,
        "ServiceName": service,
        "ServiceProviderName": issuer,
        "ServiceSubcategory": subcategory,
        "Tags": json_text(_bearer(charge)),
        "x_CorrectsChargeId": charge.get("corrects_charge_id"),
    }


def _amounts(charge: Row, part: _Part) -> Row:
    of_sku = part.category in OF_SKUS
    row: Row = {
        "BilledCost": part.billed,
        "ChargeCategory": part.category,
        "CommitmentDiscountId": None,
        "CommitmentDiscountStatus": None,
        "ConsumedQuantity": None,
        "ConsumedUnit": None,
        "ContractedCost": part.contracted,
        "ContractedUnitPrice": None,
        "EffectiveCost": part.effective,
        "ListCost": part.listed,
        "ListUnitPrice": None,
        "PricingCategory": "Standard" if of_sku else None,
        "PricingCurrencyContractedUnitPrice": None,
        "PricingCurrencyEffectiveCost": part.effective_priced,
        "PricingCurrencyListUnitPrice": None,
        "PricingQuantity": None,
        "PricingUnit": None,
        "x_BilledCostBasis": "Provisional" if charge["billed_cost"] is None else "Invoiced",
        "x_Calls": charge["calls"] if part.counted else 0,
        "x_ChargePart": part.name,
    }
    row |= {name: charge[source] if part.counted else None for name, source in _COUNTS.items()}
    if of_sku:
        quantity, unit = consumed(charge if part.counted else charge | {"charge_kind": part.name})
        amount, pricing_unit, prices = priced(quantity, unit, (part.listed, part.contracted))
        row |= {"PricingQuantity": amount, "PricingUnit": pricing_unit}
        for name, price in zip(("ListUnitPrice", "ContractedUnitPrice"), prices, strict=True):
            row |= {name: price, f"PricingCurrency{name}": before_conversion(price, charge["exchange_rate"])}
        if part.category == USAGE:
            row |= {"ConsumedQuantity": quantity, "ConsumedUnit": unit}
    return row


def _allocation(charge: Row, part: _Part) -> Row:
    if charge["allocated_method_id"] is None:
        names = ("MethodDetails", "MethodId", "ResourceId", "ResourceName", "Tags")
        return dict.fromkeys((*(f"Allocated{name}" for name in names), "x_SplitOriginId"))
    told = json.loads(charge["allocated_method_details"])
    bearer = _bearer(charge)
    element = {
        "AllocatedRatio": charge["allocated_ratio"],
        "UsageUnit": told["driver"],
        "x_Method": told["method"],
        "x_Ratio": told["ratio"],
        "x_Through": told["through"],
    }
    # A correction is a part of what was corrected, so its ratios are no whole.
    origin = None if charge["charge_class"] == CORRECTION else charge["origin_charge_id"]
    return {
        "AllocatedMethodDetails": json_text({"Elements": [element]}),
        "AllocatedMethodId": charge["allocated_method_id"],
        "AllocatedResourceId": "/".join((*bearer.values(), *told["through"])),
        "AllocatedResourceName": f"{charge['team']}, {charge['workflow']}",
        "AllocatedTags": json_text(bearer),
        "x_SplitOriginId": None if origin is None else f"{origin}/{part.name}",
    }


def _contract_applied(charge: Row, part: _Part, commitments: frozenset[str]) -> str | None:
    if charge["source_kind"] != "contract" or part.category == PURCHASE:
        return None
    commitment = f"{charge['contract_id']}/{charge['charge_component']}"
    if commitment not in commitments:
        return None
    element = {
        "ContractId": charge["contract_id"],
        "ContractCommitmentId": commitment,
        "ContractCommitmentAppliedCost": part.effective,
    }
    return json_text({"Elements": [element]})


def _bearer(charge: Row) -> dict[str, Any]:
    return {name: charge[name] for name in ("business_unit", "cost_center", "team", "workflow")}


def _add_origin_costs(rows: Iterable[Row]) -> None:
    """Give parts of an allocated charge the billed cost of the whole."""
    held = list(rows)
    costs: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for row in held:
        costs[row["x_SplitOriginId"]] += row["BilledCost"]
    for row in held:
        origin = row["x_SplitOriginId"]
        row["x_SplitOriginCost"] = None if origin is None else costs[origin]


def _rejected(charge: Row, period: BilledPeriod, unknown: Iterable[str]) -> Row:
    names = ("x_ChargeId", "ChargeDescription", "x_BusinessUnit", "x_CostCenter", "x_Team", "x_Workflow", "x_ModelId")
    return {name: charge[_TOLD[name]] for name in (*names, "x_CostBasis")} | {
        "x_Reason": f"unknown: {', '.join(name.replace('_', ' ') for name in unknown)}",
        "BillingPeriodStart": period.begins_at,
        "ChargeCategory": charge["charge_category"],
        "InvoiceIssuerName": issuer_of(charge),
        "x_Calls": charge["calls"],
        "x_UnpricedCalls": charge["unpriced_calls"],
        "x_UnpricedTokens": charge["unpriced_tokens"],
        "x_ListCost": charge["list_cost"],
        "x_ContractedCost": charge["contracted_cost"],
        "x_EffectiveCost": charge["effective_cost"],
    }
