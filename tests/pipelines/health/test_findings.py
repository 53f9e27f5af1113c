"""What counts as wrong, and what does not; the words for both."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from tollbook.health.figures import duration, share, size
from tollbook.health.findings import BALANCED, CURRENT, SOUND, findings
from tollbook.health.kafka import KafkaHealth, PartitionHealth
from tollbook.health.lake import Counts
from tollbook.health.status import BookStatus, Disk
from tollbook.health.words import lines, verdict
from tollbook.lake.gaps import Gap, GapRecord

GIB = 1024**3


def codes(status: BookStatus) -> list[str]:
    """Return the names of what is wrong."""
    return [finding.code for finding in findings(status)]


def said(status: BookStatus, subject: str) -> str:
    """Return what is said of a subject."""
    return dict(lines(status))[subject]


def waiting(count: int, **told: int) -> KafkaHealth:
    """Return a Kafka that holds `count` offsets more than the book."""
    place: dict[str, Any] = {"committed": 100, "first": 0, "end": 100 + count} | told
    return KafkaHealth(None, (PartitionHealth("llm.usage", 0, **place),))


def test_a_book_that_is_well_says_so(well: BookStatus) -> None:
    """Each line answers one question that people ask."""
    assert codes(well) == []
    assert verdict(well, ()) == "The book is current and balanced."
    assert lines(well) == [
        ("newest event", "2026-06-01 11:59:57 UTC, 3 s ago"),
        ("newest commit", "9, 2026-06-01 11:59:59 UTC, 1 s ago"),
        ("meter", "running (process 4711)"),
        ("Kafka", "answers; nothing waits (1 topic, 1 partition)"),
        ("last day", "1,000 records read, 995 events accepted, 5 dead letters (0.50 %), 2 conflicts (0.20 %)"),
        ("readers", "see commit 9 of 9, built 40 min ago"),
        (
            "last build",
            "well, 2026-06-01 11:20:00 UTC, 40 min ago, took 12.3 s; 3,704 amounts compared, all equal",
        ),
        ("disk", "200.0 GiB of 500.0 GiB free"),
    ]


def test_no_book_is_the_finding_there_is(well: BookStatus) -> None:
    """A misspelt home must not read as a book without calls."""
    none = replace(well, lake=None, kafka=None)
    (finding,) = findings(none)
    assert (finding.code, finding.against) == ("no_book", CURRENT)
    assert "TOLLBOOK_HOME" in finding.remedy
    assert verdict(none, (finding,)) == "There is no book at /book yet."


def test_records_that_wait_for_a_running_meter_are_no_finding(well: BookStatus) -> None:
    """They came this second: with traffic there are always some."""
    assert codes(replace(well, kafka=waiting(50))) == []
    assert said(replace(well, kafka=waiting(50)), "Kafka") == "answers; 50 offsets wait (1 topic, 1 partition)"


def test_records_that_wait_without_a_meter_are(well: BookStatus) -> None:
    """Nobody will read them, unless the meter runs on another machine."""
    alone = replace(well, kafka=waiting(1_200), meter=None)
    (finding,) = findings(alone)
    assert (finding.code, finding.against) == ("unread", CURRENT)
    assert finding.sentence == "1,200 offsets wait to be read, and no meter runs"
    assert verdict(alone, (finding,)) == "The book is balanced but not current."
    assert said(alone, "meter") == "not running"
    elsewhere = replace(alone, writer_is_elsewhere=True)
    assert codes(elsewhere) == []
    assert said(elsewhere, "meter") == "none on this machine; the last one was here:4711"


def test_a_meter_that_stands_still_and_one_that_is_behind_are_told_apart(well: BookStatus, noon: datetime) -> None:
    """One wants a look, the other wants time."""
    assert well.lake is not None
    old = msgspec.structs.replace(well.lake.manifest, committed_at=noon - timedelta(minutes=6))
    still = replace(well, kafka=waiting(1), lake=replace(well.lake, manifest=old))
    assert codes(still) == ["meter_stuck"]
    behind = replace(well, kafka=waiting(1), lake=replace(well.lake, newest_event_at=noon - timedelta(hours=2)))
    (finding,) = findings(behind)
    assert finding.code == "behind"
    assert "the newest event is 2 h old: the meter is working them off" in finding.sentence
    quiet = replace(behind, kafka=waiting(0))
    assert codes(quiet) == []


def test_kafka_that_is_away_is_said_with_its_reason(well: BookStatus) -> None:
    """The rest of the status is told all the same."""
    away = replace(well, kafka=KafkaHealth("expected a Kafka broker at host:1, none answered."))
    (finding,) = findings(away)
    assert finding.code == "kafka_away"
    assert finding.sentence.endswith("whether records wait: expected a Kafka broker at host:1, none answered")
    assert verdict(away, (finding,)) == "The book is balanced; whether it is current is not known."
    assert said(away, "Kafka") == "does not answer"
    assert said(away, "newest event").endswith("3 s ago")


def test_gaps_are_loud(well: BookStatus) -> None:
    """Offsets that are gone, logs that were cut and topics that are others are each named."""
    assert codes(replace(well, kafka=waiting(50, first=130))) == ["offsets_lost"]
    (lost,) = findings(replace(well, kafka=waiting(50, first=130)))
    assert lost.sentence == "Kafka dropped 30 offsets of llm.usage-0 before they were read"
    assert codes(replace(well, kafka=waiting(0, end=40))) == ["log_truncated"]
    assert codes(replace(well, kafka=KafkaHealth(None, absent=("llm.usage",)))) == ["topic_absent"]
    assert codes(replace(well, kafka=KafkaHealth(None, remade=("llm.usage",)))) == ["topic_remade"]


def test_a_gap_that_the_meter_found_is_told_once(well: BookStatus, noon: datetime) -> None:
    """In the meter's own words, and not again as what Kafka tells of the same partition."""
    gap = Gap(
        topic="llm.usage",
        partition=0,
        kind="retention",
        first_offset=100,
        next_offset=130,
        loss_is_known=True,
        base_before=0,
        base_after=0,
        kafka_first_offset=130,
        kafka_end_offset=150,
        topic_id_before="id",
        topic_id_after="id",
        commit=9,
        detected_at=noon,
    )
    assert well.lake is not None
    lake = replace(well.lake, open_gaps=(GapRecord(number=4, gap=gap, state="open"),))
    found = findings(replace(well, lake=lake, kafka=waiting(50, first=130), meter=None))
    assert [finding.code for finding in found] == ["open_gap", "unread"]
    assert found[0].sentence == (
        "the meter stops at gap 4: expected to go on at offset 100 of llm.usage-0, Kafka's first is 130: "
        "30 offsets were deleted before they were read"
    )
    assert "tollbook gaps accept" in found[0].remedy


