"""The pipeline of the meter on Flink, without Flink."""

from __future__ import annotations

import pytest

from tollbook.flink.pipeline import tick_milliseconds


@pytest.mark.parametrize(("parallelism", "milliseconds"), [(1, 100), (2, 200), (5, 500), (64, 500)])
def test_ticks_grow_no_more_with_the_parallelism_than_twice_a_second_each(parallelism: int, milliseconds: int) -> None:
    """Each task of the source ticks: at up to five of them there are ten ticks a second in all."""
    assert tick_milliseconds(parallelism) == milliseconds
