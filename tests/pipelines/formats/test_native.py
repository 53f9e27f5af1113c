"""Decoding native JSON: bad records stand alone, neighbours are not harmed, and both paths read the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.contracts import usage_event
from tollbook.formats.decoder import BLOCK_RECORDS, Decoded
from tollbook.formats.native import NativeDecoder

NOW = datetime(2026, 11, 24, tzinfo=UTC)
BASE: dict[str, Any] = {
    "source": "anthropic",
    "event_id": "msg_1",
    "occurred_at": "2026-06-01T00:00:00Z",
    "provider": "anthropic",
    "model": "claude-opus-4-5",
    "team": "search",
    "input_tokens": 100,
    "cache_read_tokens": 60,
    "output_tokens": 7,
    "tags": {"feature": "triage"},
}


def _record(**fields: Any) -> bytes:
    return json.dumps(BASE | fields, separators=(",", ":")).encode()


def _decode(*values: bytes, now: datetime = NOW) -> Decoded:
    return NativeDecoder().decode(pa.array(values, pa.binary()), now=now)


# The poison that pyarrow's reader takes without a word, and more of its kind.
POISON = {
    "empty": (b"", "empty_value"),
    "white space": (b" \t ", "empty_value"),
    "null": (b"null", "not_an_object"),
    "an array": (b"[]", "not_an_object"),
    "a text": (b'"x"', "not_an_object"),
    "invalid UTF-8": (_record(team="TEAM").replace(b"TEAM", b"\xff\xfe"), "invalid_utf8"),
    "two documents": (_record() + _record(event_id="msg_2"), "invalid_json"),
    "two documents and a blank": (_record() + b" " + _record(event_id="msg_2"), "invalid_json"),
    "line break in a text": (_record(team="a-b").replace(b"a-b", b"a\nb"), "invalid_json"),
    "half a document": (_record()[:-5], "invalid_json"),
    "half a document that ends in a brace": (b'{"tags":{}', "invalid_json"),
    "half a surrogate pair": (_record(team="\ud800"), "invalid_utf8"),
    "not JSON": (b"hello, ledger", "invalid_json"),
    "NaN": (_record(sampling_rate=1).replace(b'"sampling_rate":1', b'"sampling_rate":NaN'), "invalid_json"),
    "a field twice": (b'{"event_id":"other",' + _record()[1:], "duplicate_field"),
    "five megabytes": (_record(note="x" * 5_000_000), "record_too_large"),
    "a bomb of brackets": (b"[" * 100_000, "invalid_json"),
    "a number without end": (_record(input_tokens=10**40), "out_of_range"),
    "a revision beyond its type": (_record(revision=2**40), "out_of_range"),
    "null in a required field": (_record(provider=None), "missing_field"),
    "a time without a zone": (_record(occurred_at="2026-06-01T00:00:00"), "invalid_time"),
    "a date alone": (_record(occurred_at="2026-06-01"), "invalid_time"),
    "a leap second": (_record(occurred_at="2026-06-30T23:59:60Z"), "invalid_time"),
    "a time as a number": (_record(occurred_at=1780272000), "wrong_type"),
    "a time before the trade began": (_record(occurred_at="1970-01-01T00:00:00Z"), "time_out_of_range"),
    "tags as a list": (_record(tags=["a"]), "wrong_type"),
    "a tag as an object": (_record(tags={"a": {"b": "c"}}), "wrong_type"),
    "too many tags": (_record(tags={f"k{i}": "v" for i in range(65)}), "too_long"),
    "a tag too long": (_record(tags={"k": "v" * 1025}), "too_long"),
    "a negative tool call": (_record(tool_calls={"web_searches": -1}), "out_of_range"),
    "a number with an endless exponent": (
        _record(sampling_rate=7).replace(b'rate":7', b'rate":1e9999999999999999999'),
        "out_of_range",
    ),
    "a ratio of four hundred digits": (_record(sampling_rate=10**400), "out_of_range"),
    "a cost with an endless exponent": (
        _record(provider_cost=7, provider_cost_currency="USD").replace(
            b'"provider_cost":7', b'"provider_cost":1e9999999'
        ),
        "out_of_range",
    ),
    "a value too deep to read": (
        _record(output_tokens=-1, metadata=[]).replace(b'"metadata":[]', b'"metadata":' + b"[" * 1200 + b"]" * 1200),
        "invalid_json",
    ),
    "a count in a text": (_record(input_tokens="many"), "wrong_type"),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_becomes_one_reject_and_its_neighbours_are_not_harmed(name: str) -> None:
    """A shifted row would give one customer's tokens to another."""
    value, reason = POISON[name]
    neighbours = [_record(event_id=f"n{i}", input_tokens=100 + i) for i in range(100)]
    decoded = _decode(*neighbours[:50], value, *neighbours[50:])
    assert [(each.row, each.error.reason) for each in decoded.rejected] == [(50, reason)]
    assert decoded.events.column("event_id").to_pylist() == [f"n{i}" for i in range(100)]
    assert decoded.events.column("input_tokens").to_pylist() == [100 + i for i in range(100)]
    assert decoded.rows.tolist() == [*range(50), *range(51, 101)]


