"""The pool of Python workers beside the task managers: starts one when a task manager asks for it.

`python -m tollbook.flink.worker_pool FOLDER`, or `--port PORT` where no cluster has a folder, as in a container beside
a task manager. Beam's own pool (`apache_beam.runners.worker.worker_pool_main`) speaks the same protocol, but listens
on every address, runs whichever `python` comes first on PATH, lets workers stall once they have printed 64 KiB, and
leaves them behind when it is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tollbook.flink.state import read_state
from tollbook.services.ports import HOST

STOP_SECONDS = 10.0
_LAST_PORT = 65_535

_LOG = logging.getLogger(__name__)
_OWN_LOG = "logs/worker-pool.log of the cluster"


class WorkerPool:
    """Starts and stops workers, each forked from one process of this Python. Beam calls its methods by their names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[tuple[str, int]] = []
        self._read_end, self._write_end = os.pipe()  # the end of which every worker waits for
        self._forks = self._start_forking()

    def StartWorker(self, request: Any, _context: object) -> Any:  # noqa: N802  # gRPC's name
        """Start a worker for the task manager that asks."""
        from apache_beam.portability.api import beam_fn_api_pb2

        endpoint = request.control_endpoint.url
        try:
            with self._lock:
                pid = self._fork(f"{endpoint} {request.worker_id}\n")
                self._workers = [(name, each) for name, each in self._workers if _runs(each)]
                self._workers.append((request.worker_id, pid))
        except (OSError, ValueError) as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=f"expected to fork a worker, got {error}; see {_OWN_LOG}")
        _LOG.info("started worker %s (pid %d) for %s", request.worker_id, pid, endpoint)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, _context: object) -> Any:  # noqa: N802  # gRPC's name
        """Stop a worker if it still runs and no other has its name.

        Each job counts its workers from 1 on each task manager, and the request has no more than the count. One whose
        name is taken twice ends when its task manager closes the connection, as every worker does.
        """
        from apache_beam.portability.api import beam_fn_api_pb2

        with self._lock:
            named = [pid for name, pid in self._workers if name == request.worker_id and _runs(pid)]
            if len(named) == 1:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(named[0], signal.SIGTERM)
                _LOG.info("stopped worker %s (pid %d)", request.worker_id, named[0])
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """End every worker and the process that they are forked from."""
        os.close(self._write_end)
        self._forks.terminate()
        try:
            self._forks.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._forks.kill()
            self._forks.wait()

    def _start_forking(self) -> subprocess.Popen[str]:
        """Start the process that workers are forked from; it imports Beam and then waits for requests."""
        return subprocess.Popen(
            [sys.executable, "-m", "tollbook.flink.worker", str(self._read_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(self._read_end,),
        )

    def _fork(self, request: str) -> int:
        """Return the pid of a new worker; the process that forks is replaced when it has died.

        A process that is being killed still takes a question and is not yet dead to those who wait for it, so a
        question without an answer is asked once more of a new one.

        Raises:
            OSError: It died again.
        """
        if self._forks.poll() is not None:
            self._forks = self._start_forking()
        answer = self._ask(request)
        if not answer:
            self._forks.kill()
            self._forks.wait()
            self._forks = self._start_forking()
            answer = self._ask(request)
        if not answer:
            raise OSError("no answer of the process that forks, twice")
        return int(answer)

    def _ask(self, request: str) -> str:
        """Return what the process that forks answers: a pid, or nothing when it ends meanwhile."""
        questions, answers = self._forks.stdin, self._forks.stdout
        if questions is None or answers is None:
            raise OSError("the process that forks has no pipes")
        try:
            questions.write(request)
            questions.flush()
        except BrokenPipeError:
            return ""
        return answers.readline().strip()


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT, then stop every worker.

    Args:
        arguments: The folder of the cluster, whose `state.json` says on which port to listen; or `--port` and the port.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s pool: %(message)s")
    import grpc  # type: ignore[import-untyped]
    from apache_beam.portability.api import beam_fn_api_pb2_grpc
    from apache_beam.utils import thread_pool_executor

    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: asked_to_stop.set())
    port = _port(arguments)
    if port is None:
        return 1
    pool = WorkerPool()
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    _LOG.info("listening on %s:%d", HOST, port)
    try:
        asked_to_stop.wait()
    finally:
        server.stop(grace=None)
        pool.close()
    return 0


def _port(arguments: Sequence[str]) -> int | None:
    """Return the port to listen on, or None when it is not to be found, after saying so."""
    if arguments[0] == "--port":
        told = arguments[1] if len(arguments) > 1 else ""
        if told.isdecimal() and 0 < int(told) <= _LAST_PORT:
            return int(told)
        _LOG.error("expected --port between 1 and %d, got %r", _LAST_PORT, told)
        return None
    state = read_state(Path(arguments[0]) / "state.json")
    if state is None:
        _LOG.error("expected the ports of a cluster in %s/state.json, it cannot be read", arguments[0])
        return None
    return state.ports.worker_pool


def _runs(pid: int) -> bool:
    """Return whether a worker runs; nobody but the process that forked it reaps it, so its pid is not another's yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
