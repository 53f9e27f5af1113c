"""The billing calendar of a home: by which time zone's months it bills."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Final

from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar, time_zones
from tollbook.reference.documents import read_document, refuse
from tollbook.settings import Settings

_LIKELY: Final = 0.75


def billing_calendar(settings: Settings) -> BillingCalendar:
    """Return the billing calendar in use: that of the home's document, UTC where there is none.

    Raises:
        ReferenceDataError: The document has a fault.
    """
    path = settings.billing_calendar
    return read_billing_calendar(path) if path.exists() else UTC_CALENDAR


def read_billing_calendar(path: Path) -> BillingCalendar:
    """Return the calendar of a YAML document `billing_calendar: 1`.

    Raises:
        ReferenceDataError: It breaks its schema, or names no time zone of the installed `tzdata`.
    """
    document = read_document(path, "billing_calendar")
    zone = document.content["time_zone"]
    if zone not in time_zones():
        refuse([document.fault(["time_zone"], f"expected the IANA name of a time zone, {_example(zone)}")])
    return BillingCalendar(zone)


def _example(told: str) -> str:
    by_lower = {name.lower(): name for name in time_zones()}
    likely = get_close_matches(told.lower().replace(" ", "_"), by_lower, n=1, cutoff=_LIKELY)
    return f"perhaps {by_lower[likely[0]]}" if likely else "such as Europe/Berlin or America/New_York"
