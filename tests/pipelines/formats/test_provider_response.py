"""Response bodies wrapped with who asked: the same counts as the usage table gives, the provider's own identity."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
from anthropic.types import Message as AnthropicMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from tollbook.contracts import shipped_folder, usage_event
from tollbook.formats.decoder import Decoded
from tollbook.formats.provider_response import ProviderResponseDecoder, WrappedResponse, strip_response
from tollbook.formats.usage import load_table, read_body

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
SCHEMA = shipped_folder("schemas") / "provider_response" / "v1.schema.json"
EXAMPLES = sorted((SCHEMA.parent / "examples" / "v1").glob("*.json"))
SECRET = "the prompt that nobody may read"
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_780_308_000,
    "model": "gpt-5-2025-08-07",
    "service_tier": "default",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SECRET}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 300,
        "total_tokens": 1300,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 200},
    },
}
MESSAGE: dict[str, Any] = {
    "id": "msg_01A",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-5-20251101",
    "content": [{"type": "text", "text": SECRET}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 400, "cache_read_input_tokens": 600, "output_tokens": 100, "service_tier": "standard"},
}


def wrapped(body: Any, provider: str = "openai", **fields: Any) -> bytes:
    """Return a body with who asked."""
    return json.dumps({"provider": provider, "occurred_at": "2026-06-01T10:00:00Z", "body": body} | fields).encode()


def decode(records: Sequence[bytes]) -> Decoded:
    """Decode records."""
    return ProviderResponseDecoder().decode(pa.array(records, pa.binary()), now=NOW)


def events(*records: bytes) -> list[dict[str, Any]]:
    """Return the events of records that are all right, without what is not told."""
    decoded = decode(records)
    assert [str(each.error) for each in decoded.rejected] == []
    return [{name: value for name, value in row.items() if value is not None} for row in decoded.events.to_pylist()]


def reasons(*records: bytes) -> list[tuple[str, str | None]]:
    """Return why records are rejected."""
    return [(each.error.reason, each.error.field) for each in decode(records).rejected]


def test_a_body_and_who_asked_are_an_event() -> None:
    """400 plain and 600 cached tokens in, 100 of text and 200 of reasoning out."""
    (event,) = events(wrapped(CHAT, team="search", workflow="w", task_id="t", agent="a", tags={"k": "v"}, attempt=2))
    assert dict(event.pop("raw_usage"))["total_tokens"] == 1300
    assert event == {
        "source": "openai",
        "event_id": "chatcmpl-1",
        "revision": 0,
        "action": "record",
        "reporter": "provider_response",
        "schema_version": 1,
        "occurred_at": datetime(2026, 6, 1, 10, tzinfo=UTC),
        "provider": "openai",
        "model": "gpt-5-2025-08-07",
        "operation_name": "chat",
        "service_tier": "default",
        "team": "search",
        "workflow": "w",
        "task_id": "t",
        "agent": "a",
        "attempt": 2,
        "tags": [("k", "v")],
        "usage_basis": "reported",
        "input_tokens": 1000,
        "uncached_input_tokens": 400,
        "cache_read_tokens": 600,
        "output_tokens": 300,
        "text_output_tokens": 100,
        "reasoning_tokens": 200,
    }


def test_the_789_real_bodies_give_through_the_wrapper_what_the_usage_table_gives() -> None:
    """Each as every provider's that could have answered so: 8,043 records, 12 calls within calls, none rejected."""
    path = DATA / "vendor-usage-api" / "genai_prices_usages.json.gz"
    if not path.is_file():
        pytest.skip("the real bodies are not on this machine: expected ../shared/data/vendor-usage-api")
    table = load_table()
    records, expected = [], []
    for number, entry in enumerate(json.loads(gzip.decompress(path.read_bytes()))):
        body = entry["body"]
        for provider in sorted({each["provider_id"] for told in entry["extracted"] for each in told["extractors"]}):
            flavour = table.recognise(body, provider)
            if flavour is not None:
                records.append(wrapped(body, provider, event_id=f"{number}-{provider}", model="asked"))
                expected.append(read_body(body, flavour))
    decoded = decode(records)
    assert (len(records), decoded.rejected) == (8_043, [])
    within = decoded.record_items > 0
    assert within.sum() == sum(len(usage.further) for usage in expected) == 12
    rows = decoded.events.filter(pa.array(~within)).to_pylist()
    for row, usage in zip(rows, expected, strict=True):
        told = {name: dict(row[name]) if isinstance(row[name], list) else row[name] for name in usage.fields}
        assert told == usage.fields
        assert set(usage.flags) == set(row["flags"] or ())
    stripped = decode([strip_response(record)[0] for record in records])
    assert stripped.events.equals(decoded.events)