def test_commits_may_wait_an_hour_for_a_build(well: BookStatus, noon: datetime) -> None:
    """Builds have a schedule; a commit of this minute is not late."""
    warehouse = replace(well.warehouse, published_commit=7, current=False)
    fresh = replace(well, warehouse=warehouse, unpublished_since=noon - timedelta(minutes=59))
    assert codes(fresh) == []
    assert said(fresh, "readers") == "see commit 7 of 9, built 40 min ago"
    late = replace(fresh, unpublished_since=noon - timedelta(minutes=61))
    (finding,) = findings(late)
    assert (finding.code, finding.remedy) == ("unpublished", "run `tollbook warehouse build`")
    assert "commit 7 of 9; what came since 2026-06-01 10:59:00 UTC" in finding.sentence
    at_work = replace(late, warehouse=replace(warehouse, building="815"))
    assert [finding.remedy for finding in findings(at_work)] == ["a build (process 815) is at work"]
    assert said(at_work, "last build").endswith("; one is at work (process 815)")


def test_nothing_published_is_not_yet_current(well: BookStatus) -> None:
    """Nobody can say that it balances."""
    warehouse = replace(
        well.warehouse, published_version=None, published_commit=None, built_at=None, current=False, balanced=None
    )
    new = replace(well, warehouse=warehouse, last_build=None, conflicts_last_day=None)
    assert codes(new) == ["nothing_published"]
    assert verdict(new, findings(new)) == "The book is not published yet."
    assert (said(new, "readers"), said(new, "last build")) == ("see nothing yet", "none left a record")
    assert "conflicts" not in said(new, "last day")


def test_a_book_that_does_not_balance_is_not_said_to(well: BookStatus, noon: datetime) -> None:
    """By the published file, or by the build that refused to publish."""
    published = replace(well, warehouse=replace(well.warehouse, balanced=False))
    assert [(each.code, each.against) for each in findings(published)] == [("published_unequal", BALANCED)]
    assert verdict(published, findings(published)) == "The book is current but not balanced."
    assert well.last_build is not None
    figures = well.last_build.figures
    assert figures is not None
    failed = msgspec.structs.replace(
        well.last_build,
        error="BookUnbalancedError",
        message="the book does not balance, nothing is published",
        figures=msgspec.structs.replace(figures, unequal=3),
        ended_at=noon - timedelta(minutes=5),
    )
    refused = replace(well, last_build=failed)
    (finding,) = findings(refused)
    assert (finding.code, finding.against) == ("build_failed", BALANCED)
    assert "failed 5 min ago (BookUnbalancedError: the book does not balance, nothing" in finding.sentence
    assert said(refused, "last build").endswith("3,704 amounts compared, 3 not equal")


def test_a_build_that_failed_otherwise_makes_the_book_old_and_not_wrong(well: BookStatus) -> None:
    """Readers see the one before."""
    assert well.last_build is not None
    failed = replace(well, last_build=msgspec.structs.replace(well.last_build, error="GateFailedError", message="m"))
    (finding,) = findings(failed)
    assert (finding.code, finding.against) == ("build_failed", CURRENT)
    assert verdict(failed, findings(failed)) == "The book is balanced but not current."


