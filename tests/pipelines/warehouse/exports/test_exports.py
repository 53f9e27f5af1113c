"""Every export of a real build, and that each ties to the charges."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tollbook.chargeback.journal import debits
from tollbook.exports.focus.columns import VERSIONS
from tollbook.exports.focus.export import export_focus
from tollbook.exports.journal import export_journal
from tollbook.exports.statements import export_statements

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

PERIODS = ("2026-06", "2026-07")
COSTS = {
    # A fee has no list price: FOCUS has its contracted cost there.
    "ListCost": "case when charge_kind = 'usage' then list_cost else coalesce(list_cost, contracted_cost) end",
    "ContractedCost": "contracted_cost",
    "EffectiveCost": "effective_cost",
    "BilledCost": "coalesce(billed_cost, contracted_cost)",
}


def charged(lake: LakeBuilder, period: str, sums: str, where: str = "true") -> tuple[Any, ...]:
    """Return sums over the charges of a period."""
    return lake.query(
        f"select {sums} from finance.fct_charges where billing_period_start = date '{period}-01' and {where}"
    )[0]


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("version", VERSIONS)
def test_focus_sums_to_the_charges_in_each_cost(real_book: LakeBuilder, period: str, version: str) -> None:
    """Every charge of known cost is in Cost and Usage, every other is listed; tokens and calls count once."""
    made = export_focus(real_book.settings, period, version)
    table = pq.read_table(made.export.folder / "cost_and_usage.parquet").to_pylist()
    known = " and ".join(f"({cost}) is not null" for cost in (*COSTS.values(), "effective_cost"))

    sums = charged(real_book, period, ", ".join(f"sum({cost})" for cost in COSTS.values()), known)
    assert tuple(sum(row[name] for row in table) for name in COSTS) == sums
    tokens = sum(row["ConsumedQuantity"] for row in table if row["ConsumedUnit"] == "Tokens")
    calls = sum(row["x_Calls"] for row in table)
    assert (tokens, calls) == charged(
        real_book, period, "sum(total_tokens)::decimal(38, 12), sum(calls)::bigint", known
    )
    (unknown,) = charged(real_book, period, "count(*)", f"not ({known})")
    assert made.unknown_charges == unknown


def test_the_real_book_has_what_focus_tells_apart(real_book: LakeBuilder) -> None:
    """Purchases and their use, credits, corrections' forms aside: the validators see each of them."""
    made = export_focus(real_book.settings, "2026-06", "1.4")
    rows = pq.read_table(made.export.folder / "cost_and_usage.parquet").to_pylist()

    assert {row["ChargeCategory"] for row in rows} >= {"Usage", "Purchase"}
    assert {row["ConsumedUnit"] for row in rows} == {"Tokens", "Requests", "Units", None}
    assert {row["x_SourceKind"] for row in rows} >= {
        "usage",
        "platform",
        "subscription",
        "fleet",
        "contract",
        "untagged",
    }
    assert any(row["ContractApplied"] for row in rows)
    assert any(row["InvoiceDetailId"] == "anthropic/I-1/seat" for row in rows)
    assert made.rows["contract_commitment"] == 3
    assert made.unknown_charges == 1


@pytest.mark.parametrize("period", PERIODS)
def test_statements_and_journal_sum_to_the_charges(real_book: LakeBuilder, period: str) -> None:
    """Exact costs of the lines sum to those of the charges; a team's postings sum to its statement."""
    statements = export_statements(real_book.settings, period)
    journal = export_journal(real_book.settings, period)

    (effective,) = charged(real_book, period, "sum(effective_cost)")
    assert sum(row["effective_cost"] for row in statements.totals if row["effective_cost"]) == effective
    posted: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in journal.lines:
        if line["posting"] == "expense":
            posted[line["team"]] += line["debit"] - line["credit"]
    told = {row["team"]: row["effective_amount"] for row in statements.totals if row["effective_amount"]}
    assert dict(posted) == told
    assert debits(journal.lines) == {"USD": sum(line["credit"] for line in journal.lines)}


@pytest.mark.parametrize("period", PERIODS)
def test_the_journal_that_is_asked_is_the_one_that_is_exported(real_book: LakeBuilder, period: str) -> None:
    """Line for line, mapped or not; what no rule matches has no account there, and says why."""
    exported = export_journal(real_book.settings, period).lines
    names = [name for name in exported[0] if name not in {"journal_id", "account", "unposted_reason"}]
    columns = ", ".join([*names, "account", "unposted_reason"])
    asked = real_book.query(f"select {columns} from finance.fct_journal where billing_period = '{period}'")

    assert {row[:-2] for row in asked} == {tuple(line[name] for name in names) for line in exported}
    assert len(asked) == len(exported)
    number = names.index("journal_line_id")
    accounts = {row[number]: row[-2:] for row in asked}
    assert {line["account"] for line in exported} == {"6815", "1590", "unmapped"}
    for line in exported:
        is_unmapped = line["account"] == "unmapped"
        told = (None, "no rule matches") if is_unmapped else (line["account"], None)
        assert accounts[line["journal_line_id"]] == told
    assert {row[0] for row in real_book.query("select distinct legal_entity from finance.fct_journal")} == {"inc", None}
