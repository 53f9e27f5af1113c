"""Mark repeats: tellings that the live sums do not count, and what a telling takes back of one that counted before.

Best effort, for live figures only: what is remembered is bounded. Every event is written all the same, and the
warehouse decides what is a duplicate.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import apache_beam as beam
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import contract
from tollbook.stream.aggregate import KEYS, SUMS
from tollbook.stream.call_memory import COUNTED, CallMemory, Outcome
from tollbook.stream.columns import with_columns
from tollbook.stream.ranges import BatchStamp, ChunkOrigin

MARKED, TAKEN_BACK = "marked", "taken_back"
TAKEN_BACK_PREFIX = "taken_back_"
PLACE = KEYS[1:]
READ = (
    *("source", "event_id", "revision", "action", "usage_basis", "occurred_at", "input_tokens", "output_tokens"),
    *("cost_basis", "list_cost", *PLACE),
)
"""Columns of `usage_record/v1` that marking reads."""

MemoryAt = Callable[[BatchStamp], AbstractContextManager[CallMemory]]
"""Gives what a process remembers when it works on a micro-batch, to one thread at a time."""

_REPORTED_RANK = 2**32
_MINUTE_MICROSECONDS = 60_000_000


class MarkRepeats(beam.PTransform):
    """Mark tellings that the live sums leave out: those of a call that was lately counted by as high a telling.

    The highest telling counts: what a provider reported before an estimate, then by `revision`; of equals the first.

    Input: rated events with owners, shape (n_events,), with their ChunkOrigin.
    Output `marked`: the same with `stream_repeat`, and with what each telling takes back of the one that counted for
        its call before it, `taken_back_*`, in batches where one does.
    Output `taken_back`: `usage_minute/v1` of what is taken back, negative, under the minute and the names under which
        it was counted; only where there is any.
    Retries may mark an event as a repeat of itself; nothing but the live sums depends on it.
    """

    def __init__(self, memory_at: MemoryAt) -> None:
        super().__init__()
        self._memory_at = memory_at

    def expand(self, events: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Return the tagged outputs."""
        return events | "MarkSeen" >> beam.ParDo(_MarkSeen(self._memory_at)).with_output_types(
            pa.RecordBatch
        ).with_outputs(TAKEN_BACK, main=MARKED)


class _MarkSeen(beam.DoFn):
    def __init__(self, memory_at: MemoryAt) -> None:
        self._memory_at = memory_at

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch | beam.pvalue.TaggedOutput]:
        origin = ChunkOrigin.of(element)
        with self._memory_at(origin.stamp) as memory:
            outcome = count_calls(memory, element)
            taken_back = taken_back_minutes(memory, outcome) if len(outcome.corrects) else None
        marked = with_columns(element, {"stream_repeat": pa.array(outcome.repeats)})
        if taken_back is None:
            yield marked
            return
        yield with_columns(marked, _taken_back_columns(outcome))
        yield beam.pvalue.TaggedOutput(TAKEN_BACK, origin.attach(taken_back))


def count_calls(memory: CallMemory, events: pa.RecordBatch) -> Outcome:
    """Let `memory` count rated events, in their order, and return what became of them."""
    keys, places = _hashed(events)
    memory.places.remember(places, lambda rows: _names(events, rows))
    voids = pc.equal(events.column("action"), "void").fill_null(False).to_numpy(zero_copy_only=False)
    estimated = pc.and_kleene(
        pc.equal(events.column("usage_basis"), "estimated"), pc.equal(events.column("action"), "record")
    )
    reported = ~estimated.fill_null(False).to_numpy(zero_copy_only=False)
    counted = ~voids
    tellings = np.zeros(events.num_rows, COUNTED)
    tellings["rank"] = _numbers(events.column("revision")) + reported * _REPORTED_RANK
    tellings["place"] = places
    tellings["minute"] = _numbers(events.column("occurred_at").cast(pa.int64())) // _MINUTE_MICROSECONDS
    tellings["calls"] = counted
    tellings["input_tokens"] = _numbers(events.column("input_tokens")) * counted
    tellings["output_tokens"] = _numbers(events.column("output_tokens")) * counted
    tellings["list_cost"] = _pico_usd(events.column("list_cost")) * counted
    unpriced = pc.equal(events.column("cost_basis"), "unpriced").fill_null(False)
    tellings["unpriced_calls"] = unpriced.to_numpy(zero_copy_only=False) & counted
    return memory.count(keys, tellings)


