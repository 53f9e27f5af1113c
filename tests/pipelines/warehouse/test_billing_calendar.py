"""Builds by the billing calendar: each call in the month of the organisation's time zone, whatever its UTC date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.errors import ReferenceDataError
from tollbook.warehouse.build import build
from tollbook.warehouse.status import warehouse_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pipelines.warehouse.conftest import LakeBuilder, Row

PERIODS = """
    select strftime(billing_period_start, '%Y-%m'), calls, list_cost::varchar
    from finance.fct_chargeback_by_team order by all
"""
CHARGES = """
    select billing_period_start, billing_period_end, charge_kind, charge_period_start, charge_period_end,
        contracted_cost
    from finance.fct_period_charges order by all
"""
FEE = """
contract: 1
contract_id: openai-2026
provider: openai
currency: USD
valid_from: 2026-03-01
valid_to: 2026-05-01
known_from: 2026-01-01T00:00:00Z
author: a
reason: r
terms:
  - term_id: fee
    committed_use: {fee: "10", included_tokens: 0}
"""


@pytest.fixture
def zoned(lake: LakeBuilder) -> Iterator[LakeBuilder]:
    """A lake whose home has no reference files afterwards."""
    yield lake
    for path in (lake.settings.billing_calendar, lake.settings.contracts / "fee.yml"):
        path.unlink(missing_ok=True)


def use_zone(lake: LakeBuilder, zone: str) -> None:
    """Put a billing calendar into use."""
    lake.settings.reference.mkdir(parents=True, exist_ok=True)
    text = f"billing_calendar: 1\ntime_zone: {zone}\nauthor: finance\nreason: test\n"
    lake.settings.billing_calendar.write_text(text, encoding="utf-8")


def calls(event: Any, *instants: str) -> list[Row]:
    """Return a call at each instant UTC, of which the n-th costs n thousandths of a dollar."""
    return [
        event(text, occurred_at=datetime.fromisoformat(f"{text}+00:00"), list_cost=Decimal(number).scaleb(-3))
        for number, text in enumerate(instants, 1)
    ]


def test_pitfall_6_calls_are_billed_in_the_month_of_the_billing_zone(zoned: LakeBuilder, event: Any) -> None:
    """In Berlin a month begins at 23:00 UTC, in summer at 22:00; a leap year's February has its 29 days."""
    use_zone(zoned, "Europe/Berlin")
    zoned.commit(
        calls(
            event,
            "2026-02-28T22:59:59.999999",  # 1: February
            "2026-02-28T23:00:00",  # 2: March
            "2026-02-28T23:30:00",  # 3: March
            "2026-03-31T21:59:59.999999",  # 4: March, which ends in summer time
            "2026-03-31T22:00:00",  # 5: April
            "2026-10-31T22:30:00",  # 6: October, which ends in winter time
            "2026-10-31T23:00:00",  # 7: November
            "2028-02-29T22:30:00",  # 8: 29 February
            "2028-02-29T23:30:00",  # 9: 1 March
        )
    )

    build(zoned.settings)

    assert zoned.query(PERIODS) == [
        ("2026-02", 1, "0.001000000000"),
        ("2026-03", 3, "0.009000000000"),
        ("2026-04", 1, "0.005000000000"),
        ("2026-10", 1, "0.006000000000"),
        ("2026-11", 1, "0.007000000000"),
        ("2028-02", 1, "0.008000000000"),
        ("2028-03", 1, "0.009000000000"),
    ]
    assert zoned.query("select usage_date, calls from engineering.fct_usage_daily order by all limit 2") == [
        (date(2026, 2, 28), 3),
        (date(2026, 3, 31), 2),
    ]
    lengths = """
        select billing_period_start, billing_period_end, billing_time_zone, period_begins_at,
            date_diff('hour', period_begins_at, period_ends_at)
        from finance.dim_billing_periods order by all
    """
    begins = (
        (2026, 2, datetime(2026, 1, 31, 23, tzinfo=UTC), 28 * 24),
        (2026, 3, datetime(2026, 2, 28, 23, tzinfo=UTC), 31 * 24 - 1),
        (2026, 4, datetime(2026, 3, 31, 22, tzinfo=UTC), 30 * 24),
        (2026, 10, datetime(2026, 9, 30, 22, tzinfo=UTC), 31 * 24 + 1),
        (2026, 11, datetime(2026, 10, 31, 23, tzinfo=UTC), 30 * 24),
        (2028, 2, datetime(2028, 1, 31, 23, tzinfo=UTC), 29 * 24),
        (2028, 3, datetime(2028, 2, 29, 23, tzinfo=UTC), 31 * 24 - 1),
    )
    assert zoned.query(lengths) == [
        (date(year, month, 1), date(year, month + 1, 1), "Europe/Berlin", instant, hours)
        for year, month, instant, hours in begins
    ]


