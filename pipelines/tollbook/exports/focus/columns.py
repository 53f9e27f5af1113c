"""The data sets of FOCUS and their columns, by version; each column is written once, in `schemas/focus/`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import msgspec
import pyarrow as pa

from tollbook.contracts import Contract, contract

FOCUS_1_2: Final = "1.2"
FOCUS_1_4: Final = "1.4"
VERSIONS: Final = (FOCUS_1_2, FOCUS_1_4)

COST_AND_USAGE: Final = "cost_and_usage"
BILLING_PERIOD: Final = "billing_period"
INVOICE_DETAIL: Final = "invoice_detail"
CONTRACT_COMMITMENT: Final = "contract_commitment"
REJECTED: Final = "rejected_charge"
DATA_SETS: Final = {
    FOCUS_1_2: (COST_AND_USAGE,),
    FOCUS_1_4: (COST_AND_USAGE, BILLING_PERIOD, INVOICE_DETAIL, CONTRACT_COMMITMENT),
}
"""Data sets that are written, by version of FOCUS."""

INTERNAL: Final = "Internal"
"""Who invoices what the organisation charges itself: FOCUS asks for a name."""

_VERSIONS_OF_COLUMN: Final = "x-focus-versions"
_JSON: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")


@lru_cache
def data_set(name: str, version: str) -> Contract:
    """Return the columns that a data set has in a version of FOCUS, FOCUS's own before ours.

    Args:
        name: One of `DATA_SETS`, or `REJECTED`.
        version: One of `VERSIONS`.
    """
    whole = contract(f"focus/{name}")
    properties = whole.json_schema["properties"]
    names = [each for each, told in properties.items() if version in told.get(_VERSIONS_OF_COLUMN, VERSIONS)]
    fields = tuple(whole.field(each) for each in names)
    return replace(
        whole,
        fields=fields,
        arrow_schema=pa.schema(
            [pa.field(each.name, each.arrow_type, nullable=_nullable(properties[each.name])) for each in fields]
        ),
        json_schema=whole.json_schema | {"required": names, "properties": {each: properties[each] for each in names}},
    )


def json_text(value: Any) -> str:
    """Return a value as JSON: keys in order, decimals as numbers with every digit."""
    return _JSON.encode(value).decode()


def _nullable(told: dict[str, Any]) -> bool:
    return "null" in told["type"]
