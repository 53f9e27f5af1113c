"""One Python worker of a Flink job: runs the Python steps of one task manager until that or the pool ends.

`python -m tollbook.flink.worker CONTROL_ENDPOINT WORKER_ID`, started by `tollbook.flink.worker_pool`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Serve the control endpoint until it closes, and return the exit code: 1 when the connection broke.

    Args:
        arguments: Address of the task manager's control endpoint, `host:port`, and the id that it gave this worker.
    """
    control_endpoint, worker_id = arguments
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s worker {worker_id}: %(message)s")
    threading.Thread(target=_end_with_the_pool, daemon=True).start()
    import grpc  # type: ignore[import-untyped]
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    try:
        SdkHarness(control_endpoint, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=-1).run()
    except grpc.RpcError as error:
        logging.getLogger(__name__).warning("the task manager at %s is gone: %s", control_endpoint, error.code())
        return 1
    return 0


def _end_with_the_pool() -> None:
    """End the process at once when the pool does, however it ends: nobody else could tell this worker to stop.

    The pool holds the other end of standard input and never writes to it.
    """
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    os._exit(code)  # the harness leaves threads behind that wait for a task manager that is no more