def test_one_empty_and_one_double_record_do_not_cancel_out() -> None:
    """Counting rows alone would pass this batch and shift every row between the two."""
    values = [_record(event_id=f"n{i}") for i in range(80)]
    values[20] = b"  "
    values[60] = _record(event_id="a") + _record(event_id="b")
    decoded = _decode(*values)
    assert [each.row for each in decoded.rejected] == [20, 60]
    assert decoded.events.column("event_id").to_pylist() == [f"n{i}" for i in range(80) if i not in (20, 60)]


def test_order_is_kept_over_blocks_with_poison_in_each() -> None:
    """Offsets are given to events by their order."""
    values = [_record(event_id=str(i)) for i in range(BLOCK_RECORDS + 100)]
    for bad in (0, 5, BLOCK_RECORDS - 1, BLOCK_RECORDS, len(values) - 1):
        values[bad] = b"null"
    decoded = _decode(*values)
    assert decoded.rows.tolist() == [int(each) for each in decoded.events.column("event_id").to_pylist()]
    assert len(decoded.events) + len(decoded.rejected) == len(values)


def test_a_pretty_printed_record_is_accepted() -> None:
    """White space around tokens is JSON's right, line breaks included."""
    decoded = _decode(json.dumps(BASE, indent=2).encode(), *[_record()] * 40)
    assert decoded.rejected == []
    assert len(decoded.events) == 41


def test_content_of_prompts_leaves_no_trace_in_an_accepted_event() -> None:
    """Prompts are never stored."""
    secret = "the launch is on Tuesday"
    decoded = _decode(*[_record(prompt=secret, messages=[{"role": "user", "content": secret}])] * 40)
    assert decoded.rejected == []
    assert decoded.unknown_fields == {"messages": 40, "prompt": 40}
    assert decoded.events.column("flags").to_pylist() == [["unknown_fields"]] * 40
    assert secret not in str(decoded.events.to_pydict())


def test_content_of_prompts_leaves_no_trace_in_a_reject() -> None:
    """A dead letter is kept for long and read by many."""
    secret = "the launch is on Tuesday"
    decoded = _decode(_record(prompt=secret, input_tokens=-1))
    (reject,) = decoded.rejected
    assert reject.value_state == "scrubbed"
    assert reject.value is not None
    assert secret not in reject.value.decode()
    assert json.loads(reject.value)["input_tokens"] == -1


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": {"messages": [{"content": "SECRET"}]}},
        {"tags": {"prompt": {"content": "SECRET"}}},
        {"output_tokens": "SECRET"},
        {"finish_reason": "SECRET " * 1000},
        {"occurred_at": "SECRET"},
        {"SECRET": 1, "input_tokens": -1},
    ],
)
def test_content_in_a_field_of_ours_leaves_no_trace_in_a_reject(fields: dict[str, Any]) -> None:
    """A producer that puts the wrong thing into a field must not leak it through the dead letters."""
    (reject,) = _decode(_record(**fields)).rejected
    assert reject.value_state == "scrubbed"
    assert reject.value is not None
    assert b"SECRET" not in reject.value
    assert "SECRET" not in reject.error.message


