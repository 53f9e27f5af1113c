"""Invoices beside what is payable: every reason by hand, and what is final."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reconcile.booking import reconciliation_origins
from tollbook.reconcile.invoiced import OurPeriods, PeriodUnit, compare_invoices
from tollbook.reconcile.residuals import DayUnit, Measure, name_residuals

JUNE, TODAY = date(2026, 6, 1), date(2026, 7, 20)
KEY = ("openai", JUNE)
USD = 10**12
Row = dict[str, Any]


def line(amount: str, **told: Any) -> Row:
    """Return a line of June's invoice of usage."""
    return {
        "obligation": "usage openai",
        "billing_period_start": JUNE,
        "charge_category": "Usage",
        "issued_on": date(2026, 7, 5),
        "billed_cost": Decimal(amount),
    } | told


def compared(lines: list[Row], days: list[DayUnit] | None = None, today: date = TODAY, **told: Any) -> PeriodUnit:
    """Compare lines with 100 USD of usage, 1,000 tokens, but for what is told."""
    sums = {"payable": {KEY: 100 * USD}, "usage": {KEY: 100 * USD}, "months": {KEY: 100 * USD}, "tokens": {KEY: 1000}}
    held = days or []
    name_residuals(held)
    same = {"openai": frozenset({"openai"})}
    (unit,) = compare_invoices(lines, OurPeriods(**(sums | told)), held, UTC_CALENDAR, today, same)
    return unit


def day(tokens: Measure, cost: Measure | None = None, **told: Any) -> DayUnit:
    """Return a day of the vendor's report."""
    return DayUnit("openai", date(2026, 6, 10), "gpt-5", None, Measure(), tokens, cost or Measure(), **told)


def test_an_invoice_of_what_is_payable_has_no_residual() -> None:
    """Taxes are no part of it."""
    taxed = [line("100"), line("19", charge_category="Tax")]
    assert compared(taxed).cost.parts == {}


def test_half_a_cent_a_line_is_rounding() -> None:
    """Two lines hide one cent."""
    assert compared([line("60.005"), line("40.005")]).cost.parts == {"rounding": USD // 100}
    assert compared([line("100.01")]).cost.parts == {"other": USD // 100}


def test_credits_of_the_invoice_are_named_but_for_those_that_contracts_charge() -> None:
    """10 given back; of it 4 are a contract's credit that is in the 96 payable already."""
    credited = [line("100"), line("-10", charge_category="Credit")]
    unit = compared(credited, payable={KEY: 96 * USD}, credits={KEY: -4 * USD})
    assert unit.cost.parts == {"credits": -6 * USD}


def test_unlogged_calls_are_named_at_our_average_where_the_report_has_no_cost() -> None:
    """500 tokens of a day on which 1,000 of ours cost 20: 10. The other 2 of the invoice are of no known reason."""
    unlogged = day(Measure(1000, 1500), Measure(20 * USD, None))
    assert compared([line("112")], [unlogged]).cost.parts == {"unlogged_calls": 10 * USD, "other": 2 * USD}


def test_a_cost_report_names_the_days_as_they_are() -> None:
    """The vendor's day is 30 instead of 20, a third of its tokens unlogged; the invoice adds 10 and half a cent."""
    reported = day(Measure(1000, 1500), Measure(20 * USD, 30 * USD))
    unit = compared([line("110.005")], [reported])
    assert unit.cost.parts == {"unlogged_calls": 10 * USD, "rounding": USD // 200}
    assert unit.vendor_cost == 30 * USD


def test_calls_without_a_price_are_what_is_left_above_zero() -> None:
    """Nobody knows their price but the invoice."""
    assert compared([line("130")], unpriced_calls={KEY: 3}).cost.parts == {"unknown_price": 30 * USD}
    assert compared([line("70")], unpriced_calls={KEY: 3}).cost.parts == {"other": -30 * USD}


def test_a_month_of_utc_that_is_no_billing_period_is_timing() -> None:
    """Of Berlin's June the vendor bills 5 less at its beginning and 8 more at its end: 3."""
    assert compared([line("103")], months={KEY: 103 * USD}).cost.parts == {"timing": 3 * USD}
    assert compared([line("102")], months={KEY: 103 * USD}).cost.parts == {"timing": 2 * USD}
    assert compared([line("98")], months={KEY: 97 * USD}).cost.parts == {"timing": -2 * USD}


def test_an_invoice_is_final_when_its_period_has_ended_and_its_usage_is_billed() -> None:
    """An invoice of the last day can be for all of it; one within the month cannot."""
    assert compared([line("1")]).is_final
    assert compared([line("1", issued_on=date(2026, 6, 30))]).is_final
    assert not compared([line("1", issued_on=date(2026, 6, 29))]).is_final
    assert not compared([line("1", charge_category="Purchase")]).is_final
    assert not compared([line("1")], today=date(2026, 6, 30)).is_final


def test_an_amount_that_no_rate_turns_into_usd_leaves_its_period_out() -> None:
    """What is unknown is not zero."""
    unknown = line("1", billed_cost=None)
    assert compare_invoices([unknown], OurPeriods({KEY: USD}), [], UTC_CALENDAR, TODAY, {}) == []


@given(
    st.lists(
        st.tuples(st.integers(-(10**15), 10**15), st.sampled_from(["Usage", "Credit", "Adjustment", "Tax"])), min_size=1
    ),
    st.integers(0, 10**15),
    st.lists(
        st.builds(
            day,
            st.builds(Measure, st.integers(0, 2000), st.none() | st.integers(0, 2000)),
            st.builds(Measure, st.integers(0, 10**14), st.none() | st.integers(-(10**14), 10**14)),
            credits=st.integers(-(10**12), 0),
        ),
        max_size=1,
    ),
    st.integers(0, 2),
)
def test_what_is_booked_makes_what_is_payable_what_was_invoiced(
    amounts: list[tuple[int, str]], payable: int, days: list[DayUnit], unpriced: int
) -> None:
    """Net of tax, to a millionth of a millionth, in list, contracted and effective cost alike."""
    lines = [line(str(Decimal(pico).scaleb(-12)), charge_category=category) for pico, category in amounts]
    net = sum(pico for pico, category in amounts if category != "Tax")
    if all(category == "Tax" for _, category in amounts):
        return
    unit = compared(lines, days, payable={KEY: payable}, usage={KEY: payable}, unpriced_calls={KEY: unpriced})
    assert sum(unit.cost.parts.values()) == net - payable
    booked = list(reconciliation_origins([unit], UTC_CALENDAR))
    assert len({origin.charge_id for origin in booked}) == len(booked)
    if unit.is_final:
        assert (
            sum(int(origin.contracted_cost.scaleb(12)) for origin in booked if origin.contracted_cost) == net - payable
        )
        assert all(origin.contracted_cost == origin.effective_cost for origin in booked)
    else:
        assert booked == []
