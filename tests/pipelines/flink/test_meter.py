"""What the command that submits the meter makes of what Flink tells."""

from __future__ import annotations

import pytest

from tollbook.errors import FencedError, OffsetGapError, TollbookError
from tollbook.flink.lanes import lane_names
from tollbook.flink.meter import error_of

TRACE = """java.lang.Exception: Error while processing
\tat org.apache.beam.runners.flink.SomeOperator.process(SomeOperator.java:1)
Caused by: java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1498, in process
  File "tollbook/stream/ticks.py", line 140, in process
tollbook.errors.{error}: {message} [while running 'PlanByTicks/PlanByTick-ptransform-12']

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(FnApiControlClient.java:1)
"""


def test_the_meters_own_error_is_found_in_what_a_job_failed_with() -> None:
    """A user reads the same sentence as from the embedded meter, not a stack trace of two languages."""
    found = error_of(TRACE.format(error="FencedError", message="expected to be the meter of /lake"))
    assert isinstance(found, FencedError)
    assert found.message == "expected to be the meter of /lake"


def test_an_error_that_has_more_to_tell_than_a_message_is_told_by_its_message() -> None:
    """Not every error can be made of its message alone."""
    found = error_of(TRACE.format(error="OffsetGapError", message="2 offsets were deleted"))
    assert isinstance(found, OffsetGapError)
    found = error_of(TRACE.format(error="RejectedRecordError", message="a reason"))
    assert type(found) is TollbookError
    assert found.message == "a reason"


@pytest.mark.parametrize(
    "trace", ["", "java.lang.Exception: task manager lost", TRACE.format(error="os", message="none of ours")]
)
def test_another_failure_is_not_taken_for_the_meters(trace: str) -> None:
    """Flink starts the job again after it."""
    assert error_of(trace) is None


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8, 100])
def test_lanes_have_names_of_their_own(lanes: int) -> None:
    """Two lanes of one name would be one."""
    assert len(set(lane_names(lanes))) == lanes
