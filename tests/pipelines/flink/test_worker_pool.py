"""The pool starts Python workers for task managers, stops them, and leaves none behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from tollbook.services.ports import any_free

DEADLINE_SECONDS = 300.0
PORTS_TRIED = 3


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Return once it holds, however slow this machine is."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"expected {what} within {DEADLINE_SECONDS:.0f} s"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Pool:
    """A pool in a process of its own, and a task manager's side of the conversation."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "pool.log"
        for _ in range(PORTS_TRIED):
            (self.port,) = any_free(1)
            with self.log.open("wb") as sink:
                command = [sys.executable, "-m", "tollbook.flink.worker_pool", "--port", str(self.port)]
                self.process = subprocess.Popen(command, stdout=sink, stderr=sink)
            wait_until(lambda: self.listens() or self.process.poll() is not None, "a pool that listens")
            if self.listens():
                break
        assert self.listens(), self.log.read_text("utf-8")
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(self.channel)

    def listens(self) -> bool:
        """Return whether it took its port; another program may have been quicker."""
        return "listening on" in self.log.read_text("utf-8")

    def start(self, worker_id: str, control: str) -> int:
        """Ask for a worker and return its pid."""
        request: Any = beam_fn_api_pb2.StartWorkerRequest(
            worker_id=worker_id, control_endpoint=endpoints_pb2.ApiServiceDescriptor(url=control)
        )
        before = self.started()
        assert self.stub.StartWorker(request, timeout=DEADLINE_SECONDS).error == ""
        wait_until(lambda: len(self.started()) > len(before), "a line in the log")
        return self.started()[-1]

    def started(self) -> list[int]:
        """Return the pids of all workers that were started, in order."""
        return [int(pid) for pid in re.findall(r"started worker \S+ \(pid (\d+)\)", self.log.read_text("utf-8"))]

    def stop(self, worker_id: str) -> None:
        """Ask for a worker's end."""
        self.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=worker_id), timeout=DEADLINE_SECONDS)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """Run a pool."""
    made = Pool(tmp_path)
    yield made
    made.channel.close()
    made.process.terminate()
    made.process.wait(timeout=DEADLINE_SECONDS)


@pytest.fixture
def control() -> Iterator[str]:
    """Return the address of a task manager that takes workers and has no work for them."""

    class Silent(beam_fn_api_pb2_grpc.BeamFnControlServicer):  # type: ignore[misc]  # Beam's classes are untyped here
        def Control(self, requests: Any, _context: Any) -> Iterator[Any]:  # noqa: N802  # gRPC's name
            yield from (each for each in requests if each is None)

    server = grpc.server(ThreadPoolExecutor(8))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(Silent(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_workers_end_with_a_pool_that_is_killed(pool: Pool, control: str) -> None:
    """Left behind, they would hold memory and write on beside those of the next pool."""
    workers = [pool.start("1-1", control), pool.start("2-1", control)]
    assert all(map(runs, workers))

    os.kill(pool.process.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(runs, workers)), "no worker left")


def test_a_worker_is_stopped_by_its_name_alone_when_no_other_has_it(pool: Pool, control: str) -> None:
    """Every task manager counts its workers from 1, so `1-1` may be another's that is at work."""
    twins = [pool.start("1-1", control), pool.start("1-1", control)]
    single = pool.start("2-1", control)

    pool.stop("1-1")
    pool.stop("2-1")

    wait_until(lambda: not runs(single), "the end of the worker")
    assert all(map(runs, twins))


def test_a_worker_whose_task_manager_is_gone_ends(pool: Pool, tmp_path: Path) -> None:
    """A killed task manager can tell nobody to stop its workers."""
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    worker = pool.start("1-1", f"127.0.0.1:{port}")
    wait_until(lambda: "Control channel established" in pool.log.read_text("utf-8") or not runs(worker), "a connection")
    server.stop(None).wait()

    wait_until(lambda: not runs(worker), "the end of the worker")
    assert f"the task manager at 127.0.0.1:{port} is gone" in pool.log.read_text("utf-8")


def test_the_process_that_forks_is_replaced_when_it_dies(pool: Pool, control: str) -> None:
    """One kill must not end all starts to come; workers go on."""
    first = pool.start("1-1", control)
    parent = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: not runs(parent), "the death")

    second = pool.start("2-1", control)

    assert runs(first), "workers at work go on"
    assert runs(second)
