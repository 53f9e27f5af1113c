"""What a token of each kind costs on average at list prices: weights for splitting known costs."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.rating.unit_prices import TOKEN_BUCKETS

KEY: Final = ("billing_period_start", "provider", "model", "service_tier")

Prices = dict[tuple[Any, ...], tuple[Fraction | None, ...]]
"""`KEY` to the price of each of `TOKEN_BUCKETS`, None where one is not known. Unit: pico-USD."""


def bucket_prices(unit_prices: pa.Table) -> Prices:
    """Return the average price of each kind of token: that of its units, weighted by what everybody used of them.

    Args:
        unit_prices: `tollbook.rating.unit_prices.UNIT_PRICES_SCHEMA`.
    """
    held: defaultdict[tuple[Any, ...], dict[str, tuple[int, Fraction | None]]] = defaultdict(dict)
    for row in unit_prices.to_pylist():
        buckets, bucket = held[tuple(row[name] for name in KEY)], row["token_bucket"]
        quantity, price = row["consumed_quantity"], row["unit_price_pico_usd"]
        before, cost = buckets.get(bucket, (0, Fraction(0)))
        known = None if price is None or cost is None else cost + quantity * Fraction(price)
        buckets[bucket] = (before + quantity, known)
    return {key: tuple(_average(buckets.get(name)) for name in TOKEN_BUCKETS) for key, buckets in held.items()}


def _average(used: tuple[int, Fraction | None] | None) -> Fraction | None:
    if used is None:
        return None
    quantity, cost = used
    return cost / quantity if cost is not None and quantity else None
