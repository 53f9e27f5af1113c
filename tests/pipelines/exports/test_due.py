"""Exports that are due: there, awaited, late."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb
import pytest

from tollbook.cli import main
from tollbook.errors import ExportLateError, MisuseError
from tollbook.exports.due import awaited, due_day, named_period, refuse_late
from tollbook.exports.statements import export_statements

if TYPE_CHECKING:
    from tests.pipelines.exports.conftest import ChargeBook

FIFTH = date(2026, 7, 5)
BEFORE, AFTER = (datetime(2026, 7, day, tzinfo=UTC) for day in (4, 5))


def test_what_is_there_is_done_and_the_rest_is_late_once_its_day_begins(charges: ChargeBook) -> None:
    """Statements are written, the journal is not: awaited on the fourth, late when the fifth begins."""
    charges.charge("search", "1")
    settings = charges.publish()
    export_statements(settings, "2026-06")

    for now, state in ((BEFORE, "due"), (AFTER, "late")):
        told = awaited(settings, "2026-06", FIFTH, ("statements", "journal"), now)
        assert [(each.what, each.state, each.versions) for each in told] == [
            ("statements", "done", ("build-3",)),
            ("journal", state, ()),
        ]
    refuse_late("2026-06", awaited(settings, "2026-06", FIFTH, (), BEFORE))
    with pytest.raises(ExportLateError, match="expected journal, focus of 2026-06 before 2026-07-05 began, found none"):
        refuse_late("2026-06", told + awaited(settings, "2026-06", FIFTH, ("focus",), AFTER))


def test_what_a_killed_export_left_is_not_there(charges: ChargeBook) -> None:
    """Its folder has another name until all of it is written."""
    half = charges.settings.exports / "journal" / "2026-06" / ".new-build-3"
    half.mkdir(parents=True)
    (half / "manifest.json").write_text("{}", encoding="utf-8")

    (journal,) = awaited(charges.settings, "2026-06", FIFTH, ("journal",), AFTER)
    assert (journal.state, journal.versions) == ("late", ())


def test_a_period_is_awaited_to_be_closed(charges: ChargeBook) -> None:
    """Nothing published, then open, then closed."""
    assert [each.state for each in awaited(charges.settings, "2026-06", FIFTH, ("close",), AFTER)] == ["late"]
    charges.charge("search", "1")
    published = charges.publish().serve / "tollbook.duckdb"
    assert [each.state for each in awaited(charges.settings, "2026-06", FIFTH, ("close",), BEFORE)] == ["due"]
    with duckdb.connect(published) as file:
        file.execute(
            "update finance.dim_billing_periods set period_state = 'closed', close_number = 4 "
            "where billing_period_start = date '2026-06-01'"
        )
    (close,) = awaited(charges.settings, "2026-06", FIFTH, ("close",), AFTER)
    assert (close.state, close.versions) == ("done", ("close-4",))


def test_days_and_periods_are_named_as_timers_need_them(charges: ChargeBook) -> None:
    """Five days after June is 6 July; the last period is that of the billing calendar, not of UTC."""
    assert due_day("2026-06", "5") == date(2026, 7, 6)
    assert due_day("2026-06", "2026-07-10") == date(2026, 7, 10)
    newest = datetime(2026, 7, 1, 3, tzinfo=UTC)
    assert named_period(charges.settings, "last", newest) == "2026-06"
    assert named_period(charges.settings, "2026-02", newest) == "2026-02"
    charges.settings.reference.mkdir(parents=True)
    charges.settings.billing_calendar.write_text(
        "billing_calendar: 1\ntime_zone: America/New_York\nauthor: a\nreason: r\n", encoding="utf-8"
    )
    # In New York it is still June.
    assert named_period(charges.settings, "last", newest) == "2026-05"


@pytest.mark.parametrize("due", ["soon", "2026-13-01", "-1"])
def test_what_is_no_day_is_misuse(due: str) -> None:
    """It says what a day looks like."""
    with pytest.raises(MisuseError, match="expected a day such as 2026-09-05"):
        due_day("2026-06", due)


def test_what_nobody_exports_is_misuse(charges: ChargeBook) -> None:
    """It says what there is."""
    with pytest.raises(MisuseError, match="expected one of statements, journal, focus, close, got 'invoices'"):
        awaited(charges.settings, "2026-06", FIFTH, ("invoices",), AFTER)


def test_the_command_exits_1_when_one_is_late(charges: ChargeBook, capsys: pytest.CaptureFixture[str]) -> None:
    """A timer's OnFailure, or an alert on a failed job, picks it up."""
    charges.charge("search", "1")
    command = ["export", "status", "--period", "2026-06", "--home", str(charges.publish().home), "--json", "--due"]

    assert main([*command, "9999-01-01"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["state"] for each in told["awaited"]} == {"due"}
    assert main([*command, "3"]) == 1
    late = capsys.readouterr()
    assert {each["state"] for each in json.loads(late.out)["awaited"]} == {"late"}
    assert "expected statements, journal, focus of 2026-06 before 2026-07-04 began, found none" in late.err


def test_the_error_survives_pickling() -> None:
    """With its facts."""
    told = pickle.loads(pickle.dumps(ExportLateError("late", "2026-06")))  # noqa: S301 - our own error
    assert (str(told), told.period) == ("late", "2026-06")
