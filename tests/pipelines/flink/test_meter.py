"""What the command that submits the meter makes of what Flink tells."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tollbook.errors import FencedError, MisuseError, OffsetGapError, TollbookError
from tollbook.flink import pipeline
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


def test_workers_without_the_wheel_are_told_with_what_to_do() -> None:
    """Beam's own worker pool starts any Python; what it then cannot load says nothing of wheels."""
    found = error_of("Caused by: java.lang.RuntimeException\nModuleNotFoundError: No module named 'tollbook'\n\tat a.B")
    assert isinstance(found, MisuseError)
    assert "expected workers with the tollbook wheel" in found.message
    assert "python -m tollbook.flink.worker_pool" in found.message


def test_workers_of_other_versions_are_refused_before_they_read_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of one version with the parts of another would end in something that nobody understands."""
    pipeline.versions_match({"tollbook": version("tollbook"), "apache-beam": version("apache-beam")})
    with pytest.raises(MisuseError, match=r"expected workers with tollbook 9\.9\.9, got \d") as refused:
        pipeline.versions_match({"tollbook": "9.9.9", "apache-beam": version("apache-beam")})
    assert "apache-beam" not in refused.value.message
    monkeypatch.setattr(pipeline, "version", lambda _name: "1.0")
    with pytest.raises(MisuseError, match=r"tollbook 9\.9\.9, got 1\.0; apache-beam 2\.0, got 1\.0"):
        pipeline.versions_match({"tollbook": "9.9.9", "apache-beam": "2.0"})


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
