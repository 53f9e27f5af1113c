"""Attribute: the owner in force at each event."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
import pyarrow as pa

from tollbook.reference.owners import owners_of
from tollbook.stream.columns import with_columns


class AttributeUsage(beam.PTransform):
    """Give each event its owner by the dated rules, for the live view; the warehouse may assign again.

    Input: `usage_event/v1` with its place on Kafka, shape (n_events,).
    Output: the same with `owner_team`, `owner_cost_center`, `owner_business_unit`, `owner_rule`, null where no rule in
        force matches. An event has one owner; tags never multiply rows.
    """

    def __init__(self, owners_path: Path | None) -> None:
        super().__init__()
        self._owners_path = owners_path

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the events with owners."""
        return events | "AssignOwner" >> beam.ParDo(_AssignOwner(self._owners_path)).with_output_types(pa.RecordBatch)


class _AssignOwner(beam.DoFn):
    def __init__(self, owners_path: Path | None) -> None:
        self._owners_path = owners_path

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        yield with_columns(element, owners_of(self._owners_path).assign(element))