def test_a_number_of_ours_with_a_tiny_exponent_does_not_reach_the_parser_that_crashes_on_it() -> None:
    """Arrow's decimal parser reads out of bounds on such exponents and takes the process down."""
    tiny = _record(provider_cost=7, provider_cost_currency="USD").replace(
        b'"provider_cost":7', b'"provider_cost":1e-50000000'
    )
    plain = _record(provider_cost="0.5", provider_cost_currency="USD")
    decoded = _decode(*[plain] * 60, tiny, *[plain] * 60)
    assert decoded.rejected == []
    event = decoded.events.to_pylist()[60]
    assert (event["provider_cost"], event["flags"]) == (0, ["provider_cost_rounded"])


def test_a_name_that_is_half_a_surrogate_pair_is_counted_and_left_out() -> None:
    """An unknown field's name goes into the manifest, which is UTF-8."""
    value = _record(extra=1).replace(b'"extra"', b'"\\ud800"')
    decoded = _decode(*[_record()] * 40, value)
    assert decoded.rejected == []
    assert decoded.unknown_fields == {"?": 1}


def test_an_object_keyed_by_ids_does_not_widen_the_table() -> None:
    """A column for each id and a row for each record would take memory by their product."""
    values = [_record(event_id=str(n), usage_details={f"id-{n}": 1}) for n in range(2_000)]
    decoded = _decode(*values)
    assert decoded.unknown_fields == {"usage_details": 2_000}
    assert decoded.events.column("event_id").to_pylist() == [str(n) for n in range(2_000)]


def test_a_reject_without_foreign_fields_keeps_its_bytes_whole() -> None:
    """What came must be there to be replayed."""
    value = _record(input_tokens=-1)
    (reject,) = _decode(value).rejected
    assert (reject.value_state, reject.value, reject.value_bytes) == ("whole", value, len(value))


def test_a_bucket_that_was_not_reported_stays_null_and_zero_stays_zero() -> None:
    """Unknown is not zero (litellm#37992)."""
    (event,) = _decode(_record(reasoning_tokens=0)).events.to_pylist()
    assert event["reasoning_tokens"] == 0
    assert event["audio_input_tokens"] is None
    assert event["uncached_input_tokens"] == 40  # 100 in all, 60 of them from the cache


def test_cached_tokens_are_counted_once() -> None:
    """litellm#9812: the input includes the cache, so the buckets add up to it and no more."""
    (event,) = _decode(_record(input_tokens=100, cache_read_tokens=60, cache_write_5m_tokens=30)).events.to_pylist()
    assert (event["uncached_input_tokens"], event["input_tokens"]) == (10, 100)


def test_a_whole_that_was_not_told_is_the_sum_of_its_parts() -> None:
    """Providers that exclude the cache from their input count tell only parts."""
    value = _record(
        input_tokens=None, uncached_input_tokens=40, output_tokens=None, text_output_tokens=5, reasoning_tokens=2
    )
    (event,) = _decode(value).events.to_pylist()
    assert (event["input_tokens"], event["output_tokens"]) == (100, 7)


def test_usage_that_nobody_told_is_null() -> None:
    """A failed call has no tokens on record; zero would be a claim."""
    value = _record(input_tokens=None, cache_read_tokens=None, output_tokens=None, status="error")
    (event,) = _decode(value).events.to_pylist()
    assert (event["input_tokens"], event["uncached_input_tokens"], event["output_tokens"]) == (None, None, None)


def test_a_provider_cost_keeps_its_digits_or_says_that_it_was_rounded() -> None:
    """Gateways send floats with 17 digits; a decimal text is exact."""
    exact = _record(provider_cost="0.000000000001", provider_cost_currency="USD")
    fine = _record(provider_cost=0.12345678901250001, provider_cost_currency="USD")
    first, second = _decode(exact, fine).events.to_pylist()
    assert (str(first["provider_cost"]), first["flags"]) == ("1E-12", None)
    assert (str(second["provider_cost"]), second["flags"]) == ("0.123456789013", ["provider_cost_rounded"])


