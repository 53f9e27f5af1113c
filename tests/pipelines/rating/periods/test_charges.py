"""Charges in the lake: the newest word on each scope holds, and saying it again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tollbook.contracts import contract
from tollbook.errors import CorruptManifestError
from tollbook.lake.log import entry_path
from tollbook.rating.periods import charges
from tollbook.rating.periods.charges import (
    Scope,
    charge_id,
    charge_schema,
    charge_table,
    current_scopes,
    newest_charges,
    read_charges,
    write_charges,
)

if TYPE_CHECKING:
    from pathlib import Path

JUNE, JULY, AUGUST = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7, 8))


def line(amount: str | None, *, term: str = "fee", start: datetime = JUNE, **fields: Any) -> dict[str, Any]:
    """Return a monthly fee of a contract."""
    cost = None if amount is None else Decimal(amount)
    return {
        "billing_period_start": start,
        "billing_period_end": JULY if start == JUNE else AUGUST,
        "charge_period_start": start,
        "charge_period_end": JULY if start == JUNE else AUGUST,
        "charge_category": "Purchase",
        "charge_frequency": "Recurring",
        "charge_kind": "commitment_fee",
        "charge_description": "Monthly fee",
        "contract_id": "acme",
        "term_id": term,
        "contracted_cost": cost,
        "effective_cost": cost,
        "billing_currency": "USD",
        "billing_currency_amount": cost,
        "exchange_rate": Decimal(1),
    } | fields


def costs(lake: Path) -> list[tuple[Any, ...]]:
    """Return sequence, term and contracted cost of the charges that hold."""
    return [(row["charge_sequence"], row["term_id"], row["contracted_cost"]) for row in read_charges(lake).to_pylist()]


def test_money_of_a_charge_is_decimal_and_every_field_is_described() -> None:
    """People read a charge by its descriptions; a float would lose pico-USD."""
    for each in contract("charge").fields:
        assert each.description.endswith("."), each.name
        if each.name.endswith(("_cost", "_amount", "_rate", "_quantity")):
            assert str(each.arrow_type) == "decimal128(38, 12)", each.name


def test_the_newest_sequence_of_a_scope_holds_and_other_scopes_stay(tmp_path: Path) -> None:
    """A term computed again replaces its own rows as a whole, and nothing else."""
    first = [line("10"), line("7", term="tiers", charge_kind="volume_tier"), line("11", start=JULY)]
    assert write_charges(tmp_path, charge_table(first)) == 1
    two = [line("4", term="tiers", charge_kind="volume_tier", tier_from=Decimal(n)) for n in (0, 100)]
    assert write_charges(tmp_path, charge_table(two)) == 2
    assert costs(tmp_path) == [(1, "fee", 10), (2, "tiers", 4), (2, "tiers", 4), (1, "fee", 11)]
    told = [(each.term_id, each.rows, each.contracted_cost_pico_usd) for each in current_scopes(tmp_path)]
    assert told == [("fee", 1, 10 * 10**12), ("tiers", 2, 8 * 10**12), ("fee", 1, 11 * 10**12)]


def test_saying_the_same_again_writes_nothing(tmp_path: Path) -> None:
    """A build that runs twice, or from nothing, leaves the charges and their sequence as they are (pitfall 24)."""
    assert read_charges(tmp_path).schema == charge_schema()
    assert write_charges(tmp_path, charge_table([])) == 0
    rows = [line("10"), line("11", start=JULY)]
    assert write_charges(tmp_path, charge_table(rows)) == 1
    before = read_charges(tmp_path)
    assert write_charges(tmp_path, charge_table(reversed(rows))) == 0
    assert write_charges(tmp_path, before) == 0
    released = [row | {"catalogue_version": "later", "contract_version": "reworded"} for row in rows]
    assert write_charges(tmp_path, charge_table(released)) == 0
    assert newest_charges(tmp_path) == 1
    assert read_charges(tmp_path) == before


def test_only_scopes_that_changed_take_a_new_sequence(tmp_path: Path) -> None:
    """A charge of a month that nothing touched keeps its place in the log, so that a statement can name it."""
    write_charges(tmp_path, charge_table([line("10"), line("11", start=JULY)]))
    assert write_charges(tmp_path, charge_table([line("10"), line("12", start=JULY)])) == 2
    assert costs(tmp_path) == [(1, "fee", 10), (2, "fee", 12)]


def test_a_scope_that_was_computed_and_has_no_rows_any_more_is_empty(tmp_path: Path) -> None:
    """A contract that is withdrawn must not leave its charges behind."""
    write_charges(tmp_path, charge_table([line("10"), line("11", start=JULY)]))
    assert write_charges(tmp_path, charge_table([]), scopes=[Scope("acme", "fee", JUNE)]) == 2
    assert costs(tmp_path) == [(1, "fee", 11)]
    assert write_charges(tmp_path, charge_table([]), scopes=[Scope("acme", "fee", JUNE)]) == 0
    assert write_charges(tmp_path, charge_table([line("10")])) == 3
    assert costs(tmp_path) == [(3, "fee", 10), (1, "fee", 11)]


def test_an_unknown_amount_stays_null(tmp_path: Path) -> None:
    """Unknown is never zero, in the file and in its sums."""
    write_charges(tmp_path, charge_table([line(None)]))
    assert costs(tmp_path) == [(1, "fee", None)]
    assert write_charges(tmp_path, charge_table([line("0")])) == 2


def test_amounts_of_38_digits_are_summed_exactly(tmp_path: Path) -> None:
    """Python's decimals round to 28 digits unless told otherwise."""
    large = "12345678901234567890123456.123456789012"
    write_charges(tmp_path, charge_table([line(large)]))
    assert current_scopes(tmp_path)[0].contracted_cost_pico_usd == 12345678901234567890123456123456789012
    assert costs(tmp_path)[0][2] == Decimal(large)


