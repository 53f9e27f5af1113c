"""Invoices beside what is payable: every reason by hand, and what is final."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reconcile.booking import reconciliation_origins
from tollbook.reconcile.invoiced import Key, OurSums, PeriodUnit, compare_invoices
from tollbook.reconcile.residuals import DayUnit, Measure, name_residuals

JUNE, TODAY = date(2026, 6, 1), date(2026, 7, 20)
KEY: Key = ("openai", JUNE, "gpt-5")
SAME = {"openai": frozenset({"openai"})}
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
        "model": None,
    } | told


def compared(lines: list[Row], days: list[DayUnit] | None = None, today: date = TODAY, **told: int) -> PeriodUnit:
    """Compare lines with 100 USD of usage, 1,000 tokens, but for what is told."""
    sums = {"payable": 100 * USD, "usage": 100 * USD, "month": 100 * USD, "tokens": 1000}
    held = days or []
    name_residuals(held)
    ours = {KEY: OurSums(**(sums | told))}
    (unit,) = compare_invoices(lines, ours, held, UTC_CALENDAR, today, SAME)
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
    unit = compared(credited, payable=96 * USD, credits=-4 * USD)
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
    assert compared([line("130")], unpriced_calls=3).cost.parts == {"unknown_price": 30 * USD}
    assert compared([line("70")], unpriced_calls=3).cost.parts == {"other": -30 * USD}


def test_a_month_of_utc_that_is_no_billing_period_is_timing() -> None:
    """Of Berlin's June the vendor bills 5 less at its beginning and 8 more at its end: 3."""
    assert compared([line("103")], month=103 * USD).cost.parts == {"timing": 3 * USD}
    assert compared([line("102")], month=103 * USD).cost.parts == {"timing": 2 * USD}
    assert compared([line("98")], month=97 * USD).cost.parts == {"timing": -2 * USD}


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
    assert compare_invoices([unknown], {KEY: OurSums(USD)}, [], UTC_CALENDAR, TODAY, {}) == []


def test_models_that_the_invoice_names_are_compared_each_by_itself() -> None:
    """60 of gpt-5 are invoiced at 61, 40 of o3 at 39, and 5 for something that no call was of: three comparisons."""
    ours: dict[Key, OurSums] = {KEY: OurSums(60 * USD, usage=60 * USD), ("openai", JUNE, "o3"): OurSums(40 * USD)}
    lines = [line("61", model="gpt-5"), line("39", model="o3"), line("5", model="Fine-tuning")]
    found = compare_invoices(lines, ours, [], UTC_CALENDAR, TODAY, SAME)
    assert [(unit.model, unit.cost.parts) for unit in found] == [
        ("gpt-5", {"other": USD}),
        ("o3", {"other": -USD}),
        (None, {"other": 5 * USD}),
    ]
    assert len({origin.charge_id for origin in reconciliation_origins(found, UTC_CALENDAR)}) == 3


def test_a_model_that_the_invoice_forgets_is_compared_too() -> None:
    """One line for gpt-5, and 40 of o3 that nobody billed."""
    ours: dict[Key, OurSums] = {KEY: OurSums(60 * USD), ("openai", JUNE, "o3"): OurSums(40 * USD)}
    found = compare_invoices([line("60", model="gpt-5")], ours, [], UTC_CALENDAR, TODAY, SAME)
    assert [(unit.model, unit.cost.parts) for unit in found] == [("gpt-5", {}), (None, {"other": -40 * USD})]


def test_pitfall_11_logged_spend_that_differs_from_the_invoice_is_named_and_ties_to_it() -> None:
    """26.74 logged, 770.00 invoiced. By the vendor's cost report 743.26 are of calls that no event told of.

    1,000 of our tokens are 26.74; the vendor has 2,000 of 53.48 that day, and a model of 716.52 that no event names.
    """
    logged = day(Measure(1000, 2000), Measure(26_740_000_000_000, 53_480_000_000_000))
    unknown = DayUnit(
        "openai", date(2026, 6, 10), "o3", None, Measure(), Measure(0, 9), Measure(0, 716_520_000_000_000)
    )
    pico = 26_740_000_000_000
    unit = compared([line("770.00")], [logged, unknown], payable=pico, usage=pico, month=pico)
    assert unit.cost.parts == {"unlogged_calls": 743_260_000_000_000}
    (booked,) = reconciliation_origins([unit], UTC_CALENDAR)
    assert Decimal("26.74") + (booked.contracted_cost or 0) == Decimal("770.00")


def test_days_that_are_told_as_a_whole_keep_the_invoice_whole() -> None:
    """What was not logged could be of any model, so no model's line can say it."""
    whole = day(Measure(1000, 1500), Measure(20 * USD, None))
    whole.model = None
    unit = compared([line("70", model="gpt-5"), line("40")], [whole])
    assert (unit.model, unit.cost.parts) == (None, {"unlogged_calls": 10 * USD})


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
    unit = compared(lines, days, payable=payable, usage=payable, unpriced_calls=unpriced)
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
