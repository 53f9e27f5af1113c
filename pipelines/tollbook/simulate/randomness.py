"""Chance that is the same on every machine.

Only `random.Random.random` is used: Python promises its sequence for a seed, it is an exact multiple of 2**-53, and
what is made of it here is integer arithmetic. No logarithm, whose last bit differs between machines, takes part.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

T = TypeVar("T")

PER_MILLION = 1_000_000
QUANTILE_POINTS = (0, 10_000, 50_000, 100_000, 250_000, 500_000, 750_000, 900_000, 950_000, 990_000, 1_000_000)
"""Shares of a distribution at which its tables give a value. Unit: Millionths."""


class Chance:
    """A stream of chance with a name. Streams of one seed do not disturb each other."""

    def __init__(self, seed: int, name: str) -> None:
        self._random = random.Random(f"tollbook:{seed}:{name}").random

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def happens(self, millionths: int) -> bool:
        """Return True in so many millionths of cases."""
        return int(self._random() * PER_MILLION) < millionths

    def pick(self, among: Sequence[T]) -> T:
        """Return one of a list, each as likely."""
        return among[int(self._random() * len(among))]

    def weighted(self, among: Sequence[tuple[T, int]]) -> T:
        """Return one of a list, each as likely as its weight."""
        left = int(self._random() * sum(weight for _, weight in among))
        for value, weight in among:
            left -= weight
            if left < 0:
                return value
        raise ValueError("expected weights above zero")

    def quantile(self, table: Sequence[int]) -> int:
        """Return a draw from a distribution, given by its values at `QUANTILE_POINTS` and straight in between."""
        share = int(self._random() * PER_MILLION)
        place = bisect_right(QUANTILE_POINTS, share) - 1
        low, high = QUANTILE_POINTS[place], QUANTILE_POINTS[place + 1]
        return table[place] + (table[place + 1] - table[place]) * (share - low) // (high - low)

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Put a list into an order of chance, in place."""
        for place in range(len(items) - 1, 0, -1):
            other = self.below(place + 1)
            items[place], items[other] = items[other], items[place]

    def hex(self, digits: int) -> str:
        """Return an identifier of so many hexadecimal digits."""
        text = ""
        while len(text) < digits:
            text += f"{int(self._random() * (1 << 48)):012x}"
        return text[:digits]
