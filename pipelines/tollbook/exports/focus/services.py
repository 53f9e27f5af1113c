"""What a charge is for, as FOCUS names it: the service, and the SKU with its price."""

from __future__ import annotations

from typing import Final

from tollbook.chargeback.statement_lines import Row
from tollbook.exports.focus.columns import json_text
from tollbook.exports.focus.quantities import USED_BY_CALLS, consumed

USAGE: Final = "Usage"
PURCHASE: Final = "Purchase"
OF_SKUS: Final = frozenset({USAGE, PURCHASE})
_OF_MODELS: Final = ("AI and Machine Learning", "Generative AI")
_OF_PLATFORMS: Final = ("AI and Machine Learning", "AI Platforms")
_OF_FLEETS: Final = ("Compute", "Other (Compute)")


def service_of(charge: Row) -> tuple[str, tuple[str, str]]:
    """Return the service that a charge is for, with its category and subcategory, always the same for a name."""
    kind, source = charge["source_kind"], charge["source_id"]
    if kind in {"usage", "untagged"} or (kind == "contract" and charge["provider"]):
        return f"{charge['provider']} models", _OF_MODELS
    return f"{source} {kind}", _OF_FLEETS if kind == "fleet" else _OF_PLATFORMS


def sku_of(charge: Row, category: str) -> Row:
    """Return the SKU of a charge and its price; null for what is neither usage nor a purchase.

    Args:
        charge: Row of `finance.fct_charges`.
        category: FOCUS ChargeCategory.
    """
    if category not in OF_SKUS:
        return dict.fromkeys(("SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"))
    price = charge["sku_price_id"]
    if charge["charge_kind"] != USED_BY_CALLS:
        of = charge["charge_component"] or charge["charge_kind"]
        sku = f"{charge['source_kind']}/{charge['source_id']}/{of}"
        return {"SkuId": sku, "SkuMeter": of, "SkuPriceDetails": None, "SkuPriceId": sku}
    meter = consumed(charge)[1]
    if price is None:
        sku = f"{charge['provider']}/{charge['model']}"
        return {"SkuId": sku, "SkuMeter": meter, "SkuPriceDetails": None, "SkuPriceId": sku}
    # <price list>/<provider>/<model>/<service tier>/<valid from>/<context>, and a model may hold slashes.
    sku, tier, since, context = price.rsplit("/", 3)
    details = {"x_Context": context, "x_Model": sku.split("/", 2)[-1], "x_ServiceTier": tier, "x_ValidFrom": since}
    return {"SkuId": sku, "SkuMeter": meter, "SkuPriceDetails": json_text(details), "SkuPriceId": price}
