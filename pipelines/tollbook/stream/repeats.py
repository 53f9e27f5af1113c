"""Mark repeats: events that the stream has lately seen.

Best effort, for live figures only: what is remembered is bounded and forgotten when the process ends. Every event is
written all the same, and the warehouse decides what is a duplicate.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

import apache_beam as beam
import duckdb
import numpy as np
import pyarrow as pa

from tollbook.stream.columns import with_columns

GENERATION_KEYS = 500_000
GENERATIONS = 4


class MarkRepeats(beam.PTransform):
    """Mark events whose (source, event_id, revision) was lately seen on this worker.

    Input: `usage_event/v1`, shape (n_events,).
    Output: the same with `stream_repeat`, true for every telling but the first that was seen.
    Retries may mark an event as a repeat of itself; nothing but the live aggregates depends on it.
    """

    def __init__(self, memory_name: str) -> None:
        super().__init__()
        self._memory_name = memory_name

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the marked events."""
        return events | "MarkSeen" >> beam.ParDo(_MarkSeen(self._memory_name)).with_output_types(pa.RecordBatch)


class _MarkSeen(beam.DoFn):
    def __init__(self, memory_name: str) -> None:
        self._memory_name = memory_name

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        repeats = memory_of(self._memory_name).mark(event_keys(element))
        yield with_columns(element, {"stream_repeat": pa.array(repeats)})


class RecentKeys:
    """Keys seen lately, in a few generations of which the oldest is forgotten. Not for many threads at once."""

    def __init__(self, *, generation_keys: int = GENERATION_KEYS, generations: int = GENERATIONS) -> None:
        self._generation_keys = generation_keys
        self._full: deque[np.ndarray] = deque(maxlen=generations)
        self._young = np.zeros(0, np.uint64)

    def mark(self, keys: np.ndarray) -> np.ndarray:
        """Return which keys were seen before, in this call or an earlier one, and remember them all. Shape (n,)."""
        distinct, first = np.unique(keys, return_index=True)
        repeats = np.ones(len(keys), bool)
        seen = np.zeros(len(distinct), bool)
        for generation in (self._young, *self._full):
            if generation.size:
                position = np.minimum(np.searchsorted(generation, distinct), generation.size - 1)
                seen |= generation[position] == distinct
        repeats[first[~seen]] = False
        self._young = np.sort(np.concatenate([self._young, distinct[~seen]]), kind="stable")
        if self._young.size >= self._generation_keys:
            self._full.appendleft(self._young)
            self._young = np.zeros(0, np.uint64)
        return repeats


def event_keys(events: pa.RecordBatch) -> np.ndarray:
    """Return a 64-bit key of each event's (source, event_id, revision). Shape (n_events,).

    Two events may share a key by chance, once in some ten million batches of a million remembered keys; the figures
    that rest on it are live ones. The hash is DuckDB's and holds only within this process.
    """
    keyed = events.select(["source", "event_id", "revision"])
    with _hashing:
        _connection.register("events", pa.Table.from_batches([keyed]))
        hashed = _connection.execute("select hash(source, event_id, revision) as key from events").to_arrow_table()
        _connection.unregister("events")
    keys: np.ndarray = hashed["key"].to_numpy()
    return keys


def memory_of(name: str) -> RecentKeys:
    """Return what this process remembers under `name`."""
    return _memories.setdefault(name, RecentKeys())


_hashing = threading.Lock()
_connection = duckdb.connect(config={"threads": 1})
_memories: dict[str, RecentKeys] = {}
