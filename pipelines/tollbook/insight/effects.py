"""The effects that a change of a bill is split into, and their amounts: whole pico-USD that sum to the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

TASK_VOLUME: Final = "task_volume"
CALLS_PER_TASK: Final = "calls_per_task"
TOKENS_PER_CALL: Final = "tokens_per_call"
MODEL_MIX: Final = "model_mix"
SERVICE_TIER_MIX: Final = "service_tier_mix"
INPUT_OUTPUT_MIX: Final = "input_output_mix"
CACHE_MIX: Final = "cache_mix"
PRICE: Final = "price"
OTHER_UNITS: Final = "other_units"
NEW_WORKFLOW: Final = "new_workflow"
RETIRED_WORKFLOW: Final = "retired_workflow"
MOVED_WORKFLOW: Final = "moved_workflow"
UNKNOWN_PRICE: Final = "unknown_price"
PERIOD_CHARGE: Final = "period_charge"
CORRECTION: Final = "correction"

USAGE_EFFECTS: Final = (
    *(TASK_VOLUME, CALLS_PER_TASK, TOKENS_PER_CALL, MODEL_MIX, SERVICE_TIER_MIX, INPUT_OUTPUT_MIX, CACHE_MIX, PRICE),
    *(OTHER_UNITS, UNKNOWN_PRICE),
)
"""Effects of usage that a workflow had in both periods, in the order in which equals take what rounding leaves."""

EFFECTS: Final = (
    *USAGE_EFFECTS[:-1],
    *(NEW_WORKFLOW, RETIRED_WORKFLOW, MOVED_WORKFLOW, UNKNOWN_PRICE, PERIOD_CHARGE, CORRECTION),
)
"""Every effect, in the order in which a bridge shows them."""

PICO: Final = 10**12
AMOUNT: Final = pa.decimal128(38, 12)


def whole_parts(change: int, base: int, fractions: Sequence[float]) -> list[int]:
    """Return a change as whole parts that sum to it, from dimensionless fractions of a base.

    Each part is the whole number nearest to its fraction of the base. What is then missing or left, some units of the
    last place, goes to the part of the largest fraction, among equals the first.

    Args:
        change: What the parts sum to. Unit: pico-USD.
        base: What the fractions are of. Unit: pico-USD.
        fractions: Parts of the change over the base; their sum is the change over the base but for rounding.

    Returns:
        Parts of shape (n,). A fraction of zero gives zero, unless all are; changing the sign of the change and of all
        fractions changes the sign of all parts.
    """
    parts = [_nearest(base, fraction) for fraction in fractions]
    left = change - sum(parts)
    if left:
        largest = max(range(len(parts)), key=lambda place: (abs(fractions[place]), -place))
        parts[largest] += left
    return parts


def amounts(pico: Sequence[int | None]) -> pa.Array:
    """Return whole pico-units as decimal128(38, 12), nulls kept; exact at any size that the type holds."""
    empty = np.fromiter((each is None for each in pico), np.bool_, len(pico))
    try:
        whole = np.fromiter((each or 0 for each in pico), np.int64, len(pico))
    except OverflowError:
        return pa.array([None if each is None else str(each) for each in pico]).cast(pa.decimal128(38, 0)).view(AMOUNT)
    return pa.array(whole, mask=empty).cast(pa.decimal128(38, 0)).view(AMOUNT)


def _nearest(base: int, fraction: float) -> int:
    if not fraction:
        return 0
    numerator, denominator = fraction.as_integer_ratio()
    whole = (2 * base * abs(numerator) + denominator) // (2 * denominator)
    return whole if numerator > 0 else -whole
