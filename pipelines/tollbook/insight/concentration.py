"""How unevenly a whole is spread over its members: Lorenz curve, Gini coefficient, shares of the largest; exact."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Concentration:
    """Amounts of members, and how they are spread.

    Attributes:
        amounts: What each member has, the largest first, zero or more.
        sums: What the first, the first two, ... of them have together, shape (n_members,).
    """

    amounts: tuple[int, ...]
    sums: tuple[int, ...]

    @classmethod
    def of(cls, amounts: Iterable[int]) -> Concentration:
        """Return how amounts are spread, in whatever order they come.

        Raises:
            ValueError: One is below zero.
        """
        ordered = sorted(amounts, reverse=True)
        if ordered and ordered[-1] < 0:
            raise ValueError(f"expected amounts of zero or more, got {ordered[-1]}")
        return cls(tuple(ordered), tuple(accumulate(ordered)))

    @property
    def members(self) -> int:
        """How many members there are."""
        return len(self.amounts)

    @property
    def total(self) -> int:
        """What they have together."""
        return self.sums[-1] if self.sums else 0

    def gini(self) -> Fraction | None:
        """Return the Gini coefficient: 0 where all have the same, (n - 1) / n where one has it all; None of nothing.

        Source:
            Of amounts in ascending order, sum((2 i - n - 1) x_i) / (n sum(x_i)), i from 1 to n.
        """
        if not self.total:
            return None
        count = self.members
        weighed = sum((count + 1 - 2 * place) * amount for place, amount in enumerate(self.amounts, start=1))
        return Fraction(weighed, count * self.total)

    def share_of_largest(self, members: int) -> Fraction | None:
        """Return what so many members, the largest ones, have of the whole; None of nothing."""
        if not self.total:
            return None
        return Fraction(self.sums[min(members, self.members) - 1], self.total) if members else Fraction(0)

    def share_of_top(self, percent: int) -> Fraction | None:
        """Return what the largest members have: so many in a hundred of them, rounded up, so one at least."""
        return self.share_of_largest(-(-self.members * percent // _PERCENT))

    def members_with(self, share: Fraction) -> int:
        """Return how few of the members have at least a share of the whole together; 0 of nothing."""
        return bisect_left(self.sums, share * self.total) + 1 if self.total and share > 0 else 0

    def lorenz_curve(self, steps: int) -> list[Fraction]:
        """Return the Lorenz curve at 0, 1, ..., `steps` equal parts of the members, straight between two members.

        Args:
            steps: How many parts, one or more.

        Returns:
            What the members up to each part have of the whole, the smallest first, shape (steps + 1,): from 0 to 1.
            Of nothing an empty list.
        """
        if not self.total:
            return []
        rising = [0, *accumulate(reversed(self.amounts))]
        curve = []
        for step in range(steps):
            whole, part = divmod(step * self.members, steps)
            curve.append(Fraction(rising[whole] * steps + part * (rising[whole + 1] - rising[whole]), steps))
        return [*(each / self.total for each in curve), Fraction(1)]


def lorenz_shares(amounts: Sequence[int]) -> list[Fraction]:
    """Return, for each place of amounts in ascending order, what members up to it have of the whole.

    Args:
        amounts: In ascending order, zero or more each, not all zero, shape (n_members,).

    Returns:
        Ordinates of the Lorenz curve, shape (n_members,); the last one is 1.
    """
    sums = list(accumulate(amounts))
    return [Fraction(each, sums[-1]) for each in sums]
