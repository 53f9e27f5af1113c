"""Cancels the jobs that a meter left behind: `python cancel_left_jobs.py HOST:PORT`, before a meter starts.

A meter that is killed leaves its job running. The next one takes the lake over from it, but the job keeps its slots, so
on a cluster that has slots for one job the next would wait for them in vain. Its checkpoints are kept.
"""

from __future__ import annotations

import sys
import time

from tollbook.flink.rest import FlinkRest

METER_JOBS = "tollbook-meter-"
ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})
WAIT_SECONDS = 120.0


def cancel_left_jobs(rest: FlinkRest) -> int:
    """Cancel the jobs of meters that have not ended, wait until they have, and return how many those were.

    Raises:
        FlinkError: Flink does not answer.
        SystemExit: One did not end.
    """
    left = [job.job_id for job in rest.jobs() if job.name.startswith(METER_JOBS) and job.state not in ENDED]
    for job_id in left:
        rest.cancel(job_id)
    deadline = time.monotonic() + WAIT_SECONDS
    while running := [job.job_id for job in rest.jobs() if job.job_id in left and job.state not in ENDED]:
        if time.monotonic() > deadline:
            raise SystemExit(f"expected {', '.join(running)} to end within {WAIT_SECONDS:.0f} s of being cancelled")
        time.sleep(0.5)
    return len(left)


if __name__ == "__main__":
    count = cancel_left_jobs(FlinkRest(f"http://{sys.argv[1]}"))
    if count:
        sys.stderr.write(f"{count} jobs that a meter left behind were cancelled\n")
