"""What the stream remembers of the calls it counted lately: by it the live sums correct themselves.

A call is known by a key of its (source, event_id). Of each call the telling that counts is remembered, with its rank
and with what it counted. Memory is bounded: calls lie in generations, of which the oldest is forgotten. It holds
numbers in arrays alone; whose calls they were is kept once for many of them.

What a micro-batch counts becomes memory when its commit is made (`keep`); what a micro-batch counted that was given up
is forgotten (`begin`), so that reading its records again counts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

GENERATION_CALLS = 400_000
GENERATIONS = 4
SAME_CALL_DAYS = 35
"""An id that comes back after more days is another call, as in the warehouse."""

COUNTED = np.dtype(
    [
        ("rank", np.int64),
        ("list_cost", np.int64),
        ("place", np.uint64),
        ("minute", np.int32),
        ("input_tokens", np.int32),
        ("output_tokens", np.int32),
        ("calls", np.int8),
        ("unpriced_calls", np.int8),
    ]
)
"""What the telling of a call that counts has counted. `list_cost` is in pico-USD, `minute` in minutes since 1970,
`place` the key of whose call it was; `calls` is 0 for a telling that voids its call."""

_DAY_MINUTES = 24 * 60
_MAX_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch of tellings.

    Attributes:
        repeats: Tellings that change nothing: the call was counted by this telling or a higher one. Shape (n,).
        corrects: Which tellings take the place of one that counted before, as positions in the batch. Shape (n_old,).
        taken_back: What those had counted. Of `COUNTED`, shape (n_old,).
    """

    repeats: np.ndarray
    corrects: np.ndarray
    taken_back: np.ndarray


class CallMemory:
    """Calls counted lately. Not for many threads at once."""

    def __init__(self, *, generation_calls: int = GENERATION_CALLS, generations: int = GENERATIONS) -> None:
        self._generation_calls = generation_calls
        self._full: deque[_Generation] = deque(maxlen=generations)
        self._young, self._pending = _Generation(), _Generation()
        self.places = Places()

    def begin(self) -> None:
        """Forget what was counted since the last `keep`."""
        self._pending = _Generation()

    def keep(self) -> None:
        """Remember what was counted since the last `begin` or `keep`."""
        self._young.put(self._pending.keys, self._pending.calls)
        self._pending = _Generation()
        if len(self._young.keys) >= self._generation_calls:
            self._full.appendleft(self._young)
            self._young = _Generation()
            self.places.keep_only(np.concatenate([each.calls["place"] for each in self._full]))

    def count(self, keys: np.ndarray, tellings: np.ndarray) -> Outcome:
        """Count the highest telling of each call, unless one as high was counted before.

        Of tellings of one rank the first counts, as in the warehouse.

        Args:
            keys: Key of the call of each telling, shape (n,), uint64.
            tellings: What each would count, of `COUNTED`, shape (n,), in the order in which they came.
        """
        order = np.lexsort((-tellings["rank"], keys))
        ordered = keys[order]
        is_highest = np.ones(len(ordered), bool)
        is_highest[1:] = ordered[1:] != ordered[:-1]
        rows, calls = order[is_highest], ordered[is_highest]
        found, before = self._find(calls)
        told = tellings.take(rows)
        same = found & (np.abs(told["minute"] - before["minute"]) <= SAME_CALL_DAYS * _DAY_MINUTES)
        counts = ~same | (told["rank"] > before["rank"])
        repeats = np.ones(len(keys), bool)
        repeats[rows[counts]] = False
        self._pending.put(calls[counts], told.compress(counts))
        corrects = same & counts & (before["calls"] != 0)
        return Outcome(repeats, rows[corrects], before.compress(corrects))

    def _find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which calls are remembered, and what counts of them. Each of shape (n,)."""
        found, calls = np.zeros(len(keys), bool), np.zeros(len(keys), COUNTED)
        for generation in (self._pending, self._young, *self._full):
            if len(generation.keys):
                position, hit = generation.find(keys)
                hit &= ~found
                if not hit.any():
                    continue
                calls[hit] = generation.calls.take(position[hit])
                found |= hit
        return found, calls


class Places:
    """Whose calls they were: each combination of names once, by its key."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.uint64)
        self._rows = np.zeros(0, np.int64)
        self._names: pa.Table | None = None

    def __len__(self) -> int:
        """Return how many combinations are remembered."""
        return len(self._keys)

    def remember(self, keys: np.ndarray, names: Callable[[np.ndarray], pa.Table]) -> None:
        """Remember combinations that are new.

        Args:
            keys: Key of each row's combination, shape (n,).
            names: Gives the combinations of some rows.
        """
        distinct, first = np.unique(keys, return_index=True)
        new = ~_contains(self._keys, distinct)
        if self._names is not None and not new.any():
            return
        added = names(first[new])
        held = added if self._names is None else pa.concat_tables([self._names, added])
        self._names = held.combine_chunks() if held.column(0).num_chunks > _MAX_CHUNKS else held
        rows = np.arange(self._names.num_rows - len(added), self._names.num_rows)
        keys = np.concatenate([self._keys, distinct[new]])
        order = np.argsort(keys, kind="stable")
        self._keys, self._rows = keys[order], np.concatenate([self._rows, rows])[order]

    def names(self, keys: np.ndarray) -> pa.Table:
        """Return the combinations of keys that are remembered, shape (n,)."""
        if self._names is None:
            raise KeyError("expected places that are remembered, none is")
        return self._names.take(pa.array(self._rows[np.searchsorted(self._keys, keys)]))

    def keep_only(self, keys: np.ndarray) -> None:
        """Forget all combinations but those of `keys`."""
        kept = np.isin(self._keys, keys)
        if self._names is None or kept.all():
            return
        self._names = self._names.take(pa.array(self._rows[kept])).combine_chunks()
        self._keys, self._rows = self._keys[kept], np.arange(int(kept.sum()))


class _Generation:
    """Calls by key, in the order of their keys."""

    def __init__(self) -> None:
        self.keys = np.zeros(0, np.uint64)
        self.calls = np.zeros(0, COUNTED)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where each key would lie, and whether it does. Each of shape (n,). The generation is not empty."""
        position = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return position, self.keys[position] == keys

    def put(self, keys: np.ndarray, calls: np.ndarray) -> None:
        """Add calls, or replace those that are there. The keys are distinct and in order."""
        if not len(self.keys):
            self.keys, self.calls = keys, calls
            return
        position, hit = self.find(keys)
        self.calls[position[hit]] = calls[hit]
        new = ~hit
        if new.any():
            at = np.searchsorted(self.keys, keys[new])
            self.keys = np.insert(self.keys, at, keys[new])
            self.calls = np.insert(self.calls, at, calls[new])


def _contains(ordered: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return which of `keys` are among `ordered`. Shape (n,)."""
    if not len(ordered):
        return np.zeros(len(keys), bool)
    return np.asarray(ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys)
