"""CloudEvents: every mode, every kind of data, what the attributes tell; events that the `cloudevents` package made."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from cloudevents.v1.conversion import to_json
from cloudevents.v1.http import CloudEvent
from cloudevents.v1.kafka import to_binary, to_structured

from tollbook.formats.decoder import Decoded
from tollbook.formats.route import RecordRouter

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "chat-app",
    "type": "prompt",
    "subject": "customer-1",
    "time": "2026-06-01T00:00:00.001Z",
}
USAGE: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "input_tokens": 100, "output_tokens": 7}
SECRET = "the launch is on Tuesday"
Headers = dict[str, bytes] | None


def _event(data: Any = USAGE, **attributes: Any) -> bytes:
    told = {**ATTRIBUTES, "data": data, **attributes}
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()


def _decode(*records: tuple[bytes, Headers]) -> Decoded:
    values = pa.array([value for value, _ in records], pa.binary())
    return RecordRouter().decode(values, "cloudevents", now=NOW, headers=[headers for _, headers in records])


def _told(value: bytes, headers: Headers = None) -> dict[str, Any]:
    """Return what the one event of a record tells, without what the contract fills in."""
    decoded = _decode((value, headers))
    assert decoded.rejected == []
    (event,) = decoded.events.to_pylist()
    assumed = {"revision", "action", "schema_version", "usage_basis"}
    return {name: field for name, field in event.items() if field is not None and name not in assumed}


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


NATIVE = {
    "source": "chat-app",
    "event_id": "e-1",
    "reporter": "cloudevents",
    "occurred_at": datetime(2026, 6, 1, 0, 0, 0, 1_000, tzinfo=UTC),
    "customer_id": "customer-1",
    "provider": "openai",
    "model": "gpt-4o",
    "input_tokens": 100,
    "uncached_input_tokens": 100,
    "output_tokens": 7,
    "text_output_tokens": 7,
}


def test_structured_binary_and_batched_events_of_the_package_tell_the_same() -> None:
    """How an event travels must not change what it says."""
    made = CloudEvent({**ATTRIBUTES, "datacontenttype": "application/json"}, USAGE)
    structured, binary, event = to_structured(made), to_binary(made), to_json(made)
    batch = b"[" + event + b"]"
    assert _told(event, {"content-type": b"application/cloudevents+json; charset=utf-8"}) == NATIVE
    assert _told(_bytes(structured.value), dict(structured.headers)) == NATIVE
    assert _told(_bytes(binary.value), dict(binary.headers)) == NATIVE
    assert _told(batch, {"content-type": b"application/cloudevents-batch+json"}) == NATIVE
    assert _told(batch) == NATIVE
    assert _told(event) == NATIVE


def test_of_a_batch_the_wrong_events_are_rejects_of_their_own() -> None:
    """OpenMeter's API takes arrays; one wrong event must not cost the others."""
    events = [_event(id="a"), _event(id="b", specversion="0.3"), b"7", _event({"x": 1}, id="c")]
    events += [_event({**USAGE, "input_tokens": -1}, id="d"), _event(id="e")]
    decoded = _decode((b"[" + b",".join(events) + b"]", None), (b"[]", None), (_event(id="f"), None))
    assert decoded.events.column("event_id").to_pylist() == ["a", "e", "f"]
    assert (decoded.rows.tolist(), decoded.record_items.tolist()) == ([0, 0, 2], [0, 5, 0])
    assert [(each.row, each.record_item, each.error.reason) for each in decoded.rejected] == [
        (0, 1, "unsupported_schema_version"),
        (0, 2, "not_an_object"),
        (0, 3, "unknown_shape"),
        (0, 4, "out_of_range"),
    ]
    assert (decoded.silent_records, decoded.ignored) == (1, {"empty_batch": 1})


def test_data_with_its_own_identity_is_the_same_event_in_whatever_it_travels() -> None:
    """(`source`, `event_id`) of the provider goes before that of the envelope; half of one does not count."""
    own = _told(_event({**USAGE, "source": "openai", "event_id": "chatcmpl-1"}))
    assert (own["source"], own["event_id"]) == ("openai", "chatcmpl-1")
    half = _told(_event({**USAGE, "event_id": "chatcmpl-1", "source": None}))
    assert (half["source"], half["event_id"]) == ("chat-app", "e-1")


def test_a_wrapped_response_has_the_providers_id_or_the_envelopes() -> None:
    """A response is one call, whoever passes it on."""
    body = {"id": "msg_1", "model": "claude-opus-4-5", "usage": {"input_tokens": 3, "output_tokens": 4}}
    told = _told(_event({"provider": "anthropic", "body": body}))
    assert (told["source"], told["event_id"], told["customer_id"]) == ("anthropic", "msg_1", "customer-1")
    assert (told["input_tokens"], told["output_tokens"], told["model"]) == (3, 4, "claude-opus-4-5")
    del body["id"]
    told = _told(_event({"provider": "anthropic", "body": body}))
    assert (told["source"], told["event_id"]) == ("chat-app", "e-1")


