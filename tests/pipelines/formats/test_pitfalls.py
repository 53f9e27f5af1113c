"""Pains of other tools that concern every format. Numbers are those of the project's list of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tollbook.formats.decoder import Decoded
from tollbook.formats.route import RecordRouter
from tollbook.reference.owners import OwnerRule, Owners

NOW = datetime(2026, 6, 2, tzinfo=UTC)
TAGS = ["team:search", "env:prod", "campaign:summer", "vip", "a=b"]


def _decoded(told: dict[str, Any], name: str) -> Decoded:
    return RecordRouter().decode(pa.array([json.dumps(told).encode()], pa.binary()), name, now=NOW)


def test_pitfall_15_a_call_with_many_tags_is_one_row_with_one_owner() -> None:
    """litellm#21894: a row for each tag made totals rise by two thirds; a tag describes a call and never repeats it."""
    started = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    payload = {
        "id": "chatcmpl-1",
        "litellm_call_id": "c",
        "call_type": "completion",
        "status": "success",
        "custom_llm_provider": "openai",
        "model": "gpt-4o",
        "startTime": started,
        "endTime": started + 1,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "request_tags": TAGS,
        "metadata": {},
        "response": {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06"},
    }
    native = {
        "source": "openai",
        "event_id": "chatcmpl-1",
        "occurred_at": "2026-06-01T00:00:01Z",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "input_tokens": 10,
        "output_tokens": 5,
        "team": "search",
        "tags": {"env": "prod", "campaign": "summer", "vip": "true"},
    }
    owners = Owners(
        tuple(
            OwnerRule(
                f"r{place}", f"tag:{key}", value, f"owner-{place}", None, None, datetime(2026, 1, 1, tzinfo=UTC), None
            )
            for place, (key, value) in enumerate([("env", "prod"), ("campaign", "summer")])
        ),
        ("tag:campaign", "tag:env", "team"),
    )
    for decoded in (_decoded(payload, "litellm"), _decoded(native, "native")):
        assert (decoded.events.num_rows, decoded.rejected) == (1, [])
        assert decoded.events.column("input_tokens").to_pylist() == [10]
        assert decoded.events.column("team").to_pylist() == ["search"]
        # Two rules match its tags; the first of the order decides, and the call stays one row.
        assert owners.assign(decoded.events)["owner_team"].to_pylist() == ["owner-1"]
