"""Planning what to read: fair, bounded, and loud about gaps."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import OffsetGapError
from tollbook.stream.coders import RecordBatchCoder
from tollbook.stream.ranges import ChunkOrigin, OffsetRange, plan_ranges


def test_reading_goes_on_where_the_book_ends() -> None:
    """The newest manifest is all that is remembered."""
    ranges = plan_ranges({("t", 0): 40}, {("t", 0): 0, ("u", 1): 5}, {("t", 0): 50, ("u", 1): 9}, max_records=1000)
    assert ranges == [OffsetRange("t", 0, 40, 50), OffsetRange("u", 1, 5, 9)]


def test_a_new_partition_of_a_known_topic_begins_at_zero() -> None:
    """Where it begins later, its first records were deleted before anyone read them."""
    known = {("t", 0): 40}
    assert plan_ranges(known, {("t", 0): 0, ("t", 1): 0}, {("t", 0): 40, ("t", 1): 3}, max_records=10) == [
        OffsetRange("t", 1, 0, 3)
    ]
    with pytest.raises(OffsetGapError, match="5 offsets were deleted"):
        plan_ranges(known, {("t", 0): 0, ("t", 1): 5}, {("t", 0): 40, ("t", 1): 9}, max_records=10)


def test_nothing_to_read_is_an_empty_plan() -> None:
    """A caught-up meter must end."""
    assert plan_ranges({("t", 0): 50}, {("t", 0): 0}, {("t", 0): 50}, max_records=10) == []


def test_a_backlog_in_one_partition_does_not_starve_the_others() -> None:
    """Each partition gets its share; what small ones leave goes to the large ones."""
    ends = {("t", 0): 1_000_000, ("t", 1): 10, ("t", 2): 1_000_000}
    ranges = plan_ranges({}, dict.fromkeys(ends, 0), ends, max_records=1010)
    assert [(each.partition, each.next_offset) for each in ranges] == [(0, 500), (1, 10), (2, 500)]


def test_offsets_deleted_before_they_were_read_stop_the_meter() -> None:
    """A gap is never skipped in silence."""
    with pytest.raises(OffsetGapError, match="7 offsets were deleted before they were read"):
        plan_ranges({("t", 0): 3}, {("t", 0): 10}, {("t", 0): 20}, max_records=10)


def test_a_log_shorter_than_the_book_stops_the_meter() -> None:
    """A topic made anew has other records under the same offsets."""
    with pytest.raises(OffsetGapError, match="made anew or truncated"):
        plan_ranges({("t", 0): 30}, {("t", 0): 0}, {("t", 0): 20}, max_records=10)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6),
    st.integers(1, 700),
)
def test_repeated_plans_read_every_offset_once(partitions: list[tuple[int, int]], limit: int) -> None:
    """Whatever the limit, the micro-batches cover the log without gap or overlap."""
    beginnings = {("t", number): start for number, (start, _) in enumerate(partitions)}
    ends = {("t", number): start + length for number, (start, length) in enumerate(partitions)}
    committed: dict[tuple[str, int], int] = {}
    for _ in range(10_000):
        ranges = plan_ranges(committed, beginnings, ends, max_records=limit)
        if not ranges:
            break
        for place, beginning in beginnings.items():
            committed.setdefault(place, beginning)
        assert sum(each.next_offset - each.first_offset for each in ranges) <= limit
        for each in ranges:
            place = (each.topic, each.partition)
            assert each.first_offset == committed.get(place, beginnings[place])
            committed[place] = each.next_offset
    assert all(committed.get(place, beginnings[place]) == end for place, end in ends.items())


def test_the_origin_travels_with_its_batch_through_a_shuffle() -> None:
    """The commit adds up origins; one lost is an offset lost."""
    origin = ChunkOrigin("t", 1, 10, 20, 6, 1, 1, 0, unknown_fields={"x": 2})
    batch = origin.attach(pa.record_batch({"a": [1, 2, 3]}).slice(1, 1))
    coder = RecordBatchCoder()
    decoded = coder.decode(coder.encode(batch))
    assert ChunkOrigin.of(decoded) == origin
    assert origin.missing == 2
    assert decoded.to_pydict() == {"a": [2]}


def test_a_slice_does_not_carry_its_parent_through_a_shuffle() -> None:
    """A pickled slice is as large as the whole."""
    batch = pa.record_batch({"a": list(range(100_000))})
    assert len(RecordBatchCoder().encode(batch.slice(5, 10))) < 2_000