def test_the_time_of_the_data_goes_before_that_of_the_envelope_and_none_is_never_the_clock() -> None:
    """An event without a time cannot be priced; when it was read is not when it happened."""
    data = {**USAGE, "occurred_at": "2026-05-01T00:00:00Z"}
    assert _told(_event(data))["occurred_at"] == datetime(2026, 5, 1, tzinfo=UTC)
    assert _told(_event(data, time=None))["occurred_at"] == datetime(2026, 5, 1, tzinfo=UTC)
    (rejected,) = _decode((_event(time=None), None)).rejected
    assert (rejected.error.reason, rejected.error.field) == ("missing_field", "occurred_at")


def test_an_e_mail_address_as_subject_is_kept_as_its_digest() -> None:
    """People are not named in the ledger, nor in its rejects."""
    address = "ada@example.org"
    digest = "sha256:" + hashlib.sha256(address.encode()).hexdigest()[:32]
    assert _told(_event(subject=address))["customer_id"] == digest
    for wrong in (_event({**USAGE, "input_tokens": -1}, subject=address), _event("text", subject=address)):
        (rejected,) = _decode((wrong, None)).rejected
        assert rejected.value_state == "scrubbed"
        assert address.encode() not in (rejected.value or b"")


def test_extension_attributes_and_headers_are_labels() -> None:
    """Team and workflow are told beside the data, in structured and in binary mode."""
    told = _told(_event(team="search", workflow=7, product={"no": "text"}))
    assert (told["team"], told["workflow"], "product" in told) == ("search", "7", False)
    headers = {f"ce_{name}": text.encode() for name, text in ATTRIBUTES.items()}
    told = _told(json.dumps(USAGE).encode(), {**headers, "ce_team": b"search", "workflow": b"answers"})
    assert (told["team"], told["workflow"]) == ("search", "answers")


# Source: OpenMeter's pages "Quickstart" and "Common examples", and its examples/ingest-openai-node, read 2026-11-25.
def test_openmeters_documented_event_counts_one_kind_of_token() -> None:
    """Its number is a text, its provider is not told, and the other tokens of the call are another event."""
    told = _told(_event({"tokens": "123456", "model": "gpt4-turbo", "type": "output"}))
    assert (told["output_tokens"], "input_tokens" in told) == (123_456, False)
    assert (told["provider"], told["model"]) == ("unknown", "gpt4-turbo")
    assert told["flags"] == ["one_kind_of_token"]
    assert told["raw_usage"] == [("data[type=output].tokens", 123_456)]


@pytest.mark.parametrize("kind", ["input", "system", "prompt"])
def test_openmeters_kinds_of_input_are_input(kind: str) -> None:
    """The system's prompt is paid for as input."""
    told = _told(_event({"tokens": 12, "model": "gpt-4o", "type": kind, "provider": "azure_openai", "team": "search"}))
    assert (told["input_tokens"], told["uncached_input_tokens"], told["provider"]) == (12, 12, "azure")
    assert told["team"] == "search"


@pytest.mark.parametrize("kind", [None, "cached", "total"])
def test_openmeters_tokens_of_no_known_direction_are_shown_and_not_guessed(kind: str | None) -> None:
    """Whether cached tokens are part of the input event's is untold: counting them could count them twice."""
    told = _told(_event({"tokens": 12, "model": "gpt-4o", "type": kind, "provider": "openai"}))
    assert "input_tokens" not in told
    assert "output_tokens" not in told
    assert told["flags"] == ["one_kind_of_token", "unknown_usage_field"]
    assert [count for _, count in told["raw_usage"]] == [12]


