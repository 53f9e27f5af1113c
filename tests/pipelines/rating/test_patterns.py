"""Patterns: what they stand for, which of them meet, and that no pattern takes for ever."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.patterns import matches, patterns_meet

LONGEST = 256
# Each pair of characters of two texts is looked at in at most eight lines of code, and each answer is asked for twice.
MOST_LINES = 2 * 8 * LONGEST * LONGEST


@contextmanager
def at_most_lines(most: int) -> Iterator[None]:
    """Fail as soon as the code within has run more lines than that, however fast the machine is."""
    run = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal run
        run += event == "line"
        if run > most:
            pytest.fail(f"expected at most {most:,} lines of code to be run, stopped in {frame.f_code.co_name}")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


@given(st.text("aB*\n.", max_size=6), st.text("Ab*\n.", max_size=8))
def test_a_pattern_stands_for_what_its_regular_expression_would(pattern: str, text: str) -> None:
    """The oracle is the plain one, which takes for ever on long patterns."""
    expression = ".*".join(re.escape(part) for part in pattern.lower().split("*"))
    assert matches(pattern, text) is (re.fullmatch(expression, text.lower(), re.DOTALL) is not None)


def test_a_pattern_of_many_stars_is_answered_at_once() -> None:
    """One such pattern in an overlay stopped the meter for minutes: each `*` doubled what there was to try."""
    with at_most_lines(MOST_LINES):
        assert not matches("*a" * 127 + "*b", "a" * LONGEST)
        assert matches("*a" * 127 + "*", "a" * LONGEST)


@pytest.mark.parametrize(
    ("one", "another", "met"),
    [
        ("*", "anything", True),
        ("gpt-5*", "gpt-5", True),
        ("gpt-5*", "*-mini", True),
        ("gpt-5*", "gpt-4*", False),
        ("a*b", "b*a", False),
        ("A", "a", True),
        ("a", "", False),
        ("*", "", True),
        ("a" * LONGEST, "a" * LONGEST, True),
        ("a" * (LONGEST - 1) + "*", "*" + "b" * (LONGEST - 1), True),
        ("*a" * 128, "*b" * 128, False),
        ("*a" * 128, "a*" * 128, True),
    ],
)
def test_patterns_meet_when_some_text_matches_both(one: str, another: str, met: bool) -> None:
    """Two contracts may not cover a model that nobody has thought of yet; long names end no better in a traceback."""
    with at_most_lines(MOST_LINES):
        assert patterns_meet(one, another) is patterns_meet(another, one) is met


@given(st.text("ab*", max_size=4), st.text("ab*", max_size=4))
def test_patterns_meet_as_trying_all_texts_says(one: str, another: str) -> None:
    """Any pair that a text of up to six letters shows to meet, meets, and no other: four signs need no longer one."""
    texts = ("".join(letters) for length in range(7) for letters in product("ab", repeat=length))
    assert patterns_meet(one, another) is any(matches(one, text) and matches(another, text) for text in texts)
