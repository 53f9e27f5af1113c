"""What every price charges for every unit, as arrays of integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tollbook.rating.schedule import Line
from tollbook.rating.units import Units


@dataclass(frozen=True, eq=False)
class Rates:
    """What every line of the catalogue charges for one unit. Arrays have shape (n_lines, n_units), by column.

    A rate is `whole + numerator / denominator` pico-USD. All but a few dozen published rates are whole; the
    rest are kept exact, so that a bucket is rounded once.

    Attributes:
        whole: Whole pico-USD for one unit; 0 where there is no rate.
        numerator: Pico-USD left over, times `denominator`.
        denominator: 1 or more.
        minimum: Least quantity that is billed once there is any; 0 for none.
        missing: Bit u of a line is set when it has no rate for unit u. Shape (n_lines,).
        unknown: Bit u of a line is set when it has none because the rate that was agreed on had no exchange rate. Shape
            (n_lines,).
        broken: Bit u of a line is set when its rate for unit u is not whole. Shape (n_lines,).
        charges: `Input` and `Output` to whether a line charges for any token bucket of that direction; a rate of 0
            charges nothing. Shapes (n_lines,).
        ceiling: More than any rate of each unit, as a Python integer, to prove that a batch cannot overflow.
    """

    whole: npt.NDArray[np.int64]
    numerator: npt.NDArray[np.int64]
    denominator: npt.NDArray[np.int64]
    minimum: npt.NDArray[np.int64]
    missing: npt.NDArray[np.uint64]
    unknown: npt.NDArray[np.uint64]
    broken: npt.NDArray[np.uint64]
    charges: dict[str, npt.NDArray[np.bool_]]
    ceiling: tuple[int, ...]

    @classmethod
    def of(cls, lines: tuple[Line, ...], units: Units) -> Rates:
        """Return the rates of `lines`, each unit priced by the most specific rate that the line names."""
        shape = (len(lines), len(units.all))
        whole, numerator, minimum = (np.zeros(shape, np.int64, order="F") for _ in range(3))
        denominator = np.ones(shape, np.int64, order="F")
        missing = np.zeros(len(lines), np.uint64)
        unknown = np.zeros(len(lines), np.uint64)
        broken = np.zeros(len(lines), np.uint64)
        chains: dict[frozenset[str], tuple[str | None, ...]] = {}
        for place, line in enumerate(lines):
            rates = {} if line.price is None else line.price.rates
            unknown_keys: frozenset[str] = frozenset() if line.price is None else line.price.unknown_keys
            keys = unknown_keys.union(rates)
            if keys not in chains:
                chains[keys] = tuple(unit.priced_as(keys) for unit in units.all)
            for column, key in enumerate(chains[keys]):
                if key is None or key not in rates:
                    missing[place] |= np.uint64(1 << column)
                    if key is not None:
                        unknown[place] |= np.uint64(1 << column)
                    continue
                rate = rates[key]
                whole[place, column], rest = divmod(rate.numerator, rate.denominator)
                if rest:
                    numerator[place, column], denominator[place, column] = rest, rate.denominator
                    broken[place] |= np.uint64(1 << column)
            if line.price is not None:
                for name, least in line.price.minimum_quantities.items():
                    minimum[place, units.places[name]] = least
        charges: dict[str, npt.NDArray[np.bool_]] = {}
        for direction in ("Input", "Output"):
            columns = [place for place, unit in enumerate(units.buckets) if unit.token_direction == direction]
            charges[direction] = np.any((whole[:, columns] > 0) | (numerator[:, columns] > 0), axis=1)
        ceiling = tuple(int(most) + 1 for most in whole.max(axis=0, initial=0))
        return cls(whole, numerator, denominator, minimum, missing, unknown, broken, charges, ceiling)
