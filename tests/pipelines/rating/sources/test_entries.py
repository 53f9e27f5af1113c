"""Entries of overlays: which of their rates hold at a time of day and a length of context."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from fractions import Fraction
from pathlib import Path
from typing import Any

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.sources.compose import compose
from tollbook.rating.sources.entries import Layer, Overlay, PriceEntry, Window

RateOne = Callable[..., dict[str, Any]]

USD = 1_000_000  # A dollar for a million tokens, in pico-USD for one.
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def test_a_window_that_names_a_rate_for_long_requests_alone_leaves_the_entrys_own_to_short_ones(
    rate_one: RateOne,
) -> None:
    """Else the price beneath, which the entry replaces, comes through at that time of day and is charged."""
    by_day = Layer(
        (
            (None, {"output_tokens": Fraction(5 * USD)}),
            (1_000, {"input_tokens": Fraction(6 * USD)}),
        )
    )
    entry = PriceEntry(
        entry="own:e",
        provider="p",
        known_from=APRIL,
        models=("m",),
        exact=True,
        layer=Layer(((None, {"input_tokens": Fraction(3 * USD), "output_tokens": Fraction(9 * USD)}),)),
        windows=(Window(time(10), time(14), by_day),),
    )
    base = Catalogue.from_rows([Price("p", "m", {"input_tokens": 2 * USD, "output_tokens": 8 * USD})], version="v")
    prices = compose(base, [Overlay("own", Path("own.yml"), (entry,), (), {}, {})])

    def cost(hour: int, tokens: int) -> Any:
        at = datetime(2026, 6, 5, hour, tzinfo=UTC)
        call = {"provider": "p", "model": "m", "occurred_at": at, "text_output_tokens": 1}
        return rate_one(prices, **call, uncached_input_tokens=tokens)["list_cost_pico_usd"]

    # By hand: 12:00, short 100 x 3 + 5; long 1,001 x 6 + 5; 15:00, 100 x 3 + 9 and 1,001 x 3 + 9.
    assert [cost(hour, tokens) for hour in (12, 15) for tokens in (100, 1_001)] == [
        305 * USD,
        6_011 * USD,
        309 * USD,
        3_012 * USD,
    ]
