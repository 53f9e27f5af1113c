"""Patterns of models and regions: `*` stands for any text, capitals do not count.

However many `*` a pattern has, no answer takes more steps than the two texts have pairs of characters.
"""

from __future__ import annotations

from functools import lru_cache

ANY = "*"


def is_pattern(text: str) -> bool:
    """Return whether a text stands for more than itself."""
    return ANY in text


def matches(pattern: str, text: str) -> bool:
    """Return whether a text, or all that another pattern stands for, is what a pattern stands for."""
    first, *others = _parts(pattern)
    told = text.lower()
    if not others:
        return told == first
    *middle, last = others
    if len(told) < len(first) + len(last) or not told.startswith(first) or not told.endswith(last):
        return False
    # Each part where it comes first: it leaves most to those behind it.
    at, end = len(first), len(told) - len(last)
    for part in middle:
        found = told.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def patterns_meet(one: str, another: str) -> bool:
    """Return whether some text is what both patterns stand for, whatever texts there are."""
    if not is_pattern(another):
        return matches(one, another)
    if not is_pattern(one):
        return matches(another, one)
    left, right = one.lower(), another.lower()
    # Where the ends of texts that the first pattern's beginning allows may stand in the other one.
    reached = _beyond_any(right, {0})
    for each in left:
        if each == ANY:
            reached = set(range(min(reached), len(right) + 1)) if reached else reached
        else:
            stay = {place for place in reached if place < len(right) and right[place] == ANY}
            step = {place + 1 for place in reached if place < len(right) and right[place] == each}
            reached = _beyond_any(right, stay | step)
    return len(right) in reached


def _beyond_any(pattern: str, places: set[int]) -> set[int]:
    """Return places of a pattern, and those that they reach because `*` also stands for nothing."""
    beyond = set(places)
    for place in places:
        while place < len(pattern) and pattern[place] == ANY:
            place += 1
            beyond.add(place)
    return beyond


def specificity(pattern: str) -> tuple[bool, int, str]:
    """Return a key by which patterns sort, the most specific last: a plain text, then the longer pattern."""
    return (not is_pattern(pattern), len(pattern.replace(ANY, "")), pattern)


@lru_cache(maxsize=4_096)
def _parts(pattern: str) -> tuple[str, ...]:
    """Return the texts between the `*` of a pattern, in lower case."""
    return tuple(pattern.lower().split(ANY))
