"""The journal as a mart: the export's lines, and what becomes of those that the export would refuse."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.chargeback.accounts import AccountRules
from tollbook.chargeback.statement_lines import TOLD_APART_BY
from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reference.dated.use import read_reference
from tollbook.warehouse.chargeback import shared_inputs
from tollbook.warehouse.journal import journal_table

if TYPE_CHECKING:
    from tests.pipelines.exports.conftest import ChargeBook

D = Decimal
Row = dict[str, Any]
KNOWN_AT = datetime(2026, 8, 3, tzinfo=UTC)
USAGE: Row = {"entry_id": "usage", "match": {}, "accounts": {"expense": "6815", "clearing": "1590"}}
SEAT: Row = {
    "charge_category": "Purchase",
    "charge_kind": "subscription_seats",
    "provider": "anthropic",
    "obligation": "subscription team-plan",
}


def accounts(number: str) -> Row:
    """Return an account for the expense and one for the clearing."""
    return {"expense": number, "clearing": f"{number}c"}


def test_what_has_no_account_stands_in_the_mart_with_its_reason(charges: ChargeBook) -> None:
    """Neither rules that contradict each other nor a rule that is missing refuse a build.

    A call of openai's for 10 is named by two rules; a seat of anthropic's for 30 by none, and 5 of data by one.
    """
    charges.use(
        "gl_accounts",
        [
            {"entry_id": "one", "match": {"provider": "openai"}, "accounts": accounts("1")},
            {"entry_id": "two", "match": {"charge_kind": "usage"}, "accounts": accounts("2")},
            {"entry_id": "data", "match": {"provider": "openai", "charge_kind": "index"}, "accounts": accounts("3")},
        ],
    )
    line = dict.fromkeys(TOLD_APART_BY) | {"billing_currency": "USD", "business_unit": "BU"}
    line |= {"charge_category": "Usage", "charge_kind": "usage", "provider": "openai", "obligation": "usage openai"}
    told = [
        line | {"team": "care", "cost_center": "CC-care", "effective_cost": D(30)} | SEAT,
        line | {"team": "data", "cost_center": "CC-data", "effective_cost": D(5), "charge_kind": "index"},
        line | {"team": "search", "cost_center": "CC-search", "effective_cost": D(10)},
    ]
    lines = [each | {"billing_period_start": start} for start in (date(2026, 6, 1), date(2026, 7, 1)) for each in told]
    book = read_reference(charges.settings.reference)

    rows = journal_table(lines, {date(2026, 6, 1): 4, date(2026, 7, 1): None}, book, KNOWN_AT).to_pylist()

    june = [row for row in rows if row["billing_period_start"] == date(2026, 6, 1)]
    contradicted = "one and two name equally much"
    assert [(row["account"], row["unposted_reason"], row["debit"], row["credit"]) for row in june] == [
        ("3", None, D(5), D(0)),
        (None, contradicted, D(10), D(0)),
        (None, "no rule matches", D(30), D(0)),
        ("3c", None, D(0), D(5)),
        (None, contradicted, D(0), D(10)),
        (None, "no rule matches", D(0), D(30)),
    ]
    version = AccountRules.on(book, date(2026, 6, 30)).version
    assert {row["journal_id"] for row in rows} == {
        f"2026-06-close-4-accounts-{version}",
        f"2026-07-open-accounts-{version}",
    }
    assert len({row["journal_line_id"] for row in rows}) == 12


def test_accounts_of_the_mart_are_those_known_to_the_build(charges: ChargeBook) -> None:
    """A rule that is learned after the build was planned is of the next one."""
    charges.use("gl_accounts", [USAGE])
    book = read_reference(charges.settings.reference)
    line = dict.fromkeys(TOLD_APART_BY) | {"billing_currency": "USD", "team": "search", "effective_cost": D(1)}
    lines = [line | {"billing_period_start": date(2026, 6, 1)}]

    before = journal_table(lines, {}, book, datetime(2026, 4, 30, tzinfo=UTC)).to_pylist()

    assert [row["account"] for row in before] == [None, None]
    assert [row["account"] for row in journal_table(lines, {}, book, KNOWN_AT).to_pylist()] == ["6815", "1590"]


@pytest.mark.parametrize("kind", ["gl_accounts", "legal_entities"])
def test_a_build_runs_for_new_accounts_alone(charges: ChargeBook, kind: str) -> None:
    """What is posted where follows from them, also while nothing is used and no other reference file changes."""
    company: Row = {"entity_id": "inc", "title": "Inc.", "currency": "USD", "cost_centers": ["CC-1"]}
    entry: Row = USAGE if kind == "gl_accounts" else {"entry_id": "inc", **company}
    before = shared_inputs(charges.settings, UTC_CALENDAR, KNOWN_AT)

    charges.use(kind, [entry])

    assert shared_inputs(charges.settings, UTC_CALENDAR, KNOWN_AT) != before
