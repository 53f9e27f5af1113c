"""Rate: the prices in force at each event, by request."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import apache_beam as beam
import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.columns import cost_columns
from tollbook.stream.columns import with_columns
from tollbook.stream.ranges import ChunkOrigin

BookLoader = Callable[[], PriceBook]
RecordedBookLoader = Callable[[int], PriceBook]
"""Gives the book that was recorded under a number."""


class RateUsage(beam.PTransform):
    """Give each event its costs, in whole pico-USD, at the prices in force when it occurred, by its batch's book.

    Input: `usage_event/v1`, shape (n_events,), with their ChunkOrigin.
    Output: the same with `list_cost`, `contracted_cost`, `contract_id`, `rated_list_cost`, `cost_basis`,
        `unpriced_reason`, `sku_price_id` and `catalogue_version`. An event without a price has null costs and a
        reason, never a cost of zero. Texts are dictionary-encoded.
    """

    def __init__(self, load_book: RecordedBookLoader) -> None:
        super().__init__()
        self._load_book = load_book

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the rated events."""
        return events | "RateByRequest" >> beam.ParDo(_RateByRequest(self._load_book)).with_output_types(pa.RecordBatch)


class _RateByRequest(beam.DoFn):
    def __init__(self, load_book: RecordedBookLoader) -> None:
        self._load_book = load_book

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        yield with_columns(element, cost_columns(element, self._load_book(ChunkOrigin.of(element).stamp.book)))
