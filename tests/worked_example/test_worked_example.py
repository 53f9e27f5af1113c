"""An organisation of three business units, twelve teams and forty workflows, closed four times, against sums by hand.

`documents/` has what it loads, month by month, `events.csv` its calls, `organisation.py` its figures by hand and the
three modules beside it the arithmetic, none of which knows the product. `statements.csv` is what its teams are charged.
"""

from __future__ import annotations

import ast
import csv
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.worked_example.by_hand import cents, origins, roll_forward, statement
from tests.worked_example.organisation import MONTHS, WORKFLOWS, events
from tests.worked_example.posted_by_hand import POSTED

from tollbook.closing.overview import period_overview

if TYPE_CHECKING:
    from tests.worked_example.conftest import WorkedBook

NAMES = {6: "june", 7: "july", 8: "august", 9: "september"}
PERIODS = [f"2026-{month:02d}" for month in MONTHS]

KINDS = {
    "unpriced_estimate": "estimate",
    "subscription_overage": "overage",
    "subscription_fee": "codebot",
    "fleet_used": "rack",
    "fleet_idle": "rack",
    "fleet_internal_rate": "rack_internal_rate",
    "reconciliation_residual": "residual",
}


def decimals(pico: dict[str, int]) -> dict[str, Decimal]:
    """Return picos as dollars."""
    return {name: Decimal(amount).scaleb(-12) for name, amount in pico.items()}


def written() -> dict[str, dict[str, Decimal]]:
    """Return `statements.csv`: amounts by team and month."""
    with Path(__file__).with_name("statements.csv").open(encoding="utf-8") as file:
        return {row["team"]: {name: Decimal(row[name]) for name in NAMES.values()} for row in csv.DictReader(file)}


@pytest.mark.parametrize("month", MONTHS)
def test_every_team_is_charged_what_was_worked_out_by_hand(book: WorkedBook, month: int) -> None:
    """To the last millionth of a millionth of a dollar, corrections of months before among it."""
    charged = {team: cost for (period, team), cost in book.by_team().items() if period == f"2026-{month:02d}"}
    assert charged == decimals(statement(month, lambda who: who[0]))


@pytest.mark.parametrize("month", MONTHS)
def test_every_cost_centre_is_charged_what_was_worked_out_by_hand(book: WorkedBook, month: int) -> None:
    """Maps moves in the middle of June; that People moved in July is told in August, and moves July's charges then."""
    held = book.by_team("cost_center").items()
    charged = {center: cost for (period, center), cost in held if period == f"2026-{month:02d}"}
    assert charged == decimals(statement(month, lambda who: who[1]))


@pytest.mark.parametrize("month", MONTHS)
def test_statements_are_those_of_the_table_to_the_cent(book: WorkedBook, month: int) -> None:
    """As they were exported when the month was closed; teams sum to the whole, and the table is the sums by hand."""
    table = {team: amounts[NAMES[month]] for team, amounts in written().items()}
    whole = table.pop("whole")
    exported = book.statements[f"2026-{month:02d}"].totals
    assert {row["team"]: row["effective_amount"] for row in exported} == table
    assert sum(table.values()) == whole
    assert {team: Decimal(units) / 100 for team, units in cents(statement(month, lambda who: who[0])).items()} == table