def test_one_line_twice_in_a_scope_is_refused(tmp_path: Path) -> None:
    """Two rows with one identifier would make a trace ambiguous."""
    with pytest.raises(ValueError, match="each line"):
        write_charges(tmp_path, charge_table([line("10"), line("11")]))


def test_the_identifier_of_a_line_does_not_depend_on_its_amount() -> None:
    """A statement names a charge before and after late usage changes it."""
    assert charge_id(line("10")) == charge_id(line("11.5"))
    assert charge_id(line("10")) != charge_id(line("10", start=JULY))
    assert charge_id(line("10", tier_from=Decimal("1E+2"))) == charge_id(line("10", tier_from=Decimal("100.00")))


def test_what_died_before_its_entry_does_not_count_and_is_written_over(tmp_path: Path) -> None:
    """A kill between the file and its entry leaves the charges as they were; the next writer takes the same number."""
    write_charges(tmp_path, charge_table([line("10")]))
    write_charges(tmp_path, charge_table([line("99")]))
    entry_path(tmp_path / "charges" / "commits", 2).unlink()
    assert costs(tmp_path) == [(1, "fee", 10)]
    assert write_charges(tmp_path, charge_table([line("12")])) == 2
    assert costs(tmp_path) == [(2, "fee", 12)]


def test_a_file_that_does_not_hold_what_its_entry_tells_is_an_error(tmp_path: Path) -> None:
    """Charges that were altered on disk must not reach a statement."""
    write_charges(tmp_path, charge_table([line("10")]))
    (path,) = (tmp_path / "charges").glob("*.parquet")
    altered = [row | {"contracted_cost": Decimal(1)} for row in pq.read_table(path).to_pylist()]
    pq.write_table(charge_table(altered), path)
    with pytest.raises(CorruptManifestError, match="as entry 1 tells"):
        read_charges(tmp_path)
    path.unlink()
    with pytest.raises(CorruptManifestError, match="expected charges at"):
        read_charges(tmp_path)


def test_a_reader_goes_back_no_further_than_the_last_list_of_all_scopes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hourly build makes thousands of entries a year: reading them all would let the cost grow with history."""
    monkeypatch.setattr(charges, "_EVERY", 3)
    for number in range(1, 9):
        write_charges(tmp_path, charge_table([line(str(number)), line("5", start=JULY)]))
    log = tmp_path / "charges" / "commits"
    for number in (2, 3, 4, 5):
        entry_path(log, number).unlink()
    # Entry 6 lists all scopes; the rows of July are still those of entry 1.
    assert costs(tmp_path) == [(8, "fee", 8), (1, "fee", 5)]
