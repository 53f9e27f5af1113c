"""Readers in processes of their own, while versions are published and files are compacted: no error, nothing torn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tollbook.lake.compaction import compact
from tollbook.lake.expiry import expire
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build, publish_build
from tollbook.warehouse.query import ask

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book, Readers, Traffic

ROUNDS, PUBLISHES_A_ROUND, ROUNDS_A_BUILD = 5, 5, 4
_TOTALS = (
    "select (select built_commit from audit.publication), sum(calls)::bigint, sum(input_tokens)::bigint, "
    "sum(output_tokens)::bigint, sum(list_cost)::varchar from finance.fct_chargeback_by_team"
)


def test_readers_meet_no_error_and_nothing_torn_during_publishes_and_compactions(
    book: Book, traffic: Traffic, readers: Readers
) -> None:
    """Twenty-five publishes and five compactions: each read sees one published version, or one commit, as a whole."""
    versions: set[tuple[Any, ...]] = set()
    with readers(book, 2) as seen:
        for number, lines in enumerate(traffic.slices(ROUNDS)):
            book.send(lines)
            run_meter(MeterOptions(settings=book.settings, topics=(book.topic,)))
            now = datetime.now(UTC)
            compact(book.settings.lake, until=now, clock=lambda: datetime.now(UTC))
            expire(book.settings.lake, now=now)
            if number % ROUNDS_A_BUILD == 0 or number == ROUNDS - 1:
                build(book.settings)
                versions.add(ask(book.settings, _TOTALS).rows[0])
            for _ in range(PUBLISHES_A_ROUND):
                publish_build(book.settings)

    assert [each["faults"] for each in seen] == [[], []]
    assert all(each["snapshots"] for each in seen)
    found = {tuple(version) for each in seen for version in each["published"]}
    assert found <= versions
    assert len(found) > 1
    book.assert_true(traffic.truth)
