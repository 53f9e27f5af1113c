"""Rate: the prices in force at each event, by request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import apache_beam as beam
import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.columns import cost_columns
from tollbook.stream.columns import with_columns

BookLoader = Callable[[], PriceBook]


@lru_cache(maxsize=1)
def genai_book() -> PriceBook:
    """Return a book of genai-prices' list prices alone, compiled once a process."""
    return PriceBook.of(Catalogue.from_genai_prices())


class RateUsage(beam.PTransform):
    """Give each event its costs, in whole pico-USD, at the prices in force when it occurred.

    Input: `usage_event/v1`, shape (n_events,).
    Output: the same with `list_cost`, `contracted_cost`, `contract_id`, `rated_list_cost`, `cost_basis`,
        `unpriced_reason`, `sku_price_id` and `catalogue_version`. An event without a price has null costs and a
        reason, never a cost of zero. Texts are dictionary-encoded.
    """

    def __init__(self, load_book: BookLoader = genai_book) -> None:
        super().__init__()
        self._load_book = load_book

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the rated events."""
        return events | "RateByRequest" >> beam.ParDo(_RateByRequest(self._load_book)).with_output_types(pa.RecordBatch)


class _RateByRequest(beam.DoFn):
    def __init__(self, load_book: BookLoader) -> None:
        self._load_book = load_book

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        yield with_columns(element, cost_columns(element, self._load_book()))
