"""One span or log record as it was read: ids, times, and the attributes that any dialect or rule asks for.

Attributes that nobody asks for are never taken out of the record, so prompts and completions do not get this far.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

UNSET, OK, ERROR = 0, 1, 2
"""Status of a span, as OTLP numbers it."""
INTERNAL, SERVER, CLIENT = 1, 2, 3
"""Kind of a span, as OTLP numbers it."""

UNREAD, ATTRIBUTE, USAGE = 0, 1, 2
"""Use of an attribute."""

Value = str | int | float | bool
USAGE_PREFIXES: Final = ("gen_ai.usage.", "llm.usage.", "openclaw.tokens.", "anthropic.usage.")
"""Whatever is told under these is usage: a name that the table of usage fields does not know is shown, not lost."""

_REMEMBERED: Final = 4_096
_LONGEST: Final = 128
_CONTENT: Final = (
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool",
    "traceloop.entity.",
    "input.value",
    "output.value",
    "http.request.header.",
    "http.response.header.",
)
_CONTENT_NAMES: Final = frozenset({"prompt", "completion", "response", "body", "tool_input", "tool_parameters"})


class Item(msgspec.Struct, gc=False):
    """One span or log record.

    Attributes:
        row: Its record in the batch.
        place: Its number within the record, from 0, counted over all spans and log records.
        is_span: Whether it is a span, else a log record.
        name: Name of the span, or of the event; empty when untold.
        scope: Name of the instrumentation scope; empty when untold.
        trace_id: 32 lower-case hexadecimal digits, None when untold.
        span_id: 16 lower-case hexadecimal digits, None when untold.
        parent_id: Span id of the parent span, None for a root.
        kind: `INTERNAL`, `SERVER`, `CLIENT` or another of OTLP's numbers; 0 for a log record.
        start_ns: Start of a span. Unit: Nanoseconds since 1970-01-01 UTC; 0 when untold.
        end_ns: End of a span, time of a log record. Unit: Nanoseconds since 1970-01-01 UTC; 0 when untold.
        status: `UNSET`, `OK` or `ERROR`.
        trace_state: W3C trace state; empty when untold.
        attributes: Attributes of interest but usage. Of a list of texts its first.
        usage: Attributes that tell usage.
        resource: Attributes of interest of its resource.
    """

    row: int
    place: int
    is_span: bool
    name: str
    scope: str
    trace_id: str | None
    span_id: str | None
    parent_id: str | None
    kind: int
    start_ns: int
    end_ns: int
    status: int
    trace_state: str
    attributes: dict[str, Value]
    usage: dict[str, Value]
    resource: dict[str, Value]


class Wanted:
    """Which attributes are read.

    Attributes:
        resources: Of resources.
        use_of: Use of an attribute of a span or log record: `ATTRIBUTE`, `USAGE`, or `UNREAD` for what nobody asks for.
    """

    def __init__(self, attributes: Iterable[str], usage: Iterable[str], resources: Iterable[str]) -> None:
        """Keep the keys without those that hold content, which no rule can ask for.

        Args:
            attributes: Attributes of spans and log records that are read.
            usage: Those that tell usage; what begins with one of `USAGE_PREFIXES` is usage too.
            resources: Attributes of resources that are read.
        """
        self.resources = frozenset(key for key in resources if not is_content(key))
        self.use_of = _Uses(
            {key: ATTRIBUTE for key in attributes if not is_content(key)} | dict.fromkeys(usage, USAGE)
        ).__getitem__


class _Uses(dict[str, int]):
    """Key to its use; those that were met are remembered, up to a bound."""

    def __missing__(self, key: str) -> int:
        use = USAGE if key.startswith(USAGE_PREFIXES) else UNREAD
        if len(self) < _REMEMBERED and len(key) <= _LONGEST:
            self[key] = use
        return use


def is_content(key: str) -> bool:
    """Say whether an attribute may hold what a person or a model wrote, or a header."""
    return key in _CONTENT_NAMES or key.startswith(_CONTENT)


def hex_id(told: str) -> str | None:
    """Return an id in lower case, None for an empty one or one of zeros alone, which OTLP calls invalid."""
    return told.lower() if told.strip("0") else None
