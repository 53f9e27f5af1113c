"""Ctrl-C at any moment: remembered, even where a library swallows it, and never in the way of tidying up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

EXIT_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Interrupts:
    """What is known of interrupts.

    Attributes:
        seen: Whether there was one.
        tidying: Whether what was started is being stopped: further interrupts are then ignored.
    """

    seen: bool = False
    tidying: bool = False

    def check(self) -> None:
        """Raise the interrupt that a library kept to itself.

        Raises:
            KeyboardInterrupt: There was one.
        """
        if self.seen:
            raise KeyboardInterrupt


@contextmanager
def noted_interrupts() -> Iterator[Interrupts]:
    """Turn SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt and remember that there was one.

    After the first, threads that lose what they work with end without a word, since nobody waits for them.
    """
    noted = Interrupts()

    def note(_number: int, _frame: object) -> None:
        if noted.tidying:
            return
        noted.seen = True
        threading.excepthook = lambda _failure: None
        sys.unraisablehook = lambda _failure: None
        raise KeyboardInterrupt

    hooks = threading.excepthook, sys.unraisablehook
    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        threading.excepthook, sys.unraisablehook = hooks


def leave_at_once() -> NoReturn:
    """End this process as interrupted, without waiting for threads of Beam and dbt that still work.

    What they write is whole or not in the book, as after a kill.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)
