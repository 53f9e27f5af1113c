"""How usage is spread over customers: of each product, and of all together, in calls, tokens and list cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import decimal_of, money, pico_of
from tollbook.insight.concentration import Concentration

UNKNOWN: Final = "unknown"
"""Customer of calls that name none."""
ALL_PRODUCTS: Final = "all"
"""Name of the sum of all products; a product of that name stands in it alone."""

_QUANTITY: Final = pa.decimal128(38, 12)
_MEASURES: Final = ("calls", "total_tokens", "list_cost")
_HALF, _NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)
_CURVE_STEPS: Final = 100

CUSTOMERS_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("product", pa.string()),
        ("customer_id", pa.string()),
        ("calls", pa.int64()),
        ("total_tokens", pa.int64()),
        ("list_cost", _QUANTITY),
    ]
)
"""Usage, one row for each billing period, product and customer."""

CONCENTRATION_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("product", pa.string()),
        ("measure", pa.string()),
        ("customers", pa.int64()),
        *((name, _QUANTITY) for name in ("quantity", "unknown_quantity")),
        *((name, _QUANTITY) for name in ("gini", "largest_share", "top_1_percent_share", "top_10_percent_share")),
        *((name, pa.int64()) for name in ("customers_with_half", "customers_with_90_percent")),
        ("lorenz_shares", pa.list_(_QUANTITY)),
    ]
)
"""How usage is spread, one row for each billing period, product and measure."""


def customer_concentration(customers: pa.Table) -> pa.Table:
    """Return how usage is spread over customers.

    Args:
        customers: `CUSTOMERS_SCHEMA`, shape (n_customers,).

    Returns:
        `CONCENTRATION_SCHEMA`, for products that have a known customer, and for all products together.
    """
    sums: defaultdict[tuple[date, str], defaultdict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in customers.to_pylist():
        for product in {row["product"], ALL_PRODUCTS}:
            held = sums[row["billing_period_start"], product][row["customer_id"]]
            for measure in _MEASURES:
                if row[measure] is not None:
                    held[measure] = held.get(measure, 0) + pico_of(Decimal(row[measure]))
    rows = [row for key, held in sorted(sums.items()) if held.keys() - {UNKNOWN} for row in _rows(key, held)]
    return pa.Table.from_pylist(rows, schema=CONCENTRATION_SCHEMA)


def _rows(key: tuple[date, str], held: Mapping[str, Mapping[str, int]]) -> Iterator[dict[str, Any]]:
    for measure in _MEASURES:
        spread = Concentration.of(
            max(0, told[measure]) for name, told in held.items() if name != UNKNOWN and measure in told
        )
        unknown = held.get(UNKNOWN, {}).get(measure)
        yield {
            "billing_period_start": key[0],
            "product": key[1],
            "measure": measure,
            "customers": spread.members,
            "quantity": decimal_of(spread.total) if spread.members else None,
            "unknown_quantity": None if unknown is None else decimal_of(unknown),
            "gini": _ratio(spread.gini()),
            "largest_share": _ratio(spread.share_of_largest(1)),
            "top_1_percent_share": _ratio(spread.share_of_top(1)),
            "top_10_percent_share": _ratio(spread.share_of_top(10)),
            "customers_with_half": spread.members_with(_HALF) or None,
            "customers_with_90_percent": spread.members_with(_NINE_TENTHS) or None,
            "lorenz_shares": [money(each) for each in spread.lorenz_curve(_CURVE_STEPS)] or None,
        }


def _ratio(value: Fraction | None) -> Decimal | None:
    return None if value is None else money(value)
