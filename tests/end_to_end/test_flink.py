"""The meter on a real Flink: the same book as on the embedded runner, whatever process of the cluster dies.

The cluster has two task managers; the traffic has repeats, late events, conflicts and records that are none. What must
hold at the end is what must hold of the embedded meter: `Book.assert_whole` and the simulator's truth.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tollbook import flink
from tollbook.flink import FlinkCluster
from tollbook.flink.components import JOB_MANAGER, WORKER_POOL
from tollbook.flink.rest import FlinkRest
from tollbook.settings import Settings
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book, NewTraffic, Until

EVENTS = int(os.environ.get("TOLLBOOK_FLINK_EVENTS", "40000"))


@dataclass
class Running:
    """A `tollbook meter --runner flink` that runs."""

    process: subprocess.Popen[str]
    log: Path

    def told(self) -> str:
        """Return what it told so far."""
        return self.log.read_text(encoding="utf-8")

    def job(self) -> str | None:
        """Return the id of its job, None while it has none."""
        found = re.search(r"job ([0-9a-f]{32}) runs", self.told())
        return found[1] if found is not None else None

    def stop(self) -> str:
        """Stop it as an operator does, and return the savepoint that it ended with."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait() == 0, self.told()
        found = re.search(r"with the savepoint (.+); --savepoint ", self.told())
        assert found is not None, self.told()
        return found[1]


@pytest.fixture
def on_flink(flink_cluster: FlinkCluster, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Return a function that starts a meter on the session's cluster: `on_flink(book, "--follow")`."""
    started: list[Running] = []

    def start(book: Book, *arguments: str) -> Running:
        log = tmp_path / f"meter-{len(started)}.log"
        command = [
            *(sys.executable, "-m", "tollbook", "meter", *arguments, "--topic", book.topic),
            *("--max-reject-share", "none", "--runner", "flink", "--parallelism", "2"),
            *("--flink-master", flink_cluster.rest_url, "--flink-job-server", flink_cluster.job_endpoint),
            *("--flink-workers", flink_cluster.worker_pool, "--home", str(book.settings.home)),
            *("--bootstrap-servers", str(book.settings.bootstrap_servers)),
        ]
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, text=True)
        started.append(Running(process, log))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
    rest = FlinkRest(flink_cluster.rest_url)
    for job in rest.jobs():
        if job.name.startswith("tollbook-meter") and job.state in {"RUNNING", "RESTARTING"}:
            rest.cancel(job.job_id)


@pytest.mark.slow
def test_the_book_is_whole_whatever_process_of_the_cluster_dies(
    book: Book,
    new_traffic: NewTraffic,
    on_flink: Callable[..., Running],
    flink_home: Settings,
    flink_cluster: FlinkCluster,
    until: Until,
) -> None:
    """Each dies alone, with kill -9 and records on their way, and is replaced; then a stop, and a start from there."""
    traffic = new_traffic(events=2_000, seed=20_261_127)
    victims = ["task manager 1", "task manager 2", WORKER_POOL, JOB_MANAGER]
    first, *slices, last = traffic.slices(len(victims) + 2)
    meter = on_flink(book, "--follow")

    def wait_for(records: int, running: Running) -> None:
        until(lambda: book.records() == records or running.process.poll() is not None)
        assert running.process.poll() is None, running.told()

    book.send(first)
    wait_for(len(first), meter)
    sent = len(first)
    for victim, lines in zip(victims, slices, strict=True):
        book.send(lines[: len(lines) // 2])
        (pid,) = [each.pid for each in flink.status(flink_home).processes if each.name == victim]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        book.send(lines[len(lines) // 2 :])
        sent += len(lines)
        until(lambda: not flink.status(flink_home).ready)
        flink.up(flink_home, lambda _message: None)
        wait_for(sent, meter)

    savepoint = meter.stop()
    book.send(last)
    sent += len(last)
    again = on_flink(book, "--follow", "--savepoint", savepoint)
    wait_for(sent, again)
    again.stop()

    book.assert_whole(read=sent)
    build(book.settings)
    book.assert_true(traffic.truth)
    assert "Traceback" not in meter.told() + again.told()


def test_a_meter_that_is_to_end_when_it_has_caught_up_ends(
    book: Book, new_traffic: NewTraffic, on_flink: Callable[..., Running]
) -> None:
    """As the embedded one does; a second run has nothing to read and makes no commit."""
    traffic = new_traffic(events=240, seed=20_261_128)
    book.send(traffic.lines)
    meter = on_flink(book, "--until-caught-up")
    assert meter.process.wait() == 0, meter.told()
    book.assert_whole(read=len(traffic.lines))
    again = on_flink(book, "--until-caught-up")
    assert again.process.wait() == 0, again.told()
    build(book.settings)
    book.assert_true(traffic.truth)


def test_many_events_with_repeats_late_ones_and_bad_records_come_out_exact(
    book: Book, new_traffic: NewTraffic, on_flink: Callable[..., Running]
) -> None:
    """More than fits one micro-batch, on two lanes; `TOLLBOOK_FLINK_EVENTS` sets how many."""
    traffic = new_traffic(events=EVENTS, seed=20_261_129)
    book.send(traffic.lines)
    meter = on_flink(book, "--until-caught-up", "--max-commit-records", "16384")
    assert meter.process.wait() == 0, meter.told()
    book.assert_whole(read=len(traffic.lines))
    build(book.settings)
    book.assert_true(traffic.truth)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment during a block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--flink-master", "127.0.0.1:1"], r"expected Flink's REST interface at http://127\.0\.0\.1:1, got"),
        (["--parallelism", "64"], "expected --parallelism of at most the 4 slots of the cluster, got 64"),
    ],
)
def test_what_cannot_work_is_told_with_what_to_do(
    arguments: list[str], message: str, book: Book, flink_cluster: FlinkCluster, traffic: object
) -> None:
    """Before anything is submitted."""
    assert traffic is not None
    told = {"--flink-master": flink_cluster.rest_url, "--parallelism": "1", arguments[0]: arguments[1]}
    command = [sys.executable, "-m", "tollbook", *book.meter, "--runner", "flink", "--home", str(book.settings.home)]
    ended = subprocess.run(
        [
            *command,
            "--bootstrap-servers",
            str(book.settings.bootstrap_servers),
            *(x for each in told.items() for x in each),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {1, 2}
    assert re.search(message, ended.stderr), ended.stderr
    assert "tollbook flink" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_password_in_a_variable_is_refused_since_it_would_lie_in_the_job(book: Book) -> None:
    """Each worker reads it from a file of its own."""
    command = [sys.executable, "-m", "tollbook", *book.meter, "--runner", "flink", "--home", str(book.settings.home)]
    with environment(
        TOLLBOOK_KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        TOLLBOOK_KAFKA_SASL_MECHANISM="SCRAM-SHA-512",
        TOLLBOOK_KAFKA_SASL_USERNAME="meter",
        TOLLBOOK_KAFKA_SASL_PASSWORD="hunter2",
    ):
        ended = subprocess.run(
            [*command, "--bootstrap-servers", "127.0.0.1:1", "--flink-master", "127.0.0.1:1"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert "expected TOLLBOOK_KAFKA_SASL_PASSWORD_FILE, which each worker reads for itself" in ended.stderr
    assert "hunter2" not in ended.stderr