def test_openmeters_event_of_a_whole_call_and_litellms_callback_for_it() -> None:
    """The callback's own figure of the cost is kept beside ours; the proxy's name lets the model say who bills."""
    data = {"model": "gpt-4o", "cost": 0.0000175, "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    told = _told(_event(data, source="litellm-proxy", type="litellm_tokens"))
    assert (told["input_tokens"], told["output_tokens"], told["provider"]) == (3, 4, "litellm-proxy")
    assert (str(told["provider_cost"]), told["provider_cost_currency"]) == ("0.000017500000", "USD")
    assert "flags" not in told
    told = _told(_event({**data, "total_tokens": 9, "cost": None, "provider": "openai"}))
    assert (told["provider"], told["flags"]) == ("openai", ["usage_total_differs"])
    assert "provider_cost" not in told


WRONG: dict[str, tuple[bytes, Headers, str, str | None]] = {
    "no id": (_event(id=None), None, "missing_field", "id"),
    "an empty id": (_event(id=""), None, "missing_field", "id"),
    "an older version": (_event(specversion="0.3"), None, "unsupported_schema_version", "specversion"),
    "no data": (_event(None), None, "missing_field", "data"),
    "data in base64": (_event(None, data_base64="e30="), None, "invalid_value", "data_base64"),
    "data as XML": (_event(datacontenttype="application/xml"), None, "invalid_value", "datacontenttype"),
    "data as text": (_event(SECRET), None, "wrong_type", "data"),
    "data as an array": (_event([USAGE]), None, "wrong_type", "data"),
    "data of no shape": (_event({"duration_seconds": "12", "path": SECRET}), None, "unknown_shape", "data"),
    "a native event": (json.dumps({**USAGE, "source": "s"}).encode(), None, "missing_field", "specversion"),
    "Avro": (_event(), {"content-type": b"application/cloudevents+avro"}, "invalid_value", "content-type"),
    "an array that is none by its header": (
        b"[" + _event() + b"]",
        {"content-type": b"application/cloudevents+json"},
        "not_an_object",
        None,
    ),
    "an event that is a batch by its header": (
        _event(),
        {"content-type": b"application/cloudevents-batch+json"},
        "wrong_type",
        None,
    ),
    "binary without an id": (json.dumps(USAGE).encode(), {"ce_specversion": b"1.0"}, "missing_field", "ce_id"),
    "binary of no JSON": (
        SECRET.encode(),
        {f"ce_{name}": text.encode() for name, text in ATTRIBUTES.items()},
        "invalid_json",
        "data",
    ),
    "tokens below zero": (
        _event({"tokens": -3, "type": "input", "model": "m"}),
        None,
        "out_of_range",
        "data[type=input].tokens",
    ),
    "tokens as words": (
        _event({"tokens": SECRET, "type": "input", "model": "m"}),
        None,
        "wrong_type",
        "data[type=input].tokens",
    ),
    "a kind that is a sentence": (
        _event({"tokens": 3, "type": SECRET, "model": "m"}),
        None,
        "invalid_value",
        "data.type",
    ),
    "no model": (_event({"tokens": 3, "type": "input"}), None, "missing_field", "data.model"),
    "a model that is none": (_event({"tokens": 3, "type": "input", "model": 7}), None, "wrong_type", "data.model"),
    "a count as text": (_event({**USAGE, "input_tokens": SECRET}), None, "wrong_type", "input_tokens"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_event_is_one_reject_and_harms_no_neighbour(name: str) -> None:
    """The reason and the field lead to the sender's fault; content is not repeated."""
    value, headers, reason, field = WRONG[name]
    decoded = _decode((_event(id="before"), None), (value, headers), (_event(id="after"), None))
    (rejected,) = decoded.rejected
    assert (rejected.row, rejected.record_item) == (1, None)
    assert (rejected.error.reason, rejected.error.field) == (reason, field)
    assert decoded.events.column("event_id").to_pylist() == ["before", "after"]
    assert SECRET not in rejected.error.message
    assert rejected.value_state == "unparsed" or SECRET.encode() not in (rejected.value or b"")


def test_a_reject_of_counts_keeps_them_with_the_attributes() -> None:
    """What is kept can be mended and sent again."""
    (rejected,) = _decode((_event({"tokens": -3, "type": "input", "model": "m", "prompt": SECRET}), None)).rejected
    attributes = {name: text for name, text in ATTRIBUTES.items() if name != "subject"}
    assert json.loads(rejected.value or b"") == {
        **attributes,
        "data": {"tokens": -3, "type": "input", "model": "m"},
    }


def test_content_in_data_does_not_reach_the_event() -> None:
    """A field outside the contract is counted by name and left out."""
    decoded = _decode((_event({**USAGE, "prompt": SECRET}), None), (_event({**USAGE, "messages": [SECRET]}), None))
    assert SECRET not in str(decoded.events.to_pylist())
    assert decoded.unknown_fields == {"prompt": 1, "messages": 1}
    assert decoded.events.column("flags").to_pylist() == [["unknown_fields"]] * 2


def test_many_events_go_by_columns_and_mean_what_they_mean_alone() -> None:
    """The fast path is the native one's; it starts at some dozens of records."""
    values = [_event({**USAGE, "input_tokens": n, "team": f"t{n % 3}"}, id=str(n)) for n in range(200)]
    together = _decode(*[(value, None) for value in values]).events.to_pylist()
    assert together == [event for value in values for event in _decode((value, None)).events.to_pylist()]
