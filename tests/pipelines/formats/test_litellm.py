"""LiteLLM's log of calls, made by the real LiteLLM: its mock answers, and a provider on loopback."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm.caching.caching import Cache
from litellm.exceptions import RateLimitError, Timeout
from litellm.integrations.custom_logger import CustomLogger
from litellm.router import Router

from tollbook.formats.decoder import Decoded
from tollbook.formats.litellm import LiteLlmDecoder
from tollbook.formats.litellm_shape import encode, shape_of
from tollbook.integrations.litellm import told_of

# LiteLLM keeps its clients and event loops until they are collected; `log` sees to it that this is here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

NOW = datetime(2100, 1, 1, tzinfo=UTC)
SECRET = "words that nobody may read"
MESSAGES = [{"role": "user", "content": SECRET}]
OPENAI = {
    "id": "chatcmpl-Bx1abc",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "flex",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SECRET}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 50},
        "completion_tokens_details": {"reasoning_tokens": 120, "audio_tokens": 0},
    },
}
ANTHROPIC = {
    "id": "msg_01ABC",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": SECRET}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 100,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 50,
        "service_tier": "standard",
    },
}
RESPONSE = {
    "id": "resp_abc123",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-2024-08-06",
    "output": [
        {
            "type": "message",
            "id": "m",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": SECRET, "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 600},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 120},
        "total_tokens": 1200,
    },
}
EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
Told = tuple[dict[str, Any], bytes]
"""A call: LiteLLM's own payload, and the record that our callback makes of it at that moment."""


class _Provider(BaseHTTPRequestHandler):
    """Answers as OpenAI and Anthropic do."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answers = {"messages": ANTHROPIC, "responses": RESPONSE, "embeddings": EMBEDDING}
        answer = next((answers[each] for each in answers if self.path.endswith(each)), OPENAI)
        asked = (body.get("stream_options") or {}).get("include_usage")
        streamed = body.get("stream")
        data = _stream(asked=bool(asked)) if streamed else json.dumps(answer)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-request-id", "req_77")
        self.end_headers()
        self.wfile.write(data.encode())


def _stream(*, asked: bool) -> str:
    head = {key: OPENAI[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    first = {"index": 0, "delta": {"role": "assistant", "content": SECRET}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [head | {"choices": [first]}, head | {"choices": [last]}]
    if asked:
        chunks.append(head | {"choices": [], "usage": OPENAI["usage"]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


class _Log(CustomLogger):
    """Keeps what LiteLLM tells of calls, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Told] = []
        self._more = threading.Condition()

    def log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
        with self._more:
            payload = kwargs["standard_logging_object"]
            self.told.append((payload, encode(told_of(payload, kwargs))))
            self._more.notify_all()

    def log_failure_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
        self.log_success_event(kwargs)

    async def async_log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
        self.log_success_event(kwargs)

    async def async_log_failure_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
        self.log_success_event(kwargs)

    def take(self, count: int) -> list[Told]:
        with self._more:
            assert self._more.wait_for(lambda: len(self.told) >= count, 30), f"{len(self.told)} calls told of {count}"
            taken, self.told = self.told, []
        return taken


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Run a provider on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def log() -> Iterator[_Log]:
    """Put a listener into LiteLLM; it is taken out when the test ends."""
    listener = _Log()
    litellm.callbacks = [listener]
    yield listener
    for name in (
        "callbacks",
        "success_callback",
        "failure_callback",
        "_async_success_callback",
        "_async_failure_callback",
    ):
        setattr(litellm, name, [])
    litellm.cache = None
    gc.collect()


def _decode(*payloads: Any) -> Decoded:
    values = [each if isinstance(each, bytes) else json.dumps(each, default=str).encode() for each in payloads]
    return LiteLlmDecoder().decode(pa.array(values, pa.binary()), now=NOW)


def _events(told: list[Told]) -> list[dict[str, Any]]:
    """Return the events of calls, which are the same from LiteLLM's own payload and from our callback's record."""
    own = [encode(shape_of(payload)) for payload, _ in told]
    assert not any(SECRET.encode() in each for each in own)
    read = _decode(*own)
    assert read.rejected == []
    assert read.events.equals(_decode(*(payload for payload, _ in told)).events)
    return list(read.events.to_pylist())


