"""A streaming job survives kill -9 of each process of the cluster, and a stop with a savepoint, with its state whole.

Its stateful step writes every count that its state had (`ticking_job.py`). A count that is missing is lost state; one
that was written after the last checkpoint may come again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tollbook import flink
from tollbook.flink import FlinkCluster
from tollbook.flink.components import JOB_MANAGER, JOB_SERVER, WORKER_POOL, ZOOKEEPER
from tollbook.flink.rest import FlinkRest
from tollbook.settings import Settings

JOB = Path(__file__).with_name("ticking_job.py")
KEYS = 4
DEADLINE_SECONDS = 300.0


def counts(folder: Path) -> dict[str, list[int]]:
    """Return the counts that were written, by key, in order."""
    return {
        path.name: [int(line.split()[0]) for line in path.read_text("utf-8").splitlines()]
        for path in sorted(folder.glob("key-*"))
    }


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Return once it holds, however slow this machine is."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"expected {what} within {DEADLINE_SECONDS:.0f} s"
        time.sleep(0.1)


def wait_for_counts(folder: Path, *, above: int) -> None:
    """Return once every key has counted beyond a number."""
    wait_until(
        lambda: len(told := counts(folder)) == KEYS and min(max(each, default=-1) for each in told.values()) > above,
        f"counts above {above} in {folder}",
    )


def highest(folder: Path) -> int:
    """Return the highest count of any key."""
    return max(max(each) for each in counts(folder).values())


def submit(home: Settings, folder: Path, name: str, *options: str) -> None:
    """Submit the job with two tasks for each step, under a name."""
    arguments = [str(home.home), str(folder), str(KEYS), f"--job_name={name}", "--parallelism=2", *options]
    told = subprocess.run(
        [sys.executable, str(JOB), *arguments], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert told.returncode == 0, told.stderr


def job_id(cluster: FlinkCluster, name: str) -> str:
    """Return the id of the job of this name that has not ended."""
    rest = FlinkRest(cluster.rest_url)
    found: list[str] = []

    def there() -> bool:
        ended = ("CANCELED", "FAILED", "FINISHED")
        found[:] = [each.job_id for each in rest.jobs() if each.name == name and each.state not in ended]
        return bool(found)

    wait_until(there, f"the job {name}")
    return found[0]


@pytest.fixture(scope="module")
def ticking(flink_cluster: FlinkCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the job for the tests of this module, which kill one process after the other, and return its folder."""
    home, folder = Settings(home=flink_cluster.savepoints.parents[1]), tmp_path_factory.mktemp("ticking")
    submit(home, folder, "ticking")
    wait_for_counts(folder, above=5)
    running = job_id(flink_cluster, "ticking")
    rest = FlinkRest(flink_cluster.rest_url)
    wait_until(lambda: rest.newest_checkpoint(running) is not None, "a checkpoint")
    yield folder
    rest.cancel(running)


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim", ["task manager 1", "task manager 2", JOB_MANAGER, ZOOKEEPER, WORKER_POOL, JOB_SERVER]
)
def test_a_killed_process_is_replaced_and_no_count_is_lost(
    victim: str, ticking: Path, flink_home: Settings, flink_cluster: FlinkCluster
) -> None:
    """`up` starts what died, on the ports that the rest knows; the job goes on by itself from its last checkpoint."""
    running = job_id(flink_cluster, "ticking")
    (pid,) = [each.pid for each in flink.status(flink_home).processes if each.name == victim]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not flink.status(flink_home).ready, "the death")
    told: list[str] = []

    assert flink.up(flink_home, told.append) == flink_cluster

    assert told == [f"replacing the {victim}", "ready"]
    wait_for_counts(ticking, above=highest(ticking) + 20)
    assert job_id(flink_cluster, "ticking") == running, "the job is the same, not one that was submitted anew"
    for key, seen in counts(ticking).items():
        assert sorted(set(seen)) == list(range(max(seen) + 1)), f"{key} has every count from 0"


def test_a_killed_worker_is_replaced_without_anyone_asking(ticking: Path, flink_home: Settings) -> None:
    """The commonest death is a Python process that ran out of memory."""
    (pool,) = [each.pid for each in flink.status(flink_home).processes if each.name == WORKER_POOL]
    assert pool is not None
    victim = workers(pool)[0]
    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: victim not in workers(pool), "the death")
    wait_for_counts(ticking, above=highest(ticking) + 20)

    for key, seen in counts(ticking).items():
        assert sorted(set(seen)) == list(range(max(seen) + 1)), f"{key} has every count from 0"


@pytest.mark.slow
def test_a_job_stopped_with_a_savepoint_goes_on_from_it_as_if_it_had_never_stopped(
    flink_cluster: FlinkCluster, flink_home: Settings, tmp_path: Path
) -> None:
    """An upgrade of the job neither repeats nor leaves out: each count comes once."""
    submit(flink_home, tmp_path, "before")
    wait_for_counts(tmp_path, above=5)
    savepoint = FlinkRest(flink_cluster.rest_url).stop_with_savepoint(job_id(flink_cluster, "before"))
    stopped_at = counts(tmp_path)

    submit(flink_home, tmp_path, "after", f"--savepoint_path={savepoint}")
    wait_for_counts(tmp_path, above=highest(tmp_path) + 5)
    FlinkRest(flink_cluster.rest_url).cancel(job_id(flink_cluster, "after"))

    assert Path(savepoint.removeprefix("file:")).parent == flink_cluster.savepoints
    for key, seen in counts(tmp_path).items():
        assert seen[: len(stopped_at[key])] == stopped_at[key]
        assert seen == list(range(len(seen))), f"{key} has every count once"


def workers(pool: int) -> list[int]:
    """Return the pids of a pool's workers: forks of the process that it started, with that one's command line.

    Other clusters of this machine have workers too, one of them that of the test session beside this one.
    """
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended in between
            continue
        if arguments[1:3] == [b"-m", b"tollbook.flink.worker"]:
            parents[int(entry.name)] = parent
    return sorted(pid for pid, parent in parents.items() if parents.get(parent) == pool)
