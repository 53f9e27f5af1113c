"""The warehouse over a lake that is compacted: the same amounts, and no date is made anew for nothing.

Every call has 100 input tokens, 10 output tokens and 0.001 USD, unless a test says otherwise.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from tollbook.errors import GateFailedError, UpkeepError
from tollbook.lake.compaction import Compacted, compact
from tollbook.lake.delta import clean_delta, committed_lake_commit, delta_path
from tollbook.lake.manifest import COMPACTION, commits_after, newest
from tollbook.lake.merge import _as
from tollbook.lake.overview import lake_state
from tollbook.lake.snapshot import load_snapshot
from tollbook.lake.steps import listening
from tollbook.lake.travel import files_in_force
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.reprice import Choice
from tollbook.rating.rerate import rerate
from tollbook.warehouse.build import build
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

LATER = datetime(2027, 1, 1, tzinfo=UTC)
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""Commit N of a small lake is made N seconds after it."""
CONFLICTS = "select event_date::varchar, kafka_offset, commit_number, accepted_kafka_offset from audit.fct_conflicts"


def compacted(lake: LakeBuilder) -> Compacted:
    """Compact all commits there are."""
    return compact(lake.settings.lake, until=LATER, clock=lambda: LATER)


class KilledError(Exception):
    """Stands for the kill of the process at a step."""


def usage_files(lake: LakeBuilder) -> dict[str, tuple[int, int | None, int | None]]:
    """Return date to rows, first and last commit of its only usage file."""
    snapshot = load_snapshot(lake.settings.lake)
    assert snapshot is not None
    entries = [file.entry for file in snapshot.of("usage")]
    assert len({entry.event_date for entry in entries}) == len(entries)
    return {entry.event_date: (entry.rows, entry.first_commit, entry.last_commit) for entry in entries}


def test_compaction_of_what_is_built_makes_no_date_anew(lake: LakeBuilder, event: Any) -> None:
    """Upkeep every night must not cost a rebuild of the history, and nobody sees a difference."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-02")], rejects=1)
    lake.commit([event("c", "2026-06-01"), event("a", "2026-06-02", revision=1)], rejects=2)
    build(lake.settings)
    before = lake.everything()

    done = compacted(lake)
    result = build(lake.settings)

    # Two dates of usage and minutes in two files each, and two files of rejects on the first of them.
    assert (done.files_before, done.files_after, done.commits) == (10, 5, 2)
    assert usage_files(lake) == {"2026-06-01": (2, 1, 2), "2026-06-02": (2, 1, 2)}
    assert (result.event_dates, result.full_refresh, result.new_files) == (0, False, 5)
    assert lake.everything() == before
    assert lake.total() == (3, 300, 30, Decimal("0.003"))


def test_compaction_of_built_and_unbuilt_commits_equals_a_full_refresh(lake: LakeBuilder, event: Any) -> None:
    """Rows that no build has seen lie in one file with rows that marts hold: each is counted once."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-03")])
    build(lake.settings)
    lake.commit([event("c", "2026-06-01"), event("a", "2026-06-02", revision=1)])
    compacted(lake)

    result = build(lake.settings)

    # a moved from the first date to the second, c came to the first; nothing new was told of the third.
    assert (result.event_dates, result.full_refresh) == (2, False)
    incremental = lake.everything()
    assert lake.total() == (3, 300, 30, Decimal("0.003"))
    assert build(lake.settings, full_refresh=True).event_dates == 3
    assert lake.everything() == incremental


@pytest.mark.slow
def test_first_telling_stays_the_accepted_one_when_both_lie_in_one_file(lake: LakeBuilder, event: Any) -> None:
    """Which of two conflicting tellings stands is told by the commit that each came with, not by the file's."""
    lake.commit([event("other")], partition=1)
    lake.commit([event("a", input_tokens=500)], partition=1)
    lake.commit([event("a", input_tokens=700)], partition=0)
    build(lake.settings)
    told = lake.query(CONFLICTS)
    # By place partition 0 would come first; by commit partition 1 does.
    assert told == [("2026-06-01", 0, 3, 1)]

    compacted(lake)
    build(lake.settings, full_refresh=True)

    assert lake.query(CONFLICTS) == told
    assert lake.total()[1] == 600


