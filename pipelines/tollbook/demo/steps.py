"""Progress on stderr: a line for each step with its time, and on a terminal what is going on meanwhile."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

_NAME_WIDTH = 11


class Step:
    """One step under way."""

    def __init__(self, name: str, status: Status) -> None:
        self._name = name
        self._status = status
        self.result = ""
        """What the step's line says once it is done."""

    def now(self, message: str) -> None:
        """Show what is going on, on a terminal."""
        self._status.update(Text(f"{self._name}: {message}", no_wrap=True, overflow="ellipsis"))


class Steps:
    """The steps of a run, told on stderr as they end."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._began = time.monotonic()

    def say(self, message: str) -> None:
        """Print a line."""
        self._console.print(message)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Give a step; when it is done, print its name, its result and how long it took."""
        began = time.monotonic()
        with self._console.status(Text(name)) as status:
            step = Step(name, status)
            yield step
        self._line(time.monotonic() - began, name, step.result)

    def total(self) -> None:
        """Print how long everything took."""
        self._line(time.monotonic() - self._began, "in all", "")

    def _line(self, seconds: float, name: str, result: str) -> None:
        self._console.print(f"{seconds:6.1f} s  {name:<{_NAME_WIDTH}}{result}".rstrip())


@contextmanager
def library_logs_in(path: Path) -> Iterator[None]:
    """Write what libraries log and warn of to a file instead of stderr.

    Args:
        path: File to append to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    before = root.handlers[:]
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers[:] = [handler]
    # Not `logging.captureWarnings`: where a library has called it before, calling it again changes nothing.
    shown = warnings.showwarning
    warnings.showwarning = _log_warning
    try:
        yield
    finally:
        warnings.showwarning = shown
        root.handlers[:] = before
        handler.close()


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001  the name is part of what `warnings` calls
    line: str | None = None,
) -> None:
    logging.getLogger("py.warnings").warning("%s", warnings.formatwarning(message, category, filename, lineno, line))