def test_bodies_of_the_openai_package_are_read() -> None:
    """Its own models, as they dump themselves: chat, responses and embeddings."""
    chat = ChatCompletion.model_validate(CHAT).model_dump()
    usage: dict[str, Any] = {"input_tokens": 70, "output_tokens": 30, "total_tokens": 100}
    usage["input_tokens_details"] = {"cached_tokens": 20, "cache_write_tokens": 0}
    usage["output_tokens_details"] = {"reasoning_tokens": 10}
    answer = Response.model_validate(
        {
            "id": "resp_1",
            "created_at": 1.0,
            "model": "gpt-5",
            "object": "response",
            "output": [],
            "service_tier": "flex",
        }
        | {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage, "instructions": SECRET}
    )
    embedding = CreateEmbeddingResponse.model_validate(
        {"object": "list", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 9, "total_tokens": 9}}
        | {"data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    )
    first, second, third = events(
        wrapped(chat), wrapped(answer.model_dump()), wrapped(embedding.model_dump(), request_id="req_9")
    )
    assert (first["event_id"], first["input_tokens"], first["reasoning_tokens"]) == ("chatcmpl-1", 1000, 200)
    assert (second["event_id"], second["service_tier"], second["operation_name"]) == ("resp_1", "flex", "chat")
    assert (second["uncached_input_tokens"], second["cache_read_tokens"], second["text_output_tokens"]) == (50, 20, 20)
    assert (third["source"], third["event_id"], third["operation_name"]) == ("openai", "req_9", "embeddings")
    assert (third["input_tokens"], "output_tokens" in third) == (9, False)


def test_bodies_of_the_anthropic_package_are_read() -> None:
    """The input leaves cached tokens out, so the whole is 1,000."""
    body = AnthropicMessage.model_validate(MESSAGE).model_dump()
    direct, cloud = events(wrapped(body, "anthropic"), wrapped(body | {"id": "msg_bdrk_1"}, "bedrock"))
    counts = ("input_tokens", "uncached_input_tokens", "cache_read_tokens", "output_tokens")
    assert [direct[name] for name in counts] == [cloud[name] for name in counts] == [1000, 400, 600, 100]
    assert (direct["source"], direct["event_id"]) == ("anthropic", "msg_01A")
    assert (cloud["source"], cloud["provider"]) == ("aws", "aws")


def test_chunks_of_a_stream_are_one_body_with_the_usage_of_its_last() -> None:
    """OpenAI's usage comes in a last chunk without choices; its chunks are those of its package."""
    head = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
    text = {"choices": [{"index": 0, "delta": {"content": SECRET}, "finish_reason": None}]}
    chunks = [
        ChatCompletionChunk.model_validate(head | text).model_dump(),
        ChatCompletionChunk.model_validate(head | {"choices": [], "usage": CHAT["usage"]}).model_dump(),
    ]
    (event,) = events(wrapped(chunks, streamed=True))
    assert (event["event_id"], event["model"], event["input_tokens"], event["streamed"]) == (
        "chatcmpl-2",
        "gpt-5",
        1000,
        True,
    )


def test_anthropics_stream_events_are_one_body() -> None:
    """`message_start` has the input, `message_delta` the output that has grown since."""
    start = {"type": "message_start", "message": MESSAGE | {"usage": MESSAGE["usage"] | {"output_tokens": 1}}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SECRET}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}}
    (event,) = events(wrapped([start, delta, end, {"type": "message_stop"}], "anthropic"))
    assert (event["event_id"], event["input_tokens"], event["output_tokens"]) == ("msg_01A", 1000, 100)
    assert event["service_tier"] == "standard"


