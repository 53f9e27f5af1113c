"""Accepting gaps: one commit, refused when it would mean something else, and safe to kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, TopicPartition

from tollbook.cli import main
from tollbook.errors import (
    FencedError,
    GapAcceptanceError,
    LakeLockedError,
    LakeWriteError,
    MisuseError,
    OffsetGapError,
)
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import GAP, newest
from tollbook.lake.steps import listening
from tollbook.stream.commit import refuse_if_fenced
from tollbook.stream.kafka_batches import RECORDS, RecordChunk, read_in_chunks
from tollbook.stream.ranges import ChunkOrigin, OffsetHole, OffsetRange
from tollbook.stream.read import PartitionReader, take_holes

if TYPE_CHECKING:
    from tests.pipelines.stream.gaps.conftest import GapCase

    NewCase = Callable[..., GapCase]


@pytest.fixture
def gap(new_case: NewCase) -> GapCase:
    """Return a book that ends at offset 1, of a log whose first offset is 3 and whose end is 5; the gap was found."""
    case = new_case()
    case.send("a")
    case.meter()
    case.send(*"bcde")
    case.drop_before(3)
    with pytest.raises(OffsetGapError):
        case.meter()
    return case


def test_an_acceptance_is_one_commit_that_tells_who_and_why(gap: GapCase) -> None:
    """Whoever audits the book finds the loss where the commits are, and not twice."""
    before = gap.newest_manifest()
    done = gap.accept(f"{gap.topic}-0")
    after = gap.newest_manifest()
    assert (after.commit, after.kind, after.reason, after.files) == (before.commit + 1, GAP, "disk was full", [])
    assert [(each.kind, each.first_offset, each.next_offset, each.count) for each in after.skipped] == [
        ("lost", 1, 3, 2)
    ]
    assert after.offsets == {gap.topic: {0: 3}}
    assert (done.commit, [each.state for each in done.gaps]) == (after.commit, ["accepted"])
    with pytest.raises(MisuseError, match="none is open"):
        gap.accept(f"{gap.topic}-0")
    assert gap.newest_manifest() == after


def test_a_gap_that_has_grown_since_it_was_seen_is_not_accepted(gap: GapCase) -> None:
    """The operator said yes to two lost offsets; of three nobody told."""
    gap.drop_before(4)
    with pytest.raises(GapAcceptanceError, match="Kafka's first offset is 4, and was 3"):
        gap.accept(f"{gap.topic}-0")
    with pytest.raises(OffsetGapError, match="3 offsets were deleted"):
        gap.meter()
    gap.accept(f"{gap.topic}-0")
    gap.meter()
    assert (gap.total().next_offset, gap.total().records, gap.total().lost) == (5, 2, 3)
    assert [each.state for each in gap.gaps()] == ["replaced", "accepted"]


def test_a_topic_made_anew_since_the_gap_was_found_is_not_accepted(gap: GapCase) -> None:
    """It would be skipped over in a log that it does not belong to."""
    gap.make_anew()
    with pytest.raises(GapAcceptanceError, match="the topic's id is"):
        gap.accept(f"{gap.topic}-0")


def test_a_topic_made_anew_is_accepted_whole_or_not_at_all(new_case: NewCase) -> None:
    """Its id is the topic's: partitions left out would go on in the new log as if it were the old one."""
    case = new_case(partitions=2)
    case.send("a")
    case.meter()
    case.make_anew(partitions=2)
    with pytest.raises(OffsetGapError):
        case.meter()
    with pytest.raises(MisuseError, match=f"without {case.topic}-1 got some: name the topic alone"):
        case.accept(f"{case.topic}-0")
    assert [each.state for each in case.gaps()] == ["open", "open"]


def test_nothing_is_accepted_while_a_meter_runs(gap: GapCase) -> None:
    """Two writers of offsets would contradict each other."""
    with writer_lock(gap.settings.lake), pytest.raises(LakeLockedError):
        gap.accept(f"{gap.topic}-0")


def test_a_gap_that_is_not_there_and_a_reason_that_says_nothing_are_refused(gap: GapCase) -> None:
    """A misspelt partition must not look like one whose gap is settled."""
    with pytest.raises(MisuseError, match=rf"\({gap.topic}-0\), got {gap.topic}-7"):
        gap.accept(f"{gap.topic}-7")
    assert main(["gaps", "accept", f"{gap.topic}-0", "--reason", " ", "--home", str(gap.settings.home)]) == 2


@pytest.mark.parametrize(("entries", "states"), [(1, ["open"]), (2, ["accepted"])])
def test_a_kill_leaves_a_gap_open_or_accepted_and_nothing_between(
    gap: GapCase, entries: int, states: list[str]
) -> None:
    """The word of the operator is written first, and counts with the commit after it."""
    linked: list[str] = []

    def die(step: str) -> None:
        if step == "entry_linked":
            linked.append(step)
            if len(linked) == entries:
                raise LakeWriteError("killed")

    with listening(die), pytest.raises(LakeWriteError, match="killed"):
        gap.accept(f"{gap.topic}-0")
    assert [each.state for each in gap.gaps()] == states
    if states == ["open"]:
        gap.accept(f"{gap.topic}-0")
    gap.meter()
    assert (gap.total().next_offset, gap.total().records, gap.total().lost) == (5, 3, 2)


