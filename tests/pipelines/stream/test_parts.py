"""Which parts make a micro-batch whole, in whatever order they come."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from tollbook.stream.parts import (
    MINUTES_PART,
    REJECTS_PART,
    TAKEN_BACK_PART,
    UNPARSED_PART,
    CommitPart,
    RejectCause,
    files_part,
    missing_parts,
    range_part,
    usage_part,
)
from tollbook.stream.plan import CommitPlan
from tollbook.stream.ranges import BatchStamp, ChunkOrigin, OffsetRange

STAMP = BatchStamp(batch="b", epoch=3, sequence=2, book=1, ingest_date="2026-06-01")
READ = OffsetRange("llm.usage", 0, 10, 30, stamp=STAMP)


def chunk(first: int, following: int, *, unparsed: int = 0) -> ChunkOrigin:
    """Return a chunk of as many records as it has offsets."""
    return ChunkOrigin(
        "llm.usage",
        0,
        first,
        following,
        records=following - first,
        tombstones=0,
        control=0,
        aborted=0,
        unparsed=unparsed,
        stamp=STAMP,
    )


def decoded(*encoded: bytes) -> list[CommitPart]:
    """Return parts as they come out of a shuffle."""
    return [CommitPart.decode(each) for each in encoded]


def test_a_range_is_whole_when_its_chunks_and_all_that_is_made_of_them_are_there_in_any_order() -> None:
    """A runner that streams says of no part that it is the last one."""
    whole = decoded(
        range_part(READ, 30),
        usage_part(chunk(10, 20), [], 10),
        files_part(MINUTES_PART, chunk(10, 20), []),
        usage_part(chunk(20, 30, unparsed=1), [], 8, takes_back=True),
        *(files_part(kind, chunk(20, 30), []) for kind in (MINUTES_PART, TAKEN_BACK_PART, REJECTS_PART, UNPARSED_PART)),
    )
    assert missing_parts([READ], whole) == []
    assert missing_parts([READ], whole[::-1]) == []
    assert all(missing_parts([READ], [*whole[:gone], *whole[gone + 1 :]]) for gone in range(len(whole)))


def test_what_is_missing_is_named() -> None:
    """It is what an operator reads of a commit that does not come."""
    first = decoded(range_part(READ, 30), usage_part(chunk(10, 20), [], 9))
    assert missing_parts([READ], first) == [
        "the minutes of llm.usage-0 at 10",
        "the rejects of llm.usage-0 at 10",
        "events of llm.usage-0 at 20",
    ]
    assert missing_parts([READ], []) == ["the end of llm.usage-0 from 10"]


def test_a_chunk_that_is_missing_in_the_middle_is_missed() -> None:
    """The last chunk reaches the end of the range, and tokens would be lost before it."""
    made = [usage_part(chunk(10, 15), [], 5), usage_part(chunk(20, 30), [], 10)]
    minutes = [files_part(MINUTES_PART, chunk(10, 15), []), files_part(MINUTES_PART, chunk(20, 30), [])]
    for parts in permutations(decoded(range_part(READ, 30), *made, *minutes)):
        assert missing_parts([READ], parts) == ["events of llm.usage-0 at 15"]


def test_a_range_that_ended_before_a_hole_is_whole_up_to_there() -> None:
    """Why it ended the planner finds out; what was read is committed."""
    parts = decoded(
        range_part(READ, 20), usage_part(chunk(10, 20), [], 10), files_part(MINUTES_PART, chunk(10, 20), [])
    )
    assert missing_parts([READ], parts) == []
    assert missing_parts([READ], decoded(range_part(READ, 10))) == []


def test_parts_of_another_partition_complete_nothing() -> None:
    """Partitions have the same offsets."""
    other = replace(READ, partition=1)
    parts = decoded(
        range_part(READ, 20), usage_part(chunk(10, 20), [], 10), files_part(MINUTES_PART, chunk(10, 20), [])
    )
    assert missing_parts([READ, other], parts) == ["the end of llm.usage-1 from 10"]


@pytest.mark.parametrize("text", ["a\nb", 'with "quotes"', "ü"])
def test_parts_and_plans_cross_the_shuffle_unchanged(text: str) -> None:
    """A line break in an example must not cut a part in two."""
    cause = RejectCause("invalid_json", None, 3, text)
    part = CommitPart.decode(files_part(REJECTS_PART, chunk(10, 20), [], [cause]))
    assert (part.causes, part.chunk()) == ([cause], chunk(10, 20))
    plan = CommitPlan(
        lake=Path("/a/b"),
        base=2,
        batch="b",
        epoch=3,
        epoch_owner=text,
        writer="w",
        catalogue_version="c",
        reference_version="r",
        beginnings=(("t", 0, 5),),
        topic_ids=(("t", "id"),),
        ranges=(READ,),
    )
    assert CommitPlan.decode(plan.encode()) == plan
