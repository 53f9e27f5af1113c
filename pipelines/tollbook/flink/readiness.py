"""Whether the processes of the cluster answer, and what is said of one that died."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tollbook.errors import FlinkError
from tollbook.flink.components import JOB_MANAGER, Component, task_manager_number
from tollbook.flink.configuration import Ports
from tollbook.flink.rest import FlinkRest
from tollbook.services import process
from tollbook.services.ports import HOST, accepts

READY_SECONDS = 240.0
_POLL_SECONDS = 0.2
_LOG_LINES = 15
_PORT_TAKEN = re.compile("BindException|Address already in use|Failed to add port|Could not start rest endpoint")
_RPC_ADDRESS = re.compile(r"@(?P<host>[^:@]+):(?P<port>\d+)/")


class DiedError(FlinkError):
    """A process of the cluster ended before it was ready.

    Attributes:
        component: Which.
        lost_a_port: Whether another program was quicker to take one of its ports.
    """

    def __init__(self, component: Component) -> None:
        told = log_tail(component)
        super().__init__(
            f"expected the {component.name} of the Flink cluster to run, it stopped before it was ready. "
            f"The end of {component.log}:\n{told}\n`tollbook doctor` shows what this machine lacks."
        )
        self.component = component
        self.lost_a_port = _PORT_TAKEN.search(told) is not None

    def __reduce__(self) -> tuple[type[DiedError], tuple[Component]]:
        return (type(self), (self.component,))


def wait_until_ready(folder: Path, ports: Ports, started: Sequence[tuple[Component, int]]) -> None:
    """Return once every process answers and every task manager has registered with the job manager that leads now.

    Args:
        folder: The cluster's folder, absolute.
        ports: Its ports.
        started: Every process, with its pid.

    Raises:
        DiedError: One ended.
        FlinkError: One runs but does not answer in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    waiting = list(started)
    while waiting:
        for part, pid in started:
            if not process.runs(pid, part.tail):
                raise DiedError(part)
        waiting = [(part, pid) for part, pid in waiting if not is_ready(part, ports, folder)]
        if waiting and time.monotonic() > deadline:
            part, pid = waiting[0]
            raise FlinkError(
                f"expected the {part.name} (pid {pid}) of the Flink cluster to answer within {READY_SECONDS:.0f} s, "
                f"it still starts. Run `tollbook flink up` again to go on waiting, or see {part.log}:\n"
                f"{log_tail(part)}"
            )
        if waiting:
            time.sleep(_POLL_SECONDS)


def is_ready(part: Component, ports: Ports, folder: Path) -> bool:
    """Return whether a process answers; a task manager, whether it has registered and still listens.

    Args:
        part: The process.
        ports: Ports of the cluster.
        folder: The cluster's folder: another home's cluster on the same port does not count.
    """
    number = task_manager_number(part.name)
    if number is None and part.name != JOB_MANAGER:
        return all(map(accepts, part.ports.values()))
    rest = FlinkRest(f"http://{HOST}:{ports.rest}")
    try:
        if number is not None:
            return _has_registered(number, rest.task_managers())
        return rest.configuration().get("state.savepoints.dir") == f"file://{folder}/savepoints"
    except FlinkError:
        return False


def log_tail(part: Component) -> str:
    """Return the last lines of a process's log, and of what it printed besides."""
    lines = []
    for path in dict.fromkeys((part.output, part.log)):
        if path.is_file():
            lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join(lines) or "(nothing was logged)"


def _has_registered(number: int, task_managers: Sequence[dict[str, Any]]) -> bool:
    """Return whether a task manager is listed under an address that answers.

    The job manager lists one that was killed until its heartbeats are missed.
    """
    for told in task_managers:
        address = _RPC_ADDRESS.search(told["path"])
        if told["id"] == f"tm-{number}" and address is not None and accepts(int(address["port"])):
            return True
    return False
