"""The pace of a meter that follows: quick to commit when caught up, quick to stop when behind."""

from __future__ import annotations

from tollbook.stream.pace import Pace


def test_full_micro_batches_that_are_quick_grow() -> None:
    """A backlog is worked off in large commits, which cost less an event."""
    pace = Pace(most_records=524_288)
    sizes = []
    for _ in range(6):
        pace.took(pace.records, 0.4)
        sizes.append(pace.records)
    assert sizes == [65_536, 131_072, 262_144, 524_288, 524_288, 524_288]


def test_a_micro_batch_that_is_slow_shrinks_the_next_in_proportion() -> None:
    """A stop waits for the commit under way: one that took twice as long as it may is halved."""
    pace = Pace(most_records=524_288)
    pace.records = 131_072
    pace.took(131_072, 3.0)
    assert pace.records == 65_536


def test_small_micro_batches_of_a_meter_that_is_caught_up_change_nothing() -> None:
    """That little was there says nothing of how much could be taken."""
    pace = Pace(most_records=524_288)
    pace.took(900, 0.2)
    assert pace.records == 32_768


def test_a_micro_batch_never_takes_more_than_it_may_nor_next_to_nothing() -> None:
    """A meter that is slow must not fall behind for taking too little at a time."""
    assert Pace(most_records=400).records == 400
    pace = Pace(most_records=524_288)
    pace.took(1_000, 60.0)
    assert pace.records == 16_384


def test_lanes_are_each_given_as_much_as_one_process_would_be() -> None:
    """Less than a chunk for each lane makes small files, and a runner with longer ways can take longer."""
    pace = Pace(most_records=524_288, lanes=4, longest_seconds=5.0)
    assert pace.records == 131_072
    pace.took(131_072, 2.0)
    assert pace.records == 262_144
    pace.took(262_144, 10.0)
    assert pace.records == 131_072
    pace.took(131_072, 100.0)
    assert pace.records == 65_536  # 16,384 for each
