"""A server that runs commands of Tollbook, each in a process of its own, with a fault at a named step if asked.

Importing Tollbook takes longer than a small meter run, so it is imported once, here, and forked for each command. The
`Commands` of conftest.py write a JSON object a line to its stdin and read one a line from its stdout.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_IMPORTED = ("tollbook.cli", "tollbook.stream.meter", "tollbook.warehouse.build", "tollbook.lake.compaction")


@dataclass
class Fault:
    """What happens when a step is reached for the n-th time.

    Attributes:
        step: One of `tollbook.lake.steps.STEPS`.
        kind: `kill` (-9), `raise` an exception, `full` (a disk without room) or `stop` (until a SIGCONT).
        time: At which time, from 1.
        seen: How often it was reached.
    """

    step: str
    kind: str
    time: int = 1
    seen: int = 0

    def __call__(self, step: str) -> None:
        """Hear of a step."""
        if step != self.step:
            return
        self.seen += 1
        if self.seen != self.time:
            return
        if self.kind == "raise":
            raise RuntimeError(f"a fault that a test injects at {step}")
        if self.kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.kill(os.getpid(), signal.SIGKILL if self.kind == "kill" else signal.SIGSTOP)


def serve() -> None:
    """Answer requests until stdin ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in _IMPORTED:
        importlib.import_module(name)
    importlib.import_module("tollbook.rating.load").installed_catalogue()  # read once too
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"pid": _start(request)} if request["do"] == "start" else _state(request["pid"], request["do"])
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def _start(request: dict[str, Any]) -> int:
    """Fork a process for a command and return its id."""
    pid = os.fork()
    if pid == 0:
        _run(request)
    return pid


def _state(pid: int, do: str) -> dict[str, Any]:
    """Return how a process ended, or that it stopped; of one that runs nothing, unless it is to be waited for."""
    found, status = os.waitpid(pid, os.WUNTRACED | (0 if do == "wait" else os.WNOHANG))
    if not found:
        return {}
    return {"stopped": True} if os.WIFSTOPPED(status) else {"code": os.waitstatus_to_exitcode(status)}


def _run(request: dict[str, Any]) -> None:
    """Run one command in this process, as the command line does, and end with its exit code."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(request["environment"])
        if request["largest_file"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], request["largest_file"]))
        from tollbook.cli import main
        from tollbook.lake.steps import listening

        fault = request["fault"]
        with nullcontext() if fault is None else listening(Fault(**fault)):
            code = main(request["arguments"])
    except BaseException:  # noqa: BLE001 - as an interpreter does: tell it, and exit with 1
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