@pytest.mark.slow
def test_merged_file_is_merged_again_with_its_rows_own_commits(lake: LakeBuilder, event: Any) -> None:
    """A late event comes to a date that was compacted; the second compaction keeps what the first one knew."""
    for name in "abc":
        lake.commit([event(name)])
    compacted(lake)
    lake.commit([event("d"), event("e")])
    compacted(lake)

    (path,) = [file.entry.path for file in load_snapshot(lake.settings.lake).of("usage")]  # type: ignore[union-attr]
    rows = duckdb.sql(f"select event_id, commit_number from read_parquet('{lake.settings.lake / path}') order by all")
    # The compactions of usage and minutes are one commit, since they are of one date: the fourth.
    assert rows.fetchall() == [("a", 1), ("b", 2), ("c", 3), ("d", 5), ("e", 5)]
    assert compacted(lake).files_before == 0


@pytest.mark.slow
def test_ratings_stay_over_their_tellings(lake: LakeBuilder, event: Any) -> None:
    """A rating names the place of a telling on Kafka, and that does not change when its file does."""
    lake.commit([event("a"), event("b")])
    lake.commit([event("c")])
    price = Price(provider="openai", model="gpt-5", rates={"input_tokens": Fraction(20) * 10**6, "output_tokens": 0})
    book = PriceBook.of(Catalogue.from_rows([price], version="twice"))
    dates: dict[str, Any] = {"first_date": date(2026, 6, 1), "end_date": date(2026, 7, 1)}
    build(lake.settings)
    rerate(lake.settings, load_book=lambda _: book, choice=Choice(model=None), **dates)
    compacted(lake)

    build(lake.settings)

    # 100 tokens at 20 USD a million are 0.002 USD a call.
    assert lake.total() == (3, 300, 30, Decimal("0.006"))
    build(lake.settings, full_refresh=True)
    assert lake.total() == (3, 300, 30, Decimal("0.006"))
    assert rerate(lake.settings, load_book=lambda _: book, choice=Choice(model=None), **dates).changed_dates == 0


@pytest.mark.slow
def test_minutes_from_before_the_build_and_after_it_are_not_mixed(lake: LakeBuilder, event: Any) -> None:
    """Live figures add the minutes since the build to the marts, so a file must be of one side."""
    for name in "abcd":
        lake.commit([event(name)])

    compact(lake.settings.lake, until=LATER, clock=lambda: LATER, built_commit=2)

    snapshot = load_snapshot(lake.settings.lake)
    assert snapshot is not None
    minutes = [(file.entry.first_commit, file.entry.last_commit) for file in snapshot.of("usage_minute")]
    assert sorted(minutes) == [(1, 2), (3, 4)]
    assert len(snapshot.of("usage")) == 1


@pytest.mark.slow
def test_gate_refuses_a_merged_file_that_tells_of_other_commits(lake: LakeBuilder, event: Any) -> None:
    """The order of tellings hangs on the commit of each row, so it is held against what the manifest tells."""
    lake.commit([event("a", commit_number=9)], schema_version=2)

    with pytest.raises(GateFailedError, match="rows_of_other_commits 0, came 1"):
        build(lake.settings)


@pytest.mark.slow
def test_index_of_keys_takes_only_what_is_new_of_a_merged_file(lake: LakeBuilder, event: Any) -> None:
    """The index must not grow by what it has, or a year of compactions would make it many times as large."""
    lake.commit([event("a"), event("b")])
    build(lake.settings)
    lake.commit([event("c")])
    compacted(lake)
    build(lake.settings)

    with duckdb.connect(WarehouseFolder.of(lake.settings).keys, read_only=True) as index:
        assert index.execute("select commit_number, count(*) from call_keys group by all order by all").fetchall() == [
            (1, 2),
            (2, 1),
        ]
    manifest = newest(lake.settings.lake)
    assert manifest is not None
    assert (manifest.kind, manifest.totals["llm.usage"][0].usage_rows) == (COMPACTION, 3)


def in_delta(lake: LakeBuilder) -> tuple[Any, ...]:
    """Return rows, input tokens and list cost of the Delta table as Polars reads it."""
    rows = pl.scan_delta(str(delta_path(lake.settings.lake)))
    return rows.select(pl.len(), pl.col("input_tokens").sum(), pl.col("list_cost").sum()).collect().row(0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["file_written", "file_renamed", "compaction_written", "entry_written", "entry_linked", "compaction_made"]
)
@pytest.mark.parametrize("times", [1, 3])
def test_killed_compaction_loses_nothing_and_is_ended_by_the_next(
    lake: LakeBuilder, event: Any, step: str, times: int
) -> None:
    """Whatever it was doing, the lake holds each row once, no file is left over, and the Delta table follows."""
    root = lake.settings.lake
    for name in "abc":
        lake.commit([event(name), event(f"{name}2", "2026-06-02"), event(f"{name}3", "2026-06-03")], rejects=1)
    left = [times]

    def kill(reached: str) -> None:
        left[0] -= reached == step
        if reached == step and left[0] == 0:
            raise KilledError

    with listening(kill), pytest.raises(KilledError):
        compacted(lake)

    snapshot = load_snapshot(root)
    assert snapshot is not None
    assert sum(file.entry.rows for file in snapshot.of("usage")) == 9
    compacted(lake)
    assert usage_files(lake) == {f"2026-06-0{day}": (3, 1, 3) for day in (1, 2, 3)}
    state = lake_state(root, now=LATER)
    assert state is not None
    assert (state.unnamed_files, state.due_files, state.retired_files) == (0, 0, 21)
    assert in_delta(lake) == (9, 900, Decimal("0.009"))
    table = DeltaTable(delta_path(root))
    assert committed_lake_commit(root) == max(
        manifest.commit
        for manifest in commits_after(root, 0)
        if any(entry.table == "usage" for entry in manifest.files) and manifest.kind == COMPACTION
    )
    assert table.version() <= 3


