"""One conversation told in five formats is the same two events, once each, at one cost, up to the published marts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from kafka import KafkaProducer

from tollbook.formats.buckets import INPUT_BUCKETS, OUTPUT_BUCKETS
from tollbook.formats.registry import FORMATS
from tollbook.formats.route import RecordRouter
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rate import rate
from tollbook.rating.rerate import rerate
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

NOW = datetime(2026, 11, 24, tzinfo=UTC)
JUNE = date(2026, 6, 1)
CALLS = ("anthropic", "openai")
# claude-opus-4-5: 5 USD a million input tokens, 0.50 from the cache, 6.25 into it for 5 minutes, 25 output.
# 200 x 5 + 600 x 0.5 + 200 x 6.25 + 100 x 25 = 5,050 USD for a million such calls.
# gpt-5: 1.25 input, 0.125 from the cache, 10 output. 400 x 1.25 + 600 x 0.125 + 100 x 10 = 1,575 USD.
COSTS = {"anthropic": Decimal("0.00505"), "openai": Decimal("0.001575")}
BUCKETS: Mapping[str, dict[str, int]] = {
    "anthropic": {
        "uncached_input_tokens": 200,
        "cache_read_tokens": 600,
        "cache_write_5m_tokens": 200,
        "text_output_tokens": 100,
    },
    "openai": {
        "uncached_input_tokens": 400,
        "cache_read_tokens": 600,
        "text_output_tokens": 36,
        "reasoning_tokens": 64,
    },
}
IDS = {"anthropic": "msg_01XFDUDYJgAACzvnptvVoYEL", "openai": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG"}
Conversation = Mapping[str, list[Any]]
Sent = tuple[str, bytes, dict[str, bytes]]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Return the list prices."""
    return Catalogue.from_genai_prices()


@pytest.mark.parametrize("call", CALLS)
def test_every_format_tells_the_same_event_at_the_same_cost(
    call: str, conversation: Conversation, catalogue: Catalogue
) -> None:
    """Same identity, same tokens, same cost: else a gateway and an SDK that tell of one call would bill it twice."""
    router = RecordRouter()
    assert len({record.format for record in conversation[call]}) >= 5
    for record in conversation[call]:
        decoded = router.decode(pa.array([record.value], pa.binary()), record.format, now=NOW)
        assert decoded.rejected == [], record
        (event,) = decoded.events.to_pylist()
        assert (event["source"], event["event_id"]) == (call, IDS[call]), record.format
        assert (event["provider"], event["occurred_at"]) == (call, datetime(2026, 6, 1, 10, 0, 2, tzinfo=UTC))
        told = {name: event[name] for name in (*INPUT_BUCKETS, *OUTPUT_BUCKETS) if event[name]}
        assert told == BUCKETS[call], record.format
        assert (event["input_tokens"], event["output_tokens"]) == (1000, 100)
        rated = rate(decoded.events, catalogue).to_pylist()[0]
        assert rated["list_cost_pico_usd"] == COSTS[call] * 10**12, record.format


