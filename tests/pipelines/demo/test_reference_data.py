"""The demo organisation's reference files can be put into use as they are, however long and large it is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tollbook.demo.reference_data import reference_documents
from tollbook.reference.dated.use import ReferenceBook, read_reference
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.simulate.organisation import FEWEST_TEAMS, TEAMS
from tollbook.simulate.simulation import Plan


def in_use(home: Path, plan: Plan) -> ReferenceBook:
    """Put the files of a plan's organisation into use and return what they say together."""
    settings = Settings(home=home)
    teams = TEAMS[: plan.team_count]
    for corrected in (False, True, True):  # a demo is run again in its home
        documents = reference_documents(teams, plan.month_starts, plan.end, corrected=corrected)
        for kind, text in documents.items():
            path = home / f"{kind}.yml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            load_file(path, settings, now=datetime(2026, 11, 1, tzinfo=UTC))
    return read_reference(settings.reference)


@pytest.mark.parametrize(
    ("months", "teams", "start"),
    [(1, FEWEST_TEAMS, date(2026, 8, 1)), (3, 8, date(2026, 8, 1)), (14, 5, date(2024, 2, 28))],
)
def test_files_are_sound_together_and_again(tmp_path: Path, months: int, teams: int, start: date) -> None:
    """Every name that one of them has is one that another defines."""
    book = in_use(tmp_path, Plan(events=1, seed=1, start=start, months=months, team_count=teams))
    assert list(book.faults()) == []
    assert len(book.known("vendor_invoices")) == months - 1
    assert len(book.known("budgets")) == teams


def test_what_the_three_months_of_the_demo_hold(tmp_path: Path) -> None:
    """A cost centre changes in October; six seats come on 16 September, so September is 15 days of each number.

    Seats at 30: August 40, 1,200. September 40 and 46 for 15 of 30 days each, 1,290. October is not invoiced.
    """
    book = in_use(tmp_path, Plan(events=1, seed=1))
    moved = [entry for entry in book.known("hierarchy") if entry.body["name"] == "platform-engineering"]
    assert [(entry.body["parent"], str(entry.valid_from)) for entry in moved] == [
        ("CC-1100", "2020-01-01"),
        ("CC-1150", "2026-10-01"),
    ]
    gateway = [entry for entry in book.known("shared_platforms") if entry.body["platform_id"] == "gateway"]
    assert [entry.body["costs"][0]["amount"] for entry in gateway] == ["212.00"]
    net = [Decimal(entry.body["lines"][0]["amount"]) for entry in book.known("vendor_invoices")]
    assert net == [Decimal(1200), Decimal(1290)]
