"""Aggregate: partial sums by event-time minute, for live figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import contract
from tollbook.stream.ranges import ChunkOrigin

KEYS = ("event_minute", "owner_team", "owner_cost_center", "workflow", "agent", "provider", "model")
_READ = ("occurred_at", *KEYS[1:], "input_tokens", "output_tokens", "cost_basis", "list_cost")
_LARGEST_KEY = 2**62
SUMS = ("calls", "unpriced_calls", "unpriced_tokens", "input_tokens", "output_tokens", "list_cost")


class AggregateUsage(beam.PTransform):
    """Add up events by minute of `occurred_at`, owner, workflow, agent and model, within each batch.

    Input: rated `usage_record/v1` columns, shape (n_events,).
    Output: `usage_minute/v1`, shape (n_groups,), one batch for each input, without stream repeats and voids. The
        commit adds the batches up; readers add up the commits. Nothing waits for a watermark, so nothing is late.
    """

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the partial sums."""
        return events | "SumByMinute" >> beam.ParDo(_SumByMinute()).with_output_types(pa.RecordBatch)


class _SumByMinute(beam.DoFn):
    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        yield ChunkOrigin.of(element).attach(sum_by_minute(element))


def sum_by_minute(events: pa.RecordBatch) -> pa.RecordBatch:
    """Return `usage_minute/v1` of rated events, shape (n_groups,)."""
    counted = pc.and_(pc.invert(events.column("stream_repeat")), pc.not_equal(events.column("action"), "void"))
    if not pc.all(counted).as_py():
        events = events.select(list(_READ)).filter(counted)
    rows = events.num_rows
    minute = pc.floor_temporal(events.column("occurred_at"), unit="minute")
    inputs = events.column("input_tokens").fill_null(0)
    outputs = events.column("output_tokens").fill_null(0)
    unpriced = pc.equal(events.column("cost_basis"), "unpriced").cast(pa.int64())
    keyed = {"event_minute": minute} | {name: events.column(name) for name in KEYS[1:]}
    summed = {
        "calls": pa.repeat(pa.scalar(1, pa.int64()), rows),
        "unpriced_calls": unpriced,
        "unpriced_tokens": pc.multiply(unpriced, pc.add(inputs, outputs)),
        "input_tokens": inputs,
        "output_tokens": outputs,
        "list_cost": events.column("list_cost").cast(pa.decimal128(38, 12)),
    }
    return _sum(pa.table(keyed | summed))


def fold(partials: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the sums of several `usage_minute/v1` batches as one, shape (n_groups,), in any order."""
    return _sum(pa.Table.from_batches(partials))


def _sum(rows: pa.Table) -> pa.RecordBatch:
    """Return sums by key. They cannot wrap: counts are at most 1e9 an event, and costs have 38 digits.

    The keys are combined into one integer first: grouping by that is several times faster than by seven texts.
    """
    schema = contract("usage_minute").arrow_schema
    if not rows.num_rows:
        return pa.RecordBatch.from_pylist([], schema=schema)
    numbered = rows.select(list(SUMS)).append_column("key", pa.array(_combined_keys(rows)))
    numbered = numbered.append_column("row", pa.array(np.arange(rows.num_rows)))
    sums = [(name, "sum") for name in SUMS]
    grouped = numbered.group_by("key", use_threads=False).aggregate([*sums, ("row", "min")])
    keys = rows.select(list(KEYS)).take(grouped["row_min"])
    columns = [keys[name] for name in KEYS] + [grouped[f"{name}_sum"] for name in SUMS]
    summed = pa.table(columns, names=[*KEYS, *SUMS]).select(schema.names).cast(schema)
    return summed.combine_chunks().to_batches()[0]


def _combined_keys(rows: pa.Table) -> np.ndarray:
    """Return one integer for each row, equal where all keys are equal. Shape (n,)."""
    combined = np.zeros(rows.num_rows, np.int64)
    size = 1
    for name in KEYS:
        encoded = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        values = max(len(encoded.dictionary), 1)
        if size > _LARGEST_KEY // values:
            distinct, combined = np.unique(combined, return_inverse=True)
            size = len(distinct)
        combined = combined * values + encoded.indices.to_numpy()
        size *= values
    return combined
