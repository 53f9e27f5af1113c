"""What was known when: entries are superseded or withdrawn, and any past state can be had again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.errors import CorruptManifestError, MisuseError, ReferenceDataError
from tollbook.reference.dated.kinds import KINDS
from tollbook.reference.dated.recorded import (
    newest_reference,
    record_reference,
    recorded_references,
    reference_as_of,
    restore_reference,
)
from tollbook.reference.dated.use import load_entries, read_reference
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tests.pipelines.reference.dated.conftest import Changed

from tollbook.contracts import shipped_folder

EXAMPLES = shipped_folder("schemas") / "examples" / "dated"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
ANOTHER_BUDGET = """entries:
  - {entry_id: new, budget_id: b, scope: {workflow: w}, amount: "1", currency: USD, per: year, valid_from: 2026-01-01,
     known_from: 2026-09-02T00:00:00Z, author: a, reason: r}
"""


def care_is_below(reference: Path, day: str, known: str) -> list[str]:
    """Return the cost centres of customer care on a day, by what was known at an instant."""
    entries = read_reference(reference).known("hierarchy", datetime.fromisoformat(f"{known}T00:00:00+00:00"))
    return [
        entry.body["parent"]
        for entry in entries
        if entry.body["name"] == "customer-care" and entry.holds_on(date.fromisoformat(day))
    ]


def test_a_past_day_is_told_by_what_is_known_now_and_by_what_was_known_then(reference: Path) -> None:
    """A statement that was made on 1 June is made again as it was; one of today knows of the move on 16 June."""
    assert care_is_below(reference, "2026-06-20", "2026-06-01") == ["CC-2100"]
    assert care_is_below(reference, "2026-06-20", "2026-07-01") == ["CC-2200"]
    assert care_is_below(reference, "2026-06-15", "2026-07-01") == ["CC-2100"]
    assert care_is_below(reference, "2025-12-31", "2026-07-01") == []


def test_a_withdrawn_entry_holds_no_more_and_what_it_superseded_does_again(reference: Path, changed: Changed) -> None:
    """The move was called off: the entry before it counts, from the day on which that is known."""
    withdrawals = """withdrawals:
  - {entry_id: no-move-1, withdraws: customer-care-until-june, known_from: 2026-08-01T00:00:00Z, author: a, reason: r}
  - {entry_id: no-move-2, withdraws: customer-care-from-june, known_from: 2026-08-01T00:00:00Z, author: a, reason: r}