@pytest.mark.slow
def test_delta_table_is_committed_once_and_follows_what_is_compacted_again(lake: LakeBuilder, event: Any) -> None:
    """Polars reads the same rows, tokens and pico-USD; a file that was merged again leaves the table for another."""
    root = lake.settings.lake
    lake.commit([event("a"), event("b", list_cost=Decimal("0.000000000001"))])
    compacted(lake)
    assert in_delta(lake) == (2, 200, Decimal("0.001000000001"))
    version = DeltaTable(delta_path(root)).version()
    compacted(lake)
    assert DeltaTable(delta_path(root)).version() == version
    lake.commit([event("c"), event("d")])
    assert in_delta(lake)[0] == 2

    compacted(lake)

    assert in_delta(lake) == (4, 400, Decimal("0.003000000001"))
    assert DeltaTable(delta_path(root)).version() == version + 1
    assert pl.read_delta(str(delta_path(root)), version=version).height == 2
    (path,) = (file.entry.path for file in load_snapshot(root).of("usage"))  # type: ignore[union-attr]
    # The table's file is the lake's own under a second name.
    assert (root / path).stat().st_nlink == 2
    assert clean_delta(root, keep_hours=0) == 1
    assert in_delta(lake)[0] == 4


@pytest.mark.slow
def test_file_that_does_not_hold_what_it_was_made_of_is_not_committed(
    lake: LakeBuilder, event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of a library or a disk must not become the book: what was written is read again before it counts."""
    for name in "abc":
        lake.commit([event(name)])
    monkeypatch.setattr("tollbook.lake.merge._as", lambda schema, batches: _as(schema, batches).slice(1))

    with pytest.raises(UpkeepError, match=r"rows=3.*got Facts\(rows=2"):
        compacted(lake)

    manifest = newest(lake.settings.lake)
    assert manifest is not None
    assert manifest.commit == 3


@pytest.mark.slow
def test_date_of_very_many_rows_becomes_several_files(
    lake: LakeBuilder, event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by the rows of a file, so those are; and what is full is not made anew again."""
    monkeypatch.setattr("tollbook.lake.merge.MOST_ROWS", 4)
    monkeypatch.setattr("tollbook.lake.compaction.MOST_ROWS", 4)
    for name in "abcde":
        lake.commit([event(name), event(f"{name}2")])

    compacted(lake)

    _, files = files_in_force(lake.settings.lake, table="usage")
    assert sorted((file.entry.rows, file.entry.first_commit, file.entry.last_commit) for file in files) == [
        (2, 5, 5),
        (4, 1, 2),
        (4, 3, 4),
    ]
    compacted(lake)
    assert files_in_force(lake.settings.lake, table="usage")[1] == files
    lake.commit([event("f"), event("f2")])
    compacted(lake)
    assert [file.entry.rows for file in files_in_force(lake.settings.lake, table="usage")[1]] == [4, 4, 4]
    assert in_delta(lake)[0] == 12


@pytest.mark.slow
def test_only_hours_that_are_over_are_compacted(lake: LakeBuilder, event: Any) -> None:
    """Files of the present hour are left: more come to them soon. Commits of this lake are a second apart."""
    for name in "abcd":
        lake.commit([event(name)])

    done = compact(lake.settings.lake, until=START + timedelta(seconds=2), clock=lambda: LATER)

    assert (done.closed_commit, done.files_before) == (2, 4)
    past = files_in_force(lake.settings.lake, table="usage", as_of=START + timedelta(seconds=3))[1]
    assert [file.commit for file in past] == [1, 2, 3]
    assert compact(lake.settings.lake, until=LATER, clock=lambda: LATER, dry_run=True).files_before == 6
