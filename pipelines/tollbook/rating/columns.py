"""The columns of `usage_record/v1` that rating fills."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.money import pico_to_decimal
from tollbook.rating.rate import rate_by_book

COST_COLUMNS: Final = (
    "list_cost",
    "contracted_cost",
    "contract_id",
    "rated_list_cost",
    "cost_basis",
    "unpriced_reason",
    "sku_price_id",
    "catalogue_version",
)


def cost_columns(events: pa.RecordBatch | pa.Table, book: PriceBook) -> dict[str, pa.Array]:
    """Return `COST_COLUMNS` of events, each of shape (n_events,). Costs are decimals, texts dictionary-encoded.

    Args:
        events: `usage_event/v1`, shape (n_events,).
        book: What they are priced by.

    Raises:
        MisuseError: A column is absent, or `occurred_at` has nulls.
    """
    rated = rate_by_book(events, book)
    list_cost = pico_to_decimal(rated.column("list_cost_pico_usd"))
    # Without contracts the two are one column, and it is made once.
    has_contracts = book.contract_lines is not None
    costs = {
        "list_cost": list_cost,
        "contracted_cost": pico_to_decimal(rated.column("contracted_cost_pico_usd")) if has_contracts else list_cost,
        "rated_list_cost": pico_to_decimal(rated.column("rated_list_cost_pico_usd")),
        "catalogue_version": pa.DictionaryArray.from_arrays(
            np.zeros(rated.num_rows, np.int32), pa.array([book.version])
        ),
    }
    return {name: costs[name] if name in costs else rated.column(name) for name in COST_COLUMNS}