def _counts(event: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in event.items() if name.endswith("_tokens") and value}


PAYLOAD: dict[str, Any] = {
    "id": "chatcmpl-1",
    "litellm_call_id": "call-1",
    "trace_id": "trace-1",
    "call_type": "acompletion",
    "status": "success",
    "custom_llm_provider": "openai",
    "model": "gpt-4o",
    "startTime": 1795000000.0,
    "endTime": 1795000001.25,
    "metadata": {"usage_object": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}},
    "response_cost": 0.000225,
    "cost_breakdown": {"total_cost": 0.000225},
}


def test_cached_reasoning_and_audio_tokens_are_each_counted_once(provider: str, log: _Log) -> None:
    """Pitfall 1: `prompt_tokens` includes what was cached, and charging both charges it twice."""
    litellm.completion("openai/gpt-4o", MESSAGES, api_base=f"{provider}/v1", api_key="k")
    (event,) = _events(log.take(1))
    # Input: 1000 - 600 cached - 50 audio = 350. Output: 200 - 120 reasoning = 80.
    assert _counts(event) == {
        "input_tokens": 1000,
        "uncached_input_tokens": 350,
        "cache_read_tokens": 600,
        "audio_input_tokens": 50,
        "output_tokens": 200,
        "text_output_tokens": 80,
        "reasoning_tokens": 120,
    }
    assert (event["source"], event["event_id"], event["provider"]) == ("openai", "chatcmpl-Bx1abc", "openai")
    assert (event["model"], event["requested_model"]) == ("gpt-4o-2024-08-06", "gpt-4o")
    assert (event["operation_name"], event["status"], event["finish_reason"]) == ("chat", "ok", "stop")
    assert (event["service_tier"], event["request_id"], event["streamed"]) == ("flex", "req_77", False)


def test_cache_writes_of_anthropic_are_split_by_their_time_to_live(provider: str, log: _Log) -> None:
    """Pitfall 1: LiteLLM's input includes Anthropic's cache, which Anthropic's own count leaves out."""
    litellm.completion("anthropic/claude-sonnet-4-5", MESSAGES, api_base=provider, api_key="k")
    told = log.take(1)
    (event,) = _events(told)
    assert _counts(event) == {
        "input_tokens": 2400,
        "uncached_input_tokens": 100,
        "cache_read_tokens": 2000,
        "cache_write_5m_tokens": 100,
        "cache_write_1h_tokens": 200,
        "output_tokens": 50,
        "text_output_tokens": 50,
    }
    assert (event["source"], event["model"]) == ("litellm", "claude-sonnet-4-5-20250929")
    ours = _decode(told[0][1]).events.to_pylist()[0]
    assert (ours["source"], ours["event_id"]) == ("anthropic", "msg_01ABC")
    assert _counts(ours) == _counts(event)


def test_the_messages_api_keeps_anthropics_own_id(provider: str, log: _Log) -> None:
    """Claude Code through a gateway is told by both; the message id makes them one event."""

    async def ask() -> list[Told]:
        make = litellm.anthropic.messages.acreate  # type: ignore[attr-defined]
        await make(model="anthropic/claude-sonnet-4-5", messages=MESSAGES, max_tokens=9, api_base=provider, api_key="k")
        return await asyncio.to_thread(log.take, 1)

    (event,) = _events(asyncio.run(ask()))
    assert (event["source"], event["event_id"], event["input_tokens"]) == ("anthropic", "msg_01ABC", 2400)


def test_the_id_of_a_response_is_unwrapped(provider: str, log: _Log) -> None:
    """LiteLLM wraps ids of the Responses API; the provider's own is what other tools tell."""
    litellm.responses(model="openai/gpt-4o", input=SECRET, api_base=f"{provider}/v1", api_key="k")
    (event,) = _events(log.take(1))
    assert (event["source"], event["event_id"]) == ("openai", "resp_abc123")
    assert (event["uncached_input_tokens"], event["reasoning_tokens"]) == (400, 120)


