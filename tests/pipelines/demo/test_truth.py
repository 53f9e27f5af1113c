"""A book that differs from what was simulated is found out, whatever differs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.demo.truth import Comparison, compare

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

SUMS: dict[str, int] = {
    "events": 3,
    "input_tokens": 100,
    "uncached_input_tokens": 40,
    "cache_read_tokens": 50,
    "cache_write_tokens": 10,
    "output_tokens": 7,
    "reasoning_tokens": 0,
    "list_cost_pico_usd": 1_500_000_000_001,
    "unpriced_events": 1,
    "unpriced_tokens": 20,
}
TRUTH: dict[str, Any] = SUMS | {
    "lines": 9,
    "accepted": 5,
    "duplicates": 2,
    "conflicts": 1,
    "rejected": 1,
    "superseded": 1,
    "voids": 1,
    "tasks": 1,
    "by_team": [{"month": "2026-08", "team": "unallocated", "cost_center": None, **SUMS}],
    "by_workflow": [{"month": "2026-08", "team": "unallocated", "workflow": None, **SUMS}],
}


def the_book(book: Book, *, times: int = 1, **changed: Any) -> Comparison:
    """Publish what the truth says, but for what is changed, and compare."""
    amounts: dict[str, Any] = {name: SUMS[name] for name in SUMS if name.endswith("_tokens")}
    amounts |= {"calls": 3, "unpriced_calls": 1, "reasoning_tokens": None, "list_cost": Decimal("1.500000000001")}
    period = {"billing_period_start": "2026-08-01", "team": "unallocated"}
    book.add("finance.fct_chargeback_by_team", **period, cost_center="unallocated", **(amounts | changed))
    book.add("finance.fct_chargeback_by_workflow", **period, workflow="unknown", **amounts)
    book.task("task-1", "2026-08-01 00:00:00+00", "1")
    book.add("audit.fct_kafka_offsets", topic="llm.usage", kafka_partition=0, records=9 * times, reject_rows=times)
    duplicates = 9 * times - times - times - 5  # all that is not rejected, in conflict or accepted
    states = {"standing": 3, "superseded": 1, "voided": 1, "duplicate": duplicates, "conflict": times}
    for state, tellings in states.items():
        book.add("audit.fct_tellings_daily", event_date="2026-08-01", telling_state=state, tellings=tellings)
    return compare(book.publish(), TRUTH)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_book_as_simulated_has_no_difference(book: Book, times: int) -> None:
    """However often it was sent. 10 sums in all, 10 of the team, 10 of the workflow, the tasks, 5 kinds of lines."""
    assert the_book(book, times=times) == Comparison(10 + 10 + 10 + 1 + 5, ())


def test_a_pico_dollar_is_a_difference(book: Book) -> None:
    """The amounts are named as people would look for them."""
    told = "1,500,000,000,001 simulated, 1,500,000,000,002 in the book"
    assert the_book(book, list_cost=Decimal("1.500000000002")).differences == (
        f"all list_cost_pico_usd: {told}",
        f"team 2026-08 unallocated unallocated list_cost_pico_usd: {told}",
    )


def test_a_charge_under_another_cost_centre_is_a_difference(book: Book) -> None:
    """Totals alone would not show it: nine sums are other than zero, missed in one place and found in another."""
    the_book(book)
    book.rows["finance.fct_chargeback_by_team"][0]["cost_center"] = "CC-1"

    differences = compare(book.publish(), TRUTH).differences
    assert len(differences) == 18
    assert "team 2026-08 unallocated CC-1 events: 0 simulated, 3 in the book" in differences
    assert "team 2026-08 unallocated unallocated events: 3 simulated, 0 in the book" in differences


def test_lines_are_compared_only_when_all_were_read(book: Book) -> None:
    """An interrupted run has sent a part of them; what stands is complete all the same."""
    the_book(book)
    book.rows["audit.fct_kafka_offsets"][0]["records"] = 13

    assert compare(book.publish(), TRUTH) == Comparison(31, ())


def test_a_lost_duplicate_is_a_difference(book: Book) -> None:
    """What does not count is counted, too."""
    the_book(book)
    book.rows["audit.fct_tellings_daily"][3]["tellings"] -= 1

    assert compare(book.publish(), TRUTH).differences == ("lines duplicates: 2 simulated, 1 in the book",)
