"""What a contract covers: patterns that meet, and what a term reaches unless told otherwise."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.contract_terms import DEFAULT_PRICE, Reach, matches_any, patterns_meet


@pytest.mark.parametrize(
    ("one", "another", "meet"),
    [
        ("*", "anything", True),
        ("gpt-5*", "gpt-5", True),
        ("gpt-5*", "*-mini", True),
        ("gpt-5*", "gpt-4*", False),
        ("a*b", "b*a", False),
        ("A", "a", True),
        ("a", "", False),
        ("*", "", True),
    ],
)
def test_patterns_meet_when_some_text_matches_both(one: str, another: str, meet: bool) -> None:
    """Two contracts may not cover a model that nobody has thought of yet."""
    assert patterns_meet(one, another) is patterns_meet(another, one) is meet


@given(st.text("ab*", max_size=4), st.text("ab*", max_size=4))
def test_patterns_meet_as_trying_all_texts_says(one: str, another: str) -> None:
    """Any pair that a text of up to six letters shows to meet, meets, and no other: four signs need no longer one."""
    texts = ("".join(letters) for length in range(7) for letters in product("ab", repeat=length))
    assert patterns_meet(one, another) is any(matches_any((one,), t) and matches_any((another,), t) for t in texts)


def test_negotiated_rates_cover_the_plain_price_unless_told_otherwise() -> None:
    """A rate for short requests in one place must not undercut what long ones, batches or regions cost."""
    assert DEFAULT_PRICE.covers_price("m", "default", None, None)
    assert not DEFAULT_PRICE.covers_price("m", "default", 200_000, None)
    assert not DEFAULT_PRICE.covers_price("m", "batch", None, None)
    assert not DEFAULT_PRICE.covers_price("m", "default", None, "eu")
    everything = Reach()
    assert everything.covers_price("m", "batch", 200_000, "eu")
    europe = Reach(regions=("eu*",))
    assert [europe.covers_price("m", "default", None, region) for region in (None, "eu-west-1", "us")] == [
        False,
        True,
        False,
    ]
