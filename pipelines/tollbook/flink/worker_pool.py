"""The pool of Python workers beside the task managers: starts one when a task manager asks for it.

`python -m tollbook.flink.worker_pool FOLDER`. Beam's own pool (`apache_beam.runners.worker.worker_pool_main`)
speaks the same protocol, but listens on every address, runs whichever `python` comes first on PATH, lets workers stall
once they have printed 64 KiB, and leaves them behind when it is killed.
"""

from __future__ import annotations

import logging
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

_LOG = logging.getLogger(__name__)


class WorkerPool:
    """Starts and stops workers, each a process of this Python. Beam calls its methods by these names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[tuple[str, subprocess.Popen[bytes]]] = []

    def StartWorker(self, request: Any, _context: object) -> Any:  # noqa: N802  # gRPC's name
        """Start a worker for the task manager that asks."""
        from apache_beam.portability.api import beam_fn_api_pb2

        command = [sys.executable, "-m", "tollbook.flink.worker", request.control_endpoint.url, request.worker_id]
        try:
            worker = subprocess.Popen(command, stdin=subprocess.PIPE)
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=f"expected to start {command}, got {error}")
        _LOG.info("started worker %s (pid %d) for %s", request.worker_id, worker.pid, request.control_endpoint.url)
        with self._lock:
            self._workers = [(name, each) for name, each in self._workers if each.poll() is None]
            self._workers.append((request.worker_id, worker))
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, _context: object) -> Any:  # noqa: N802  # gRPC's name
        """Stop a worker if it still runs and no other has its name.

        Each job counts its workers from 1 on each task manager, and the request has no more than the count. One whose
        name is taken twice ends when its task manager closes the connection, as every worker does.
        """
        from apache_beam.portability.api import beam_fn_api_pb2

        with self._lock:
            named = [each for name, each in self._workers if name == request.worker_id and each.poll() is None]
        if len(named) == 1:
            _end(named[0])
            _LOG.info("stopped worker %s (pid %d)", request.worker_id, named[0].pid)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Stop every worker."""
        with self._lock:
            workers = [worker for _, worker in self._workers]
        for worker in workers:
            worker.terminate()
        for worker in workers:
            _end(worker)


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT, then stop every worker.

    Args:
        arguments: The folder of the cluster, whose `state.json` says on which port to listen.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s pool: %(message)s")
    import grpc  # type: ignore[import-untyped]
    from apache_beam.portability.api import beam_fn_api_pb2_grpc
    from apache_beam.utils import thread_pool_executor

    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: asked_to_stop.set())
    state = read_state(Path(arguments[0]) / "state.json")
    if state is None:
        _LOG.error("expected the ports of a cluster in %s/state.json, it cannot be read", arguments[0])
        return 1
    port = state.ports.worker_pool
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


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End a worker, with SIGKILL when it does not heed SIGTERM."""
    worker.terminate()
    try:
        worker.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    if worker.stdin is not None:
        worker.stdin.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
