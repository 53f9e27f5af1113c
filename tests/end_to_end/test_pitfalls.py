"""What goes wrong in systems like this one, tried on the whole book: Kafka, meter, warehouse, published file."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tollbook.lake.compaction import compact
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book, Traffic

EVENT: dict[str, Any] = {
    "source": "anthropic",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "occurred_at": "2026-06-01T10:00:00Z",
    "workflow": "answers",
    "task_id": "task-1",
    "input_tokens": 1_000,
    "output_tokens": 100,
}
# claude-opus-4-5: 5 USD a million input tokens, 25 output (genai-prices 0.2.3): 0.005 and 0.0025 USD.
COST = Decimal("0.0075")
INPUT_COST = Decimal("0.005")
AMOUNT_MARTS = (
    "finance.fct_chargeback_by_team",
    "finance.fct_chargeback_by_workflow",
    "engineering.fct_usage_daily",
    "engineering.fct_tasks",
)


def test_pitfall_7_a_call_told_by_several_tools_and_sent_again_is_one_spend_row(book: Book) -> None:
    """Gateway, SDK and a resend tell of one call, before and after a compaction: it is charged once."""
    told = EVENT | {"event_id": "msg_1"}
    book.send([_encoded(told, reporter="gateway"), _encoded(told, reporter="sdk", latency_ms=9)])
    _meter(book)
    compact(book.settings.lake, until=datetime.now(UTC), clock=lambda: datetime.now(UTC))
    book.send([_encoded(told, reporter="gateway")])
    _meter(book)

    build(book.settings)

    assert _totals(book) == (1, 1_000, 100, COST)
    assert _states(book) == {"standing": 1, "duplicate": 2}


def test_pitfall_8_a_reused_id_with_other_content_is_quarantined_and_not_dropped(book: Book) -> None:
    """The second call is charged to nobody, and everybody can see it."""
    told = EVENT | {"event_id": "msg_1"}
    book.send([_encoded(told)])
    _meter(book)
    compact(book.settings.lake, until=datetime.now(UTC), clock=lambda: datetime.now(UTC))
    book.send([_encoded(told, output_tokens=700)])
    _meter(book)

    build(book.settings)

    assert _totals(book) == (1, 1_000, 100, COST)
    assert _states(book) == {"standing": 1, "conflict": 1}
    shown = "select event_id, output_tokens, accepted_output_tokens from audit.fct_conflicts"
    assert ask(book.settings, shown).rows == [("msg_1", 700, 100)]


def test_pitfall_9_failed_attempts_of_one_operation_keep_their_cost_and_are_labelled(book: Book) -> None:
    """Three attempts at one operation are three calls that the provider bills, two of which failed."""
    attempts = [("error", 0), ("timeout", 0), ("ok", 100)]
    book.send(
        [
            _encoded(
                EVENT | {"event_id": f"msg_{number}"},
                operation_id="operation-1",
                attempt=number,
                status=status,
                output_tokens=outputs,
            )
            for number, (status, outputs) in enumerate(attempts, 1)
        ]
    )
    _meter(book)

    build(book.settings)

    # 3 x 1,000 input tokens at 5 USD a million, and 100 output tokens at 25.
    assert _totals(book) == (3, 3_000, 100, 2 * INPUT_COST + COST)
    labelled = "select calls, failed_calls, retries, list_cost from engineering.fct_tasks"
    assert ask(book.settings, labelled).rows == [(3, 2, 2, 2 * INPUT_COST + COST)]
    assert _states(book) == {"standing": 3}


def test_pitfall_24_replaying_any_range_changes_nothing_and_a_late_backfill_adds_what_was_missing(
    book: Book, traffic: Traffic
) -> None:
    """A hole in what was sent is filled weeks later by sending everything around it again."""
    count = len(traffic.lines)
    missing = traffic.lines[count // 3 : count // 2]
    book.send(traffic.lines[: count // 3] + traffic.lines[count // 2 :])
    _meter(book)
    build(book.settings)
    incomplete = _amounts(book)

    book.send(missing)
    _meter(book)
    build(book.settings)
    whole = _amounts(book)
    assert whole != incomplete

    ranges = random.Random(24)
    for _ in range(3):
        begin, end = sorted(ranges.sample(range(count), 2))
        book.send(traffic.lines[begin:end])
        _meter(book)
    build(book.settings)
    assert _amounts(book) == whole


def _meter(book: Book) -> None:
    run_meter(MeterOptions(settings=book.settings, topics=(book.topic,)))


def _encoded(event: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(event | fields).encode()


def _totals(book: Book) -> tuple[Any, ...]:
    sums = "sum(calls)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(list_cost)"
    return ask(book.settings, f"select {sums} from finance.fct_chargeback_by_team").rows[0]


def _states(book: Book) -> dict[str, int]:
    states = "select telling_state, sum(tellings)::bigint from audit.fct_tellings_daily group by telling_state"
    return dict(ask(book.settings, states).rows)


def _amounts(book: Book) -> list[list[tuple[Any, ...]]]:
    return [ask(book.settings, f"from {mart} order by all").rows for mart in AMOUNT_MARTS]
