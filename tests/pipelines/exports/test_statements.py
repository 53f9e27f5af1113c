"""Statements of a small published file, with amounts worked by hand."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tollbook.cli import main
from tollbook.contracts import contract
from tollbook.errors import ExportChangedError, MisuseError, NothingPublishedError, OutdatedPublicationError
from tollbook.exports import rendering
from tollbook.exports.statements import export_statements
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tests.pipelines.exports.conftest import ChargeBook

D = Decimal


def of_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def shown(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return columns of rows."""
    return [tuple(row[name] for name in names) for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_lines_sum_to_teams_and_teams_to_the_whole(charges: ChargeBook) -> None:
    """Search 0.004 + 0.004 + 0.004, care 0.006 + 0.007: 0.012 + 0.013 is 0.025, and 0.02 by half-even.

    Both teams have a whole cent, which is all. In search the first of equals gets it, in care the larger.
    """
    for workflow in ("a", "b", "c"):
        charges.charge("search", "0.004", workflow=workflow)
    charges.charge("care", "0.006", workflow="a")
    charges.charge("care", "0.007", workflow="b")

    made = export_statements(charges.publish(), "2026-06")

    names = ("team", "effective_cost", "effective_amount")
    assert shown(made.totals, *names) == [("care", D("0.013"), D("0.01")), ("search", D("0.012"), D("0.01"))]
    assert shown(made.period.lines, "team", "workflow", "effective_amount") == [
        ("care", "a", D("0.00")),
        ("care", "b", D("0.01")),
        ("search", "a", D("0.01")),
        ("search", "b", D("0.00")),
        ("search", "c", D("0.00")),
    ]
    (care, _) = of_csv(made.export.folder / "summary.csv")
    assert (care["effective_cost"], care["effective_amount"]) == ("0.013000000000", "0.01")


def test_lines_are_told_apart_by_what_was_charged(charges: ChargeBook) -> None:
    """One workflow, model and price in one line; a correction, another model and another currency by themselves."""
    charges.charge("search", "1.5", sku_price_id="p1", billed_cost=D("1.25"))
    charges.charge("search", "2.5", sku_price_id="p1", billed_cost=D("2.25"))
    charges.charge("search", "-1", sku_price_id="p1", charge_class="Correction")
    charges.charge("search", "3", model="gpt-5-mini")
    charges.charge("search", "150.5", billing_currency="JPY")

    made = export_statements(charges.publish(), "2026-06")

    names = (
        "billing_currency",
        "model",
        "charge_class",
        "calls",
        "effective_cost",
        "effective_amount",
        "billed_amount",
    )
    assert shown(made.period.lines, *names) == [
        # 150.5 yen are 150: there are no parts of a yen, and a half goes to the even one.
        ("JPY", "gpt-5", None, 1, D("150.5"), D(150), None),
        ("USD", "gpt-5", None, 2, D(4), D("4.00"), D("3.50")),
        ("USD", "gpt-5", "Correction", 1, D(-1), D("-1.00"), None),
        ("USD", "gpt-5-mini", None, 1, D(3), D("3.00"), None),
    ]
    assert shown(made.totals, "billing_currency", "statement_lines", "effective_amount", "unknown_billed_costs") == [
        ("JPY", 1, D(150), 1),
        ("USD", 3, D("6.00"), 2),
    ]


def test_each_workflow_of_a_team_has_a_statement_that_sums_to_the_team(charges: ChargeBook) -> None:
    """Search: 0.004 and 0.007 are 0.011, a cent, and the larger workflow has it; care has one of the same name."""
    charges.charge("search", "0.004", workflow="a")
    charges.charge("search", "0.007", workflow="b")
    charges.charge("care", "2", workflow="a")

    made = export_statements(charges.publish(), "2026-06")

    assert shown(made.workflow_totals, "team", "workflow", "effective_cost", "effective_amount") == [
        ("care", "a", D(2), D("2.00")),
        ("search", "a", D("0.004"), D("0.00")),
        ("search", "b", D("0.007"), D("0.01")),
    ]
    for total in made.workflow_totals:
        (row,) = of_csv(made.export.folder / f"{total['statement']}.csv")
        assert (row["team"], row["workflow"]) == (total["team"], total["workflow"])
    assert of_csv(made.export.folder / "workflows.csv")[2]["effective_amount"] == "0.01"


def test_many_statements_are_the_same_bytes_whoever_makes_them(
    charges: ChargeBook, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Processes beside each other, and one alone."""
    for number in range(40):
        charges.charge(f"team-{number % 8}", "0.01", workflow=f"w{number}")
    alone = contents(export_statements(charges.publish(), "2026-06").export.folder)
    charges.settings = Settings(home=tmp_path_factory.mktemp("shared"))
    monkeypatch.setattr(rendering, "_ALONE", 1)
    monkeypatch.setattr(rendering, "_BATCH", 10)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)

    assert contents(export_statements(charges.publish(), "2026-06").export.folder) == alone


def test_unknown_costs_stay_empty_and_are_counted(charges: ChargeBook) -> None:
    """Two charges of care are unpriced: nothing is known of one line, and half of the other."""
    charges.charge("care", None, workflow="a", unpriced_calls=4, calls=4)
    charges.charge("care", None, workflow="b")
    charges.charge("care", "2", workflow="b")

    made = export_statements(charges.publish(), "2026-06")

    (team,) = made.export.folder.glob("teams/care-*.csv")
    names = ("effective_cost", "effective_amount", "unknown_effective_costs", "unpriced_calls")
    assert shown(of_csv(team), *names) == [("", "", "1", "4"), ("2.000000000000", "2.00", "1", "1")]
    assert shown(made.totals, *names) == [(D(2), D("2.00"), 2, 5)]
    assert made.as_dict()["unknown_effective_costs"] == 2


def test_parquet_has_the_rows_of_csv_in_the_contract_s_types(charges: ChargeBook) -> None:
    """Every digit of a pico-dollar is in both."""
    charges.charge("search", "0.000000000001")

    made = export_statements(charges.publish(), "2026-06")

    for name, shape in (("summary", "statement_total"), ("teams/search-*", "statement_line")):
        (parquet,) = made.export.folder.glob(f"{name}.parquet")
        table = pq.read_table(parquet)
        assert table.schema.equals(contract(shape).arrow_schema)
        (row,) = of_csv(parquet.with_suffix(".csv"))
        assert row["list_cost"] == "0.000000000001"
        assert table["list_cost"].to_pylist() == [D("0.000000000001")]
        assert list(row) == table.column_names


def test_a_second_run_writes_nothing_and_another_home_has_the_same_bytes(
    charges: ChargeBook, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same period and build are the same files, workbooks and manifest included."""
    charges.charge("search", "1")
    charges.charge("care", "2")
    first = export_statements(charges.publish(), "2026-06")
    before = contents(first.export.folder)
    changed = {path: path.stat().st_mtime_ns for path in first.export.folder.rglob("*")}

    second = export_statements(charges.settings, "2026-06")
    charges.settings = Settings(home=tmp_path_factory.mktemp("other"))
    charges.rows.reverse()
    other = export_statements(charges.publish(), "2026-06")

    assert (first.export.written, second.export.written, other.export.written) == (True, False, True)
    assert first.export.digest == second.export.digest == other.export.digest
    assert {path: path.stat().st_mtime_ns for path in first.export.folder.rglob("*")} == changed
    assert contents(other.export.folder) == before
    # Two summaries, two teams and their two workflows in five formats, and the manifest.
    assert len(before) == 6 * 5 + 1


def test_the_manifest_names_every_file_and_the_build(charges: ChargeBook) -> None:
    """Who receives the files can check them, and knows what they were made of."""
    charges.charge("search", "1")
    folder = export_statements(charges.publish(build=7), "2026-06").export.folder
    files = contents(folder)
    manifest = json.loads(files.pop("manifest.json"))

    assert folder == charges.settings.exports / "statements" / "2026-06" / "build-7"
    assert {name: told["sha256"] for name, told in manifest["files"].items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    assert (manifest["billing_period"], manifest["version"]) == ("2026-06", "build-7")
    assert (manifest["build_number"], manifest["built_commit"]) == (7, 42)
    assert manifest["built_at"] == "2026-07-02T06:30:00+00:00"


def test_an_export_that_was_altered_is_named_and_stays(charges: ChargeBook) -> None:
    """Nobody's edit passes for a statement, and nothing is overwritten."""
    charges.charge("search", "1")
    folder = export_statements(charges.publish(), "2026-06").export.folder
    (folder / "summary.csv").write_text("mine\n", encoding="utf-8")

    with pytest.raises(ExportChangedError, match=r"expected .*summary\.csv as it was exported"):
        export_statements(charges.settings, "2026-06")
    assert (folder / "summary.csv").read_text(encoding="utf-8") == "mine\n"


def test_other_charges_under_the_same_build_are_refused(charges: ChargeBook) -> None:
    """A build number that came twice, as of a home made anew, never replaces what was handed out."""
    charges.charge("search", "1")
    export_statements(charges.publish(), "2026-06")
    charges.charge("search", "2")

    with pytest.raises(ExportChangedError, match=r"expected .*build-3 to hold what would be exported now"):
        export_statements(charges.publish(), "2026-06")


def test_what_a_killed_export_left_is_swept(charges: ChargeBook) -> None:
    """The folder is there whole or not at all."""
    charges.charge("search", "1")
    leftover = charges.settings.exports / "statements" / "2026-06" / ".new-build-3"
    leftover.mkdir(parents=True)
    (leftover / "half.csv").write_bytes(b"x")

    made = export_statements(charges.publish(), "2026-06")

    assert not leftover.exists()
    assert "half.csv" not in contents(made.export.folder)


def test_teams_whose_names_lead_elsewhere_stay_below_the_folder(charges: ChargeBook) -> None:
    """Teams are named by events: no file lies outside, and no two share one."""
    teams = ["../../../evil", "/etc/passwd", "Search", "search", "..", "a\nb", "=1+1"]
    for team in teams:
        charges.charge(team, "1")

    made = export_statements(charges.publish(), "2026-06")

    assert len({row["statement"] for row in made.totals}) == len(teams)
    assert len(list((made.export.folder / "teams").iterdir())) == 5 * len(teams)
    inside = [made.export.folder / name for name in ("teams", "workflows")]
    evil = charges.settings.home.rglob("*evil*")
    outside = [path for path in evil if not any(path.is_relative_to(folder) for folder in inside)]
    assert outside == []
    assert "'=1+1" in {row["team"] for row in of_csv(made.export.folder / "summary.csv")}


@pytest.mark.parametrize("period", ["2026-13", "2026-6", "june", "../2026-06", "2026-06\n"])
def test_what_is_no_period_is_refused(charges: ChargeBook, period: str) -> None:
    """A period names a folder too."""
    with pytest.raises(MisuseError, match="expected a billing period such as 2026-08"):
        export_statements(charges.settings, period)


def test_an_unknown_period_is_told_which_there_are(charges: ChargeBook, capsys: pytest.CaptureFixture[str]) -> None:
    """Misuse, and nothing is written."""
    charges.charge("search", "1")
    charges.charge("search", "1", billing_period_start=date(2026, 7, 1))
    home = str(charges.publish().home)

    assert main(["export", "statements", "--period", "2026-05", "--home", home]) == 2
    assert (
        "expected a billing period with charges (published: 2026-06, 2026-07), got 2026-05" in capsys.readouterr().err
    )
    assert not charges.settings.exports.exists()


def test_nothing_published_says_what_to_run(charges: ChargeBook) -> None:
    """A new home has no build."""
    with pytest.raises(NothingPublishedError, match="tollbook warehouse build"):
        export_statements(charges.settings, "2026-06")


def test_a_file_of_an_older_version_is_to_be_built_again(charges: ChargeBook) -> None:
    """One that has no charges yet, and one whose charges lack a column."""
    charges.charge("search", "1")
    published = charges.publish().serve / "tollbook.duckdb"
    for drop in ("alter table finance.fct_charges drop column obligation", "drop table finance.fct_charges"):
        with duckdb.connect(published) as file:
            file.execute(drop)
        with pytest.raises(OutdatedPublicationError, match="older version: run `tollbook warehouse build`"):
            export_statements(charges.settings, "2026-06")


def test_the_command_says_what_it_wrote_and_what_is_unknown(
    charges: ChargeBook, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON on stdout, what is left out on stderr; an unknown cost is no failure of the export."""
    charges.charge("search", "1")
    charges.charge("care", None)
    command = ["export", "statements", "--period", "2026-06", "--home", str(charges.publish().home), "--json"]

    assert main(command) == 0
    first = capsys.readouterr()
    assert main(command) == 0
    second = json.loads(capsys.readouterr().out)

    told = json.loads(first.out)
    assert (told["state"], second["state"]) == ("written", "unchanged")
    assert (told["teams"], told["lines"], told["files"], told["digest"]) == (2, 2, 30, second["digest"])
    assert first.err == "charges of unknown effective cost, left out of every amount: 1\n"


def test_a_closed_period_has_one_version_whatever_is_built_after_its_close(charges: ChargeBook) -> None:
    """What finance signed is not written anew by the next night's build."""
    charges.charge("search", "1.005")
    published = charges.publish().serve / "tollbook.duckdb"
    with duckdb.connect(published) as book:
        book.execute(
            "update finance.dim_billing_periods set period_state = 'closed', close_number = 4 "
            "where billing_period_start = date '2026-06-01'"
        )
    first = export_statements(charges.settings, "2026-06")
    with duckdb.connect(published) as book:
        book.execute("update audit.publication set build_number = build_number + 1")
    second = export_statements(charges.settings, "2026-06")
    assert first.export.folder.name == "close-4"
    assert (first.export.written, second.export.written) == (True, False)
    assert second.export.digest == first.export.digest