def test_times_are_stored_in_utc_and_finer_digits_are_cut() -> None:
    """Microseconds are what Parquet and DuckDB share."""
    first, second = _decode(
        _record(occurred_at="2026-06-01T01:30:00+02:00"), _record(occurred_at="2026-06-01T00:00:00.1234567Z")
    ).events.to_pylist()
    assert first["occurred_at"] == datetime(2026, 5, 31, 23, 30, tzinfo=UTC)
    assert second["occurred_at"] == datetime(2026, 6, 1, 0, 0, 0, 123456, tzinfo=UTC)


def test_a_time_up_to_a_day_ahead_of_the_clock_is_accepted() -> None:
    """Clocks differ; a year ahead is a fault."""
    assert _decode(_record(occurred_at="2026-11-24T23:59:59Z")).rejected == []
    (reject,) = _decode(_record(occurred_at="2026-11-25T00:00:01Z")).rejected
    assert reject.error.reason == "time_out_of_range"


def test_tags_that_look_like_times_or_change_their_keys_are_read_as_text() -> None:
    """The reader infers types; a tag is text whatever it looks like."""
    values = [_record(event_id=str(i), tags={"due": "2026-01-01", f"k{i % 3}": "12"}) for i in range(60)]
    decoded = _decode(*values)
    assert decoded.rejected == []
    assert decoded.events.column("tags").to_pylist()[4] == [("due", "2026-01-01"), ("k1", "12")]


def test_absent_null_and_empty_tags_are_read() -> None:
    """An object column with gaps must not shift."""
    values = [_record(), _record(tags=None), _record(tags={}), _record(tags={"b": "2", "a": "1"})] * 10
    tags = _decode(*values).events.column("tags").to_pylist()
    assert tags == [[("feature", "triage")], None, [], [("a", "1"), ("b", "2")]] * 10


def test_a_sample_is_flagged() -> None:
    """Sampled traces taken for totals understate the bill (openclaw's sampleRate)."""
    first, second = _decode(_record(sampling_rate=0.2), _record(sampling_rate=1)).events.to_pylist()
    assert (first["flags"], second["flags"]) == (["sampled"], None)


def test_an_unknown_field_that_is_null_is_not_carried_on_either_path() -> None:
    """Null is not told, whoever reads it: a record must not be flagged by the size of the batch it came in."""
    null = _record(prompt=None)
    assert _decode(null).events["flags"].to_pylist() == [None]
    many = _decode(*[null] * 64)
    assert (many.events["flags"].null_count, many.unknown_fields) == (64, {})


FIELD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2_000_000_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["2026-06-01T00:00:00Z", "2026-06-01", "12", "ok", "USD", "void", "record"]),
    st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(st.text(max_size=3), st.integers(-1, 5)), max_size=2),
    st.lists(st.integers(), max_size=2),
)
RECORDS = st.dictionaries(st.sampled_from([*usage_event().names, "prompt"]), FIELD_VALUES, max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_the_fast_path_reads_exactly_what_the_strict_path_reads(changes: list[dict[str, Any]]) -> None:
    """The fast path is believed only as far as it agrees with the strict one."""
    odd = [_record(**change) for change in changes]
    sound = [_record(event_id=f"n{i}") for i in range(64)]
    mixed = [*sound[:32], *odd, *sound[32:]]
    fast = _decode(*mixed)
    alone = [_decode(value) for value in mixed]
    assert fast.events.to_pylist() == [row for each in alone for row in each.events.to_pylist()]
    assert [each.error.message for each in fast.rejected] == [
        each.error.message for one in alone for each in one.rejected
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=60))
def test_any_bytes_add_up(values: list[bytes]) -> None:
    """Nothing is dropped: accepted and rejected are all that came."""
    decoded = _decode(*values)
    rejected = [each.row for each in decoded.rejected]
    assert sorted([*decoded.rows.tolist(), *rejected]) == list(range(len(values)))
