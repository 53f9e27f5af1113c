"""Patterns of models and regions: `*` stands for any text, capitals do not count."""

from __future__ import annotations

import re
from functools import lru_cache

ANY = "*"


def is_pattern(text: str) -> bool:
    """Return whether a text stands for more than itself."""
    return ANY in text


def matches(pattern: str, text: str) -> bool:
    """Return whether a text, or all that another pattern stands for, is what a pattern stands for."""
    return _compiled(pattern).fullmatch(text.lower()) is not None


def specificity(pattern: str) -> tuple[bool, int, str]:
    """Return a key by which patterns sort, the most specific last: a plain text, then the longer pattern."""
    return (not is_pattern(pattern), len(pattern.replace(ANY, "")), pattern)


@lru_cache(maxsize=4_096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.lower().split(ANY)), re.DOTALL)