def test_an_embedding_has_the_gateways_identity(provider: str, log: _Log) -> None:
    """OpenAI gives embeddings no id."""
    litellm.embedding("openai/text-embedding-3-small", input=[SECRET], api_base=f"{provider}/v1", api_key="k")
    ((payload, _record),) = told = log.take(1)
    (event,) = _events(told)
    assert event["source"] == "litellm"
    assert event["event_id"] == f"{payload['litellm_call_id']}@{payload['startTime']:.6f}"
    assert (event["operation_name"], event["input_tokens"], event["output_tokens"]) == ("embeddings", 7, 0)
    # 7 tokens at 0.02 USD a million.
    assert event["provider_cost"] == Decimal("0.00000014")


def test_a_stream_whose_usage_nobody_asked_for_is_estimated(provider: str, log: _Log) -> None:
    """Pitfall 10: LiteLLM counts such tokens itself and does not say so."""
    for options in ({}, {"stream_options": {"include_usage": True}}):
        stream = litellm.completion(
            "openai/gpt-4o", MESSAGES, api_base=f"{provider}/v1", api_key="k", stream=True, **options
        )
        assert len(list(stream)) > 0
    estimated, reported = _events(log.take(2))
    assert (estimated["usage_basis"], estimated["cache_read_tokens"]) == ("estimated", None)
    assert (reported["usage_basis"], reported["cache_read_tokens"]) == ("reported", 600)
    assert reported["streamed"] is True
    assert reported["time_to_first_token_ms"] <= reported["latency_ms"]


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function BaseEventLoop:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")  # LiteLLM's cache leaves one behind
def test_an_answer_from_the_gateways_cache_bought_no_tokens(provider: str, log: _Log) -> None:
    """LiteLLM repeats the first answer's id and usage; counted, the same tokens would be bought twice."""
    litellm.cache = Cache()
    told = []
    for _ in range(2):
        litellm.completion("openai/gpt-4o", MESSAGES, api_base=f"{provider}/v1", api_key="k", caching=True)
        told += log.take(1)
    bought, repeated = _events(told)
    assert (bought["event_id"], bought["input_tokens"]) == ("chatcmpl-Bx1abc", 1000)
    assert (repeated["source"], repeated["gateway_cache_hit"]) == ("litellm", True)
    assert "chatcmpl" not in repeated["event_id"]
    assert (repeated["input_tokens"], repeated["output_tokens"], repeated["cache_read_tokens"]) == (0, 0, None)
    assert repeated["provider_cost"] == 0
    assert dict(repeated["raw_usage"])["prompt_tokens"] == 1000


@pytest.mark.parametrize(
    ("failure", "status", "error_type"),
    [
        (RateLimitError(SECRET, model="gpt-4o", llm_provider="openai"), "error", "RateLimitError"),
        (Timeout(SECRET, model="gpt-4o", llm_provider="openai"), "timeout", "Timeout"),
    ],
)
def test_a_call_that_failed_is_told_with_its_class_and_without_counts(
    log: _Log, failure: Exception, status: str, error_type: str
) -> None:
    """Pitfall 10: LiteLLM writes 0 tokens and 0 USD for what it does not know; null is not 0."""
    with pytest.raises(type(failure)):
        litellm.completion("gpt-4o", MESSAGES, mock_response=failure)
    (event,) = _events(log.take(1))
    assert (event["status"], event["error_type"], event["source"]) == (status, error_type, "litellm")
    assert (event["input_tokens"], event["output_tokens"], event["provider_cost"]) == (None, None, None)


def test_attempts_of_one_operation_share_its_id_and_none_hides_another(provider: str, log: _Log) -> None:
    """Pitfall 9: in a proxy all attempts have one call id, by which failures would be taken for one another."""
    router = Router(
        model_list=[
            {
                "model_name": name,
                "litellm_params": {"model": "openai/gpt-4o", "api_base": base, "api_key": "k"},
            }
            for name, base in (("away", "http://127.0.0.1:9/v1"), ("good", f"{provider}/v1"))
        ],
        fallbacks=[{"away": ["good"]}],
        num_retries=1,
        retry_after=0,
    )

    async def ask() -> list[Told]:
        await router.acompletion("away", MESSAGES, litellm_call_id="one-call", litellm_trace_id="one-trace")
        return await asyncio.to_thread(log.take, 3)

    told = asyncio.run(ask())
    events = list(_decode(*(record for _, record in told)).events.to_pylist())
    assert [event["status"] for event in events] == ["error", "error", "ok"]
    assert [event["attempt"] for event in events] == [1, 2, 3]
    assert {event["operation_id"] for event in events} == {"one-trace"}
    assert {event["call_id"] for event in events} == {"one-call"}
    assert len({(event["source"], event["event_id"]) for event in events}) == 3
    assert events[2]["requested_model"] == "good"


