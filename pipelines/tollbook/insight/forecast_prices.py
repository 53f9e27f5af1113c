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
        self._known: dict[tuple[int, Window, Window], dict[str, tuple[Fraction, Fraction]]] = {}

    @property
    def version(self) -> str:
        """Version of the prices."""
        return self._catalogue.version

    def change(self, item: Mapping[str, Any], before: Window, after: Window) -> Fraction | int:
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
        rates = self._rates(group, before, after) if group > 0 else {}
        used = [(item[bucket], *pair) for bucket, pair in rates.items() if item[bucket]]
        if all(earlier == later for _, earlier, later in used):
            return 1
        cost_before = sum(count * earlier for count, earlier, _ in used)
        return sum(count * later for count, _, later in used) / cost_before if cost_before else 1

    def ratio(self, item: Mapping[str, Any], provider: str, model: str, window: Window) -> Fraction | None:
        """Return how many times their price the tokens of an item cost at another model, in one window.

        Args:
            item: As for `change`.
            provider: Provider of the other model.
            model: The other model, at the tier and account of the item.
            window: When.

        Returns:
            None where the item has no tokens, or either model has no known price of a kind of token that it has, or the
            item's own tokens are free.
        """
        models = ((item["provider"], item["model"]), (provider, model))
        groups = [
            self._catalogue.group(who, what, item["service_tier"], None, item["billing_account_id"])
            for who, what in models
        ]
        if min(groups) <= 0:
            return None
        own, other = (self._rates(group, window, window) for group in groups)
        used = {bucket: item[bucket] for bucket in TOKEN_BUCKETS if item[bucket]}
        if any(bucket not in own or bucket not in other for bucket in used):
            return None
        cost = sum((count * own[bucket][0] for bucket, count in used.items()), Fraction(0))
        return sum((count * other[bucket][0] for bucket, count in used.items()), Fraction(0)) / cost if cost else None

    def _rates(self, group: int, before: Window, after: Window) -> dict[str, tuple[Fraction, Fraction]]:
        """Return the price of each kind of token in both windows, of those that have one in both."""
        key = (group, before, after)
        if key not in self._known:
            pairs = {
                bucket: tuple(average_rate(self._catalogue, group, unit, *window) for window in (before, after))
                for bucket, unit in _UNIT_OF.items()
            }
            self._known[key] = {
                bucket: (earlier, later)
                for bucket, (earlier, later) in pairs.items()
                if earlier is not None and later is not None
            }
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
    cost: Fraction | int = 0
    tokens = 0
    for item in items:
        tokens += item["priced_tokens"]
        if item["effective_cost"]:
            change = 1 if prices is None else prices.change(item, before, after)
            cost += int(item["effective_cost"].scaleb(12)) * change
    return Fraction(cost) / tokens if tokens else None