@pytest.mark.parametrize("place", range(len(MONTHS)))
def test_each_mechanism_posts_what_its_document_says(book: WorkedBook, place: int) -> None:
    """By what made a charge, before and after it was allocated, corrections where they are posted."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for kind, source, cost in book.rows(
        "select charge_kind, source_id, sum(effective_cost) from finance.fct_charges "
        f"where strftime(billing_period_start, '%Y-%m') = '{PERIODS[place]}' group by all order by all"
    ):
        named = source if kind == "platform_cost" or source == "maps-suite" else KINDS.get(kind, kind)
        sums["seats" if named == "subscription_seats" else named] += cost or 0
    by_hand = {name: Decimal(amounts[place]) for name, amounts in POSTED.items() if Decimal(amounts[place])}
    moved = {"adjustment", "fleet_purchase"}
    assert {name: cost for name, cost in sums.items() if cost and name not in moved} == by_hand
    assert {name: cost for name, cost in decimals(origins(MONTHS[place])).items() if cost} == by_hand


def test_one_statement_line_by_line(book: WorkedBook) -> None:
    """Legal in June: 133.19, by what its lines are made of."""
    lines = dict(
        book.rows(
            "select case when charge_kind = 'platform_cost' then source_id else charge_kind end, sum(effective_cost) "
            "from finance.fct_charges where team = 'legal' and month(billing_period_start) = 6 group by all"
        )
    )
    units = {row["workflow"]: int(row["units"]) for row in june_of_legal()}
    atlas, sonata, brise = units["legal-review"], units["legal-draft"], units["legal-search"]
    by_cost = atlas * Fraction("3.50") / 238
    by_hand = {
        "usage": atlas * Fraction("3.50") + sonata * 6 + brise * 2,
        # By cost: its part of 12 promised and not spent, of the tenth that the credit saved, and of the odd cent.
        "commitment_shortfall": 12 * by_cost,
        "prepaid_drawdown": Fraction("-23.80") * by_cost,
        "prepaid_purchase": Fraction(0),
        "reconciliation_residual": Fraction("0.01") * by_cost,
        # 3 of 40 calls that have an owner, of 400 and of a fifth of 220.
        "vector-store": Fraction(400 * 3, 40),
        "gateway": Fraction(44 * 3, 40),
        # Eight teams with three calls weigh 3, four with four weigh 3.5: 38.
        "evals": Fraction(120 * 3, 38),
        # 2 of 4 seats of 60, 3 of 6 of 90.
        "subscription_seats": Fraction(60 * 2, 4) + Fraction(90 * 3, 6),
        # What Assist covers is taken off; what goes beyond is 25.60, of which it bears its part by cost.
        "included_usage": Fraction(-sonata * 6),
        "subscription_overage": Fraction("25.60") * sonata / 12,
        # The unit that was Finance's.
        "adjustment": Fraction("-3.50"),
    }
    assert lines.keys() == by_hand.keys()
    # A few parts, each rounded to a pico.
    assert all(abs(Fraction(lines[kind]) - amount) < Fraction(10, 10**12) for kind, amount in by_hand.items())


def june_of_legal() -> list[dict[str, str]]:
    """Return Legal's calls of June as `events.csv` has them."""
    with Path(__file__).with_name("events.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["delivery"] == "june" and row["department"] == "legal"]


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_the_roll_forward_is_the_one_by_hand(book: WorkedBook, currency: str) -> None:
    """Billed, balances and what is posted in each month; a late invoice is booked in the month that was open then."""
    columns = (
        "billed_cost, opening_prepayments, closing_prepayments, opening_accruals, closing_accruals, effective_cost"
    )
    rows = book.rows(
        f"select {columns} from finance.fct_roll_forward where billing_currency = '{currency}' "
        "and billing_period_start < '2026-10-01' order by billing_period_start"
    )
    by_hand = [roll_forward()[month, currency] for month in MONTHS]
    told = [
        (
            *(each.billed, each.opening_prepayments, each.closing_prepayments),
            *(each.opening_accruals, each.closing_accruals, each.effective),
        )
        for each in by_hand
    ]
    assert rows == [tuple(Decimal(pico).scaleb(-12) for pico in row) for row in told]
    assert book.rows("select * from finance.fct_roll_forward where difference <> 0") == []


def test_what_is_left_when_the_contract_has_ended_is_what_is_not_invoiced(book: WorkedBook) -> None:
    """By obligation: the year of maps and the rack are paid, September's usage and mistral's are not invoiced."""
    rows = book.rows(
        "select obligation, closing_prepayment, closing_accrual from finance.fct_accruals "
        "where billing_period_start = '2026-09-01' and closing_prepayment + closing_accrual <> 0 order by all"
    )
    assert rows == [
        # 3650 - 122 days of 10.
        ("fleet rack", Decimal(2430), Decimal(0)),
        ("platform vector-store", Decimal(0), Decimal(400)),
        # 180 and 1.20.
        ("subscription assist", Decimal(0), Decimal("181.20")),
        # 365 - 122.
        ("subscription maps-suite", Decimal(243), Decimal(0)),
        # 30 x 5.50.
        ("usage anthropic", Decimal(0), Decimal(165)),
        # 58 - 12, 76 - 12 and 6 of brume, 58 - 12, 76 - 12.
        ("usage mistral", Decimal(0), Decimal(46 + 70 + 46 + 64)),
        # 250 - 206.50 of September's promise.
        ("usage openai", Decimal(0), Decimal("43.50")),
    ]


def test_no_closed_line_has_changed_and_building_again_changes_nothing(book: WorkedBook) -> None:
    """Lines of a month are those that were there when it was closed, and corrections of it lie in later months."""
    for period, at_close in book.lines_at_close.items():
        assert book.charge_lines(period) == at_close
    corrections = book.rows(
        "select distinct strftime(corrects_period_start, '%m'), strftime(billing_period_start, '%m') "
        "from finance.fct_charges where charge_class = 'Correction' and billing_period_start < '2026-10-01' "
        "order by all"
    )
    assert corrections == [("06", "07"), ("07", "08"), ("07", "09"), ("08", "09")]


def test_a_restated_price_takes_back_each_closed_line_and_charges_it_anew(book: WorkedBook) -> None:
    """July's sonata at 5.50 for 6: what is taken back names the closed line, and both stand in August."""
    rows = book.rows(
        """
        select
            corrections.workflow,
            sum(closed.effective_cost),
            sum(corrections.effective_cost) filter (where closed.charge_id is not null),
            sum(corrections.effective_cost) filter (where closed.charge_id is null)
        from finance.fct_charges as corrections
        left join finance.fct_charges as closed
            on corrections.corrects_charge_id = closed.charge_id and month(closed.billing_period_start) = 7
        where corrections.charge_kind = 'usage' and corrections.model = 'sonata'
            and corrections.charge_class = 'Correction' and month(corrections.billing_period_start) = 8
        group by all
        order by all
        """
    )
    by_hand = {each.workflow: each.units for each in events() if each.model == "sonata" and each.day.month == 7}
    assert rows == [
        (workflow, Decimal(units * 6), Decimal(units * -6), units * Decimal("5.5"))
        for workflow, units in sorted(by_hand.items())
    ]


def test_the_bridge_tells_a_lower_price_from_what_was_corrected_and_what_came_late(book: WorkedBook) -> None:
    """Of search-eval's August: 2 units of sonata at 5.50 for 6 are -1; July's 5 units anew -2.50, and 7 of a dispute.

    No call tells a task, so each stands for one. One of June's that came after the close is charged in July, and is
    none of June's tasks.
    """
    effects = book.rows(
        """
        select effect, effect_cost from insight.fct_price_volume_mix
        where workflow = 'search-eval' and effect <> 'period_charge'
            and month(from_period_start) = 6 and month(to_period_start) = 8
        order by effect
        """
    )
    assert effects == [("correction", Decimal("4.5")), ("price", Decimal(-1))]
    of_june = "select sum(tasks), sum(calls), sum(calls_without_task) from insight.fct_cost_drivers"
    ((tasks, calls, without),) = book.rows(f"{of_june} where month(billing_period_start) = 6")
    assert (tasks, without) == (0, calls)


def test_margins_hold_every_charge_once(book: WorkedBook) -> None:
    """Usage of a closed month stands there by what is known now, so a correction of it in the next one is in no row.

    Over all months it comes to what was charged, to the last digit.
    """
    ((held,),) = book.rows("select sum(ai_cost) from insight.fct_margins")
    ((charged,),) = book.rows("select sum(effective_cost) from finance.fct_charges")
    ((corrected,),) = book.rows(
        "select count(*) from finance.fct_charges where charge_kind = 'usage' and charge_class = 'Correction'"
    )
    assert (held, corrected > 0) == (charged, True)


def test_disputes_stop_a_close_until_another_has_decided_them(book: WorkedBook) -> None:
    """Two were open when ana would have closed June, and she is none of those who decide."""
    refused = book.refusals["close of June with open disputes"]
    assert "dispute 1 of legal is open: one unit was finance's" in refused
    assert "dispute 2 of mobile is open: we do not use it" in refused
    assert "expected one of the approvers of the closing policy (ben)" in book.refusals["decision of ana's"]
    moved = book.rows(
        "select team, effective_cost, strftime(corrects_period_start, '%m') from finance.fct_charges "
        "where charge_kind = 'adjustment' order by billing_period_start, effective_cost"
    )
    assert moved == [
        ("legal", Decimal("-3.5"), None),
        ("finance", Decimal("3.5"), None),
        ("data", Decimal(-7), "07"),
        ("search", Decimal(7), "07"),
    ]


def test_every_month_was_closed_by_two_people(book: WorkedBook) -> None:
    """And October is open."""
    held = {each.period: (each.state, each.proposed_by, each.closed_by) for each in period_overview(book.settings)}
    assert {period: held[period] for period in PERIODS} == dict.fromkeys(PERIODS, ("closed", "ana", "ben"))


def test_the_organisation_is_as_large_as_it_says(book: WorkedBook) -> None:
    """Forty workflows of twelve teams in three business units, each charged in every month."""
    assert (len(WORKFLOWS), sum(len(held) for held in WORKFLOWS.values())) == (12, 40)
    counted = book.rows(
        "select count(distinct team), count(distinct business_unit), count(distinct workflow) from finance.fct_charges "
        "where team <> 'unallocated' and workflow <> 'unallocated' and billing_period_start < '2026-10-01' "
        "group by billing_period_start"
    )
    assert counted == [(12, 3, 40)] * 4


def test_the_sums_by_hand_know_nothing_of_the_product() -> None:
    """What is compared with the product may not come from it."""
    by_hand = [*Path(__file__).parent.glob("*by_hand.py"), Path(__file__).with_name("organisation.py")]
    assert len(by_hand) == 5
    for module in by_hand:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "tollbook"]