def test_a_meter_that_stalled_before_the_acceptance_cannot_commit_after_it(gap: GapCase) -> None:
    """It planned by offsets that mean other records now."""
    stalled = gap.newest_manifest()
    refuse_if_fenced(gap.settings.lake, newest(gap.settings.lake), stalled.epoch + 1, "stalled")
    gap.accept(f"{gap.topic}-0")
    with pytest.raises(FencedError):
        refuse_if_fenced(gap.settings.lake, newest(gap.settings.lake), stalled.epoch + 1, "stalled")


def test_the_commands_list_gaps_and_accept_them(gap: GapCase, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts tell by the exit code whether somebody has to decide."""
    home = ["--home", str(gap.settings.home)]
    capsys.readouterr()
    assert main(["gaps", "list", *home]) == 1
    told = capsys.readouterr()
    assert f"{gap.topic}-0" in told.out
    assert "2 offsets were deleted before they were read" in told.err
    assert main(["gaps", "list", "--json", *home]) == 1
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["gap_number"], listed["state"], listed["lost_offsets"], listed["kind"]) == (
        1,
        "open",
        2,
        "retention",
    )
    assert main(["gaps", "accept", "--reason", "r", *home]) == 2
    kafka = ["--bootstrap-servers", str(gap.settings.bootstrap_servers)]
    assert main(["gaps", "accept", "--all", "--reason", "too late", "--author", "bo", "--json", *home, *kafka]) == 0
    accepted = json.loads(capsys.readouterr().out)
    assert [(each["state"], each["author"], each["reason"]) for each in accepted["gaps"]] == [
        ("accepted", "bo", "too late")
    ]
    assert main(["gaps", "list", *home]) == 0
    assert "too late" in capsys.readouterr().out
    assert main(["gaps", "list", "--home", str(gap.settings.home / "elsewhere")]) == 2


def test_what_was_read_before_retention_came_is_kept(new_case: NewCase) -> None:
    """A range of 6 of which 2 were read when 4 were deleted ends after 2, not with an error."""
    case = new_case()
    case.send(*"012345")
    consumer = KafkaConsumer(
        bootstrap_servers=case.settings.bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=1,  # one batch a request
        fetch_max_bytes=1,
        max_poll_records=1,
    )
    read_in_chunks(consumer)
    reader = PartitionReader(consumer, TopicPartition(case.topic, 0))
    chunks = reader.read(OffsetRange(case.topic, 0, 0, 6), chunk_records=1)
    read = [ChunkOrigin.of(next(chunks)), ChunkOrigin.of(next(chunks))]
    consumer.seek(TopicPartition(case.topic, 0), 2)  # drop what it fetched ahead
    case.drop_before(4)
    read += [ChunkOrigin.of(batch) for batch in chunks]
    consumer.close()
    assert [(each.first_offset, each.next_offset, each.records) for each in read] == [(0, 1, 1), (1, 2, 1)]


class _Log:
    """A consumer of a log that is given as chunks."""

    def __init__(self, *chunks: RecordChunk) -> None:
        self._chunks = list(chunks)
        self._assigned: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._assigned = set(partitions)

    def seek(self, _partition: TopicPartition, _offset: int) -> None:
        pass

    def poll(self, **_options: int) -> dict[TopicPartition, list[RecordChunk]]:
        return {TopicPartition("t", 0): [self._chunks.pop(0)]} if self._chunks else {}


def test_a_range_ends_before_a_hole_and_the_next_one_holds_nothing() -> None:
    """Offsets 3 and 4 are absent: with a base of 10 the book's 13 and 14."""
    log = _Log(RecordChunk(RECORDS, 0, 3), RecordChunk(RECORDS, 5, 8))
    reader = PartitionReader(log, TopicPartition("t", 0))
    (read,) = [ChunkOrigin.of(batch) for batch in reader.read(OffsetRange("t", 0, 10, 18, 10, may_have_holes=False))]
    assert (read.first_offset, read.next_offset) == (10, 13)
    assert take_holes() == [OffsetHole("t", 0, 13, 15)]
    assert list(reader.read(OffsetRange("t", 0, 13, 18, 10, may_have_holes=False))) == []
    assert take_holes() == [OffsetHole("t", 0, 13, 15)]
    (read,) = [ChunkOrigin.of(batch) for batch in reader.read(OffsetRange("t", 0, 13, 18, 10))]
    assert (read.first_offset, read.next_offset, read.missing) == (13, 18, 5)
    assert take_holes() == []
