"""Gaps of offsets with a real Kafka: heard, recorded, and left to the operator."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from tollbook.errors import KafkaUnavailableError, OffsetGapError
from tollbook.lake.manifest import newest
from tollbook.lake.steps import listening
from tollbook.settings import Settings
from tollbook.stream.topics import KafkaTopics

if TYPE_CHECKING:
    from tests.pipelines.stream.gaps.conftest import GapCase

    NewCase = Callable[..., GapCase]


def test_offsets_deleted_by_retention_are_lost_only_when_an_operator_says_so(new_case: NewCase) -> None:
    """3 read, 7 more sent, 5 of them deleted: 10 offsets are 5 records and 5 lost, and readers see who accepted it."""
    case = new_case()
    case.send(*"012")
    case.meter()
    case.send(*"3456789")
    case.drop_before(8)
    for _ in range(2):
        with pytest.raises(OffsetGapError, match=rf"5 offsets were deleted(?s:.)*gaps accept {case.topic}-0 --reason"):
            case.meter()
    assert [(each.number, each.state) for each in case.gaps()] == [(1, "open")]
    seen = "select gap_kind, gap_state, first_offset, next_offset, lost_offsets, accepted_by, accepted_reason"
    found = case.publish()
    assert found.rows(f"{seen} from audit.fct_offset_gaps") == [("retention", "open", 3, 8, 5, None, None)]
    assert found.rows("select next_offset, lost_offsets from audit.fct_kafka_offsets") == [(3, 0)]
    case.accept(f"{case.topic}-0")
    assert case.meter().accepted == 2
    total = case.total()
    assert (total.first_offset, total.next_offset, total.records, total.lost) == (0, 10, 5, 5)
    found = case.publish()
    accepted = ("retention", "accepted", 3, 8, 5, "ada", "disk was full")
    assert found.rows(f"{seen} from audit.fct_offset_gaps") == [accepted]
    assert found.rows("select next_offset, lost_offsets from audit.fct_kafka_offsets") == [(10, 5)]
    # 5 calls at 0.0048 USD.
    assert found.rows("select calls, list_cost from engineering.fct_usage_daily") == [(5, Decimal("0.024"))]


def test_a_gap_that_was_found_is_published_though_nothing_was_committed_since(new_case: NewCase) -> None:
    """Who looks at the tables must not believe that all is well while the meter stands still."""
    case = new_case()
    case.send("a")
    case.meter()
    count = "select count(*) from audit.fct_offset_gaps"
    assert case.publish().rows(count) == [(0,)]
    case.send("b", "c")
    case.drop_before(2)
    with pytest.raises(OffsetGapError):
        case.meter()
    assert case.publish().rows(count) == [(1,)]


def test_a_topic_made_anew_goes_on_under_offsets_of_its_own(new_case: NewCase) -> None:
    """Old and new records share Kafka's offsets and not the book's: 3 old and 5 new are offsets 0 to 7."""
    case = new_case(partitions=2)
    case.send("old 0", b"poison", "old 2")
    case.send("old 3", partition=1)
    case.meter()
    old_id = case.newest_manifest().topic_ids[case.topic]
    case.make_anew(partitions=3)
    case.send("new 0", b"poison", "new 2", "new 3", "new 4")
    case.send("new 5", partition=2)
    with pytest.raises(OffsetGapError, match=f"made anew(?s:.)*gaps accept {case.topic} --reason"):
        case.meter()
    case.accept(case.topic)
    assert case.newest_manifest().topic_ids[case.topic] != old_id
    progress = case.meter()
    assert (progress.accepted, progress.rejected) == (5, 1)
    first, second, third = (case.total(partition) for partition in range(3))
    assert (first.next_offset, first.records, first.reject_rows, first.lost) == (8, 8, 2, 0)
    assert (second.next_offset, third.next_offset) == (1, 1)
    assert case.newest_manifest().offset_bases == {case.topic: {0: 3, 1: 1}}
    place = '(topic, "partition", "offset")'
    assert case.rows_of("usage", f"count(*), count(distinct {place})") == [(8, 8)]
    # Both were record 1 of partition 0 in Kafka's count.
    assert case.rows_of("rejects", "reject_id") == [(f"{case.topic}:0:1",), (f"{case.topic}:0:4",)]
    assert case.publish().rows(
        "select kafka_partition, gap_kind, gap_state, first_offset, next_offset, offset_base_after, loss_is_known "
        "from audit.fct_offset_gaps order by gap_number"
    ) == [
        (0, "recreated", "accepted", 3, 3, 3, False),
        (1, "recreated", "accepted", 1, 1, 1, False),
        (2, "partition_added", "noted", 0, 0, 0, True),
    ]


def test_a_new_log_that_lost_its_first_records_before_they_were_read_tells_so(new_case: NewCase) -> None:
    """A log begins at 0, so what a new one lacks at its beginning is known to be lost: here 2 offsets."""
    case = new_case()
    case.send("old")
    case.meter()
    case.make_anew()
    case.send(*"01234")
    case.drop_before(2)
    with pytest.raises(OffsetGapError, match="made anew"):
        case.meter()
    case.accept(case.topic)
    case.meter()
    assert (case.total().next_offset, case.total().records, case.total().lost) == (6, 4, 2)
    case.publish()


def test_a_topic_made_anew_with_fewer_partitions_and_given_more_again_stays_in_order(new_case: NewCase) -> None:
    """The book knows a partition that is not there now; when it comes back, its log begins where the book ended."""
    case = new_case(partitions=2)
    case.send("a", "b", partition=1)
    case.meter()
    case.make_anew(partitions=1)
    with pytest.raises(OffsetGapError, match="made anew"):
        case.meter()
    case.accept(case.topic)
    with case.admin() as client:
        client.create_partitions({case.topic: 2})
        case.wait_for(lambda: len(client.describe_topics([case.topic])[0]["partitions"]) == 2)
    case.send("c", partition=1)
    case.meter()
    assert (case.total(1).next_offset, case.total(1).records) == (3, 3)
    case.publish()


def test_a_log_that_ends_before_the_book_stops_the_meter_even_when_it_has_grown_past_it(
    new_case: NewCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brokers before 2.8 tell no ids: only the end of the log gives a truncation away, and only for a while."""
    monkeypatch.setattr(KafkaTopics, "ids", lambda _self: {})
    case = new_case()
    case.send(*"012")
    case.meter()
    case.make_anew()
    case.send("2")
    with pytest.raises(OffsetGapError, match="made anew or truncated"):
        case.meter()
    case.send(*"3456")
    with pytest.raises(OffsetGapError, match="made anew or truncated"):
        case.meter()
    case.accept(f"{case.topic}-0")
    case.meter()
    assert (case.total().next_offset, case.total().records, case.total().lost) == (8, 8, 0)
    # The call that was read before counts once: 0 to 6 are seven calls.
    assert case.publish().rows("select calls from engineering.fct_usage_daily") == [(7,)]


