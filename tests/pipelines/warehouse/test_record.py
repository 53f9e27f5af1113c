"""What a build leaves behind for those who watch: how it went and what the book held, well or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tollbook.errors import BookUnbalancedError, GateFailedError, WarehouseStateError
from tollbook.settings import Settings
from tollbook.warehouse.build import build
from tollbook.warehouse.record import TEXTFILE, read_record, recorded
from tollbook.warehouse.state import WarehouseFolder, open_marts

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def textfile(lake: LakeBuilder) -> dict[tuple[str, ...], float]:
    """Return the values of the file for a textfile collector, by name and labels."""
    text = (lake.settings.metrics / TEXTFILE).read_text(encoding="utf-8")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_build_leaves_what_the_book_holds(lake: LakeBuilder, event: Any) -> None:
    """Two calls stand, one telling repeats the first and one contradicts it; all amounts were handed over."""
    assert read_record(lake.settings) is None
    lake.commit([event("a"), event("a"), event("b"), event("a", input_tokens=7)])
    result = build(lake.settings, clock=lambda: NOON)

    record = read_record(lake.settings)
    assert record is not None
    assert (record.succeeded, record.error, record.message) == (True, None, None)
    assert (record.started_at, record.ended_at, record.succeeded_at) == (NOON, NOON, NOON)
    assert record.figures is not None
    assert record.figures.tellings == {"standing": 2, "duplicate": 1, "conflict": 1}
    assert (record.figures.built_commit, record.figures.unequal) == (1, 0)
    assert record.figures.hand_overs == result.hand_overs > 0
    told = textfile(lake)
    assert told["tollbook_build_success",] == 1
    assert told["tollbook_build_succeeded_timestamp_seconds",] == NOON.timestamp()
    assert told["tollbook_unequal_hand_overs",] == 0
    assert told["tollbook_hand_overs",] == result.hand_overs
    assert told["tollbook_tellings", "conflict"] == 1
    assert 0 < told["tollbook_build_duration_seconds",] <= record.seconds

    build(lake.settings, clock=lambda: NOON + timedelta(hours=1))
    again = read_record(lake.settings)
    assert again is not None
    assert (again.figures, again.succeeded_at) == (record.figures, NOON + timedelta(hours=1))


def test_a_refused_file_leaves_the_error_and_the_book_as_it_was(lake: LakeBuilder, event: Any) -> None:
    """What failed is told; what readers see is what it was, and when it was made."""
    lake.commit([event("a")])
    build(lake.settings, clock=lambda: NOON)
    lake.path(lake.commit([event("b")])).write_bytes(b"damaged")
    with pytest.raises(GateFailedError):
        build(lake.settings, clock=lambda: NOON + timedelta(hours=1))

    record = read_record(lake.settings)
    assert record is not None
    assert (record.succeeded, record.error) == (False, "GateFailedError")
    assert (record.succeeded_at, record.ended_at) == (NOON, NOON + timedelta(hours=1))
    assert record.message is not None
    assert record.message.startswith("the gate refused new files")
    assert "\n" not in record.message
    assert record.figures is not None
    assert (record.figures.built_commit, record.figures.tellings) == (1, {"standing": 1})
    assert textfile(lake)["tollbook_build_success",] == 0


@pytest.mark.slow
def test_a_book_that_does_not_balance_is_counted(lake: LakeBuilder, event: Any) -> None:
    """The alert that matters most: a row vanished, so its amounts were not handed over."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-02")])
    build(lake.settings, clock=lambda: NOON)
    with duckdb.connect(WarehouseFolder.of(lake.settings).marts) as marts:
        marts.execute("delete from engineering.fct_usage_daily where usage_date = date '2026-06-02'")
    lake.commit([event("c", "2026-06-03")])
    with pytest.raises(BookUnbalancedError) as unbalanced:
        build(lake.settings, clock=lambda: NOON)

    record = read_record(lake.settings)
    assert record is not None
    assert record.figures is not None
    assert record.error == "BookUnbalancedError"
    assert record.figures.unequal == len(unbalanced.value.differences) > 0
    assert record.figures.built_commit == 1
    assert textfile(lake)["tollbook_unequal_hand_overs",] == record.figures.unequal


def test_a_fault_is_recorded_by_its_name_alone(tmp_path: Path) -> None:
    """A library's message may quote a row."""
    settings = Settings(home=tmp_path)
    with pytest.raises(ZeroDivisionError), recorded(settings, lambda: NOON):
        raise ZeroDivisionError("division of a secret by zero")
    record = read_record(settings)
    assert record is not None
    assert (record.error, record.message, record.figures) == ("ZeroDivisionError", "ZeroDivisionError", None)
    assert record.succeeded_at is None


def test_a_record_that_cannot_be_written_hides_no_error(tmp_path: Path) -> None:
    """The build's own error comes first; a build that ended well says that it left no record."""
    settings = Settings(home=tmp_path)
    settings.metrics.write_text("in the way")
    with pytest.raises(ZeroDivisionError), recorded(settings, lambda: NOON):
        raise ZeroDivisionError
    with open_marts(WarehouseFolder.of(settings)) as marts:
        marts.execute("create schema audit")
        marts.execute("create table audit.fct_ledger_balance as select 0 as difference")
        marts.execute("create table audit.fct_tellings_daily as select 'standing' as telling_state, 1 as tellings")
        marts.execute("create table audit.publication as select 1 as built_commit")
    with (
        pytest.raises(WarehouseStateError, match="record of a build that ended well"),
        recorded(settings, lambda: NOON),
    ):
        pass


def test_a_damaged_record_is_told_and_written_anew(tmp_path: Path) -> None:
    """It is no truth of the book, so the next build makes it good."""
    settings = Settings(home=tmp_path)
    path = settings.warehouse / "last_build.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"{")
    with pytest.raises(WarehouseStateError, match=r"expected the record of a build at .*last_build\.json"):
        read_record(settings)
    with pytest.raises(ZeroDivisionError), recorded(settings, lambda: NOON):
        raise ZeroDivisionError
    assert read_record(settings) is not None