def _send(settings: Settings, sent: list[Sent]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for topic, value, headers in sent:
        producer.send(topic, value=value, headers=list(headers.items()))
    producer.flush()
    producer.close()


def _meter(settings: Settings, topics: Mapping[str, str]) -> MeterProgress:
    return run_meter(
        MeterOptions(settings=settings, topics=tuple(topics), formats=dict(topics), clock=lambda: NOW),
    )


SUMS = "sum(calls)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(list_cost)"


def _assert_balanced(settings: Settings) -> None:
    assert ask(settings, "select * from audit.fct_ledger_balance where difference <> 0").rows == []


def test_told_on_many_topics_the_conversation_counts_once(
    settings: Settings, new_topic: Callable[..., str], conversation: Conversation
) -> None:
    """A topic for each format, and all formats on one topic by header: two calls in the book, not twenty-six."""
    topics = {new_topic(partitions=1): name for name in FORMATS}
    topic_of = {name: topic for topic, name in topics.items()}
    sent: list[Sent] = [
        (topic_of[record.format], record.value, {}) for records in conversation.values() for record in records
    ]
    by_header = [
        (topic_of["native"], record.value, {"tollbook-format": record.format.encode()})
        for records in conversation.values()
        for record in records
    ]
    _send(settings, [*sent, *by_header])
    progress = _meter(settings, topics)
    assert (progress.read, progress.accepted, progress.rejected) == (26, 26, 0)
    build(settings)
    expected = (2, 2_000, 200, COSTS["anthropic"] + COSTS["openai"])
    for mart in ("finance.fct_chargeback_by_team", "engineering.fct_usage_daily"):
        assert ask(settings, f"select {SUMS} from {mart}").rows == [expected], mart
    states = dict(
        ask(settings, "select telling_state, sum(tellings)::bigint from audit.fct_tellings_daily group by 1").rows
    )
    assert (states["standing"], states.get("conflict", 0)) == (2, 0)
    assert sum(states.values()) == 26
    _assert_balanced(settings)


def _spans_with(sample: bytes, changes: list[dict[str, Any]]) -> bytes:
    """Return an export of the first span, once for each of the changes to its attributes."""
    export = json.loads(sample)
    scope = export["resourceSpans"][0]["scopeSpans"][0]
    (span,) = scope["spans"]
    scope["spans"] = []
    for number, change in enumerate(changes):
        made = copy.deepcopy(span)
        made["spanId"] = f"{number + 100:016x}"
        made["attributes"] = [each for each in made["attributes"] if each["key"] not in change]
        made["attributes"] += [
            {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
            for key, value in change.items()
            if value is not None
        ]
        scope["spans"].append(made)
    return json.dumps(export).encode()


def test_records_that_tell_of_many_calls_and_of_none_balance_and_can_be_rated_anew(
    settings: Settings, new_topic: Callable[..., str], conversation: Conversation
) -> None:
    """A record's calls share its offset; the book must add up, and a new price must find each of them."""
    topic = new_topic(partitions=1)
    span = next(record.value for record in conversation["anthropic"] if record.format == "otlp_traces")
    many = [{"gen_ai.response.id": f"msg_{n}", "gen_ai.usage.output_tokens": 100 + n} for n in range(5)]
    many.append({"gen_ai.response.id": "msg_bad", "gen_ai.usage.output_tokens": -1})
    nameless = {"gen_ai.response.id": None}
    none = [{"gen_ai.operation.name": "invoke_agent"} | nameless, {"gen_ai.operation.name": "execute_tool"} | nameless]
    values = [_spans_with(span, many), _spans_with(span, none), b"no export", _spans_with(span, many[:1])]
    _send(settings, [(topic, value, {}) for value in values])
    progress = _meter(settings, {topic: "otlp_traces"})
    assert (progress.read, progress.accepted, progress.rejected) == (4, 6, 2)
    build(settings)
    # Five calls of 1,000 input tokens, with 100 to 104 output tokens; the first is told once more.
    cost = 5 * COSTS["anthropic"] + Decimal(0 + 1 + 2 + 3 + 4) * Decimal("0.000025")
    expected = (5, 5_000, 510, cost)
    assert ask(settings, f"select {SUMS} from engineering.fct_usage_daily").rows == [expected]
    _assert_balanced(settings)

    settings.price_overlays.mkdir(parents=True)
    (settings.price_overlays / "own.yml").write_text(
        """{price_overlay: 1, name: own, entries: [{entry_id: a, provider: anthropic, model: claude-opus-4-5,
        rates: {output_tokens: "50"}, known_from: 2026-06-01T00:00:00Z, source: s}]}"""
    )
    again = rerate(settings, first_date=JUNE, end_date=date(2026, 6, 2), clock=lambda: NOW)
    assert again.total.changed_events == 6
    build(settings)
    # Output at 50 instead of 25 USD a million.
    dearer = cost + Decimal(510) * Decimal("0.000025")
    assert ask(settings, f"select {SUMS} from engineering.fct_usage_daily").rows == [(5, 5_000, 510, dearer)]
    _assert_balanced(settings)
