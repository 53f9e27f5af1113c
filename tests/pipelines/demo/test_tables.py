"""The tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollbook.demo.tables import chargeback_by_team, chargeback_by_workflow, months
from tollbook.report.facts import read_facts

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book


def test_chargeback_by_team_has_a_column_for_each_month_and_a_last_line_of_all(two_months: Book) -> None:
    """Numbers stand under each other; a month without usage is a dash, not a zero."""
    assert chargeback_by_team(read_facts(two_months.publish())).splitlines() == [
        "Chargeback by team, list cost in USD",
        "──────────────────────────────────────────────────────────────────────────────",
        "team    cost centre  2026-08  2026-09  total  calls     tokens  unpriced calls",
        "──────────────────────────────────────────────────────────────────────────────",
        "search  cc-10           1.00     6.00   7.00      6  7,000,000               2",
        "legal   cc-10           3.00        -   3.00      1  1,500,000               -",
        "──────────────────────────────────────────────────────────────────────────────",
        "all                     4.00     6.00  10.00      7  8,500,000               2",
    ]


def test_chargeback_by_workflow_names_the_workflow_first(two_months: Book) -> None:
    """A workflow that changed hands stands once for each owner."""
    two_months.use("2026-09-30", "0.004", team="legal", workflow="answers")
    lines = chargeback_by_workflow(read_facts(two_months.publish())).splitlines()

    assert lines[2].split()[:2] == ["workflow", "team"]
    assert [line.split()[:2] for line in lines[4:7]] == [
        ["answers", "search"],
        ["review", "legal"],
        ["answers", "legal"],
    ]
    assert lines[6].split()[2:5] == ["-", "<0.01", "<0.01"]


def test_months_show_price_use_and_bill_beside_each_other(two_months: Book) -> None:
    """The story of the demo in two lines."""
    lines = months(read_facts(two_months.publish())).splitlines()

    assert [line.split() for line in lines[4:]] == [
        ["2026-08", "4.00", "2.00", "1,000,000", "2.00", "2", "2,000,000"],
        ["2026-09", "6.00", "1.00", "6,500,000", "6.00", "5", "6,500,000"],
    ]