def test_the_call_id_of_a_proxy_is_the_operation() -> None:
    """There the trace may be that of a whole session, which is not what was asked once."""
    proxied = PAYLOAD | {"metadata": PAYLOAD["metadata"] | {"user_api_key_hash": "hash"}}
    (event,) = _decode(proxied).events.to_pylist()
    assert (event["operation_id"], event["credential_id"]) == ("call-1", "hash")


def test_who_asked_comes_from_keys_tags_and_metadata() -> None:
    """What a gateway knows of a caller is what the bill is split by; an address is not stored as it is."""
    metadata = PAYLOAD["metadata"] | {
        "user_api_key_alias": "search-key",
        "user_api_key_team_alias": "search",
        "user_api_key_user_email": "ada@example.com",
        "user_api_key_end_user_id": "customer-7",
        "requester_metadata": {"workflow": "of the request", "nested": {"a": 1}},
        "spend_logs_metadata": {"workflow": "answers", "task_id": 42},
    }
    tags = ["agent:planner", "environment=staging", "plain", "agent:second", "x" * 200, "User-Agent: claude-cli/1.0"]
    decoded = _decode(PAYLOAD | {"metadata": metadata, "request_tags": tags})
    (event,) = decoded.events.to_pylist()
    assert (event["team"], event["workflow"], event["task_id"]) == ("search", "answers", "42")
    assert (event["agent"], event["environment"], event["customer_id"]) == ("planner", "staging", "customer-7")
    assert event["credential_id"] == "search-key"
    assert event["principal_id"] == "sha256:" + hashlib.sha256(b"ada@example.com").hexdigest()[:32]
    assert dict(event["tags"]) == {
        "User-Agent": "claude-cli/1.0",
        "agent": "planner",
        "environment": "staging",
        "plain": "true",
    }
    assert decoded.unknown_fields == {"request_tags": 1}


@pytest.mark.parametrize(
    ("cost", "breakdown", "kept", "flagged"),
    [
        ("5.25e-05", {"total_cost": 5.25e-05}, Decimal("0.0000525"), False),
        ("0.00022500000000000002", {}, Decimal("0.000225"), True),
        ("0.0", {"total_cost": 0.0}, Decimal(0), False),
        ("0.0", None, None, False),
    ],
)
def test_costs_are_exact_and_a_zero_that_means_unknown_is_none(
    cost: str, breakdown: dict[str, float] | None, kept: Decimal | None, flagged: bool
) -> None:
    """A model that LiteLLM has no price for costs 0 there; taken at its word it would be free."""
    text = json.dumps(PAYLOAD | {"response_cost": "COST", "cost_breakdown": breakdown}).replace('"COST"', cost)
    currency = None if kept is None else "USD"
    (event,) = _decode(text.encode()).events.to_pylist()
    assert (event["provider_cost"], event["provider_cost_currency"]) == (kept, currency)
    assert (event["flags"] or []) == (["provider_cost_rounded"] if flagged else [])


