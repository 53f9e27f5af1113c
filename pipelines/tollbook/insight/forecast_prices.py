"""What a token will cost: what it cost, times how the known prices of what was used change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from tollbook.rating.average import average_rate
from tollbook.rating.book import PriceBook
from tollbook.rating.unit_prices import TOKEN_BUCKETS

Window = tuple[datetime, datetime]
"""Instants `[start, end)` over which prices are averaged by time."""

# The unit whose price stands for a bucket. Only the change of the price matters.
_UNIT_OF: Final = dict(
    zip(
        TOKEN_BUCKETS,
        ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "text_output_tokens"),
        strict=True,
    )
)


class KnownPrices:
    """Prices of the book in force, past and ahead: those of contracts, and list prices where no contract has one."""

    def __init__(self, book: PriceBook) -> None:
        """Keep the book; answers are remembered."""
        self._catalogue = book.contracted or book.list_prices
        self._known: dict[tuple[int, str, Window], Fraction | None] = {}

    @property
    def version(self) -> str:
        """Version of the prices."""
        return self._catalogue.version

    def change(self, item: Mapping[str, Any], before: Window, after: Window) -> Fraction:
        """Return how many times the price of the window before the tokens of an item cost in the window after.

        Args:
            item: Provider, model, service tier and billing account, and tokens by `TOKEN_BUCKETS`, which weigh their
                prices.
            before: When the item was used.
            after: When it will be.

        Returns:
            1 where the price is the same, or is not known in either window: who has no price in the book goes on
            costing what it did.
        """
        group = self._catalogue.group(
            item["provider"], item["model"], item["service_tier"], None, item["billing_account_id"]
        )
        if group <= 0:
            return Fraction(1)
        costs = [Fraction(0), Fraction(0)]
        for bucket, unit in _UNIT_OF.items():
            rates = [self._rate(group, unit, window) for window in (before, after)] if item[bucket] else []
            if None not in rates:
                costs = [cost + item[bucket] * (rate or 0) for cost, rate in zip(costs, rates or (0, 0), strict=True)]
        return costs[1] / costs[0] if costs[0] else Fraction(1)

    def _rate(self, group: int, unit: str, window: Window) -> Fraction | None:
        key = (group, unit, window)
        if key not in self._known:
            self._known[key] = average_rate(self._catalogue, group, unit, *window)
        return self._known[key]


def token_price(
    items: Iterable[Mapping[str, Any]], prices: KnownPrices | None, before: Window, after: Window
) -> Fraction | None:
    """Return what a token of known cost costs in a window, where the mix stays what it was.

    Args:
        items: What was used in the window before: as `KnownPrices.change` wants it, with `effective_cost` (a decimal
            or None) and `priced_tokens`.
        prices: Known prices; None leaves every price as it was.
        before: When it was used.
        after: When it will be.

    Returns:
        Exact, in pico-units of the currency; None where no tokens of known cost were used.
    """
    cost, tokens = Fraction(0), 0
    for item in items:
        tokens += item["priced_tokens"]
        if item["effective_cost"]:
            change = 1 if prices is None else prices.change(item, before, after)
            cost += int(item["effective_cost"].scaleb(12)) * change
    return cost / tokens if tokens else None
