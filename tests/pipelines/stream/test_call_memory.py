"""What the stream remembers of calls: best effort, bounded, and given up with the micro-batch it came from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tollbook.stream.call_memory import COUNTED, CallMemory, Outcome, Places

DAY_MINUTES = 1_440


def _count(memory: CallMemory, *tellings: tuple[int, int], calls: int = 1, minute: int = 0) -> Outcome:
    """Count tellings, each of a call by its number and with a rank, and of as many input tokens as its rank."""
    told = np.zeros(len(tellings), COUNTED)
    told["rank"] = told["input_tokens"] = [rank for _, rank in tellings]
    told["calls"], told["minute"] = calls, minute
    return memory.count(np.array([call for call, _ in tellings], np.uint64), told)


def test_only_the_first_telling_of_a_call_is_no_repeat() -> None:
    """Live figures count a call once."""
    memory = CallMemory()
    assert _count(memory, (5, 0), (3, 0), (5, 0)).repeats.tolist() == [False, False, True]
    assert _count(memory, (3, 0), (9, 0)).repeats.tolist() == [True, False]


def test_a_higher_telling_takes_back_what_counted_before() -> None:
    """A streamed answer is told again and again with growing counts; the sums must end at the last."""
    memory = CallMemory()
    _count(memory, (1, 10), (2, 10))
    outcome = _count(memory, (3, 5), (1, 30), (2, 10))
    assert outcome.repeats.tolist() == [False, False, True]
    assert outcome.corrects.tolist() == [1]
    assert outcome.taken_back["input_tokens"].tolist() == [10]


def test_a_lower_telling_changes_nothing() -> None:
    """A telling that comes late and tells less must not take the place of the last word."""
    memory = CallMemory()
    _count(memory, (1, 30))
    assert _count(memory, (1, 10)).repeats.tolist() == [True]
    assert _count(memory, (1, 30)).repeats.tolist() == [True]


def test_of_tellings_in_one_batch_the_highest_counts_alone() -> None:
    """Only the difference to what counted before is booked, not each step in between."""
    memory = CallMemory()
    _count(memory, (1, 1))
    outcome = _count(memory, (1, 2), (1, 4), (1, 3), (1, 4))
    assert outcome.repeats.tolist() == [True, False, True, True]
    assert outcome.taken_back["rank"].tolist() == [1]


def test_what_a_void_counted_is_nothing_to_take_back() -> None:
    """A call that was voided and is recorded again counts once."""
    memory = CallMemory()
    _count(memory, (1, 1), calls=0)
    outcome = _count(memory, (1, 2))
    assert (outcome.repeats.tolist(), outcome.corrects.tolist()) == ([False], [])


def test_what_a_micro_batch_counted_that_was_given_up_is_forgotten() -> None:
    """Its records are read again, and must count then."""
    memory = CallMemory()
    _count(memory, (1, 1))
    memory.keep()
    _count(memory, (1, 2), (7, 1))
    memory.begin()
    again = _count(memory, (1, 2), (7, 1))
    assert again.repeats.tolist() == [False, False]
    assert again.taken_back["rank"].tolist() == [1]
    memory.keep()
    assert _count(memory, (1, 2), (7, 1)).repeats.tolist() == [True, True]


def test_the_oldest_generation_is_forgotten() -> None:
    """Memory is bounded as the topic grows."""
    memory = CallMemory(generation_calls=2, generations=2)
    for pair in ((1, 2), (3, 4), (5, 6)):
        _count(memory, *[(call, 0) for call in pair])
        memory.keep()
    assert _count(memory, (3, 0), (5, 0)).repeats.tolist() == [True, True]
    assert _count(memory, (1, 0)).repeats.tolist() == [False]


def test_an_id_that_comes_back_after_35_days_is_another_call() -> None:
    """As in the warehouse: some senders begin their numbers anew."""
    memory = CallMemory()
    _count(memory, (1, 0), (2, 0), minute=0)
    assert _count(memory, (1, 0), minute=35 * DAY_MINUTES).repeats.tolist() == [True]
    outcome = _count(memory, (2, 1), minute=35 * DAY_MINUTES + 1)
    assert (outcome.repeats.tolist(), outcome.corrects.tolist()) == ([False], [])


@given(st.lists(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), max_size=10), max_size=10))
def test_sums_equal_those_of_the_highest_tellings(batches: list[list[tuple[int, int]]]) -> None:
    """However the stream is cut, what was counted less what was taken back is each call's last word."""
    memory, highest, counted = CallMemory(generation_calls=4, generations=50), dict[int, int](), 0
    for batch in batches:
        outcome = _count(memory, *batch)
        memory.keep()
        counted += sum(rank for (_, rank), repeat in zip(batch, outcome.repeats, strict=True) if not repeat)
        counted -= int(outcome.taken_back["input_tokens"].sum())
        for call, rank in batch:
            highest[call] = max(rank, highest.get(call, 0))
        assert counted == sum(highest.values())


def test_places_are_kept_once_and_forgotten_with_their_calls() -> None:
    """Names are few beside calls, and those that no remembered call bears must not pile up."""
    places = Places()
    names = pa.table({"team": ["a", "b", "a", "c"]})
    places.remember(np.array([7, 3, 7, 9], np.uint64), lambda rows: names.take(pa.array(rows)))
    more = pa.table({"team": ["b", "d"]})
    places.remember(np.array([3, 1], np.uint64), lambda rows: more.take(pa.array(rows)))
    assert places.names(np.array([9, 1, 3], np.uint64))["team"].to_pylist() == ["c", "d", "b"]
    places.keep_only(np.array([9, 3], np.uint64))
    assert places.names(np.array([3, 9], np.uint64))["team"].to_pylist() == ["b", "c"]
    assert len(places) == 2