def test_other_streams_tell_where_their_apis_do() -> None:
    """Responses wrap the body in their last event, Groq, Bedrock and Gemini have places of their own."""
    usage = {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 0}}
    completed = {"type": "response.completed", "response": {"id": "resp_1", "model": "gpt-5", "usage": usage}}
    groq = [{"id": "x", "model": "llama"}, {"x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}}]
    converse = [
        {"contentBlockDelta": {"delta": {"text": SECRET}}},
        {"metadata": {"usage": {"inputTokens": 7, "outputTokens": 3}}},
    ]
    gemini = [
        {
            "responseId": "g",
            "modelVersion": "gemini-2.5-pro",
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": n},
        }
        for n in (1, 3)
    ]
    rows = events(
        wrapped([{"type": "response.created", "response": {"id": "resp_1"}}, completed]),
        wrapped(completed),
        wrapped(groq, "groq"),
        wrapped(converse, "bedrock", request_id="r", model="amazon.nova-pro-v1:0"),
        wrapped(gemini, "gcp.gemini"),
    )
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == [(7, 3)] * 5
    assert [(row["source"], row["event_id"]) for row in rows] == [
        ("openai", "resp_1"),
        ("openai", "resp_1"),
        ("groq", "x"),
        ("aws", "r"),
        ("google", "g"),
    ]


def test_pitfall_10_a_stream_that_was_cut_off_is_estimated_only_where_told() -> None:
    """Null is not 0: without usage nothing is counted."""
    rows = events(wrapped(CHAT, partial=True), wrapped(CHAT), wrapped([{"id": "c", "model": "gpt-5"}], partial=True))
    assert [row["usage_basis"] for row in rows] == ["estimated", "reported", "estimated"]
    assert "output_tokens" not in rows[2]
    zero = CHAT | {"usage": CHAT["usage"] | {"prompt_tokens_details": {"cached_tokens": 0}}}
    untold = CHAT | {"usage": CHAT["usage"] | {"prompt_tokens_details": {"cached_tokens": None}}}
    with_zero, without = events(wrapped(zero), wrapped(untold))
    assert (with_zero["cache_read_tokens"], "cache_read_tokens" in without) == (0, False)


def test_pitfall_1_a_cached_count_above_its_whole_is_rejected_and_harms_no_neighbour() -> None:
    """Nothing is counted twice to make it fit."""
    wrong = CHAT | {"usage": CHAT["usage"] | {"prompt_tokens_details": {"cached_tokens": 1001}}}
    decoded = decode([wrapped(CHAT), wrapped(wrong), wrapped(CHAT)])
    assert [each.error.reason for each in decoded.rejected] == ["part_exceeds_whole"]
    assert decoded.rows.tolist() == [0, 2]


def test_pitfall_2_an_unknown_usage_field_is_shown() -> None:
    """It may be the cache write of tomorrow."""
    decoded = decode([wrapped(CHAT | {"usage": CHAT["usage"] | {"cache_write_24h_tokens": 5}})])
    assert decoded.unknown_fields == {"usage.cache_write_24h_tokens": 1}
    assert decoded.events["flags"].to_pylist() == [["unknown_usage_field"]]


def test_failed_calls_are_events_without_counts() -> None:
    """By the caller's word, the HTTP status, or the error in the body; the class of the error, never its text."""
    failure = {"error": {"message": SECRET, "type": "rate_limit_exceeded", "code": None}}
    rows = events(
        wrapped(failure, request_id="1", model="gpt-5", status=429),
        wrapped(failure, request_id="2", model="gpt-5"),
        wrapped(None, request_id="3", model="gpt-5", status="cancelled"),
        wrapped({"error": SECRET}, request_id="4", model="gpt-5", status=504),
        wrapped({"error": {"type": SECRET}}, request_id="5", model="gpt-5", error_type="OverloadedError"),
    )
    assert [(row["status"], row.get("error_type")) for row in rows] == [
        ("error", "rate_limit_exceeded"),
        ("error", "rate_limit_exceeded"),
        ("cancelled", None),
        ("timeout", None),
        ("error", "OverloadedError"),
    ]
    assert all("input_tokens" not in row and "output_tokens" not in row for row in rows)
    assert SECRET not in json.dumps(rows, default=str)


def test_an_answer_from_a_gateways_cache_buys_nothing_and_has_an_identity_of_its_own() -> None:
    """The body repeats the id of the call that was bought."""
    bought, hit = events(wrapped(CHAT), wrapped(CHAT, gateway_cache_hit=True, source="gate", event_id="call-9"))
    assert bought["event_id"] == "chatcmpl-1"
    assert (hit["source"], hit["event_id"]) == ("gate", "call-9")
    assert (hit["input_tokens"], hit["output_tokens"], hit["gateway_cache_hit"]) == (0, 0, True)
    assert hit.get("cache_read_tokens") in (None, 0)
    assert dict(hit["raw_usage"])["prompt_tokens"] == 1000


def test_identity_is_the_bodys_then_the_callers_then_the_requests_then_the_records() -> None:
    """Never a clock, an offset or a random number."""
    bare = {name: value for name, value in CHAT.items() if name != "id"}
    rows = events(
        wrapped(CHAT, event_id="own", request_id="req"),
        wrapped(bare, event_id="own", source="crm", request_id="req"),
        wrapped(bare, event_id="own"),
        wrapped(bare, request_id="req"),
        wrapped(bare),
        wrapped(bare),
        wrapped(bare, team="other"),
        strip_response(wrapped(bare))[0],
    )
    assert [(row["source"], row["event_id"]) for row in rows[:4]] == [
        ("openai", "chatcmpl-1"),
        ("crm", "own"),
        ("provider_response", "own"),
        ("openai", "req"),
    ]
    same, again, other, stripped = (row["event_id"] for row in rows[4:])
    assert same == again == stripped != other
    assert len(same) == 32


def test_the_model_that_answered_stands_and_the_one_that_was_asked_for_is_kept_beside() -> None:
    """The price is of the one that answered."""
    rows = events(
        wrapped(CHAT, model="gpt-5"),
        wrapped(CHAT, model="gpt-5-2025-08-07"),
        wrapped(CHAT | {"model": None}, model="gpt-5"),
        wrapped(CHAT, requested_model="alias"),
    )
    assert [(row["model"], row.get("requested_model")) for row in rows] == [
        ("gpt-5-2025-08-07", "gpt-5"),
        ("gpt-5-2025-08-07", None),
        ("gpt-5", None),
        ("gpt-5-2025-08-07", "alias"),
    ]


def test_the_api_decides_where_it_is_told() -> None:
    """A page of an annotated document costs more than a plain one; the body does not tell which it is."""
    body = {"model": "mistral-ocr-latest", "usage_info": {"pages_processed": 3, "doc_size_bytes": 9}}
    plain, annotated = events(
        wrapped(body, "mistral", event_id="1"), wrapped(body, "mistral", event_id="2", api="ocr_annotated")
    )
    assert plain["other_units"] == [("input_document_pages", 3)]
    assert annotated["other_units"] == [("input_annotated_document_pages", 3)]
    assert reasons(wrapped(CHAT, api="telepathy")) == [("invalid_value", "api")]


def test_bodies_that_are_their_own_usage_object_are_read() -> None:
    """Llama and Titan on Bedrock count beside their answer."""
    llama = {"generation": SECRET, "prompt_token_count": 9, "generation_token_count": 4}
    titan = {"inputTextTokenCount": 9, "results": [{"tokenCount": 4, "outputText": SECRET}]}
    records = [
        wrapped(llama, "bedrock", request_id="1", model="meta.llama3-70b-instruct-v1:0"),
        wrapped(titan, "bedrock", request_id="2", model="amazon.titan-text-express-v1"),
    ]
    assert [(row["input_tokens"], row["output_tokens"]) for row in events(*records)] == [(9, 4), (9, 4)]
    assert decode([strip_response(each)[0] for each in records]).events.equals(decode(records).events)


def test_an_advisors_call_within_a_body_is_a_call_of_its_own() -> None:
    """Its event leads back to the body's by `parent_call_id`."""
    iterations = [{"type": "advisor_message", "model": "claude-opus-4-1", "input_tokens": 50, "output_tokens": 7}]
    body = MESSAGE | {"usage": MESSAGE["usage"] | {"iterations": iterations}}
    main, advisor = events(wrapped(body, "anthropic", call_id="span-1", team="search"))
    assert (main["event_id"], main["output_tokens"]) == ("msg_01A", 100)
    assert (advisor["event_id"], advisor["parent_call_id"]) == ("msg_01A#advisor_message.0", "span-1")
    assert (advisor["model"], advisor["output_tokens"], advisor["team"]) == ("claude-opus-4-1", 7, "search")
    assert "call_id" not in advisor


def test_a_body_whose_counts_are_wrong_is_rejected_with_the_calls_within_it() -> None:
    """It is replayed as one; half of it told now would be told twice then."""
    iterations = [{"type": "advisor_message", "input_tokens": 50, "output_tokens": 7}]
    body = MESSAGE | {"usage": MESSAGE["usage"] | {"output_tokens": -1, "iterations": iterations}}
    decoded = decode([wrapped(body, "anthropic")])
    assert [each.error.reason for each in decoded.rejected] == ["out_of_range"]
    assert decoded.events.num_rows == 0


def test_an_e_mail_address_is_never_stored() -> None:
    """SHA-256 of ada@example.org begins with these digits."""
    opaque, person = events(wrapped(CHAT, principal_id="u-17"), wrapped(CHAT, principal_id="ada@example.org"))
    assert opaque["principal_id"] == "u-17"
    assert person["principal_id"] == "sha256:cfe00dde46ef942601ffafb9e2825e80"


def test_no_prompt_is_in_anything_decoded_rejected_or_sent() -> None:
    """Content never enters, however the record is wrong."""
    records = [
        wrapped(CHAT),
        wrapped(MESSAGE, "anthropic"),
        wrapped({"id": "x", "text": SECRET}),
        wrapped(CHAT | {"usage": {"prompt_tokens": SECRET, "completion_tokens": 1}}),
        wrapped(CHAT | {"usage": CHAT["usage"] | {"note": SECRET}}),
        wrapped(CHAT, occurred_at=SECRET * 20),
        wrapped(CHAT | {"service_tier": {"a": SECRET}}),
        wrapped(
            {"type": "x", "response": SECRET, "usage": {"input_tokens": 1, "output_tokens": 1}}, "anthropic", model="m"
        ),
        wrapped(CHAT) + b"x",
    ]
    decoded = decode(records)
    kept = [each.value for each in decoded.rejected if each.value_state != "unparsed"]
    told = [decoded.events.to_pylist(), kept, [str(each.error) for each in decoded.rejected], decoded.unknown_fields]
    assert SECRET not in json.dumps(told, default=str)
    assert len(decoded.rejected) == 5
    sent = [strip_response(record)[0] for record in records[:5]]
    assert SECRET.encode() not in b"".join(sent)
    assert b"choices" not in b"".join(sent)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_decodes_or_is_rejected_as_its_name_says(path: Path) -> None:
    """The examples are the documentation that senders copy from; what JSON Schema can judge, it judges alike."""
    document = json.loads(path.read_text(encoding="utf-8"))
    valid = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).is_valid(document)
    decoded = decode([json.dumps(document).encode()])
    if path.stem.startswith("valid-"):
        assert valid
        assert (decoded.events.num_rows, decoded.rejected) == (1, [])
    else:
        assert [each.error.reason for each in decoded.rejected] == [path.stem.removeprefix("invalid-").split("--")[0]]
        assert valid == ("provider" in document)


def test_the_schema_has_the_fields_that_are_read_in_the_contracts_types() -> None:
    """Each shape is written once: what the contract says of a field holds here too."""
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    assert list(document["properties"]) == list(WrappedResponse.__struct_fields__)
    contract = usage_event().json_schema["properties"]
    for name, told in document["properties"].items():
        assert told["description"].endswith("."), name
        if told["description"].startswith("As `"):
            assert set(told.get("enum", ())) == set(contract[name].get("enum", ())), name
            assert told.get("maxLength") == contract[name].get("maxLength"), name


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.fixed_dictionaries(
                {"usage": st.dictionaries(st.sampled_from(list(CHAT["usage"])), st.none() | st.integers() | st.text())},
                optional={"id": st.none() | st.integers() | st.text(max_size=5), "model": st.text(max_size=5)},
            ).map(wrapped),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            ["usage", "response", "meta", "usageMetadata", "type", "error", "results", "x_groq"]
                        ),
                        inner,
                        max_size=4,
                    )
                ),
                max_leaves=12,
            ).map(lambda body: wrapped(body, status="ok", model="m")),
        ),
        max_size=12,
    )
)
def test_whatever_comes_no_record_is_lost(values: list[bytes]) -> None:
    """Never a crash: accepted, rejected and silent records are all records."""
    decoded = decode(values)
    rejected = np.array([each.row for each in decoded.rejected], np.int64)
    assert len(np.unique(np.concatenate([rejected, decoded.rows]))) + decoded.silent_records == len(values)
