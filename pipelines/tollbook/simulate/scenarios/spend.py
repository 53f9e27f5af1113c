"""Usage that costs exactly so much: rates that divide every cent, and calls that spend an amount."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from tollbook.simulate.prices import Quantities
from tollbook.simulate.scenarios.story import Rates
from tollbook.simulate.scenarios.work import evenly

RATES: Final = Rates(Decimal(10), Decimal(1), Decimal("12.5"), Decimal(50))
PICO_USD_PER_UNIT: Final = 10**7
"""What a token of input costs; one of output costs five of it."""

_UNITS_PER_USD: Final = 10**12 // PICO_USD_PER_UNIT
_OUTPUT_UNITS: Final = 5
_OUTPUT_OF: Final = 50
"""One token of output for so many units of cost."""


@dataclass(frozen=True, slots=True)
class Bought:
    """Calls that cost something together.

    Attributes:
        units: What they cost. Unit: `PICO_USD_PER_UNIT`.
        count: How many they are.
    """

    units: int
    count: int

    def calls(self) -> Iterator[Quantities]:
        """Yield what each call uses: as much as the others, but for a unit."""
        for units in evenly(self.units, self.count):
            output = units // _OUTPUT_OF
            yield Quantities(uncached_input=units - _OUTPUT_UNITS * output, output=output)

    @property
    def tokens(self) -> int:
        """Tokens of all calls."""
        return sum(each.input + each.output for each in self.calls())


def units_of(usd: Fraction) -> int:
    """Return an amount in whole units, rounded half-even."""
    return round(usd * _UNITS_PER_USD)


def bought(units: int, call_usd: Decimal) -> Bought:
    """Return calls of about so much each that cost so many units together, one at least.

    Args:
        units: What they cost, above zero.
        call_usd: What one costs, about.
    """
    return Bought(units, min(units, max(1, round(Fraction(units, _UNITS_PER_USD) / Fraction(call_usd)))))
