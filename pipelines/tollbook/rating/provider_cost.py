"""What providers and gateways themselves said that calls cost, in pico-USD."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.rating.money import MAX_COST_PICO_USD, multiply_half_even
from tollbook.rating.quantities import Mask
from tollbook.rating.reasons import COST_OUT_OF_RANGE, NO_EXCHANGE_RATE
from tollbook.rating.sources.exchange import ExchangeRates, RatesInForce

PROVIDER_COST_COLUMNS: Final = ("provider_cost", "provider_cost_currency")
_AMOUNT: Final = pa.decimal128(38, 12)
# A float estimate below this is below the largest cost for certain: its error is a few parts in 10^15.
_PROVEN: Final = 0.99 * MAX_COST_PICO_USD
_WORDS: Final = 2
_LOW: Final = 0 if sys.byteorder == "little" else 1


@dataclass(frozen=True, slots=True)
class ProviderCosts:
    """The providers' own figures of a batch, arrays of shape (n_events,).

    Attributes:
        told: Where one was told, a zero too: a told zero is a zero.
        pico_usd: The figure, rounded half-even once to whole pico-USD; 0 where there is none, or `faults` is set.
        faults: Reason for which a told figure cannot be taken, 0 for none.
    """

    told: Mask
    pico_usd: npt.NDArray[np.int64]
    faults: npt.NDArray[np.uint8]


def read_provider_costs(
    batch: pa.RecordBatch, occurred_at: npt.NDArray[np.int64], exchange: ExchangeRates
) -> ProviderCosts | None:
    """Return the providers' own figures, None where no event of the batch tells one.

    Args:
        batch: `usage_event/v1`, shape (n_events,).
        occurred_at: Its instants, shape (n_events,). Unit: microseconds since 1970-01-01T00:00:00Z.
        exchange: Dated rates; the one in force when the call was made counts.
    """
    amounts = batch.column("provider_cost")
    if amounts.null_count == len(amounts):
        return None
    told: Mask = amounts.is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(told)
    low, high = _words(amounts.take(pa.array(rows)))
    currency = pc.dictionary_encode(batch.column("provider_cost_currency").take(pa.array(rows)))
    names: list[str | None] = [*currency.dictionary.to_pylist(), None]
    place = currency.indices.fill_null(len(names) - 1).to_numpy().astype(np.int64)
    rates = exchange.find(names, place, occurred_at[rows])

    pico, faults = _converted(low, high, rates)
    faults[~rates.known] = NO_EXCHANGE_RATE
    whole, reasons = np.zeros(len(told), np.int64), np.zeros(len(told), np.uint8)
    whole[rows] = np.where(faults > 0, 0, pico)
    reasons[rows] = faults
    return ProviderCosts(told, whole, reasons)


def _converted(
    low: npt.NDArray[np.int64], high: npt.NDArray[np.int64], rates: RatesInForce
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return amounts at their rates in pico-USD, and the reason where one is out of range. Shapes (n,)."""
    wide = (high != 0) | (low < 0)
    worth = rates.whole + rates.numerator / rates.denominator
    unsafe = wide | (low * worth >= _PROVEN)
    pico = multiply_half_even(np.where(unsafe, 0, low), rates.whole, rates.numerator, rates.denominator)
    faults = np.zeros(len(low), np.uint8)
    # The few amounts that int64 may not hold are done again in Python's integers.
    for row in np.flatnonzero(unsafe).tolist():
        amount = (int(high[row]) << 64) | (int(low[row]) & (2**64 - 1))
        rate = int(rates.whole[row]) + Fraction(int(rates.numerator[row]), int(rates.denominator[row]))
        exact = round(amount * rate)
        if 0 <= exact <= MAX_COST_PICO_USD:
            pico[row] = exact
        else:
            faults[row] = COST_OUT_OF_RANGE
    return pico, faults


def _words(amounts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the low and the high 64 bits of decimals of 12 places without nulls, shapes (n,)."""
    if amounts.type != _AMOUNT:
        amounts = amounts.cast(_AMOUNT)
    words = np.frombuffer(amounts.buffers()[1], np.int64).reshape(-1, _WORDS)
    words = words[amounts.offset : amounts.offset + len(amounts)]
    return words[:, _LOW], words[:, 1 - _LOW]
