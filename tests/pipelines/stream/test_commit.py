"""The commit: one meter's micro-batches, one after another, whoever else writes to the lake."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tollbook.errors import CommitConflictError, FencedError
from tollbook.lake.manifest import COMPACTION, commit, newest, newest_commit, next_commit, read_commit
from tollbook.stream.commit import commit_parts
from tollbook.stream.parts import USAGE_PART, CommitPart
from tollbook.stream.plan import CommitPlan
from tollbook.stream.ranges import ChunkOrigin

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def holes(first: int, following: int) -> list[CommitPart]:
    """Return the parts of a chunk whose offsets held nothing, which needs no files."""
    origin = ChunkOrigin("llm.usage", 0, first, following, records=0, tombstones=0, control=0, aborted=0)
    return [CommitPart(kind=USAGE_PART, origin=asdict(origin))]


def plan(lake: Path, *, epoch: int, owner: str, batch: str) -> CommitPlan:
    """Return the plan of a micro-batch on the lake as it is."""
    return CommitPlan(
        lake=lake,
        base=newest_commit(lake),
        batch=batch,
        epoch=epoch,
        epoch_owner=owner,
        writer=owner,
        catalogue_version="c",
        reference_version="r",
    )


def compact(lake: Path) -> int:
    """Commit what a compaction of nothing does, and return its number."""
    before = newest(lake)
    assert before is not None
    commit(lake, next_commit(before, kind=COMPACTION, writer="upkeep", now=NOW))
    return before.commit + 1


def next_offset(lake: Path) -> int:
    """Return where the book ends."""
    manifest = newest(lake)
    assert manifest is not None
    assert manifest.offsets["llm.usage"][0] == manifest.totals["llm.usage"][0].next_offset
    return manifest.offsets["llm.usage"][0]


def test_stalled_meter_that_wakes_up_cannot_commit(tmp_path: Path) -> None:
    """It planned before another took over; its files may be whole, and must not count."""
    commit_parts(holes(0, 10), plan(tmp_path, epoch=1, owner="first", batch="a"), now=NOW)
    stalled = plan(tmp_path, epoch=1, owner="first", batch="b")
    commit_parts(holes(10, 30), plan(tmp_path, epoch=2, owner="second", batch="c"), now=NOW)
    with pytest.raises(FencedError, match=r"epoch 1, but commit 2 has the epoch 2 of second: another meter took over"):
        commit_parts(holes(10, 20), stalled, now=NOW)
    assert (newest_commit(tmp_path), next_offset(tmp_path)) == (2, 30)


def test_of_two_meters_that_took_the_same_epoch_one_is_fenced(tmp_path: Path) -> None:
    """Without a lock that both can see, two meters may begin at once; the first commit decides."""
    first = plan(tmp_path, epoch=1, owner="first", batch="a")
    second = plan(tmp_path, epoch=1, owner="second", batch="b")
    commit_parts(holes(0, 10), second, now=NOW)
    with pytest.raises(FencedError, match="epoch 1 of second"):
        commit_parts(holes(0, 20), first, now=NOW)
    assert (newest_commit(tmp_path), next_offset(tmp_path)) == (1, 10)


def test_upkeep_between_plan_and_commit_moves_the_number_on(tmp_path: Path) -> None:
    """A compaction must neither stop a meter nor be undone by it."""
    commit_parts(holes(0, 10), plan(tmp_path, epoch=1, owner="first", batch="a"), now=NOW)
    planned = plan(tmp_path, epoch=1, owner="first", batch="b")
    compacted = compact(tmp_path)
    assert commit_parts(holes(10, 20), planned, now=NOW) == compacted + 1 == 3
    assert [read_commit(tmp_path, number).kind for number in (1, 2, 3)] == ["meter", "compaction", "meter"]
    assert next_offset(tmp_path) == 20


def test_upkeep_keeps_the_fence(tmp_path: Path) -> None:
    """A compaction by a third process must not make an older meter the lake's again."""
    commit_parts(holes(0, 10), plan(tmp_path, epoch=1, owner="first", batch="a"), now=NOW)
    stalled = plan(tmp_path, epoch=1, owner="first", batch="b")
    commit_parts(holes(10, 30), plan(tmp_path, epoch=2, owner="second", batch="c"), now=NOW)
    compact(tmp_path)
    with pytest.raises(FencedError, match="commit 3 has the epoch 2 of second"):
        commit_parts(holes(10, 20), stalled, now=NOW)


def test_retry_of_a_commit_finds_that_it_was_made(tmp_path: Path) -> None:
    """A runner that did not hear of the end of a bundle runs it again; the second time must change nothing."""
    planned = plan(tmp_path, epoch=1, owner="first", batch="a")
    assert commit_parts(holes(0, 10), planned, now=NOW) == 1
    compact(tmp_path)
    assert commit_parts(holes(0, 10), planned, now=NOW) == 1
    assert (newest_commit(tmp_path), next_offset(tmp_path)) == (2, 10)


def test_chunks_that_do_not_go_on_where_the_book_ends_are_refused(tmp_path: Path) -> None:
    """A commit with a hole loses offsets, one with an overlap counts them twice."""
    commit_parts(holes(0, 10), plan(tmp_path, epoch=1, owner="first", batch="a"), now=NOW)
    for first in (5, 11):
        with pytest.raises(CommitConflictError, match=f"go on at offset 10, got a chunk from {first}"):
            commit_parts(holes(first, 20), plan(tmp_path, epoch=1, owner="first", batch="b"), now=NOW)
    assert newest_commit(tmp_path) == 1
