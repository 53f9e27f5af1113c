"""Billing periods: months of any time zone, half-open, over ends of years, leap days and changes of clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import ReferenceDataError
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod, billing_periods, time_zones

TICK = timedelta(microseconds=1)


def test_a_billing_period_is_the_month_of_a_day() -> None:
    """Its end is the first day of the next one, also in December and in a leap year."""
    assert BillingPeriod.of(date(2026, 12, 31)) == BillingPeriod(date(2026, 12, 1), date(2027, 1, 1))
    assert BillingPeriod.of(date(2028, 2, 29)) == BillingPeriod(date(2028, 2, 1), date(2028, 3, 1))


def test_periods_of_a_span_are_those_its_days_lie_in() -> None:
    """The day after the last belongs to no period of the span."""
    spans = [(period.start.month, period.end.month) for period in billing_periods(date(2026, 11, 30), date(2027, 2, 1))]
    assert spans == [(11, 12), (12, 1), (1, 2)]
    assert list(billing_periods(date(2026, 6, 1), date(2026, 6, 1))) == []


def test_the_last_month_that_dates_can_tell_is_a_billing_period() -> None:
    """People write 9999-12-31 where a contract has no end."""
    last = BillingPeriod.of(date(9999, 12, 31))
    assert last == BillingPeriod(date(9999, 12, 1), date(9999, 12, 31))
    assert list(billing_periods(date(9999, 11, 30), date.max)) == [BillingPeriod.of(date(9999, 11, 1)), last]


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("UTC", date(2028, 2, 29), datetime(2028, 2, 29, tzinfo=UTC), 24),
        ("Europe/Berlin", date(2026, 3, 1), datetime(2026, 2, 28, 23, tzinfo=UTC), 24),
        ("Europe/Berlin", date(2028, 2, 29), datetime(2028, 2, 28, 23, tzinfo=UTC), 24),
        # Clocks go forward at 01:00 UTC on the last Sunday of March and back on that of October.
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        # At 02:00 local time on the second Sunday of March and the first of November.
        ("America/New_York", date(2026, 3, 8), datetime(2026, 3, 8, 5, tzinfo=UTC), 23),
        ("America/New_York", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC), 25),
        ("Asia/Kolkata", date(2026, 4, 1), datetime(2026, 3, 31, 18, 30, tzinfo=UTC), 24),
        # By half an hour only.
        ("Australia/Lord_Howe", date(2026, 4, 5), datetime(2026, 4, 4, 13, tzinfo=UTC), 24.5),
        # UTC+14 and UTC-11: at one instant their dates are two apart.
        ("Pacific/Kiritimati", date(2026, 3, 1), datetime(2026, 2, 28, 10, tzinfo=UTC), 24),
        ("Pacific/Pago_Pago", date(2026, 3, 1), datetime(2026, 3, 1, 11, tzinfo=UTC), 24),
        # Samoa crossed the date line and had no 30 December 2011.
        ("Pacific/Apia", date(2011, 12, 29), datetime(2011, 12, 29, 10, tzinfo=UTC), 24),
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC), 0),
        ("Pacific/Apia", date(2011, 12, 31), datetime(2011, 12, 30, 10, tzinfo=UTC), 24),
        # Midnight did not exist: the clock went from 24:00 to 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC), 23),
        # Nor here, where it went from 23:30 to 00:30.
        ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, 30, tzinfo=UTC), 23.5),
        # A minute of November, then 59 minutes that showed October once more: all of them are November's.
        ("America/St_Johns", date(2009, 11, 1), datetime(2009, 11, 1, 2, 30, tzinfo=UTC), 25),
    ],
)
def test_a_day_of_the_calendar_begins_and_ends_at_exact_instants(
    zone: str, day: date, begins: datetime, hours: float
) -> None:
    """Days of 23 and 25 hours are whole days, and none of their instants lies in two or in none."""
    calendar = BillingCalendar(zone)
    ends = calendar.begins(day + timedelta(days=1))
    assert (calendar.begins(day), ends - begins) == (begins, timedelta(hours=hours))
    if hours:
        assert {calendar.day_at(begins), calendar.day_at(ends - TICK)} == {day}
    assert calendar.day_at(begins - TICK) < day < calendar.day_at(ends)


@pytest.mark.parametrize(
    ("zone", "month", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 1), 31 * 24 - 1),
        ("Europe/Berlin", date(2026, 10, 1), 31 * 24 + 1),
        ("Europe/Berlin", date(2028, 2, 1), 29 * 24),
        ("America/New_York", date(2026, 3, 1), 31 * 24 - 1),
        ("America/New_York", date(2026, 11, 1), 30 * 24 + 1),
        ("Asia/Kolkata", date(2026, 3, 1), 31 * 24),
        ("Pacific/Apia", date(2011, 12, 1), 30 * 24),
    ],
)
def test_a_billing_period_is_as_long_as_its_days(zone: str, month: date, hours: int) -> None:
    """Where a rate is by the hour, or time is divided, a month with a change of clocks is an hour shorter or longer."""
    calendar, period = BillingCalendar(zone), BillingPeriod.of(month)
    assert calendar.begins(period.end) - calendar.begins(period.start) == timedelta(hours=hours)


def test_pitfall_6_an_hour_before_midnight_utc_is_the_next_month_in_berlin() -> None:
    """Who sums UTC days into a local month bills the last hours of it to the wrong one."""
    berlin, instant = BillingCalendar("Europe/Berlin"), datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert berlin.period_at(instant) == BillingPeriod(date(2026, 3, 1), date(2026, 4, 1))
    assert BillingCalendar().period_at(instant) == BillingPeriod(date(2026, 2, 1), date(2026, 3, 1))
    assert BillingCalendar("America/New_York").period_at(datetime(2026, 3, 1, 4, 59, tzinfo=UTC)).start.month == 2


@given(
    zone=st.sampled_from(sorted(time_zones())),
    microseconds=st.integers(min_value=0, max_value=200 * 365 * 86_400 * 1_000_000),
)
def test_each_instant_lies_in_one_day_of_any_zone(zone: str, microseconds: int) -> None:
    """Whatever clocks were set to in two hundred years, nothing is billed twice or never."""
    calendar, instant = BillingCalendar(zone), datetime(1900, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    day = calendar.day_at(instant)
    assert calendar.begins(day) <= instant < calendar.begins(day + timedelta(days=1))
    period = calendar.period_at(instant)
    assert calendar.begins(period.start) <= instant < calendar.begins(period.end)


@given(
    zone=st.sampled_from(sorted(time_zones())),
    event_date=st.dates(min_value=date(1990, 1, 1), max_value=date(2040, 1, 1)),
)
def test_a_utc_day_is_cut_into_parts_without_gap_or_overlap(zone: str, event_date: date) -> None:
    """The warehouse gives each call the part that its instant lies in: there is one, and one only."""
    calendar = BillingCalendar(zone)
    parts = list(calendar.days_of([event_date]))
    midnight = datetime(event_date.year, event_date.month, event_date.day, tzinfo=UTC)
    assert [part.begins_at for part in parts] == [midnight, *(part.ends_at for part in parts[:-1])]
    assert parts[-1].ends_at == midnight + timedelta(days=1)
    for part in parts:
        assert part.event_date == event_date
        assert {calendar.day_at(part.begins_at), calendar.day_at(part.ends_at - TICK)} == {part.billing_date}


def test_a_zone_that_does_not_exist_is_refused() -> None:
    """A zone that only some machine knows would make other periods on the next one."""
    for name in ("Europe/Berln", "localtime", "Factory", "right/Europe/Berlin", "../Europe/Berlin", ""):
        with pytest.raises(ReferenceDataError, match="expected the IANA name of a time zone"):
            BillingCalendar(name).day_at(datetime(2026, 3, 1, tzinfo=UTC))


def test_dates_at_the_ends_of_time_have_instants() -> None:
    """People write 9999-12-31 where a contract has no end, and 0001-01-01 where it always held."""
    for zone in ("Asia/Tokyo", "America/New_York", "UTC"):
        calendar = BillingCalendar(zone)
        assert calendar.begins(date.min) < datetime(2, 1, 1, tzinfo=UTC)
        assert calendar.begins(date.max) > datetime(9999, 12, 30, tzinfo=UTC)
        assert calendar.day_at(datetime.max.replace(tzinfo=UTC)) == date.max