def test_partitions_that_are_added_are_read_from_their_beginning_and_noted_once(new_case: NewCase) -> None:
    """Nothing is lost by more partitions, so nobody has to decide; but audits see when it was."""
    case = new_case()
    case.send("a")
    case.meter()
    with case.admin() as client:
        client.create_partitions({case.topic: 3})
        case.wait_for(lambda: len(client.describe_topics([case.topic])[0]["partitions"]) == 3)
    case.meter()
    case.send("b", "c", partition=2)
    assert case.meter().accepted == 2
    case.meter()
    assert [(each.gap.kind, each.gap.partition, each.state) for each in case.gaps()] == [
        ("partition_added", 1, "noted"),
        ("partition_added", 2, "noted"),
    ]
    assert case.newest_manifest().offsets == {case.topic: {0: 1, 1: 0, 2: 2}}
    assert case.publish().rows("select calls from engineering.fct_usage_daily") == [(3,)]


def test_retention_during_a_read_is_a_gap_and_costs_the_other_partitions_nothing(new_case: NewCase) -> None:
    """Deleted between the plan and the read: what was read of others is committed, then the meter stops."""
    case = new_case(partitions=2)
    case.send("0 first", partition=0)
    case.send("1 first", partition=1)
    case.meter()
    for partition in (0, 1):
        case.send(*(f"{partition} {n}" for n in range(4)), partition=partition)
    dropped: list[str] = []

    def drop(step: str) -> None:
        if step == "chunk_read" and not dropped:
            dropped.append(step)
            case.drop_before(3, partition=1)

    with listening(drop), pytest.raises(OffsetGapError, match="2 offsets were deleted before they were read"):
        case.meter()
    assert case.newest_manifest().offsets == {case.topic: {0: 5, 1: 1}}
    case.accept(f"{case.topic}-1")
    case.meter()
    assert (case.total(0).records, case.total(1).records) == (5, 3)
    assert (case.total(1).next_offset, case.total(1).lost) == (5, 2)
    case.publish()


