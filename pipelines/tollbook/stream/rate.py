"""Rate: the list price in force at each event, by request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import apache_beam as beam
import pyarrow as pa

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.money import pico_to_decimal
from tollbook.rating.rate import rate
from tollbook.stream.columns import same_text, with_columns

CatalogueLoader = Callable[[], Catalogue]


@lru_cache(maxsize=1)
def genai_catalogue() -> Catalogue:
    """Return genai-prices' catalogue, compiled once a process."""
    return Catalogue.from_genai_prices()


class RateUsage(beam.PTransform):
    """Give each event its list cost, in whole pico-USD, at the price in force when it occurred.

    Input: `usage_event/v1`, shape (n_events,).
    Output: the same with `list_cost`, `cost_basis`, `unpriced_reason`, `sku_price_id` and `catalogue_version`. A model
        without a price has a null cost and a reason, never a cost of zero. Texts are dictionary-encoded.
    """

    def __init__(self, load_catalogue: CatalogueLoader = genai_catalogue) -> None:
        super().__init__()
        self._load_catalogue = load_catalogue

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the rated events."""
        return events | "RateByRequest" >> beam.ParDo(_RateByRequest(self._load_catalogue)).with_output_types(
            pa.RecordBatch
        )


class _RateByRequest(beam.DoFn):
    def __init__(self, load_catalogue: CatalogueLoader) -> None:
        self._load_catalogue = load_catalogue

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        catalogue = self._load_catalogue()
        rated = rate(element, catalogue)
        yield with_columns(
            element,
            {
                "list_cost": pico_to_decimal(rated.column("list_cost_pico_usd")),
                "cost_basis": rated.column("cost_basis"),
                "unpriced_reason": rated.column("unpriced_reason"),
                "sku_price_id": rated.column("sku_price_id"),
                "catalogue_version": same_text(catalogue.version, element.num_rows),
            },
        )
