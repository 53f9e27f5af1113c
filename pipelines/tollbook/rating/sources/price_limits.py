"""What a price in a file may be, in words for those who wrote it."""

from __future__ import annotations

from typing import Final

# `Price` holds a rate to what a cost can hold, and to a denominator that fits; this many decimals fit for any unit.
PRICE_LIMITS: Final = "below 1,000,000 USD for one unit and of at most 24 decimals"
