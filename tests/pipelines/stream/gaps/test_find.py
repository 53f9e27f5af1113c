"""What counts as a gap, and what the lake remembers of it, without a Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tollbook.errors import CorruptManifestError, KafkaUnavailableError, OffsetGapError
from tollbook.lake.gaps import Acceptance, Gap, append_gap_entry, load_gaps
from tollbook.lake.log import entry_path
from tollbook.lake.manifest import Manifest
from tollbook.stream.gaps import GapWatch, KafkaOffsets, find_gaps

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OLD, NEW = "id-old", "id-new"


def _manifest(
    offsets: Mapping[int, int],
    *,
    topic_id: str | None = OLD,
    bases: Mapping[int, int] | None = None,
    accepted: tuple[int, ...] = (),
) -> Manifest:
    return Manifest(
        commit=7,
        epoch=1,
        writer="test",
        committed_at=NOW,
        schema_versions={},
        catalogue_version="c",
        reference_version="r",
        files=[],
        offsets={"t": dict(offsets)},
        totals={},
        topic_ids={"t": topic_id} if topic_id is not None else {},
        offset_bases={"t": dict(bases or {})},
        accepted_gaps=list(accepted),
    )


def _kafka(*logs: tuple[int, int], topic_id: str | None = OLD) -> KafkaOffsets:
    """Return what Kafka tells of partitions 0, 1, ..., each with its first offset and its end."""
    return KafkaOffsets(
        ids={"t": topic_id} if topic_id is not None else {},
        beginnings={("t", number): first for number, (first, _) in enumerate(logs)},
        ends={("t", number): end for number, (_, end) in enumerate(logs)},
    )


def _found(manifest: Manifest, kafka: KafkaOffsets, seen: Mapping[int, int] | None = None) -> list[Gap]:
    ends = {("t", number): end for number, end in (seen or {}).items()}
    return list(find_gaps(manifest, kafka, seen_ends=ends, now=NOW))


def test_a_log_that_holds_the_next_offset_is_no_gap() -> None:
    """Caught up, behind, and just at the first offset that Kafka still has."""
    assert _found(_manifest({0: 5, 1: 5, 2: 5}), _kafka((0, 5), (0, 9), (5, 9))) == []


def test_topics_that_the_book_has_not_read_begin_where_kafka_does() -> None:
    """A book begins somewhere: what was before is not lost from it."""
    kafka = KafkaOffsets(ids={"u": NEW}, beginnings={("u", 0): 40}, ends={("u", 0): 50})
    assert list(find_gaps(_manifest({0: 5}), kafka, seen_ends={}, now=NOW)) == []


def test_offsets_are_compared_as_the_book_counts_them() -> None:
    """Base 100: the book's 105 is Kafka's 5, and Kafka's first 8 is the book's 108."""
    (gap,) = _found(_manifest({0: 105}, bases={0: 100}), _kafka((8, 20)))
    assert (gap.kind, gap.first_offset, gap.next_offset, gap.lost_offsets) == ("retention", 105, 108, 3)
    assert (gap.base_before, gap.base_after, gap.kafka_first_offset) == (100, 100, 8)
    assert "offset 5 of t-0, Kafka's first is 8: 3 offsets" in gap.words()


def test_what_was_seen_of_a_log_before_it_was_gone_is_known_to_be_lost() -> None:
    """The meter saw offsets up to 9 and had read up to 5: at least 4 are lost, and nobody knows how many more."""
    (gap,) = _found(_manifest({0: 5}), _kafka((2, 6), topic_id=NEW), {0: 9})
    assert (gap.kind, gap.loss_is_known, gap.base_after) == ("recreated", False, 9)
    # 4 of the old log, and 2 that the new one lacks at its beginning.
    assert (gap.next_offset, gap.lost_offsets) == (11, 6)
    (gap,) = _found(_manifest({0: 5}), _kafka((2, 3)), {0: 9})
    # Kafka's 2, the first that is left, is read again as the book's 9.
    assert (gap.kind, gap.next_offset, gap.lost_offsets, gap.base_after) == ("truncated", 9, 4, 7)


def test_a_partition_that_is_gone_means_a_topic_made_anew_even_without_ids() -> None:
    """Kafka never takes a partition away, so the other ones are new as well, whatever their offsets look like."""
    found = _found(_manifest({0: 5, 1: 5}, topic_id=None), _kafka((0, 90), topic_id=None))
    assert [(gap.kind, gap.partition, gap.base_after) for gap in found] == [("recreated", 0, 5), ("recreated", 1, 5)]
    assert "has lost partitions" in found[0].words()


def test_an_added_partition_whose_first_records_are_gone_is_both_noted_and_a_gap() -> None:
    """A new partition begins at 0; where Kafka's first is 4, four records came and went unread."""
    found = _found(_manifest({0: 5}), _kafka((0, 5), (4, 6)))
    assert [(gap.kind, gap.first_offset, gap.lost_offsets) for gap in found] == [
        ("partition_added", 0, 0),
        ("retention", 0, 4),
    ]


