"""Marking repeats: best effort, bounded."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tollbook.stream.repeats import RecentKeys, event_keys


def _keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def test_only_the_first_telling_is_no_repeat() -> None:
    """Live figures count a call once."""
    memory = RecentKeys()
    assert memory.mark(_keys(5, 3, 5)).tolist() == [False, False, True]
    assert memory.mark(_keys(3, 9)).tolist() == [True, False]


def test_the_oldest_generation_is_forgotten() -> None:
    """Memory is bounded as the topic grows."""
    memory = RecentKeys(generation_keys=2, generations=2)
    for pair in ((1, 2), (3, 4), (5, 6)):
        memory.mark(_keys(*pair))
    assert memory.mark(_keys(3, 5)).tolist() == [True, True]
    assert memory.mark(_keys(1)).tolist() == [False]


@given(st.lists(st.lists(st.integers(0, 20), max_size=10), max_size=10))
def test_marking_in_batches_equals_a_set(batches: list[list[int]]) -> None:
    """How the stream is cut must not change what is a repeat."""
    memory, seen = RecentKeys(generation_keys=4, generations=50), set[int]()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(key in seen)
            seen.add(key)
        assert memory.mark(_keys(*batch)).tolist() == expected


def test_revisions_of_one_call_are_not_repeats() -> None:
    """A streamed partial grows; each telling is new."""
    events = pa.record_batch(
        {"source": ["s", "s", "s"], "event_id": ["a", "a", "a"], "revision": pa.array([0, 1, 1], pa.int32())}
    )
    assert RecentKeys().mark(event_keys(events)).tolist() == [False, False, True]
