"""The journal of a small published file, with postings worked by hand."""

from __future__ import annotations

import csv
import io
import json
import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.chargeback.accounts import AccountRules
from tollbook.chargeback.journal import debits, double_entry, refuse_unbalanced
from tollbook.chargeback.statement_lines import Row
from tollbook.cli import main
from tollbook.errors import JournalUnbalancedError, ReferenceDataError
from tollbook.exports.journal import export_journal
from tollbook.exports.statements import export_statements

if TYPE_CHECKING:
    from tests.pipelines.exports.conftest import ChargeBook

D = Decimal
KNOWN_AT = datetime(2026, 8, 3, tzinfo=UTC)
USAGE: Row = {"entry_id": "usage", "match": {}, "accounts": {"expense": "6815", "clearing": "1590"}}
SEATS: Row = {
    "entry_id": "seats",
    "match": {"charge_kind": "subscription_seats"},
    "accounts": {"expense": "6837", "clearing": "1590"},
}
SEAT: Row = {
    "charge_category": "Purchase",
    "charge_kind": "subscription_seats",
    "provider": "anthropic",
    "obligation": "subscription team-plan",
}
CREDIT: Row = {"charge_category": "Credit", "charge_kind": "included_usage"}


def three_charges(charges: ChargeBook) -> None:
    """Usage of search's, 10; a seat of care's, 30; a credit of care's on usage, 2."""
    charges.charge("search", "10")
    charges.charge("care", "30", **SEAT)
    charges.charge("care", "-2", **CREDIT)


def postings(lines: list[Row]) -> list[tuple[Any, ...]]:
    """Return what is posted where."""
    names = ("posting", "account", "cost_center", "obligation", "debit", "credit")
    return [tuple(line[name] for name in names) for line in lines]


def test_teams_are_debited_and_those_who_bill_are_credited(charges: ChargeBook) -> None:
    """40 on either side: 10 + 30, and 2 of a credit that stands on the other side; of openai's 10 - 2 = 8 is left."""
    three_charges(charges)
    settings = charges.publish()
    charges.use("gl_accounts", [USAGE, SEATS])

    made = export_journal(settings, "2026-06")

    zero = D("0.00")
    assert postings(made.lines) == [
        ("expense", "6815", "CC-care", None, zero, D("2.00")),
        ("expense", "6815", "CC-search", None, D("10.00"), zero),
        ("expense", "6837", "CC-care", None, D("30.00"), zero),
        ("clearing", "1590", None, "subscription team-plan", zero, D("30.00")),
        ("clearing", "1590", None, "usage openai", zero, D("8.00")),
    ]
    assert debits(made.lines) == {"USD": D("40.00")}
    assert sum(line["credit"] for line in made.lines) == D("40.00")
    assert made.findings == ()
    assert {str(line["posting_date"]) for line in made.lines} == {"2026-06-30"}


def test_a_team_s_postings_sum_to_its_statement(charges: ChargeBook) -> None:
    """Of parts of cents too: three of 0.004 are 0.01 for the team, and no cent more is posted."""
    for kind in ("usage", "overage", "volume_tier"):
        charges.charge("search", "0.004", charge_kind=kind)
    settings = charges.publish()
    charges.use("gl_accounts", [USAGE])

    (total,) = export_statements(settings, "2026-06").totals
    posted = [line for line in export_journal(settings, "2026-06").lines if line["team"] == "search"]

    assert total["effective_amount"] == D("0.01")
    assert sum(line["debit"] - line["credit"] for line in posted) == D("0.01")


def test_the_rule_that_names_most_decides_on_the_last_day(charges: ChargeBook) -> None:
    """A rule that ended before the month did, and one of the next month, do not hold."""
    charges.charge("search", "1")
    settings = charges.publish()
    named = {"provider": "openai", "cost_center": "CC-search"}
    charges.use(
        "gl_accounts",
        [
            USAGE,
            {**USAGE, "entry_id": "openai", "match": {"provider": "openai"}, "accounts": _accounts("1")},
            {**USAGE, "entry_id": "both", "match": named, "accounts": _accounts("2"), "valid_to": "2026-07-01"},
            {**USAGE, "entry_id": "july", "match": named, "accounts": _accounts("3"), "valid_from": "2026-07-01"},
            {
                **USAGE,
                "entry_id": "early",
                "match": named | {"charge_kind": "usage"},
                "accounts": _accounts("4"),
                "valid_to": "2026-06-30",
            },
        ],
    )

    assert [line["account"] for line in export_journal(settings, "2026-06").lines] == ["2", "2c"]


def test_rules_that_name_equally_much_are_refused(charges: ChargeBook) -> None:
    """Which account it is must not depend on the order of a file."""
    charges.charge("search", "1")
    settings = charges.publish()
    charges.use(
        "gl_accounts",
        [
            {"entry_id": "one", "match": {"provider": "openai"}, "accounts": _accounts("1")},
            {"entry_id": "two", "match": {"charge_kind": "usage"}, "accounts": _accounts("2")},
        ],
    )

    with pytest.raises(ReferenceDataError, match="one and two name equally much"):
        export_journal(settings, "2026-06")
    assert not (settings.exports / "journal").exists()


