"""Marking repeats: what live sums count, and what they take back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tollbook.contracts import usage_record_schema
from tollbook.stream.call_memory import CallMemory, Outcome
from tollbook.stream.repeats import count_calls, taken_back_minutes

EVENT: dict[str, Any] = {
    "source": "s",
    "event_id": "a",
    "revision": 0,
    "action": "record",
    "usage_basis": "reported",
    "occurred_at": datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC),
    "owner_team": "search",
    "workflow": "w",
    "provider": "openai",
    "model": "m",
    "cost_basis": "rated",
    "list_cost": Decimal("0.5"),
    "input_tokens": 10,
    "output_tokens": 2,
}
VOID: dict[str, Any] = {"action": "void", "cost_basis": None, "list_cost": None, "input_tokens": None}


def _count(memory: CallMemory, *rows: dict[str, Any]) -> Outcome:
    events = pa.RecordBatch.from_pylist([EVENT | row for row in rows], schema=usage_record_schema())
    return count_calls(memory, events)


def _taken_back(memory: CallMemory, outcome: Outcome) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = taken_back_minutes(memory, outcome).to_pylist()
    return rows


def test_a_repeat_of_a_call_is_marked_and_another_source_with_its_id_is_not() -> None:
    """A call is known by source and id together."""
    memory = CallMemory()
    assert _count(memory, {}, {}, {"source": "t"}).repeats.tolist() == [False, True, False]
    assert _count(memory, {}).repeats.tolist() == [True]


def test_a_higher_revision_takes_back_under_the_minute_and_names_of_the_lower_one() -> None:
    """What was booked to one team must be taken back from that team, wherever the last word goes."""
    memory = CallMemory()
    _count(memory, {}, {"event_id": "b", "owner_team": None})
    later = {"revision": 1, "owner_team": "ads", "occurred_at": datetime(2026, 6, 2, tzinfo=UTC), "input_tokens": 25}
    outcome = _count(memory, later)
    assert outcome.repeats.tolist() == [False]
    (row,) = _taken_back(memory, outcome)
    assert row == {
        "event_minute": datetime(2026, 6, 1, 12, 0, tzinfo=UTC),
        "owner_team": "search",
        "owner_cost_center": None,
        "workflow": "w",
        "agent": None,
        "provider": "openai",
        "model": "m",
        "calls": -1,
        "unpriced_calls": 0,
        "unpriced_tokens": 0,
        "input_tokens": -10,
        "output_tokens": -2,
        "list_cost": Decimal("-0.5"),
    }


def test_a_void_takes_back_and_a_late_lower_telling_does_not_bring_the_call_back() -> None:
    """What never counted must not count because its first telling was slow."""
    memory = CallMemory()
    _count(memory, {})
    outcome = _count(memory, VOID | {"revision": 2})
    assert [row["calls"] for row in _taken_back(memory, outcome)] == [-1]
    assert _count(memory, {"revision": 1}).repeats.tolist() == [True]
    assert _taken_back(memory, _count(memory, {"revision": 3})) == []


def test_an_estimate_gives_way_to_what_was_reported_whatever_the_revisions() -> None:
    """As in the warehouse: half an answer of a session file against a gateway's whole one."""
    memory = CallMemory()
    _count(memory, {"revision": 40, "usage_basis": "estimated"})
    assert _count(memory, {"revision": 0}).repeats.tolist() == [False]
    assert _count(memory, {"revision": 50, "usage_basis": "estimated"}).repeats.tolist() == [True]


def test_an_unpriced_call_is_taken_back_without_a_cost() -> None:
    """A cost that was unknown is no zero: the sum of costs must not know of it."""
    memory = CallMemory()
    _count(memory, {"cost_basis": "unpriced", "list_cost": None})
    (row,) = _taken_back(memory, _count(memory, {"revision": 1}))
    assert (row["unpriced_calls"], row["unpriced_tokens"], row["list_cost"]) == (-1, -12, None)


def test_the_dearest_cost_is_taken_back_to_the_last_pico_dollar() -> None:
    """A cost of 18 digits fills the integer it is remembered in."""
    memory = CallMemory()
    _count(memory, {"list_cost": Decimal("999999.999999999999"), "input_tokens": 1_000_000_000})
    (row,) = _taken_back(memory, _count(memory, {"revision": 2**31 - 1}))
    assert (row["list_cost"], row["input_tokens"]) == (Decimal("-999999.999999999999"), -1_000_000_000)