@pytest.mark.parametrize(
    ("accepted", "rejected", "found"),
    [(990, 10, False), (989, 11, True), (5, 9, False), (0, 10, True), (1_000_000, 10_000, False)],
)
def test_more_than_one_in_a_hundred_dead_letters_is_a_finding(
    well: BookStatus, accepted: int, rejected: int, found: bool
) -> None:
    """One percent exactly is not more; fewer than ten are no flood, whatever their share."""
    assert well.lake is not None
    day = Counts(records=accepted + rejected, accepted=accepted, rejected=rejected)
    flooded = replace(well, conflicts_last_day=0, lake=replace(well.lake, last_day=day))
    assert codes(flooded) == (["rejects"] if found else [])
    if found:
        assert [each.against for each in findings(flooded)] == [SOUND]
        assert verdict(flooded, findings(flooded)).endswith("balanced, and there is more to look at.")


def test_conflicts_have_their_own_share(well: BookStatus) -> None:
    """995 events were accepted: ten conflicts are more than a hundredth, nine are too few to tell."""
    assert codes(replace(well, conflicts_last_day=10)) == ["conflicts"]
    assert codes(replace(well, conflicts_last_day=9)) == []


@pytest.mark.parametrize(
    ("free", "total", "found"), [(9 * GIB, 500 * GIB, True), (10 * GIB, 500 * GIB, False), (3 * GIB, 20 * GIB, False)]
)
def test_a_disk_is_low_by_share_and_by_size(well: BookStatus, free: int, total: int, found: bool) -> None:
    """Ten GiB are enough on any disk, and a tenth on a small one."""
    assert codes(replace(well, disk=Disk("/book", free, total))) == (["disk"] if found else [])


def test_the_gravest_comes_first(well: BookStatus) -> None:
    """Whoever reads one line reads that the book does not balance."""
    all_wrong = replace(
        well,
        kafka=waiting(50),
        meter=None,
        warehouse=replace(well.warehouse, balanced=False),
        conflicts_last_day=500,
        disk=Disk("/book", GIB, 500 * GIB),
    )
    assert codes(all_wrong) == ["published_unequal", "unread", "conflicts", "disk"]
    assert verdict(all_wrong, findings(all_wrong)) == (
        "The book is neither current nor balanced, and there is more to look at."
    )


def test_offsets_that_an_operator_gave_up_stay_in_view(well: BookStatus) -> None:
    """Accepted is not forgotten."""
    assert well.lake is not None
    lost = replace(well, lake=replace(well.lake, lost=30))
    assert codes(lost) == []
    assert said(lost, "last day").endswith("; 30 offsets lost since the book began, accepted")


def test_an_event_from_a_clock_that_is_ahead_is_said_so(well: BookStatus, noon: datetime) -> None:
    """A negative age helps nobody."""
    assert well.lake is not None
    ahead = replace(well, lake=replace(well.lake, newest_event_at=noon + timedelta(minutes=3)))
    assert said(ahead, "newest event") == "2026-06-01 12:03:00 UTC, 3 min ahead of this machine's clock"
    assert said(replace(well, lake=replace(well.lake, newest_event_at=None)), "newest event") == "not known"


def test_figures_are_rounded_down_and_never_to_nothing() -> None:
    """One dead letter among a million is not 0.00 %."""
    assert [duration(timedelta(seconds=each)) for each in (0, 59, 60, 3_599, 3_600, 86_399, 172_800)] == [
        "0 s",
        "59 s",
        "1 min",
        "59 min",
        "1 h",
        "23 h",
        "2 d",
    ]
    assert [share(1, 3), share(1, 1_000_000), share(0, 5), share(0, 0), share(7, 7)] == [
        "33.33 %",
        "under 0.01 %",
        "0.00 %",
        "0.00 %",
        "100.00 %",
    ]
    assert [size(1_023), size(1_536), size(10 * GIB), size(5 * 1024**4)] == ["1023 B", "1.5 KiB", "10.0 GiB", "5.0 TiB"]


def test_as_json_every_time_is_text(well: BookStatus) -> None:
    """Whatever reads it needs no Python."""
    told = well.as_dict()
    assert told["lake"]["committed_at"] == "2026-06-01T11:59:59+00:00"
    assert told["lake"]["last_day"] == {"records": 1_000, "accepted": 995, "rejected": 5, "conflicts": 2}
    assert told["kafka"]["partitions"][0] == {
        "topic": "llm.usage",
        "partition": 0,
        "committed": 100,
        "first": 0,
        "end": 100,
        "lag": 0,
        "lost": 0,
    }
    assert told["last_build"]["hand_overs"] == 3_704
    assert replace(well, lake=None, kafka=None, last_build=None).as_dict()["lake"] is None