def test_a_gap_is_recorded_once_and_anew_when_it_has_grown(tmp_path: Path) -> None:
    """A supervisor starts the meter again and again; the log must not grow with it."""
    manifest = _manifest({0: 5})
    for first in (8, 8, 10):
        with pytest.raises(OffsetGapError):
            GapWatch(tmp_path, manifest, lambda: NOW).refuse_gaps(manifest, _kafka((first, 20)))
    assert [(each.number, each.gap.next_offset, each.state) for each in load_gaps(tmp_path, manifest)] == [
        (1, 8, "replaced"),
        (2, 10, "open"),
    ]


def test_a_gap_that_a_look_at_another_kafka_found_is_withdrawn_at_the_next_one(tmp_path: Path) -> None:
    """Whoever named the wrong servers has nothing to accept."""
    manifest = _manifest({0: 5})
    watch = GapWatch(tmp_path, manifest, lambda: NOW)
    with pytest.raises(OffsetGapError, match="made anew"):
        watch.refuse_gaps(manifest, _kafka((0, 9), topic_id=NEW))
    watch.refuse_gaps(manifest, _kafka((0, 9)))
    assert [each.state for each in load_gaps(tmp_path, manifest)] == ["withdrawn"]
    with pytest.raises(OffsetGapError, match="made anew"):
        watch.refuse_gaps(manifest, _kafka((0, 9), topic_id=NEW))
    assert [each.state for each in load_gaps(tmp_path, manifest)] == ["withdrawn", "open"]


def test_a_meter_that_saw_less_of_a_log_does_not_forget_what_another_saw(tmp_path: Path) -> None:
    """The one that followed saw the end of the old log; the one that is started after it did not."""
    manifest = _manifest({0: 5})
    watch = GapWatch(tmp_path, manifest, lambda: NOW)
    watch.refuse_gaps(manifest, _kafka((0, 9)))
    for _ in range(2):
        with pytest.raises(OffsetGapError, match="4 offsets are known to be lost"):
            watch.refuse_gaps(manifest, _kafka((0, 2), topic_id=NEW))
        watch = GapWatch(tmp_path, manifest, lambda: NOW)
    assert [(each.number, each.gap.lost_offsets) for each in load_gaps(tmp_path, manifest)] == [(1, 4)]


def test_a_gap_stops_only_a_meter_of_its_topic(tmp_path: Path) -> None:
    """Other topics of the lake may be read by themselves."""
    manifest = _manifest({0: 5})
    with pytest.raises(OffsetGapError):
        GapWatch(tmp_path, manifest, lambda: NOW).refuse_gaps(manifest, _kafka((8, 20)))
    other = KafkaOffsets(ids={}, beginnings={("u", 0): 0}, ends={("u", 0): 5})
    GapWatch(tmp_path, manifest, lambda: NOW).refuse_gaps(manifest, other)
    assert [each.state for each in load_gaps(tmp_path, manifest)] == ["open"]


def test_an_acceptance_counts_only_when_the_manifest_names_it(tmp_path: Path) -> None:
    """Its author died between the two: nothing of it holds, and the gap is open."""
    manifest = _manifest({0: 5})
    with pytest.raises(OffsetGapError):
        GapWatch(tmp_path, manifest, lambda: NOW).refuse_gaps(manifest, _kafka((8, 20)))
    entry = append_gap_entry(tmp_path, Acceptance(gaps=[1], author="ada", reason="why", accepted_at=NOW))
    assert [(each.state, each.author) for each in load_gaps(tmp_path, manifest)] == [("open", None)]
    named = load_gaps(tmp_path, _manifest({0: 8}, accepted=(entry,)))
    assert [(each.state, each.author, each.reason) for each in named] == [("accepted", "ada", "why")]


def test_kafka_that_refuses_what_it_tells_of_is_given_up_after_some_tries(tmp_path: Path) -> None:
    """Else a meter would plan the same range for ever."""
    manifest = _manifest({0: 5})
    watch = GapWatch(tmp_path, manifest, lambda: NOW)
    for _ in range(5):
        watch.refuse_standstill(manifest, manifest)
    with pytest.raises(KafkaUnavailableError, match="refused them 6 times"):
        watch.refuse_standstill(manifest, manifest)
    for _ in range(12):
        watch.refuse_standstill(manifest, _manifest({0: 6}))


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    """The log decides whether the meter may go on, so it is not read leniently."""
    append_gap_entry(tmp_path, Acceptance(gaps=[4], author="a", reason="r", accepted_at=NOW))
    with pytest.raises(CorruptManifestError, match="to name gaps before it, got 4"):
        load_gaps(tmp_path, _manifest({}, accepted=(1,)))
    entry_path(tmp_path / "gaps" / "log", 1).write_text("{")
    with pytest.raises(CorruptManifestError, match="expected an entry of gaps"):
        load_gaps(tmp_path, None)
