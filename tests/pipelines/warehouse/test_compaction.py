"""The warehouse over a lake that is compacted: the same amounts, and no date is made anew for nothing.

Every call has 100 input tokens, 10 output tokens and 0.001 USD, unless a test says otherwise.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tollbook.errors import GateFailedError
from tollbook.lake.compaction import Compacted, compact
from tollbook.lake.manifest import COMPACTION, newest
from tollbook.lake.snapshot import load_snapshot
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
CONFLICTS = "select event_date::varchar, kafka_offset, commit_number, accepted_kafka_offset from audit.fct_conflicts"


def compacted(lake: LakeBuilder) -> Compacted:
    """Compact all commits there are."""
    return compact(lake.settings.lake, until=LATER, clock=lambda: LATER)


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


def test_gate_refuses_a_merged_file_that_tells_of_other_commits(lake: LakeBuilder, event: Any) -> None:
    """The order of tellings hangs on the commit of each row, so it is held against what the manifest tells."""
    lake.commit([event("a", commit_number=9)], schema_version=2)

    with pytest.raises(GateFailedError, match="rows_of_other_commits 0, came 1"):
        build(lake.settings)


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
