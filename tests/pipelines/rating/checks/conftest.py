"""Prices in USD a million tokens, for the tests of the checks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from tollbook.rating.prices import Price

MakePrice = Callable[..., Price]


def day(text: str | None) -> datetime | None:
    """Return midnight of a date in UTC."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def price() -> MakePrice:
    """Return a function to a price: rates are USD for a million tokens, as texts; validity is dates."""

    def make(
        model: str = "model-a",
        *,
        provider: str = "acme",
        since: str | None = "2026-01-01",
        until: str | None = None,
        rates: dict[str, str] | None = None,
        **told: Any,
    ) -> Price:
        usd = {"input_tokens": "2", "output_tokens": "8"} if rates is None else rates
        return Price(
            provider=provider,
            model=model,
            rates={key: Fraction(amount) * 1_000_000 for key, amount in usd.items()},
            valid_from=day(since),
            valid_to=day(until),
            **told,
        )

    return make
