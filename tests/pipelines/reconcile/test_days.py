"""Events beside a vendor's report: which dimensions are compared, under which names, and in which currency."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.reconcile.days import USAGE_HOURS_SCHEMA, compare_days
from tollbook.reconcile.reports.rows import Source, vendor_usage_table
from tollbook.reconcile.residuals import DayUnit

DAY = date(2026, 6, 1)
START = datetime(2026, 6, 1, tzinfo=UTC)
EUR = ExchangeRates.of([ExchangeRate("EUR", Fraction("1.10"), datetime(2026, 1, 1, tzinfo=UTC))])
Row = dict[str, Any]


def ours(**told: Any) -> Row:
    """Return an hour of ours: one call of 100 tokens for 1 USD at noon, but for what is told."""
    return {
        "usage_date": DAY,
        "usage_hour": 12,
        "billing_period_start": DAY,
        "provider": "openai",
        "model": "gpt-5",
        "project_id": None,
        "calls": 1,
        "unpriced_calls": 0,
        "unpriced_tokens": 0,
        "total_tokens": 100,
        "contracted_cost": Decimal(1),
    } | told


def theirs(kind: str = "usage", start: datetime = START, hours: int = 24, **told: Any) -> Row:
    """Return a row of the vendor's: a whole day of 100 tokens, or 1 USD."""
    amounts: Row = {"total_tokens": 100, "requests": 1}
    if kind == "cost":
        steps = {"amount_step": Decimal("0.01"), "currency": "USD", "charge_category": "Usage"}
        amounts = {"amount": Decimal(1)} | steps
    source = Source("openai", "f", "f", b"")
    return source.row(1, kind, kind, start, start + timedelta(hours=hours), **(amounts | told))


def compared(rows: list[Row], hours: list[Row], exchange: ExchangeRates = EUR) -> list[DayUnit]:
    """Compare rows of the vendor's with hours of ours."""
    table = pa.Table.from_pylist(hours, schema=USAGE_HOURS_SCHEMA)
    return compare_days(
        vendor_usage_table([{"report_sequence": 1} | row for row in rows]), table, exchange, lambda name: name.lower()
    )


def keys(units: list[DayUnit]) -> list[tuple[str | None, str | None, int, int | None]]:
    """Return model, project and both sides' tokens."""
    return [(unit.model, unit.project_id, unit.tokens.ours, unit.tokens.theirs) for unit in units]


def test_a_report_without_models_is_held_against_the_day_as_a_whole() -> None:
    """Its null is not a model of its own."""
    found = compared([theirs(total_tokens=200)], [ours(), ours(model="o3", project_id="p")])
    assert keys(found) == [(None, None, 200, 200)]


def test_projects_are_compared_where_both_sides_tell_them() -> None:
    """What one side does not tell of a day is under `unknown`; where events tell none, projects are left together."""
    told = [theirs(model="gpt-5", project_id="p"), theirs(model="gpt-5", project_id="q")]
    assert keys(compared(told, [ours(project_id="p"), ours()])) == [
        ("gpt-5", "p", 100, 100),
        ("gpt-5", "q", 0, 100),
        ("gpt-5", "unknown", 100, 0),
    ]
    assert keys(compared(told, [ours(), ours()])) == [("gpt-5", None, 200, 200)]


def test_models_go_by_the_name_that_both_know_else_without_their_date() -> None:
    """Events name an alias, the vendor its snapshot; where both name the snapshot it stays apart."""
    told = [theirs(model="gpt-4o-2024-08-06"), theirs(model="o3-2025-04-16")]
    found = compared(told, [ours(model="gpt-4o"), ours(model="o3-2025-04-16")])
    assert keys(found) == [("gpt-4o", None, 100, 100), ("o3-2025-04-16", None, 100, 100)]


def test_other_spellings_of_the_provider_are_the_vendors_and_other_providers_are_not() -> None:
    """Gateways write names of their own."""
    found = compared([theirs(model="gpt-5")], [ours(provider="OpenAI"), ours(provider="anthropic")])
    assert keys(found) == [("gpt-5", None, 100, 100)]


def test_an_empty_bucket_says_that_nothing_was_used() -> None:
    """So our calls of the day are ours alone."""
    empty = Source("openai", "f", "f", b"").empty(1, "usage", "usage", START, START + timedelta(days=1))
    (unit,) = compared([empty], [ours()])
    assert (unit.model, unit.tokens.theirs, unit.tokens.parts) == (None, 0, {"other": -100})


def test_costs_are_compared_in_usd_and_not_at_all_without_a_rate() -> None:
    """1 EUR is 1.10 USD. In a currency without a rate it is not known, which is not zero."""
    (unit,) = compared([theirs("cost", currency="EUR")], [ours(contracted_cost=Decimal("1.10"))])
    assert unit.cost.parts == {}
    assert unit.cost.theirs == 1_100_000_000_000
    (unit,) = compared([theirs("cost", currency="CHF")], [ours()])
    assert (unit.cost.theirs, unit.cost.parts) == (None, {})


def test_tax_is_no_cost_of_usage() -> None:
    """Invoices are compared net of it too."""
    taxed = [theirs("cost"), theirs("cost", amount=Decimal("0.19"), charge_category="Tax")]
    (unit,) = compared(taxed, [ours()])
    assert unit.cost.parts == {}


@pytest.mark.parametrize(("hours", "found"), [(24, 1), (48, 0)])
def test_a_bucket_longer_than_a_day_tells_of_no_day(hours: int, found: int) -> None:
    """A monthly row of an export cannot be laid on days."""
    assert len(compared([theirs("cost", hours=hours)], [ours()])) == found


def test_a_day_that_is_cut_has_timing_in_tokens_and_cost() -> None:
    """The vendor's day ends at 12:00; our call at 15:00 is not in it."""
    cut = [theirs(model="gpt-5", hours=12), theirs("cost", hours=12, model="gpt-5")]
    (unit,) = compared(cut, [ours(usage_hour=3), ours(usage_hour=15)])
    assert (unit.calls.parts, unit.tokens.parts) == ({"timing": -1}, {"timing": -100})
    assert unit.cost.parts == {"timing": -(10**12)}