def test_totals_are_equal_in_any_zone_and_another_zone_makes_every_date_anew(zoned: LakeBuilder, event: Any) -> None:
    """Another calendar moves calls between months, and neither loses nor doubles one; marts never mix two calendars."""
    zoned.commit(
        calls(
            event,
            "2026-02-28T09:59:59",
            "2026-02-28T10:00:00",  # March on Kiritimati, UTC+14
            "2026-02-28T18:30:00",  # March in India, UTC+5:30
            "2026-03-01T04:59:59",
            "2026-03-01T10:59:59",  # February on Pago Pago, UTC-11
            "2026-03-01T11:00:00",
        )
    )
    february = {
        "UTC": (3, "0.006000000000"),
        "Asia/Kolkata": (2, "0.003000000000"),
        "Pacific/Kiritimati": (1, "0.001000000000"),
        "Pacific/Pago_Pago": (5, "0.015000000000"),
    }
    build(zoned.settings)
    before = zoned.total()

    for zone, expected in february.items():
        if zone != "UTC":
            use_zone(zoned, zone)
            status = warehouse_status(zoned.settings)
            assert not status.current
            assert status.billing_calendar.startswith(zone)
            assert status.published_calendar != status.billing_calendar
            told: list[str] = []
            assert build(zoned.settings, tell=told.append).full_refresh
            assert any("the billing calendar was" in line and f"now is {zone}" in line for line in told)
            assert any("every date is made anew" in line for line in told)
        months = zoned.query(PERIODS)
        assert [month for month, *_ in months] == ["2026-02", "2026-03"]
        assert months[0][1:] == expected, zone
        assert zoned.total() == before
        assert zoned.query("select count(*) from audit.fct_ledger_balance where difference <> 0") == [(0,)]
        assert warehouse_status(zoned.settings).is_well
    assert not build(zoned.settings).event_dates


def test_incremental_builds_equal_a_full_refresh_in_a_zone(zoned: LakeBuilder, event: Any) -> None:
    """A late call of a UTC date that is in two months touches both, and leaves the months around as they are."""
    use_zone(zoned, "America/New_York")
    zoned.commit(
        calls(event, "2026-01-15T12:00:00", "2026-03-01T04:00:00", "2026-03-01T06:00:00", "2026-04-02T12:00:00")
    )
    build(zoned.settings)
    zoned.commit(calls(event, "2026-03-01T04:30:00", "2026-03-01T05:00:00"), partition=1)

    assert (build(zoned.settings).event_dates, zoned.query(PERIODS)) == (
        1,
        [
            ("2026-01", 1, "0.001000000000"),
            ("2026-02", 2, "0.003000000000"),
            ("2026-03", 2, "0.005000000000"),
            ("2026-04", 1, "0.004000000000"),
        ],
    )
    incremental = zoned.everything()
    build(zoned.settings, full_refresh=True)
    assert zoned.everything() == incremental


def test_charges_of_a_period_follow_the_calendar(zoned: LakeBuilder, event: Any) -> None:
    """A contract from 1 March to 1 May is two fees in any zone: its dates are days of the same calendar."""
    zoned.settings.contracts.mkdir(parents=True, exist_ok=True)
    (zoned.settings.contracts / "fee.yml").write_text(FEE, encoding="utf-8")
    use_zone(zoned, "Europe/Berlin")
    zoned.commit(calls(event, "2026-02-28T22:30:00", "2026-02-28T23:30:00"))
    march, april, may = (date(2026, month, 1) for month in (3, 4, 5))
    summer = datetime(2026, 3, 31, 22, tzinfo=UTC)

    build(zoned.settings, clock=lambda: datetime(2026, 6, 1, tzinfo=UTC))

    fee = [row for row in zoned.query(CHARGES) if row[2] == "commitment_fee"]
    assert fee == [
        (march, april, "commitment_fee", datetime(2026, 2, 28, 23, tzinfo=UTC), summer, Decimal(10)),
        (april, may, "commitment_fee", summer, datetime(2026, 4, 30, 22, tzinfo=UTC), Decimal(10)),
    ]
    periods = "select strftime(billing_period_start, '%m') from finance.dim_billing_periods order by all"
    assert zoned.query(periods) == [("02",), ("03",), ("04",)]

    zoned.settings.billing_calendar.unlink()
    build(zoned.settings, clock=lambda: datetime(2026, 6, 1, tzinfo=UTC))

    fee = [row for row in zoned.query(CHARGES) if row[2] == "commitment_fee"]
    assert [row[3] for row in fee] == [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)]


def test_a_broken_calendar_stops_the_build(zoned: LakeBuilder, event: Any) -> None:
    """Falling back to UTC would bill by another calendar than the one that finance wrote down."""
    use_zone(zoned, "Europe/Berln")
    zoned.commit([event("a")])
    with pytest.raises(ReferenceDataError, match=r"billing_calendar\.yml:2: time_zone: .*Europe/Berlin"):
        build(zoned.settings)
