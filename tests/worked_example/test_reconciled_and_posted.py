"""What the worked organisation reconciles and posts: vendors' invoices and a report, and the journal of each month."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from tests.worked_example.organisation import MONTHS

from tollbook.exports.journal import export_journal

if TYPE_CHECKING:
    from tests.worked_example.conftest import WorkedBook

PERIODS = [f"2026-{month:02d}" for month in MONTHS]


def test_every_difference_from_an_invoice_is_named(book: WorkedBook) -> None:
    """Of usage that was invoiced, by vendor and month: what is booked beyond what was payable."""
    rows = book.rows(
        "select vendor, strftime(billing_period_start, '%m'), residual_kind, sum(residual_cost) "
        "from finance.fct_reconciliation group by all order by all"
    )
    found = {tuple(names): cost for *names, cost in rows if cost}
    assert found == {
        ("openai", "06", "rounding"): Decimal("0.01"),
        # Two units came late: 7 more drawn from the credit than its invoice says.
        ("openai", "06", "credits"): Decimal(7),
        ("openai", "08", "credits"): Decimal("-1.5"),
    }


def test_a_vendors_report_differs_from_events_for_two_reasons(book: WorkedBook) -> None:
    """Six units of the 11th are told by both. On the 12th the vendor tells six, of which events know five.

    It was asked at six in the morning of the 15th, and the two units of that day came at noon. A unit is 1,250,000
    tokens.
    """
    rows = book.rows(
        "select day(usage_date), residual_kind, sum(our_tokens), sum(vendor_tokens), sum(residual_tokens) "
        "from finance.fct_reconciliation where comparison = 'vendor_report' and vendor = 'anthropic' "
        "group by all order by all"
    )
    assert [row for row in rows if any(row[2:])] == [
        (11, "matched", 7_500_000, 7_500_000, 0),
        (12, "matched", 6_250_000, 6_250_000, 0),
        (12, "unlogged_calls", 0, 1_250_000, 1_250_000),
        (15, "timing", 2_500_000, 0, -2_500_000),
    ]


@pytest.mark.parametrize("period", PERIODS)
def test_the_journal_that_is_asked_is_the_one_that_was_exported_at_the_close(book: WorkedBook, period: str) -> None:
    """Each line, whatever came after the close; an export of now has the journal's name too."""
    names = [name for name in book.journals[period].lines[0] if name not in {"journal_id", "unposted_reason"}]
    asked = book.rows(
        f"select journal_id, {', '.join(names)} from finance.fct_journal where billing_period = '{period}'"
    )
    then, now = book.journals[period].lines, export_journal(book.settings, period).lines
    assert {line[1:] for line in asked} == {tuple(line[name] for name in names) for line in then}
    assert set(asked) == {tuple(line[name] for name in ("journal_id", *names)) for line in now}
    assert len(asked) == len(then) == len(now)
    assert book.rows("from finance.fct_journal where unposted_reason is not null or account is null") == []


def test_the_journal_balances_and_posts_the_statements(book: WorkedBook) -> None:
    """Debits equal credits in every month, and expenses of a team are its statement."""
    for period, journal in book.journals.items():
        assert journal.findings == ()
        assert sum(line["debit"] for line in journal.lines) == sum(line["credit"] for line in journal.lines)
        by_team: defaultdict[str, Decimal] = defaultdict(Decimal)
        for line in journal.lines:
            if line["account"] == "6815":
                by_team[line["team"]] += line["debit"] - line["credit"]
        totals = {row["team"]: row["effective_amount"] for row in book.statements[period].totals}
        assert {team: amount for team, amount in by_team.items() if amount} == {
            team: amount for team, amount in totals.items() if amount
        }