def test_zeros_alone_are_untold_and_a_zero_beside_a_count_is_told() -> None:
    """Pitfall 10: an explicit 0 is 0, and LiteLLM's 0 for what nobody told is null."""
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    beside = {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}
    untold, told, flat = _decode(
        PAYLOAD | zeros | {"metadata": {"usage_object": zeros}},
        PAYLOAD | {"id": "b", "metadata": {"usage_object": beside}},
        PAYLOAD | {"id": "c", "metadata": {}, "prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
    ).events.to_pylist()
    assert (untold["input_tokens"], untold["output_tokens"]) == (None, None)
    assert (told["input_tokens"], told["output_tokens"]) == (10, 0)
    assert (flat["input_tokens"], flat["output_tokens"]) == (3, 0)


def test_a_client_that_left_is_cancelled_and_its_counts_estimated() -> None:
    """Pitfall 10: what was generated before the client left is paid for."""
    left = {"status": "failure", "error_information": {"error_class": "ClientDisconnected", "error_code": "499"}}
    (event,) = _decode(PAYLOAD | left).events.to_pylist()
    assert (event["status"], event["usage_basis"], event["output_tokens"]) == ("cancelled", "estimated", 20)


@pytest.mark.parametrize(
    ("api_base", "region"),
    [
        ("https://bedrock-runtime.eu-central-1.amazonaws.com/model/x/converse", "eu-central-1"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "us-central1"),
        ("https://eu.api.openai.com/v1", "eu"),
        ("https://api.openai.com/v1", None),
        ("https://my-resource.openai.azure.com", None),
    ],
)
def test_an_endpoint_tells_its_region_where_its_host_names_one(api_base: str, region: str | None) -> None:
    """Residency is judged by where inference ran; a host without a region must not make one up."""
    (event,) = _decode(PAYLOAD | {"api_base": api_base}).events.to_pylist()
    assert event["region"] == region


def test_what_is_no_model_call_is_ignored_with_its_reason() -> None:
    """Uploads, polls and requests that the gateway refused buy no tokens; they are counted, not lost."""
    nothing = {"metadata": {"usage_object": {}}, "response_cost": 0.0, "cost_breakdown": None}
    decoded = _decode(
        PAYLOAD | nothing | {"call_type": "acreate_file"},
        PAYLOAD | nothing | {"call_type": "acompletion", "status": "failure", "custom_llm_provider": None},
        PAYLOAD,
    )
    assert len(decoded.events) == 1
    assert decoded.ignored == {"no_model_call": 2}


def test_a_part_that_exceeds_its_whole_is_rejected_and_its_neighbours_are_not() -> None:
    """Pitfall 1: a gateway that leaves the cache out of its whole would be charged below nothing."""
    wrong = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2000}}
    decoded = _decode(PAYLOAD, PAYLOAD | {"id": "b", "metadata": {"usage_object": wrong}}, PAYLOAD | {"id": "c"})
    assert decoded.events.column("event_id").to_pylist() == ["chatcmpl-1", "c"]
    (rejected,) = decoded.rejected
    assert (rejected.row, rejected.error.reason) == (1, "part_exceeds_whole")


def test_a_reject_keeps_no_content() -> None:
    """A record is rejected because something is odd about it, which is when content turns up where it should not."""
    odd = {
        "response": {"id": 3, "choices": [{"message": {"content": SECRET}}]},
        "endTime": "soon",
        "messages": [SECRET],
    }
    (rejected,) = _decode(PAYLOAD | odd).rejected
    assert (rejected.error.reason, rejected.error.field) == ("wrong_type", "endTime")
    assert rejected.value is not None
    assert SECRET.encode() not in rejected.value


@pytest.mark.parametrize("response", [SECRET, [SECRET], {"id": 3}, None])
def test_a_response_of_another_shape_costs_no_call(response: Any) -> None:
    """Speech and redacted answers are texts; the call was made all the same."""
    (event,) = _decode(PAYLOAD | {"response": response}).events.to_pylist()
    assert (event["event_id"], event["input_tokens"]) == ("chatcmpl-1", 10)


def test_an_unknown_count_is_shown() -> None:
    """A new kind of token must not be free because nobody knew its name."""
    usage = PAYLOAD["metadata"]["usage_object"] | {"thought_crystals": 5}
    decoded = _decode(PAYLOAD | {"metadata": {"usage_object": usage}})
    (event,) = decoded.events.to_pylist()
    assert event["flags"] == ["unknown_usage_field"]
    assert decoded.unknown_fields == {"thought_crystals": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(sorted([*PAYLOAD, "response", "request_tags", "cache_hit"])), JSON), max_size=4)
)
def test_whatever_a_field_holds_no_record_is_lost(changes: list[tuple[str, Any]]) -> None:
    """A gateway of another version is not a reason to crash, nor to lose the neighbours of what it sent."""
    decoded = _decode(PAYLOAD | {"id": "a"}, PAYLOAD | dict(changes), PAYLOAD | {"id": "z"})
    assert len(decoded.events) + len(decoded.rejected) + sum(decoded.ignored.values()) == 3
    assert {"a", "z"} <= set(decoded.events.column("event_id").to_pylist())
    shaped = _decode(encode(shape_of(PAYLOAD | dict(changes))))
    assert len(shaped.events) + len(shaped.rejected) + sum(shaped.ignored.values()) == 1
