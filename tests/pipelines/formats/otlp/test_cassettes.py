"""Spans of OpenTelemetry's own instrumentation of OpenAI's library, over recorded answers of the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml
from openai import APIError, AsyncOpenAI, OpenAI
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tollbook.formats.decoder import Decoded

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "otel-openai-cassettes"
ANY_TIME = datetime(2100, 1, 1, tzinfo=UTC)
"""The spans are of the time of the test."""
CASSETTES = sorted(path.stem for path in DATA.glob("*.yaml"))
Encode = Callable[[Sequence[ReadableSpan]], tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def exporter() -> Iterator[InMemorySpanExporter]:
    """Yield where the instrumentation's spans go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()


def replay(name: str) -> None:
    """Make the recorded calls again; the answers come from the cassette."""
    interactions = yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))["interactions"]
    with vcr.use_cassette(str(DATA / f"{name}.yaml"), record_mode="none", match_on=["method", "host", "path"]):
        for interaction in interactions:
            body = json.loads(interaction["request"]["body"])
            kind = interaction["request"]["uri"].rpartition("/v1/")[2]
            if "async" in name:
                asyncio.run(_call_async(kind, body))
            else:
                _call(kind, body)


def _call(kind: str, body: dict[str, Any]) -> None:
    with OpenAI(api_key="none", max_retries=0) as client:
        create: Any = client.embeddings.create if kind == "embeddings" else client.chat.completions.create
        try:
            answer = create(**body)
            for _ in answer if body.get("stream") else ():
                pass
        except APIError:
            return


async def _call_async(kind: str, body: dict[str, Any]) -> None:
    async with AsyncOpenAI(api_key="none", max_retries=0) as client:
        create: Any = client.embeddings.create if kind == "embeddings" else client.chat.completions.create
        try:
            answer = await create(**body)
            if body.get("stream"):
                async for _ in answer:
                    pass
        except APIError:
            return


def answers(name: str) -> list[dict[str, Any]]:
    """Return the answers on a cassette: of a stream its id and model, and the usage that any of its chunks has."""
    found = []
    for interaction in yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))["interactions"]:
        text = interaction["response"]["body"]["string"]
        if not text.lstrip().startswith("data:"):
            found.append(json.loads(text))
            continue
        chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        found.append({**chunks[0], "usage": usage[0] if usage else None})
    return found


@pytest.mark.parametrize("name", CASSETTES or [pytest.param("", marks=pytest.mark.skip("no ../shared/data"))])
def test_events_have_the_tokens_and_ids_of_the_answers(
    name: str, exporter: InMemorySpanExporter, encode: Encode, decode: Callable[..., Decoded]
) -> None:
    """What the ledger holds must be what the API answered: each count, each id, through both encodings."""
    exporter.clear()
    replay(name)
    protobuf, text = (decode(each, now=ANY_TIME) for each in encode(exporter.get_finished_spans()))
    assert protobuf.events.equals(text.events)
    assert protobuf.rejected == text.rejected == []
    events = protobuf.events.to_pylist()
    expected = answers(name)
    assert len(events) == len(expected) > 0
    for event, answer in zip(events, expected, strict=True):
        assert event["provider"] == "openai"
        if "error" in answer:
            assert event["status"] == "error"
            assert event["error_type"] == "NotFoundError"
            assert (event["input_tokens"], event["output_tokens"]) == (None, None)
            continue
        assert event["status"] == "ok"
        assert event["model"] == answer["model"]
        if "id" in answer:
            assert (event["source"], event["event_id"]) == ("openai", answer["id"])
        else:
            assert event["source"] == "opentelemetry"
        usage = answer["usage"] or {}
        assert event["input_tokens"] == usage.get("prompt_tokens")
        assert event["output_tokens"] == usage.get("completion_tokens")
