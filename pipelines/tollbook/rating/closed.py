"""Closed billing periods: they never change, so what a rerate finds out about them becomes a correction.

Which periods are closed, and which tellings a close charged, is the business of whoever closes them. `ClosedPeriods`
is what a rerate asks; `NothingClosed` answers for a book in which no period was ever closed.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tollbook.lake.ratings import RatingCorrection, RatingEntry, newest_rating, ratings_after
from tollbook.rating.money import usd
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar, BillingPeriod
from tollbook.rating.periods.charges import charge_table, read_charges, write_charges

PLACE_SCHEMA = pa.schema(
    [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("record_item", pa.int32())]
)
"""What names a stored telling."""
_CORRECTION: Final = "Correction"


class ClosedPeriods(Protocol):
    """What is closed."""

    def closed_period(self, event_date: date) -> BillingPeriod | None:
        """Return the closed period that an event date belongs to, None while it is open."""

    def charged_tellings(self, event_date: date) -> pa.Table:
        """Return the tellings of a closed date that its close charged, `PLACE_SCHEMA`, each once.

        Repeats, superseded tellings and those that came after the close are not among them.
        """

    def open_period(self) -> BillingPeriod:
        """Return the open period that takes corrections. Asked only when something is closed."""


class NothingClosed:
    """The answers for a book without closed periods."""

    def closed_period(self, _event_date: date) -> BillingPeriod | None:
        """Return None."""
        return None

    def charged_tellings(self, _event_date: date) -> pa.Table:
        """Return no telling."""
        return PLACE_SCHEMA.empty_table()

    def open_period(self) -> BillingPeriod:
        """Return the period of all time."""
        return BillingPeriod(date.min, date.max)


def post_corrections(lake: Path, entry: RatingEntry, calendar: BillingCalendar = UTC_CALENDAR) -> int:
    """Write the corrections of an entry as charges; return the number of the charges' entry, 0 when they are there.

    The entry of the ratings comes first and names the corrections, so a writer that died between the two is made good
    by calling this again. They are posted once: the calendar of that time dates them for good.

    Args:
        lake: Folder of the lake.
        entry: The entry.
        calendar: Gives the instants of its periods.

    Raises:
        CorruptManifestError: The log of charges is damaged.
    """
    if not entry.corrections or _posted(lake, entry):
        return 0
    return write_charges(lake, charge_table(_charge(entry, each, calendar) for each in entry.corrections))


def post_last_corrections(lake: Path, calendar: BillingCalendar = UTC_CALENDAR) -> int:
    """Write the corrections of the newest rating, whose writer may have died before; return its number, 0 for nothing.

    Those of the ratings before it were written by the rerate after them, which does this first.

    Raises:
        CorruptManifestError: The log of ratings or of charges is damaged.
    """
    newest = newest_rating(lake)
    last = next(ratings_after(lake, newest - 1), None) if newest else None
    return last.sequence if last is not None and post_corrections(lake, last, calendar) else 0


def _posted(lake: Path, entry: RatingEntry) -> bool:
    mine = (pc.field("term_id") == _term_id(entry)) & (pc.field("charge_class") == _CORRECTION)
    return bool(read_charges(lake).filter(mine).num_rows)


def _term_id(entry: RatingEntry) -> str:
    return f"rating-{entry.sequence}"


def _charge(entry: RatingEntry, correction: RatingCorrection, calendar: BillingCalendar) -> dict[str, Any]:
    list_cost = _usd(correction.list_cost_difference_pico_usd)
    contracted_cost = _usd(correction.contracted_cost_difference_pico_usd)
    return {
        "billing_period_start": calendar.begins(correction.posted_start),
        "billing_period_end": calendar.begins(correction.posted_end),
        "charge_period_start": calendar.begins(correction.period_start),
        "charge_period_end": calendar.begins(correction.period_end),
        "charge_category": "Usage",
        "charge_class": _CORRECTION,
        "charge_frequency": "Usage-Based",
        "charge_kind": "rerate_difference",
        "charge_description": (
            f"{correction.provider} {correction.model}, {correction.period_start} to {correction.period_end}: "
            f"{correction.events:,} calls with {correction.tokens:,} tokens priced anew by {entry.catalogue_version} "
            f"(rating {entry.sequence}); list cost changes by {list_cost} USD"
        ),
        "provider": correction.provider,
        "contract_id": correction.contract_id,
        "term_id": _term_id(entry),
        "model": correction.model,
        "list_cost": list_cost,
        "contracted_cost": contracted_cost,
        "effective_cost": contracted_cost,
        "billing_currency": "USD",
        "billing_currency_amount": contracted_cost,
        "exchange_rate": Decimal(1),
        "corrects_period_start": calendar.begins(correction.period_start),
        "catalogue_version": entry.catalogue_version,
    }


def _usd(pico_usd: int) -> Decimal:
    return usd(Fraction(pico_usd))
