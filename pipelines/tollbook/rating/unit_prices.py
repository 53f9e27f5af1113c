"""What each kind of token cost on average at list prices, by billing period: weights for splitting known costs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final

import pyarrow as pa

from tollbook.rating.average import average_prices
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar
from tollbook.rating.price_chain import EXACT_ENOUGH, PriceOf
from tollbook.rating.units import Unit
from tollbook.rating.used import UsedUnit

UNIT_PRICES_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("service_tier", pa.string()),
        ("unit", pa.string()),
        ("token_bucket", pa.string()),
        ("consumed_quantity", pa.int64()),
        ("unit_price_pico_usd", pa.decimal128(38, 12)),
        ("catalogue_version", pa.string()),
    ]
)

TOKEN_BUCKETS: Final = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
"""The disjoint token columns of marts, each the sum of some units."""

_STEP: Final = Decimal("0.000000000001")
_BUCKET_OF: Final = {
    ("Output", None): "output_tokens",
    ("Input", "Read"): "cache_read_tokens",
    ("Input", "Write"): "cache_write_tokens",
}


def unit_prices(used: Iterable[UsedUnit], catalogue: Catalogue, calendar: BillingCalendar = UTC_CALENDAR) -> pa.Table:
    """Return the average list price of each unit of tokens that was used.

    Args:
        used: Usage by billing period; units that are no tokens are left out.
        catalogue: List prices. A period's price is the average of those in force, weighted by time, for requests of
            base context length.
        calendar: Gives the date of a period from its instant.

    Returns:
        `UNIT_PRICES_SCHEMA`, one row for each period, provider, model, tier and unit, ordered by them. A price is null
        where no list price is known, and is rounded half-even to twelve decimals of a pico-USD.
    """
    bucket_of = {unit.name: token_bucket(unit) for unit in catalogue.units.buckets}
    prices: dict[tuple[datetime, datetime], PriceOf] = {}
    rows = []
    for each in used:
        if each.unit not in bucket_of:
            continue
        period = (each.period_start, each.period_end)
        if period not in prices:
            prices[period] = average_prices(catalogue, *period)
        price = prices[period]((each.provider, each.model, each.service_tier, each.unit))
        rows.append(
            {
                "billing_period_start": calendar.day_at(each.period_start),
                "provider": each.provider,
                "model": each.model,
                "service_tier": each.service_tier,
                "unit": each.unit,
                "token_bucket": bucket_of[each.unit],
                "consumed_quantity": each.quantity,
                "unit_price_pico_usd": None if price is None else _rounded(price),
                "catalogue_version": catalogue.version,
            }
        )
    rows.sort(key=lambda row: tuple(row[name] for name in UNIT_PRICES_SCHEMA.names[:5]))
    return pa.Table.from_pylist(rows, schema=UNIT_PRICES_SCHEMA)


def token_bucket(unit: Unit) -> str:
    """Return which of `TOKEN_BUCKETS` a unit of tokens is counted in."""
    return _BUCKET_OF.get((unit.token_direction or "", unit.token_cache_action), "uncached_input_tokens")


def _rounded(price: Fraction) -> Decimal:
    exact = EXACT_ENOUGH.divide(Decimal(price.numerator), Decimal(price.denominator))
    return exact.quantize(_STEP, ROUND_HALF_EVEN, EXACT_ENOUGH)
