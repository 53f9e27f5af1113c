"""Closed periods are corrected instead of changed. What is closed is told here by a stand-in."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tollbook.rating.closed import PLACE_SCHEMA, post_corrections, post_last_corrections
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.rating.periods.charges import read_charges
from tollbook.warehouse.period_charges import period_charges_of
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipelines.rating.rerate.conftest import StoredUsage

    from tollbook.settings import Settings


class FakeClosedPeriods:
    """A stand-in for the closing of periods: June's first ten days are closed, and corrections go to July."""

    def __init__(self, charged: list[tuple[int, int]]) -> None:
        self._charged = charged

    def closed_period(self, event_date: date) -> BillingPeriod | None:
        """Return the closed period of a date."""
        return BillingPeriod(date(2026, 6, 1), date(2026, 6, 11)) if event_date < date(2026, 6, 11) else None

    def charged_tellings(self, _event_date: date) -> pa.Table:
        """Return the places that were charged."""
        places = [dict(zip(("partition", "offset"), each, strict=True)) for each in self._charged]
        rows = [{"topic": "llm.usage", **place, "record_item": 0} for place in places]
        return pa.Table.from_pylist(rows, schema=PLACE_SCHEMA)

    def open_period(self) -> BillingPeriod:
        """Return July."""
        return BillingPeriod(date(2026, 7, 1), date(2026, 8, 1))


def test_closed_period_gets_corrections_and_no_overlay(usage: StoredUsage) -> None:
    """Once closed, rows never change: the difference of what was charged is a new row in an open period."""
    # Three tellings of the first, of which the second is a repeat that was never charged; one of the open 12th.
    usage.meter([{}, {}, {"model": "unknown"}])
    usage.meter([{"occurred_at": datetime(2026, 6, 12, tzinfo=UTC)}])
    closed = FakeClosedPeriods([(0, 0), (0, 2)])

    done = usage.rerate(usage.fixed, closed=closed)

    assert usage.in_force() == [Decimal("2.5"), Decimal("2.5"), None, Decimal(3)]
    (charge,) = read_charges(usage.settings.lake).to_pylist()
    assert (charge["charge_class"], charge["charge_kind"]) == ("Correction", "rerate_difference")
    assert (charge["provider"], charge["model"], charge["contract_id"]) == ("openai", "gpt-4o", None)
    # One charged call of a million tokens, 2.50 USD then and 3.00 now.
    assert charge["list_cost"] == charge["contracted_cost"] == charge["billing_currency_amount"] == Decimal("0.5")
    assert charge["corrects_period_start"] == charge["charge_period_start"] == datetime(2026, 6, 1, tzinfo=UTC)
    assert charge["billing_period_start"] == datetime(2026, 7, 1, tzinfo=UTC)
    assert charge["catalogue_version"] == usage.fixed.version
    assert [each.events for each in done.corrections] == [1]
    assert {file.table for file in usage.entries()[0].files} == {"ratings", "ratings/closed"}


def test_correction_is_not_written_twice(usage: StoredUsage) -> None:
    """The second run compares with what was corrected; a further fix corrects only what is left."""
    usage.meter([{}])
    closed = FakeClosedPeriods([(0, 0)])
    usage.rerate(usage.fixed, closed=closed)

    assert usage.rerate(usage.fixed, closed=closed).sequence is None
    usage.rerate(usage.book_of(usage.price("gpt-4o", "2.75")), closed=closed)

    # 2.50 to 3.00, then back to 2.75: together 0.25 USD.
    assert [row["list_cost"] for row in read_charges(usage.settings.lake).to_pylist()] == [
        Decimal("0.5"),
        Decimal("-0.25"),
    ]


def test_correction_that_died_before_it_was_posted_is_posted_by_the_next_run(
    usage: StoredUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rating's entry comes first and names its corrections, so they cannot be lost."""
    usage.meter([{}])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tollbook.rating.rerate.post_corrections", die)
        with pytest.raises(KeyboardInterrupt):
            usage.rerate(usage.fixed, closed=FakeClosedPeriods([(0, 0)]))
    assert read_charges(usage.settings.lake).num_rows == 0
    told: list[str] = []

    usage.rerate(usage.fixed, closed=FakeClosedPeriods([(0, 0)]), tell=told.append)

    assert told == ["wrote the corrections of rating 1, which had died before"]
    assert [row["list_cost"] for row in read_charges(usage.settings.lake).to_pylist()] == [Decimal("0.5")]
    assert post_corrections(usage.settings.lake, usage.entries()[0]) == 0


def test_correction_that_died_before_it_was_posted_is_posted_by_the_next_build(
    usage: StoredUsage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The build takes the rating, so it takes the corrections that belong to it; nobody has to rerate once more."""
    usage.meter([{}])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tollbook.rating.rerate.post_corrections", die)
        with pytest.raises(KeyboardInterrupt):
            usage.rerate(usage.fixed, closed=FakeClosedPeriods([(0, 0)]))

    assert [row["list_cost"] for row in charges_of_a_build(usage.settings, monkeypatch)] == [Decimal("0.5")]
    assert [row["list_cost"] for row in charges_of_a_build(usage.settings, monkeypatch)] == [Decimal("0.5")]
    assert post_last_corrections(tmp_path) == 0


def test_correction_is_posted_once_whatever_becomes_of_the_calendar(usage: StoredUsage) -> None:
    """Periods of another zone begin at other instants; a build that posts the correction again must not double it."""
    usage.meter([{}])
    usage.rerate(usage.fixed, closed=FakeClosedPeriods([(0, 0)]))
    lake, entry = usage.settings.lake, usage.entries()[0]

    assert post_corrections(lake, entry, BillingCalendar("America/New_York")) == 0

    (charge,) = read_charges(lake).to_pylist()
    assert charge["billing_period_start"] == datetime(2026, 7, 1, tzinfo=UTC)


def charges_of_a_build(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the charges as the build's step makes them; without contracts it reads no totals."""
    plan = WarehouseFolder.of(settings).plan
    plan.parent.mkdir(parents=True, exist_ok=True)
    plan.write_text('{"planned_at": "2026-07-15T00:00:00+00:00", "billing_time_zone": "UTC"}', encoding="utf-8")
    monkeypatch.setattr("tollbook.warehouse.period_charges.python_model", lambda _: nullcontext(settings))
    charges: list[dict[str, Any]] = period_charges_of(None, None).to_pylist()
    return charges


def test_price_that_is_gone_refunds_nothing_in_a_closed_period(usage: StoredUsage) -> None:
    """Not to know a price any more is no evidence that the call was free."""
    usage.meter([{}])

    done = usage.rerate(usage.book_of(usage.price("another", "1")), closed=FakeClosedPeriods([(0, 0)]))

    assert (done.sequence, done.total.changed_events, done.corrections) == (None, 0, ())
