"""Processes of programs: started detached, recognised by their command line, stopped by SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.05

_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this process started; each is a zombie from its end until its handle reaps it."""


def start(command: list[str], *, output: Path, cwd: Path) -> int:
    """Start a process in a session of its own, out of reach of this terminal's Ctrl-C, and return its pid.

    Args:
        command: Program and arguments.
        output: File that takes its standard output and error, emptied first.
        cwd: Its working folder.
    """
    with output.open("wb") as sink:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=cwd, start_new_session=True
        )
    _children[child.pid] = child
    return child.pid


def find(tail: Sequence[str]) -> int | None:
    """Return the pid of the process whose last arguments are these, or None.

    The process table is asked, not a pid file: a pid may by now belong to another program, and a start that
    was interrupted may have left a process that no file names.

    Args:
        tail: The last arguments of its command line, which nothing else has: best a main class and an absolute
            path without symlinks.
    """
    _reap()
    for pid, line in _running(tail):
        if line[-len(tail) :] == list(tail):
            return pid
    return None


def runs(pid: int, tail: Sequence[str]) -> bool:
    """Return whether the process still runs.

    Args:
        pid: What `start` or `find` returned.
        tail: Its last arguments.
    """
    child = _children.get(pid)
    if child is not None:  # its command line can be empty for a moment, while `env` gives way to the program
        return child.poll() is None
    return find(tail) == pid


def stop(pid: int, tail: Sequence[str], *, timeout_seconds: float, kill: bool = False) -> bool:
    """Ask the process to stop, or kill it, and return whether it has gone within the time.

    Args:
        pid: What `find` returned for `tail`.
        tail: Its last arguments.
        timeout_seconds: How long to wait for it.
        kill: Whether it gets SIGKILL and not SIGTERM.
    """
    try:
        os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + timeout_seconds
    while runs(pid, tail):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _reap() -> None:
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


def _running(tail: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return pid and arguments of every process; zombies have none."""
    if not (_PROC / "self" / "cmdline").exists():
        return _running_by_ps(tail)
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                raw = (entry / "cmdline").read_bytes()
            except OSError:  # it ended in between, or belongs to someone else
                continue
            found.append((int(entry.name), raw.decode(errors="replace").rstrip("\0").split("\0")))
    return found


def _running_by_ps(tail: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Ask `ps` where there is no /proc; it joins arguments by spaces, so only whole tails can be told."""
    table = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    joined = " " + " ".join(tail)
    found = []
    for line in table.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        if command.endswith(joined):
            found.append((int(pid), [command.removesuffix(joined), *tail]))
    return found
