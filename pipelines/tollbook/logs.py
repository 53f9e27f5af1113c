"""What commands tell on stderr while they run: sentences for people, or one JSON object a line for machines.

Code tells sentences. One that carries facts is a `Notice`: people read the sentence, and in the JSON format its event
and its facts have fields of their own. What is told is of records, never from them: no content, no key, no password.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final, Self, TextIO

from tollbook.errors import TollbookError

Tell = Callable[[str], None]
"""Takes what happens, one sentence at a time."""

INFO, WARNING, ERROR = "info", "warning", "error"

_RESERVED: Final = frozenset({"time", "level", "event", "message"})
_MAX_LIBRARY_MESSAGE = 200
_MAX_FRAMES = 20


class Notice(str):
    """A sentence for people that carries its facts for machines.

    Attributes:
        event: What kind of thing happened, in snake case; stable, so that alerts may rest on it.
        level: `info`, `warning` or `error`.
        facts: Numbers, names and offsets, by name; units are in the names.
    """

    __slots__ = ("event", "facts", "level")

    event: str
    level: str
    facts: Mapping[str, Any]

    def __new__(cls, sentence: str, *, event: str, level: str = INFO, **facts: Any) -> Self:
        """Return the sentence with its facts.

        Raises:
            ValueError: A fact has the name of a field that every line has.
        """
        if _RESERVED & set(facts):
            raise ValueError(f"expected names of facts other than {sorted(_RESERVED)}, got {sorted(facts)}")
        notice = super().__new__(cls, sentence)
        notice.event, notice.level, notice.facts = event, level, facts
        return notice


class JsonLog:
    """Writes what is told as one JSON object a line; several threads may tell at once, and signal handlers too.

    Who tells while a line is being written leaves its own to whoever writes: a handler interrupts its own thread, so it
    must not wait for it.

    Every line has `time` (UTC), `level`, `event` and `message`; a notice's facts come beside them.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream, self._clock = stream, clock
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()

    def __call__(self, message: str) -> None:
        """Write one line."""
        notice = message if isinstance(message, Notice) else Notice(message, event="note")
        line = {
            "time": self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": notice.level,
            "event": notice.event,
            "message": str(notice),
            **notice.facts,
        }
        encoded = json.dumps(line, default=str, ensure_ascii=False)
        self._waiting.append(f"{encoded}\n")
        # Looked at again after the release: what came before it found the lock taken.
        while self._waiting and self._lock.acquire(blocking=False):
            try:
                while self._waiting:
                    self._stream.write(self._waiting.popleft())
                self._stream.flush()
            finally:
                self._lock.release()


def error_notice(error: TollbookError) -> Notice:
    """Return an error of ours as a notice: its name is the fact that machines tell it by."""
    return Notice(error.message, event="error", level=ERROR, error=type(error).__name__, exit_code=error.exit_code)


def fault_notice(fault: Exception) -> Notice:
    """Return what nobody foresaw as a notice: its type and where it was raised.

    Its message is left out, since a library's message may quote the record that it failed on.
    """
    frames = extract_tb(fault.__traceback__)[-_MAX_FRAMES:]
    return Notice(
        f"a fault of Tollbook: {type(fault).__name__}",
        event="fault",
        level=ERROR,
        error=type(fault).__name__,
        at=[f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
    )


@contextmanager
def libraries_telling(tell: Tell) -> Iterator[None]:
    """Tell what libraries warn of, first lines only, in place of Python's own way to stderr."""
    handler = _LibraryHandler(tell)
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(handler)


class _LibraryHandler(logging.Handler):
    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        first, *_ = record.getMessage().splitlines() or [""]
        level = ERROR if record.levelno >= logging.ERROR else WARNING
        self._tell(Notice(first[:_MAX_LIBRARY_MESSAGE], event="library", level=level, logger=record.name))
