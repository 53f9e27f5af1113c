"""Billing periods: calendar months of the billing calendar, half-open, and the instants at which their days begin.

Days and months are those of one time zone, UTC unless the organisation says otherwise. A day begins at the first
instant whose local date is that day or a later one. So each instant lies in exactly one day and one period, also where
a clock is put back over midnight, and where a zone has left out a day, that day lasts no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from tollbook.errors import ReferenceDataError

UTC_ZONE: Final = "UTC"

_MONTHS = 12
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_EVER_BEFORE: Final = datetime.min.replace(tzinfo=UTC)
_EVER_AFTER: Final = datetime.max.replace(tzinfo=UTC)
_DIGEST_DIGITS: Final = 8
_NO_ZONE: Final = "Factory"
"""What the zone database calls a machine that nobody has set up."""


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """The days of `[start, end)`; the last month that dates can tell lacks its last day."""

    start: date
    end: date

    @classmethod
    def of(cls, day: date) -> BillingPeriod:
        """Return the billing period that a day lies in."""
        start = day.replace(day=1)
        years, month = divmod(start.month, _MONTHS)
        if start.year + years > date.max.year:
            return cls(start, date.max)
        return cls(start, date(start.year + years, month + 1, 1))


@dataclass(frozen=True, slots=True)
class BillingDay:
    """The part of a UTC day that lies in one day of the billing calendar.

    Attributes:
        event_date: UTC day.
        billing_date: Day of the billing calendar.
        begins_at: First instant of the part, UTC.
        ends_at: First instant after it, UTC.
    """

    event_date: date
    billing_date: date
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class BillingCalendar:
    """Days and months of one time zone as instants.

    Attributes:
        time_zone: IANA name of the zone, one of `time_zones()`.
    """

    time_zone: str = UTC_ZONE

    @property
    def version(self) -> str:
        """`UTC`, or the zone's name with a digest of its rules: other rules are another calendar."""
        return _zone(self.time_zone)[1]

    def begins(self, day: date) -> datetime:
        """Return the instant at which a day begins, UTC."""
        return _begins(self.time_zone, day)

    def day_at(self, instant: datetime) -> date:
        """Return the day that an instant lies in."""
        try:
            day = instant.astimezone(_zone(self.time_zone)[0]).date()
        except OverflowError:
            return date.min if instant.year == date.min.year else date.max
        # A clock that is put back over midnight shows the day before once more.
        return day + _DAY if day < date.max and self.begins(day + _DAY) <= instant else day

    def period_at(self, instant: datetime) -> BillingPeriod:
        """Return the billing period that an instant lies in."""
        return BillingPeriod.of(self.day_at(instant))

    def first_day_from(self, instant: datetime) -> date:
        """Return the first day that begins at an instant or after it."""
        day = self.day_at(instant)
        return day if self.begins(day) == instant else day + _DAY

    def days_of(self, event_dates: Iterable[date]) -> Iterator[BillingDay]:
        """Yield the parts of UTC days by days of the calendar: together they are those days, and none overlap."""
        for event_date in event_dates:
            begins_at = datetime.combine(event_date, time(0), UTC)
            end = begins_at + _DAY
            while begins_at < end:
                day = self.day_at(begins_at)
                ends_at = min(end, self.begins(day + _DAY))
                yield BillingDay(event_date, day, begins_at, ends_at)
                begins_at = ends_at


UTC_CALENDAR: Final = BillingCalendar()
"""The calendar of an organisation that has not chosen one."""


def billing_periods(first: date, beyond: date) -> Iterator[BillingPeriod]:
    """Yield the billing periods that the days of `[first, beyond)` lie in, in order."""
    while first < beyond:
        period = BillingPeriod.of(first)
        yield period
        first = period.end


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """Return the IANA names of all time zones, from the installed `tzdata`, not from the machine."""
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(names) - {_NO_ZONE}


@lru_cache(maxsize=16)
def _zone(name: str) -> tuple[tzinfo, str]:
    """Return a time zone and the version of a calendar in it.

    Raises:
        ReferenceDataError: There is no such zone.
    """
    if name == UTC_ZONE:
        return UTC, UTC_ZONE
    if name not in time_zones():
        raise ReferenceDataError(f"expected the IANA name of a time zone, such as Europe/Berlin, got {name!r}")
    rules = files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with rules.open("rb") as file:
        zone = ZoneInfo.from_file(file, key=name)
    return zone, f"{name} {hashlib.sha256(rules.read_bytes()).hexdigest()[:_DIGEST_DIGITS]}"


@lru_cache(maxsize=65_536)
def _begins(zone_name: str, day: date) -> datetime:
    zone, midnight = _zone(zone_name)[0], datetime.combine(day, time(0))
    try:
        # Where midnight comes twice the first counts. Where the clock jumps over it, the two stand in reverse order,
        # and the jump lies between them.
        once, again = (midnight.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        return _EVER_BEFORE if day.year == date.min.year else _EVER_AFTER
    if once <= again:
        return once
    before, after = again, once
    while after - before > _SECOND:
        middle = before + ((after - before) // 2 // _SECOND) * _SECOND
        before, after = (before, middle) if middle.astimezone(zone).date() >= day else (middle, after)
    return after
