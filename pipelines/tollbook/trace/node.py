"""What a trace finds: facts about one thing, and the things that they lead to."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

_WIDTH: Final = 110
_NARROWEST: Final = 60
_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class Node:
    """One thing of the book.

    Attributes:
        kind: What it is, such as `charge line`.
        node_id: Its identifier; empty where it has none.
        facts: What is known of it, by name; what is None is not told.
        parts: What it leads to.
        relation: How the thing above leads to it, such as `follows from`; None at the top.
    """

    kind: str
    node_id: str
    facts: Mapping[str, Any]
    parts: tuple[Node, ...] = ()
    relation: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: decimals as text with every digit, times as RFC 3339."""
        return {
            "kind": self.kind,
            "id": self.node_id,
            "relation": self.relation,
            "facts": {name: _plain(value) for name, value in self.facts.items() if value is not None},
            "parts": [part.as_dict() for part in self.parts],
        }

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield it as lines of text for people, what it leads to indented below it."""
        indent = _INDENT * depth
        relation = f"{self.relation}: " if self.relation else ""
        yield f"{indent}{relation}{self.kind} {self.node_id}".rstrip()
        told = "; ".join(f"{name} {_text(value)}" for name, value in self.facts.items() if value is not None)
        width = max(_WIDTH - len(indent), _NARROWEST)
        for line in textwrap.wrap(told, width, break_long_words=False, break_on_hyphens=False):
            yield f"{indent}  | {line}"
        for part in self.parts:
            yield from part.lines(depth + 1)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    plain = _plain(value)
    if isinstance(plain, list):
        return ", ".join(map(_text, plain))
    if isinstance(plain, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in plain.items())
    return str(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items() if each is not None}
    return value
