"""Lines that no decoder may accept."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tollbook.formats.native import NativeDecoder
from tollbook.simulate import poison
from tollbook.simulate.calls import Call, event_of
from tollbook.simulate.poison import poisoned
from tollbook.simulate.prices import Quantities
from tollbook.simulate.randomness import Chance

CALLS = [
    Call("e1", 1_780_272_000_000_000, "anthropic", "claude-sonnet-5", Quantities(5, 100, 200, 0, 30), True, {}),
    Call("e2", 1_780_272_000_000_000, "openai", "gpt-5.6-sol", Quantities(5, 100, 0, 0, 30), False, {"agent": "a"}),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.provider)
def test_each_kind_is_rejected_for_its_reason(call: Call) -> None:
    """The truth counts on it; this is where its reasons meet the product's."""
    event = event_of(call)
    made = [(reason, make(event)) for reason, make in poison._KINDS]
    assert all(line and b"\n" not in line for _, line in made)
    values = pa.array([line for _, line in made], pa.binary())
    decoded = NativeDecoder().decode(values, now=datetime(2026, 11, 24, tzinfo=UTC))
    assert decoded.events.num_rows == 0
    assert [rejected.error.reason for rejected in decoded.rejected] == [reason for reason, _ in made]


def test_a_bad_line_never_carries_the_id_of_the_good_one() -> None:
    """Were it accepted after all, it would be seen as one event too many and not as a repeat."""
    chance = Chance(1, "poison")
    event = event_of(CALLS[0])
    for _ in range(100):
        _, line = poisoned(event, chance)
        assert b'"e1"' not in line
