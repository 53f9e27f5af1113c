"""Why a cost is null: the closed list of codes in `unpriced_reason`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

# The order is that of precedence: an event that has two reasons tells the first.
UNPRICED_REASONS: Final[dict[str, str]] = {
    "void": "The telling says that the call never counted. Its cost basis is null: it is no unpriced call.",
    "unknown_provider": "No price list is known for the provider.",
    "unknown_model": "The provider's price list has no such model.",
    "unknown_service_tier": "The model has no price for the service tier that was billed.",
    "no_usage": "Neither tokens nor other units were reported. Not reported is not zero.",
    "negative_count": "A count is below zero.",
    "buckets_disagree": "The disjoint buckets do not add up to the whole that was told.",
    "no_price_in_force": "The price ended before the call, or begins after a gap.",
    "unknown_unit": "A unit was used that `units.yml` does not name, or names in another place.",
    "missing_rate": "A unit was used for which the price has no rate.",
    "cost_out_of_range": (
        "The cost is above 999,999.999999999999 USD, which one call does not cost, or the provider told one below zero."
    ),
    "no_exchange_rate": (
        "No exchange rate is known for the time of the call: of the currency of the contract that prices it, or, where "
        "we have no price, of the provider's own figure."
    ),
}

CODES: Final = (None, *UNPRICED_REASONS)
VOID: Final = CODES.index("void")
UNKNOWN_PROVIDER: Final = CODES.index("unknown_provider")
UNKNOWN_MODEL: Final = CODES.index("unknown_model")
UNKNOWN_SERVICE_TIER: Final = CODES.index("unknown_service_tier")
NO_USAGE: Final = CODES.index("no_usage")
NEGATIVE_COUNT: Final = CODES.index("negative_count")
BUCKETS_DISAGREE: Final = CODES.index("buckets_disagree")
NO_PRICE_IN_FORCE: Final = CODES.index("no_price_in_force")
UNKNOWN_UNIT: Final = CODES.index("unknown_unit")
MISSING_RATE: Final = CODES.index("missing_rate")
COST_OUT_OF_RANGE: Final = CODES.index("cost_out_of_range")
NO_EXCHANGE_RATE: Final = CODES.index("no_exchange_rate")


def note(reasons: npt.NDArray[np.uint8], at: npt.NDArray[np.bool_], code: Any) -> None:
    """Set a reason, in place, where there is none yet or one that comes later in the list.

    Args:
        reasons: Codes, 0 for none, shape (n_events,).
        at: Where the reason holds, shape (n_events,).
        code: The reason, or one for each event.
    """
    at = at & ((reasons == 0) | (reasons > code))
    reasons[at] = np.broadcast_to(code, reasons.shape)[at]