def taken_back_minutes(memory: CallMemory, outcome: Outcome) -> pa.RecordBatch:
    """Return what is taken back as `usage_minute/v1`, negative, shape (n_old,)."""
    schema = contract("usage_minute").arrow_schema
    taken = outcome.taken_back
    names = memory.places.names(taken["place"])
    columns = {name: names[name] for name in PLACE} | _sums(taken)
    columns["event_minute"] = pa.array(taken["minute"].astype(np.int64) * _MINUTE_MICROSECONDS).cast(
        pa.timestamp("us", "UTC")
    )
    table = pa.table({name: columns[name] for name in schema.names}).cast(schema)
    return pa.RecordBatch.from_arrays([table[name].combine_chunks() for name in schema.names], schema=schema)


def _taken_back_columns(outcome: Outcome) -> dict[str, pa.Array]:
    """Return `taken_back_*` of every telling, null where it takes nothing back. Each of shape (n_events,)."""
    index = np.full(len(outcome.repeats), -1, np.int64)
    index[outcome.corrects] = np.arange(len(outcome.corrects))
    rows = pa.array(index, mask=index < 0)
    return {f"{TAKEN_BACK_PREFIX}{name}": column.take(rows) for name, column in _sums(outcome.taken_back).items()}


def _sums(taken: np.ndarray) -> dict[str, pa.Array]:
    """Return the sums of `usage_minute/v1` of what was counted, taken back. Each of shape (n,)."""
    tokens = taken["input_tokens"].astype(np.int64) + taken["output_tokens"]
    sums = {
        "calls": -taken["calls"].astype(np.int64),
        "unpriced_calls": -taken["unpriced_calls"].astype(np.int64),
        "unpriced_tokens": -tokens * taken["unpriced_calls"],
        "input_tokens": -taken["input_tokens"].astype(np.int64),
        "output_tokens": -taken["output_tokens"].astype(np.int64),
    }
    cost = pa.array(-taken["list_cost"], mask=taken["unpriced_calls"] != 0)
    costs = cost.cast(pa.decimal128(19, 0)).view(pa.decimal128(38, 12))
    return {name: pa.array(sums[name]) if name in sums else costs for name in SUMS}


def _hashed(events: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """Return a 64-bit key of each event's (source, event_id), and one of whose call it was. Each of shape (n_events,).

    Two calls may share a key by chance, once in some ten million batches of a million remembered calls; the figures
    that rest on it are live ones. The hash is DuckDB's and holds only within this process.
    """
    keyed = events.select(["source", "event_id", *PLACE])
    with _hashing:
        _connection.register("events", pa.Table.from_batches([keyed]))
        hashed = _connection.execute(_HASH_SQL).to_arrow_table()
        _connection.unregister("events")
    return hashed["call_key"].to_numpy(), hashed["place_key"].to_numpy()


def _names(events: pa.RecordBatch, rows: np.ndarray) -> pa.Table:
    """Return whose calls those in `rows` were, shape (n_rows,)."""
    index = pa.array(rows)
    return pa.table({name: events.column(name).take(index) for name in PLACE}).cast(_PLACE_SCHEMA)


def _numbers(column: pa.Array) -> np.ndarray:
    numbers: np.ndarray = column.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _pico_usd(costs: pa.Array) -> np.ndarray:
    """Return costs, of `decimal128(18, 12)`, in pico-USD; unknown ones as 0. Shape (n,).

    A decimal lies in memory as a little-endian integer of 16 bytes. One of 18 digits needs the lower half alone.
    """
    known = costs.cast(pa.decimal128(18, 12)).fill_null(0)
    halves = np.frombuffer(known.buffers()[1], np.dtype("<i8"))
    return halves[2 * known.offset : 2 * (known.offset + len(known)) : 2].copy()


_PLACE_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in PLACE])
_HASH_SQL = f"select hash(source, event_id) as call_key, hash({', '.join(PLACE)}) as place_key from events"
_hashing = threading.Lock()
_connection = duckdb.connect(config={"threads": 1})