"""
    path = changed("hierarchy", ("hierarchy: 1\n", f"hierarchy: 1\n{withdrawals}"))
    load_entries(path, KINDS["hierarchy"], reference, now=NOW)
    assert care_is_below(reference, "2026-06-20", "2026-07-31") == ["CC-2200"]
    assert care_is_below(reference, "2026-06-20", "2026-08-02") == ["CC-2100"]


def test_an_edited_or_dropped_entry_is_refused_and_what_is_in_use_stays(reference: Path, changed: Changed) -> None:
    """History is not written anew: a changed amount is a new entry that supersedes the old one."""
    before = (reference / "budgets" / "main.yml").read_bytes()
    with pytest.raises(ReferenceDataError, match=r"budgets\.yml:4: .*expected customer-care-2026 as it is in use"):
        load_entries(changed("budgets", ("2500.00", "2600.00")), KINDS["budgets"], reference, now=NOW)
    renamed = changed("budgets", ("entry_id: customer-care-2026", "entry_id: another"))
    with pytest.raises(ReferenceDataError, match="expected every entry in use to stay, and customer-care-2026 is gone"):
        load_entries(renamed, KINDS["budgets"], reference, now=NOW)
    assert (reference / "budgets" / "main.yml").read_bytes() == before


def test_nobody_knows_of_the_future(tmp_path: Path) -> None:
    """What is dated later than the load would change a past knowledge time when its day comes."""
    with pytest.raises(ReferenceDataError, match=r"known_from: expected known_from not after now, 2025-12-01"):
        load_entries(EXAMPLES / "budgets.yml", KINDS["budgets"], tmp_path, now=datetime(2025, 12, 1, tzinfo=UTC))
    assert not (tmp_path / "budgets").exists()


def test_files_of_one_kind_stand_beside_each_other_and_are_held_against_each_other(
    reference: Path, changed: Changed
) -> None:
    """Invoices come by the month; the same number in two files is one too many."""
    more = changed("vendor_invoices", ("vendor_invoices: 1", "vendor_invoices: 1\nname: more"), name="same")
    with pytest.raises(ReferenceDataError, match="expected each entry_id once, got 'invoice-2026-0042'"):
        load_entries(more, KINDS["vendor_invoices"], reference, now=NOW)
    text = more.read_text("utf-8").replace("2026-004", "2026-005")
    more.write_text(text, encoding="utf-8")
    load_entries(more, KINDS["vendor_invoices"], reference, now=NOW)
    known = read_reference(reference).known("vendor_invoices")
    assert [entry.key for entry in known] == [
        ("anthropic", "INV-2026-0042"),
        ("anthropic", "CN-2026-0043"),
        ("anthropic", "INV-2026-0052"),
        ("anthropic", "CN-2026-0053"),
    ]


def test_every_state_that_was_in_use_is_in_the_lake(tmp_path: Path, changed: Changed) -> None:
    """The file in use is replaced; what a past close went by is still to be had, byte for byte, whatever its kind."""
    settings = Settings(home=tmp_path / "home")
    owners = tmp_path / "owners.yml"
    owners.write_text("rules: []\n", encoding="utf-8")
    days = [datetime(2026, 9, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    load_file(owners, settings, now=days[0])
    load_file(EXAMPLES / "budgets.yml", settings, now=days[1])
    load_file(EXAMPLES / "budgets.yml", settings, now=days[2])
    later = changed(
        "budgets",
        (
            "entries:\n",
            ANOTHER_BUDGET,
        ),
    )
    load_file(later, settings, now=days[3])
    lake = settings.lake
    assert [len(each.documents) for each in recorded_references(lake)] == [1, 2, 2]
    assert reference_as_of(lake, datetime(2026, 8, 31, tzinfo=UTC)) is None
    assert reference_as_of(lake, days[0]) == {"owners.yml": "rules: []\n"}
    first = {"owners.yml": "rules: []\n", "budgets/main.yml": (EXAMPLES / "budgets.yml").read_text("utf-8")}
    assert reference_as_of(lake, days[2]) == first
    assert reference_as_of(lake, days[3]) == first | {"budgets/main.yml": later.read_text("utf-8")}
    assert record_reference(lake, settings.reference, days[3]) == newest_reference(lake)
    # A text is kept once: the owner rules are in the first entry alone.
    assert [len(each.texts) for each in recorded_references(lake)] == [1, 1, 1]


def test_a_record_that_was_tampered_with_is_told(tmp_path: Path) -> None:
    """A close that goes by it must not go by something else."""
    settings = Settings(home=tmp_path)
    load_file(EXAMPLES / "budgets.yml", settings, now=NOW)
    (entry,) = (settings.lake / "reference" / "documents" / "commits").glob("*.json")
    entry.write_text(entry.read_text("utf-8").replace("2500.00", "9500.00"), encoding="utf-8")
    with pytest.raises(CorruptManifestError, match=r"expected budgets/main\.yml in entry 1 .* as it was recorded"):
        restore_reference(settings.lake, NOW, tmp_path / "back")


def test_the_command_lists_states_and_writes_one_back(tmp_path: Path) -> None:
    """An auditor rebuilds a month from what the lake holds, without the machine that it was loaded on."""
    home, back = tmp_path / "home", tmp_path / "back"
    invoke = CliRunner().invoke
    loaded = invoke(build_app(), ["reference", "load", str(EXAMPLES / "fleets.yml"), "--home", str(home), "--json"])
    assert json.loads(loaded.stdout)["entries"] == 2
    listed = invoke(build_app(), ["reference", "versions", "--home", str(home), "--json"])
    assert [(row["number"], row["files"]) for row in json.loads(listed.stdout)] == [(1, 1)]
    then = ["reference", "versions", "--home", str(home), "--as-of", "2999-01-01T00:00:00Z", "--into", str(back)]
    assert invoke(build_app(), then).exit_code == 0
    assert (back / "fleets" / "main.yml").read_bytes() == (EXAMPLES / "fleets.yml").read_bytes()
    assert isinstance(invoke(build_app(), then).exception, MisuseError)
    early = ["reference", "versions", "--home", str(home), "--as-of", "2001-01-01T00:00:00Z"]
    assert invoke(build_app(), early).exit_code == 1


def test_a_currency_without_an_exchange_rate_is_told_when_the_file_is_loaded(tmp_path: Path) -> None:
    """Its cost would be unknown in every statement; the rate can be loaded later too."""
    settings = Settings(home=tmp_path)
    notice = "gateway-2026: there is no exchange rate of EUR on 2026-01-01; its cost in USD is unknown then"
    assert load_file(EXAMPLES / "shared_platforms.yml", settings, now=NOW).notices == (notice,)
    rates = tmp_path / "rates.yml"
    rates.write_text(
        "exchange_rates: 1\nrates: [{currency: EUR, usd: '1.1', valid_from: 2026-01-01T00:00:00Z, source: bank}]\n",
        encoding="utf-8",
    )
    load_file(rates, settings, now=NOW)
    assert load_file(EXAMPLES / "shared_platforms.yml", settings, now=NOW).notices == ()
