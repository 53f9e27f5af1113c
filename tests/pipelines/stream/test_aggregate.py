"""Live sums by minute."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from tollbook.contracts import usage_record_schema
from tollbook.stream.aggregate import fold, sum_by_minute


def _rated(*rows: dict[str, object]) -> pa.RecordBatch:
    base: dict[str, object] = {
        "action": "record",
        "stream_repeat": False,
        "workflow": "w",
        "cost_basis": "rated",
        "list_cost": Decimal("0.5"),
        "input_tokens": 10,
        "output_tokens": 2,
        "occurred_at": datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC),
    }
    return pa.RecordBatch.from_pylist([base | row for row in rows], schema=usage_record_schema())


def test_sums_are_by_the_minute_of_the_event() -> None:
    """Event time, not the time of reading."""
    late = datetime(2026, 6, 1, 12, 1, 0, tzinfo=UTC)
    sums = sum_by_minute(_rated({}, {}, {"occurred_at": late})).to_pylist()
    assert [(s["event_minute"].minute, s["calls"], s["input_tokens"], s["list_cost"]) for s in sums] == [
        (0, 2, 20, Decimal("1.0")),
        (1, 1, 10, Decimal("0.5")),
    ]


def test_a_call_without_a_price_shows_beside_the_cost() -> None:
    """A sum hides a null, so the unpriced are counted."""
    unpriced: dict[str, object] = {"cost_basis": "unpriced", "list_cost": None}
    (one,) = sum_by_minute(_rated({}, unpriced)).to_pylist()
    assert (one["calls"], one["unpriced_calls"], one["unpriced_tokens"], one["list_cost"]) == (2, 1, 12, Decimal("0.5"))
    (none,) = sum_by_minute(_rated(unpriced)).to_pylist()
    assert none["list_cost"] is None


def test_repeats_and_voids_do_not_count_live() -> None:
    """What is said twice is spent once."""
    (one,) = sum_by_minute(_rated({}, {"stream_repeat": True}, {"action": "void", "list_cost": None})).to_pylist()
    assert one["calls"] == 1


def test_costs_beyond_an_int64_of_pico_dollars_do_not_wrap() -> None:
    """Arrow wraps int64 sums without a word; 20 calls of 999,999 USD exceed one."""
    dear: dict[str, object] = {"list_cost": Decimal("999999.999999999999")}
    (one,) = sum_by_minute(_rated(*[dear] * 20)).to_pylist()
    assert one["list_cost"] == Decimal("19999999.99999999998")


def test_folding_batches_equals_summing_them_at_once() -> None:
    """The commit adds up what workers summed."""
    rows: list[dict[str, object]] = [{"workflow": "a"}, {"workflow": "b"}, {"workflow": "a", "owner_team": "t"}]
    parts = [sum_by_minute(_rated(row)) for row in rows]
    whole = fold([sum_by_minute(_rated(*rows))])
    order = [("workflow", "ascending"), ("owner_team", "ascending")]
    assert fold(parts).sort_by(order).to_pylist() == whole.sort_by(order).to_pylist()


def test_no_events_sum_to_no_rows() -> None:
    """A chunk of nothing but rejects still has a commit."""
    assert sum_by_minute(_rated().slice(0, 0)).num_rows == 0