def test_entities_are_balanced_each_by_itself(charges: ChargeBook) -> None:
    """A cost centre's company bears its part of the clearing too."""
    charges.charge("search", "10")
    charges.charge("care", "5")
    settings = charges.publish()
    charges.use("gl_accounts", [USAGE])
    charges.use(
        "legal_entities",
        [
            {"entry_id": f"e-{team}", "entity_id": f"{team}-gmbh", "title": team, "currency": "EUR"}
            | {"cost_centers": [f"CC-{team}"]}
            for team in ("search", "care")
        ],
    )

    lines = export_journal(settings, "2026-06").lines

    assert [(line["legal_entity"], line["debit"] - line["credit"]) for line in lines] == [
        ("care-gmbh", D(5)),
        ("search-gmbh", D(10)),
        ("care-gmbh", D(-5)),
        ("search-gmbh", D(-10)),
    ]


def test_what_has_no_account_is_posted_to_unmapped_and_is_a_finding(
    charges: ChargeBook, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journal still balances; exit 1, until rules are loaded, which make a version of their own."""
    three_charges(charges)
    home = str(charges.publish().home)
    command = ["export", "journal", "--period", "2026-06", "--home", home, "--json"]
    charges.use("gl_accounts", [SEATS])

    assert main(command) == 1
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["debits"] == {"USD": "40.00"}
    assert told["findings"] == [
        "no clearing account for Credit included_usage of openai, cost centre CC-care",
        "no clearing account for Usage usage of openai, cost centre CC-search",
        "no expense account for Credit included_usage of openai, cost centre CC-care",
        "no expense account for Usage usage of openai, cost centre CC-search",
    ]
    assert captured.err.startswith("no clearing account for Credit")
    with (Path(told["folder"]) / "journal.csv").open(encoding="utf-8") as file:
        assert [row["account"] for row in csv.DictReader(file)].count("unmapped") == 3

    charges.use("gl_accounts", [SEATS, USAGE])
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["findings"] == []
    assert again["folder"] != told["folder"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "unchanged"


def test_lines_keep_their_names_in_a_later_build_and_meet_their_schema(charges: ChargeBook) -> None:
    """An ERP that has posted a line knows it again; the schema lies beside the lines."""
    three_charges(charges)
    charges.use("gl_accounts", [USAGE])
    first = export_journal(charges.publish(build=3), "2026-06")
    later = export_journal(charges.publish(build=4), "2026-06")

    ids = [line["journal_line_id"] for line in first.lines]
    assert [line["journal_line_id"] for line in later.lines] == ids
    assert len(set(ids)) == len(ids)
    assert {line["journal_id"] for line in first.lines} != {line["journal_id"] for line in later.lines}
    folder = first.export.folder
    schema = json.loads((folder / "journal_line.schema.json").read_text("utf-8"))
    text = (folder / "journal.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(ids)
    for row in rows:
        told = {name: value or None for name, value in row.items()} | {"statement_lines": int(row["statement_lines"])}
        jsonschema.validate(told, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(told | {"misspelt": 1}, schema)


def test_unknown_costs_are_counted_and_not_posted(charges: ChargeBook) -> None:
    """Nothing is posted for what nobody knows."""
    charges.charge("search", "1")
    charges.charge("care", None)
    charges.use("gl_accounts", [USAGE])

    made = export_journal(charges.publish(), "2026-06")

    assert made.unknown_charges == 1
    assert {line["team"] for line in made.lines} == {"search", None}


def test_a_difference_is_named_and_refused() -> None:
    """By currency and entity, with its sign; what balances is not named."""
    line: Row = {"currency": "USD", "legal_entity": None, "debit": D("1.00"), "credit": D(0)}
    other: Row = {**line, "debit": D(0), "credit": D("0.99")}
    balanced: list[Row] = [{**line, "currency": "EUR"}, {**other, "currency": "EUR", "credit": D("1.00")}]

    with pytest.raises(JournalUnbalancedError, match=r"got a difference of USD: \+0\.01; no journal") as caught:
        refuse_unbalanced([line, other, *balanced])
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made here
    assert (again.differences, str(again)) == ({("USD", None): D("0.01")}, str(caught.value))


CHARGED = st.tuples(
    st.sampled_from(["search", "care"]),
    st.sampled_from(["USD", "JPY"]),
    st.sampled_from(["openai", None]),
    st.none() | st.integers(-10_000, 10_000).map(lambda cents: D(cents).scaleb(-2)),
)


@given(st.lists(CHARGED, max_size=20))
def test_every_journal_balances(told: list[tuple[str, str, str | None, Decimal | None]]) -> None:
    """Whatever was charged, mapped or not; and debits less credits of expense are what was charged."""
    lines: list[Row] = [
        {
            "team": team,
            "cost_center": team,
            "business_unit": "BU",
            "billing_currency": currency,
            "provider": provider,
            "source_id": "x",
            "obligation": provider,
            "charge_category": "Usage",
            "charge_kind": "usage",
            "effective_amount": amount,
        }
        for team, currency, provider, amount in told
    ]
    rules = AccountRules((), {"care": "gmbh"}, "none")

    entry = double_entry(lines, rules, journal_id="j", period="2026-06", posting_date=date(2026, 6, 30))
    made = entry.lines

    refuse_unbalanced(made)
    charged = sum((amount for *_, amount in told if amount), D())
    expense = [line for line in made if line["posting"] == "expense"]
    assert sum((line["debit"] - line["credit"] for line in expense), D()) == charged
    assert all((line["debit"] > 0) != (line["credit"] > 0) for line in made)
    assert bool(entry.findings) == any(amount for *_, amount in told)


def _accounts(number: str) -> Row:
    return {"expense": number, "clearing": f"{number}c"}
