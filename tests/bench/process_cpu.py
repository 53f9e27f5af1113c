"""CPU time of programs that are many processes, from Linux's process table."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    started_ticks: int
    cpu_ticks: int


class ProcessCpu:
    """Adds up the CPU time of some processes and of whatever they started.

    What a process used is remembered when it ends, up to the last look at it.
    """

    def __init__(self, roots: Mapping[str, int]) -> None:
        """Watch processes by pid, each under a name; several may go by one name up to a `/`: `worker/1`, `worker/2`."""
        self._roots = {pid: name.partition("/")[0] for name, pid in roots.items()}
        self._used: dict[tuple[int, int], tuple[str, int]] = {}

    def seconds(self) -> dict[str, float]:
        """Look, and return the CPU time used until now, user and system, by name. Unit: Seconds."""
        processes = _processes()
        for pid, process in processes.items():
            name = self._name_of(pid, processes)
            if name is not None:
                self._used[pid, process.started_ticks] = name, process.cpu_ticks
        total = dict.fromkeys(self._roots.values(), 0.0)
        for name, ticks in self._used.values():
            total[name] += ticks / _TICKS_PER_SECOND
        return total

    def _name_of(self, pid: int, processes: Mapping[int, _Process]) -> str | None:
        while pid not in self._roots:
            if pid not in processes:
                return None
            pid = processes[pid].parent
        return self._roots[pid]


def seconds_since_start() -> float:
    """Return how long ago this process was started, before Python was."""
    started = _processes()[os.getpid()].started_ticks / _TICKS_PER_SECOND
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _processes() -> dict[int, _Process]:
    """Return every process of this machine by its pid."""
    found = {}
    for path in _PROC.iterdir():
        if not path.name.isdecimal():
            continue
        try:
            told = (path / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        # Source: proc_pid_stat(5), fields 4, 14, 15 and 22; the name in field 2 may hold blanks and brackets.
        fields = told.rpartition(")")[2].split()
        found[int(path.name)] = _Process(int(fields[1]), int(fields[19]), int(fields[11]) + int(fields[12]))
    return found
