"""The process that Python workers are forked from, and a worker: it runs the Python steps of one task manager.

`python -m tollbook.flink.worker LIFELINE`, started by `tollbook.flink.worker_pool`. Importing Beam takes 6 s of CPU,
and a job that restarts waits for its workers; so it is imported once, before anyone asks, and a worker is a fork, which
takes milliseconds and shares that memory. The process that forks has no connection and no thread of its own making.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

IMPORTED_BEFORE = ("apache_beam.runners.worker.sdk_worker", "tollbook.flink.pipeline")
"""What every worker needs."""


def main(arguments: Sequence[str]) -> None:
    """Fork a worker for each line on standard input, `CONTROL_ENDPOINT WORKER_ID`, and answer with its pid.

    Ends at the end of the input.

    Args:
        arguments: File descriptor that the pool holds the other end of and never writes to: workers end when it closes.
    """
    lifeline = int(arguments[0])
    for name in IMPORTED_BEFORE:
        importlib.import_module(name)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for workers
    for line in sys.stdin:
        control_endpoint, worker_id = line.split()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin.close()
            os._exit(_work(control_endpoint, worker_id, lifeline))
        print(pid, flush=True)  # noqa: T201  # the answer to the pool


def _work(control_endpoint: str, worker_id: str, lifeline: int) -> int:
    """Serve a control endpoint until it closes, and return the exit code: 1 when the connection broke."""
    sys.stdout = sys.stderr  # what steps print is no answer to the pool
    os.dup2(sys.stderr.fileno(), 1)
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s worker {worker_id}: %(message)s")
    threading.Thread(target=_end_with_the_pool, args=(lifeline,), daemon=True).start()
    import grpc  # type: ignore[import-untyped]
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    log = logging.getLogger(__name__)
    try:
        SdkHarness(control_endpoint, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=-1).run()
    except grpc.RpcError as error:
        log.warning("the task manager at %s is gone: %s", control_endpoint, error.code())
        return 1
    except Exception:
        log.exception("the worker for the task manager at %s failed", control_endpoint)
        return 1
    finally:
        logging.shutdown()
        sys.stderr.flush()
    return 0


def _end_with_the_pool(lifeline: int) -> None:
    """End the process at once when the pool does, however it ends: nobody else could tell this worker to stop."""
    os.read(lifeline, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