def test_a_meter_that_follows_ends_with_the_command_to_run_when_its_topic_is_made_anew(new_case: NewCase) -> None:
    """It runs unattended, so it must notice by itself, and its last words must be enough to act on."""
    case = new_case()
    case.send("a")
    command = [sys.executable, "-m", "tollbook", "meter", "--follow", "--topic", case.topic]
    command += ["--home", str(case.settings.home), "--bootstrap-servers", str(case.settings.bootstrap_servers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    case.wait_for(lambda: process.poll() is not None or newest(case.settings.lake) is not None)
    case.make_anew()
    case.send("b", "c")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1, errors.decode()
    assert f'tollbook gaps accept {case.topic} --reason "..."' in errors.decode()
    assert "Traceback" not in errors.decode()
    case.accept(case.topic)
    case.meter()
    assert (case.total().next_offset, case.total().records) == (3, 3)


def test_a_topic_that_was_deleted_is_waited_for_and_not_made_by_asking(new_case: NewCase) -> None:
    """A broker that has just started may not know its topics yet; a name that was never there is misspelt instead."""
    case = new_case()
    case.send("a")
    case.meter()
    with case.admin() as client:
        case.delete(client)
        with pytest.raises(KafkaUnavailableError, match="was it deleted"):
            case.meter()
        assert case.topic not in client.list_topics()


def test_holes_are_as_they_should_be_in_a_compacted_log_and_a_gap_in_any_other(
    new_case: NewCase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of keys z, a, b, a the log loses offset 1. One book reads it while it is compacted, another when it is not."""
    case = new_case()
    strict = type(case)(
        Settings(home=tmp_path_factory.mktemp("strict"), bootstrap_servers=case.settings.bootstrap_servers), case.topic
    )
    case.send("z", keys="z")
    case.meter()
    strict.meter()
    compacting = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.bytes": "1048576"}
    with case.admin() as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, case.topic, configs=compacting)])
        # What is not in the newest segment is compacted: two large records begin another.
        case.send("a", "b", "a again", b"x" * 600_000, b"y" * 600_000, keys="abaxy")
        case.wait_for(lambda: _first_offset_after(case, 1) == 2)
        case.meter()
        client.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, case.topic, configs={"cleanup.policy": "delete"})]
        )
        with pytest.raises(OffsetGapError, match="goes on 1 offsets later, although the topic is not compacted"):
            strict.meter()
    assert (case.total().next_offset, case.total().records, case.total().missing, case.gaps()) == (6, 5, 1, [])
    with pytest.raises(OffsetGapError, match="goes on 1 offsets later"):
        strict.meter()
    strict.accept(f"{case.topic}-0")
    strict.meter()
    total = strict.total()
    assert (total.next_offset, total.records, total.missing, total.lost) == (6, 5, 0, 1)
    assert [(each.gap.kind, each.state) for each in strict.gaps()] == [("hole", "accepted")]
    case.publish()
    strict.publish()


def _first_offset_after(case: GapCase, offset: int) -> int:
    consumer = KafkaConsumer(bootstrap_servers=case.settings.bootstrap_servers, group_id=None, enable_auto_commit=False)
    place = TopicPartition(case.topic, 0)
    consumer.assign([place])
    consumer.seek(place, offset)
    polled = consumer.poll(timeout_ms=5_000)
    consumer.close()
    return int(polled[place][0].offset)
