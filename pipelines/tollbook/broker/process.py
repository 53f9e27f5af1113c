"""The broker's process: started detached, recognised by its command line, stopped by SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

MAIN_CLASS = "kafka.Kafka"
_PROC = Path("/proc")
_POLL_SECONDS = 0.05

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Brokers that this process started; each is a zombie from its end until its handle reaps it."""


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


def find(properties: Path) -> int | None:
    """Return the pid of the broker that runs with this `server.properties`, or None.

    The process table is asked, not a pid file: a pid may by now belong to another program, and a start that
    was interrupted may have left a broker that no file names.

    Args:
        properties: Absolute path of `server.properties`, without symlinks.
    """
    _reap()
    for pid, arguments in _running():
        if arguments[-2:] == [MAIN_CLASS, str(properties)]:
            return pid
    return None


def runs(pid: int, properties: Path) -> bool:
    """Return whether the broker still runs.

    Args:
        pid: What `start` or `find` returned.
        properties: Path of its `server.properties`.
    """
    child = _children.get(pid)
    if child is not None:  # its command line can be empty for a moment, while `env` gives way to `java`
        return child.poll() is None
    return find(properties) == pid


def stop(pid: int, properties: Path, *, timeout_seconds: float) -> bool:
    """Ask the broker to stop and return whether it has gone within the time.

    Args:
        pid: What `find` returned for `properties`.
        properties: Path of its `server.properties`.
        timeout_seconds: How long to wait for it.
    """
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + timeout_seconds
    while runs(pid, properties):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _reap() -> None:
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


def _running() -> list[tuple[int, list[str]]]:
    """Return pid and arguments of every process; zombies have none."""
    if not (_PROC / "self" / "cmdline").exists():
        return _running_by_ps()
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                raw = (entry / "cmdline").read_bytes()
            except OSError:  # it ended in between, or belongs to someone else
                continue
            found.append((int(entry.name), raw.decode(errors="replace").rstrip("\0").split("\0")))
    return found


def _running_by_ps() -> list[tuple[int, list[str]]]:
    """Ask `ps` where there is no /proc; it joins arguments by spaces, and the path follows the main class."""
    table = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    found = []
    for line in table.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        before, main_class, path = command.partition(f" {MAIN_CLASS} ")
        if main_class:
            found.append((int(pid), [before, MAIN_CLASS, path]))
    return found
