"""What is known when a month is closed, what a charge is, and how it is split among those who bear it.

Amounts are whole picos, a millionth of a millionth of their currency. A charge is split by largest remainder, where
among equals the first gets the odd pico: teams by name, and those without one last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import lcm

from tests.worked_example.organisation import (
    CONTRACTED_PRICE,
    INVOICES_LEARNED,
    LIST_PRICE,
    MONTHS,
    RESTATED_PRICE,
    UNITS,
    Event,
    InvoiceLine,
    cost_center,
    events,
)

PICO = 10**12
# Team, cost centre, business unit, workflow.
Receiver = tuple[str, str, str, str]
NOBODY: Receiver = ("unallocated", "unallocated", "unallocated", "unallocated")
Shares = Sequence[tuple[Receiver, Fraction]]


@dataclass(frozen=True)
class Charge:
    """A charge as a whole. `payable` and `used` are picos of `currency`, `cost` is what is used in picos of USD."""

    kind: str
    obligation: str
    payable: int
    used: int
    cost: int
    shares: Shares
    currency: str = "USD"
    is_own: bool = False


@dataclass(frozen=True)
class Knowledge:
    """What is known when a month is closed: all that was delivered, told and invoiced until then."""

    month: int

    @property
    def restated(self) -> bool:
        """Whether the price of sonata since July, the price of brume and the move of people are known."""
        return self.month >= 8

    def invoice_lines(self) -> list[InvoiceLine]:
        """Return the lines of the invoices that are known."""
        return [line for month in MONTHS if month <= self.month for line in INVOICES_LEARNED[month]]

    def events(self, month: int) -> list[Event]:
        """Return the calls of a month that have arrived."""
        return [each for each in events() if each.day.month == month and each.delivery <= self.month]

    def receiver(self, team: str, day: date, workflow: str = "unallocated") -> Receiver:
        """Return a team where it stands on a day."""
        if not team:
            return NOBODY
        center = cost_center(team, day, people_moved=self.restated)
        return team, center, UNITS[center[0]], workflow

    def prices(self, each: Event) -> tuple[Fraction | None, Fraction | None]:
        """Return what a call costs by list and by contract, None while it has no price."""
        price = LIST_PRICE.get(each.model)
        if self.restated and each.day >= date(2026, 7, 1):
            price = RESTATED_PRICE.get(each.model, price)
        if price is None:
            return None, None
        return each.units * price, each.units * CONTRACTED_PRICE.get(each.model, price)


def split(amount: int, weights: Sequence[Fraction]) -> list[int]:
    """Return whole parts of an amount by largest remainder; a negative one is split as its opposite."""
    common = lcm(*(weight.denominator for weight in weights))
    whole = [int(weight * common) for weight in weights]
    total = sum(whole)
    parts = [abs(amount) * weight // total for weight in whole]
    lost = sorted(range(len(whole)), key=lambda place: (-(abs(amount) * whole[place] % total), place))
    for place in lost[: abs(amount) - sum(parts)]:
        parts[place] += 1
    return [part if amount >= 0 else -part for part in parts]


def borne(charge: Charge) -> Iterator[tuple[Receiver, int]]:
    """Yield who bears how much of a charge, in picos of USD."""
    merged: dict[Receiver, Fraction] = {}
    for who, weight in charge.shares:
        merged[who] = merged.get(who, Fraction(0)) + weight
    yield from zip(merged, split(charge.cost, list(merged.values())), strict=True)
