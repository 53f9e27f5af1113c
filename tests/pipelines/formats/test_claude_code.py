"""Session files of Claude Code: each call once, however often and wherever its lines are told."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.formats.claude_code import ClaudeCodeDecoder, provider_of
from tollbook.formats.claude_code_lines import strip_line
from tollbook.formats.decoder import Decoded
from tollbook.reference.dimensions import read_dimensions

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
SECRET = "the prompt that nobody may read"
LINE: dict[str, Any] = {
    "parentUuid": "u-0",
    "isSidechain": False,
    "userType": "external",
    "cwd": "/home/ada/secret-project",
    "sessionId": "session-1",
    "version": "2.0.28",
    "gitBranch": "feature/secret",
    "type": "assistant",
    "uuid": "u-1",
    "requestId": "req_1",
    "timestamp": "2026-06-01T10:00:00.500Z",
    "message": {
        "id": "msg_01A",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5-20251101",
        "content": [{"type": "text", "text": SECRET}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 1000,
            "cache_read_input_tokens": 600,
            "cache_creation": {"ephemeral_5m_input_tokens": 700, "ephemeral_1h_input_tokens": 300},
            "output_tokens": 100,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
            "service_tier": "standard",
            "inference_geo": "us",
        },
    },
}


def line(usage: dict[str, Any] | None = None, message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """Return a line with other fields, fields of the message or of its usage."""
    told = LINE | fields
    told["message"] = LINE["message"] | (message or {})
    told["message"]["usage"] = LINE["message"]["usage"] | (usage or {})
    return json.dumps(told).encode()


def decode(lines: Sequence[bytes], **options: Any) -> Decoded:
    """Decode lines."""
    return ClaudeCodeDecoder(**options).decode(pa.array(lines, pa.binary()), now=NOW)


def events(lines: Sequence[bytes], **options: Any) -> list[dict[str, Any]]:
    """Return the events of lines that are all right, without what is not told."""
    decoded = decode(lines, **options)
    assert decoded.rejected == []
    return [{name: value for name, value in row.items() if value is not None} for row in decoded.events.to_pylist()]


def standing(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the ledger keeps: of each call the first telling of its highest revision."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["source"], row["event_id"])
        if key not in kept or row["revision"] > kept[key]["revision"]:
            kept[key] = row
    return kept


def real_lines() -> list[bytes]:
    """Return the real lines, one of each kind; skip where they are absent."""
    folder = DATA / "claude-code-jsonl-format"
    if not folder.is_dir():
        pytest.skip("the real lines are not on this machine: expected ../shared/data/claude-code-jsonl-format")
    return [each for path in sorted(folder.glob("*.jsonl")) for each in path.read_bytes().splitlines()]


def test_a_line_of_an_answer_is_an_event_with_every_token_in_one_bucket() -> None:
    """4 plain, 600 read and 1,000 written tokens: 700 for five minutes, 300 for an hour; the input is exclusive."""
    (event,) = events([line()])
    assert event.pop("occurred_at") == datetime(2026, 6, 1, 10, 0, 0, 500_000, UTC)
    assert dict(event.pop("raw_usage"))["cache_creation_input_tokens"] == 1000
    assert event == {
        "source": "anthropic",
        "event_id": "msg_01A",
        "revision": 100,
        "action": "record",
        "reporter": "claude_code",
        "schema_version": 1,
        "provider": "anthropic",
        "model": "claude-opus-4-5-20251101",
        "operation_name": "chat",
        "service_tier": "standard",
        "region": "us",
        "path": "model_api",
        "task_id": "session-1",
        "conversation_id": "session-1",
        "agent": "main",
        "release": "2.0.28",
        "request_id": "req_1",
        "status": "ok",
        "finish_reason": "stop",
        "usage_basis": "reported",
        "input_tokens": 1604,
        "uncached_input_tokens": 4,
        "cache_read_tokens": 600,
        "cache_write_5m_tokens": 700,
        "cache_write_1h_tokens": 300,
        "output_tokens": 100,
        "text_output_tokens": 100,
        "tool_calls": [("web_searches", 2)],
    }


def test_the_real_lines_are_told_or_passed_over_by_their_kind() -> None:
    """59 lines of 59 kinds of messages: 20 tell of a call, one answer has no usage; none is lost, none rejected."""
    decoded = decode(real_lines())
    assert (decoded.events.num_rows, decoded.silent_records, decoded.rejected) == (20, 39, [])
    assert decoded.ignored == {
        "file_history_snapshot_line": 1,
        "queue_operation_line": 1,
        "summary_line": 1,
        "system_line": 1,
        "user_line": 34,
        "no_usage": 1,
    }
    assert decoded.unknown_fields == {}
    rows = decoded.events.to_pylist()
    assert {row["provider"] for row in rows} == {"anthropic"}
    # Three of the 20 lines are of one answer, msg_01NtyE53hx2q89rMBGuw6qKD on two of them.
    assert len(standing(rows)) == len({row["event_id"] for row in rows}) == 19


def test_a_real_line_of_a_subagent_is_as_it_says() -> None:
    """1,374 written to the cache, 3 plain, 87 out; the run of the agent is a tag, not an agent of its own."""
    (row,) = [
        row for row in decode(real_lines()).events.to_pylist() if row["event_id"] == "msg_018gYNPTHWry5dDGwS3tQ6BV"
    ]
    assert (row["agent"], row["tags"]) == ("sidechain", [("agent_id", "b1f5d80e")])
    counts = ("input_tokens", "uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "output_tokens")
    assert [row[name] for name in counts] == [1377, 3, 0, 1374, 87]


def test_pitfall_13_forks_resumes_and_subagents_replays_are_one_event() -> None:
    """ccusage#950 counted 91 times: identity is the message's id, whatever session and line repeat it."""
    again = [
        line(),
        line(uuid="u-2", sessionId="fork", timestamp="2026-06-02T00:00:00Z"),
        line(uuid="u-3", isSidechain=True, agentId="a1"),
        json.dumps(
            {
                "type": "progress",
                "sessionId": "session-1",
                "data": {"type": "agent_progress", "message": json.loads(line())},
            }
        ).encode(),
    ]
    rows = events(again)
    assert {(row["source"], row["event_id"], row["revision"]) for row in rows} == {("anthropic", "msg_01A", 100)}
    assert len(rows) == 4


def test_pitfall_13_several_lines_of_one_answer_with_growing_counts_are_revisions() -> None:
    """The last count supersedes the others; none is added, none conflicts."""
    unfinished = {"stop_reason": None}
    rows = events([line({"output_tokens": count}, unfinished) for count in (2, 2, 40)] + [line({"output_tokens": 100})])
    assert [row["revision"] for row in rows] == [2, 2, 40, 100]
    assert [row["usage_basis"] for row in rows] == ["estimated", "estimated", "estimated", "reported"]
    (kept,) = standing(rows).values()
    assert kept["output_tokens"] == 100


def session_line(trace: str, number: int, message_id: str, request: tuple[str, int, int, float]) -> bytes:
    """Return the line that a recorded call (model, input and output tokens, seconds from the start) would have left."""
    model, input_tokens, output_tokens, seconds = request
    usage: dict[str, Any] = {"input_tokens": 0, "cache_creation_input_tokens": input_tokens}
    usage |= {
        "output_tokens": output_tokens,
        "cache_creation": None,
        "cache_read_input_tokens": 0,
        "server_tool_use": None,
    }
    moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    message = {"id": message_id, "model": model}
    return line(usage, message, sessionId=trace, uuid=f"{trace}-{number}", timestamp=moment.isoformat())


@pytest.mark.parametrize(("same_ids", "times"), [(True, 1), (False, 4)])
def test_pitfall_13_replayed_sessions_count_once_when_their_message_ids_say_so(same_ids: bool, times: int) -> None:
    """Four recorded sessions of one conversation: 26 calls, 765,312 input and 14,823 output tokens by their authors.

    Where the ids differ it was asked four times and bought four times.
    """
    lines = []
    for trace in ("trace_0403", "trace_0427", "trace_0432", "trace_0449"):
        path = DATA / "claude-code-sessions" / "raw" / f"{trace}.json.gz"
        if not path.is_file():
            pytest.skip(f"the real sessions are not on this machine: expected ../shared/data/.../{path.name}")
        for number, request in enumerate(json.loads(gzip.decompress(path.read_bytes()))["requests"]):
            message_id = f"msg_{number}" if same_ids else f"msg_{trace}_{number}"
            told = (request["model"], request["in"], request["out"], request["t"])
            lines.append(session_line(trace, number, message_id, told))
    kept = standing(events(lines)).values()
    assert (len(lines), len(kept)) == (104, 26 * times)
    assert sum(row["input_tokens"] for row in kept) == 765_312 * times
    assert sum(row["output_tokens"] for row in kept) == 14_823 * times


def test_pitfall_13_the_five_replayed_groups_of_451_sessions_count_once() -> None:
    """23 sessions of 5 conversations: without their 18 replays 570,041,414 of 4,014,298,485 input tokens are fewer."""
    path = DATA / "claude-code-sessions" / "requests_0001_0480.csv.gz"
    if not path.is_file():
        pytest.skip(f"the real sessions are not on this machine: expected ../shared/data/.../{path.name}")
    sessions: dict[str, list[tuple[str, int, int, float]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            told = (row["model"], int(row["input_tokens"]), int(row["output_tokens"]), float(row["t"]))
            sessions[row["trace_id"]].append(told)
    first: dict[tuple[tuple[Any, ...], ...], str] = {}
    lines = []
    for trace, requests in sessions.items():
        conversation = first.setdefault(tuple(each[:3] for each in requests), trace)
        lines += [
            session_line(trace, number, f"msg_{conversation}_{number}", request)
            for number, request in enumerate(requests)
        ]
    assert (len(sessions), len(first), len(lines)) == (451, 451 - 18, 29_336)
    kept = standing(events(lines)).values()
    assert sum(row["input_tokens"] for row in kept) == 4_014_298_485 - 570_041_414


def test_pitfall_1_cached_tokens_are_not_added_to_an_input_that_leaves_them_out() -> None:
    """A part greater than its whole is refused, not counted twice."""
    decoded = decode([line({"cache_creation_input_tokens": 999}), line()])
    (rejected,) = decoded.rejected
    assert (rejected.row, rejected.error.reason) == (0, "part_exceeds_whole")
    assert decoded.events.num_rows == 1


def test_pitfall_2_an_unknown_usage_field_is_shown() -> None:
    """A cache write under a new name must not vanish as 0 USD."""
    decoded = decode([line({"cache_creation": {"ephemeral_24h_input_tokens": 9}})])
    assert decoded.unknown_fields == {"usage.cache_creation.ephemeral_24h_input_tokens": 1}
    assert decoded.events["flags"].to_pylist() == [["unknown_usage_field"]]


def test_pitfall_10_null_is_not_told_and_zero_is_zero() -> None:
    """A count that is null stays null."""
    first, second = events([line({"cache_read_input_tokens": None}), line({"cache_read_input_tokens": 0})])
    assert "cache_read_tokens" not in first
    assert second["cache_read_tokens"] == 0


def test_pitfall_22_agents_of_a_session_are_told_apart() -> None:
    """claude-code#6925: by the agent's type where the line says it."""
    rows = events(
        [
            line(),
            line(isSidechain=True, agentId="a1", attributionAgent="code-reviewer"),
            line(isSidechain=True, agentId="a2"),
        ]
    )
    assert [row["agent"] for row in rows] == ["main", "code-reviewer", "sidechain"]
    assert [row.get("tags") for row in rows] == [None, [("agent_id", "a1")], [("agent_id", "a2")]]


@pytest.mark.parametrize(
    ("message_id", "model", "provider"),
    [
        ("msg_01A", "claude-opus-4-5-20251101", "anthropic"),
        ("msg_bdrk_01A", "claude-opus-4-5-20251101", "aws"),
        ("msg_vrtx_01A", "claude-opus-4-5-20251101", "google"),
        ("msg_01A", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("msg_01A", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "aws"),
        ("msg_01A", "claude-sonnet-4-5@20250929", "google"),
        ("2026", "glm-4.6", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_who_bills_is_read_from_the_id_then_from_the_models_spelling(
    message_id: str | None, model: str | None, provider: str
) -> None:
    """The same model costs differently at each; where nothing says who, nobody is guessed."""
    assert provider_of(message_id, model) == provider


def test_a_cloud_call_has_the_clouds_identity_and_path() -> None:
    """A gateway that tells of the same call makes the same event."""
    (event,) = events([line(None, {"id": "msg_bdrk_01A"})])
    assert (event["source"], event["provider"], event["path"]) == ("aws", "aws", "hyperscaler")


def test_a_model_of_another_maker_has_our_identity() -> None:
    """Its id may not be unique: nobody says whose it is."""
    (event,) = events([line(None, {"id": "2026060110", "model": "glm-4.6"})])
    assert (event["source"], event["provider"], event.get("path")) == ("claude_code", "unknown", None)


def test_an_answer_without_an_id_goes_by_its_request_then_by_its_line() -> None:
    """Never by a clock or a random number: a second reading must find the same event."""
    rows = events([line(None, {"id": None}), line(None, {"id": None}, requestId=None)])
    assert [(row["source"], row["event_id"]) for row in rows] == [("claude_code", "req_1"), ("claude_code", "u-1")]
    (rejected,) = decode([line(None, {"id": None}, requestId=None, uuid=None)]).rejected
    assert (rejected.error.reason, rejected.error.field) == ("missing_field", "event_id")


def test_what_claude_code_says_itself_is_no_call() -> None:
    """A synthetic line has zero tokens of no model; unpriced calls would keep a period from closing."""
    decoded = decode(
        [
            line(None, {"model": "<synthetic>"}),
            line(None, {"model": "<synthetic>"}, isApiErrorMessage=True, error="rate_limit"),
            json.dumps({"type": "something-new", "message": "text", "sessionId": 7}).encode(),
            json.dumps({"type": "progress", "data": {"type": "hook_progress"}}).encode(),
        ]
    )
    assert decoded.ignored == {"synthetic_line": 1, "api_error_line": 1, "other_line": 1, "progress_line": 1}
    assert (decoded.events.num_rows, decoded.rejected) == (0, [])


def test_an_advisors_call_within_an_answer_is_a_call_of_its_own() -> None:
    """It is billed beside, at its own model's price, and leads back to the call that it stands in."""
    iterations = [
        {"type": "message", "input_tokens": 4, "output_tokens": 100},
        {"type": "advisor_message", "model": "claude-opus-4-1", "input_tokens": 50, "output_tokens": 7},
    ]
    main, advisor = events([line({"iterations": iterations})])
    assert (main["event_id"], main["output_tokens"]) == ("msg_01A", 100)
    assert (advisor["event_id"], advisor["parent_call_id"]) == ("msg_01A#advisor_message.1", "msg_01A")
    assert (advisor["model"], advisor["input_tokens"], advisor["output_tokens"]) == ("claude-opus-4-1", 50, 7)
    assert (advisor["revision"], advisor["task_id"]) == (7, "session-1")


def test_folder_and_branch_become_dimensions_only_where_a_rule_asks(tmp_path: Path) -> None:
    """They name projects and people."""
    rules = tmp_path / "dimensions.yml"
    rules.write_text(
        "dimensions: 1\nrules:\n  - {field: workflow, from: [attribute:cwd], "
        "values: {/home/ada/secret-project: website}}\n"
    )
    (plain,) = events([line()])
    assert "secret" not in json.dumps(plain, default=str)
    (ruled,) = events([line()], dimensions=read_dimensions(rules))
    assert ruled["workflow"] == "website"
    assert "feature" not in json.dumps(ruled, default=str)


def test_no_prompt_is_in_anything_decoded_or_rejected() -> None:
    """Content never enters: not in events, not in rejects, not in names of unknown fields."""
    decoded = decode(
        [
            line(),
            line(timestamp=SECRET * 50),
            line({"output_tokens": SECRET}),
            line({"note": SECRET}),
            line(None, {"id": [SECRET]}),
            line({"output_tokens": -1}, {"stop_reason": SECRET * 20}),
            b'{"type": "assistant", "message": "' + SECRET.encode(),
        ]
    )
    kept = [each.value for each in decoded.rejected if each.value_state != "unparsed"]
    assert [each.error.reason for each in decoded.rejected] == [
        "invalid_time",
        "wrong_type",
        "wrong_type",
        "out_of_range",
        "invalid_json",
    ]
    told = [decoded.events.to_pylist(), kept, [str(each.error) for each in decoded.rejected], decoded.unknown_fields]
    assert SECRET not in json.dumps(told, default=str)


def test_a_line_without_its_content_reads_as_it_did_before() -> None:
    """What is sent makes the same events as the file, and holds neither content nor folders."""
    lines = [*real_lines(), line(), line({"iterations": [{"type": "message", "input_tokens": 4, "output_tokens": 1}]})]
    stripped = [strip_line(each) for each in lines]
    kept = [each[0] for each in stripped if not isinstance(each, str)]
    assert decode(kept).events.equals(decode(lines).events)
    assert sorted(each for each in stripped if isinstance(each, str)) == sorted(
        ["no_usage", "file_history_snapshot_line", "queue_operation_line", "summary_line", "system_line"]
        + ["user_line"] * 34
    )
    joined = b"\n".join(kept)
    for secret in (SECRET, "content", "rewrite", "/home/user", "ada", "feature/secret", "external"):
        assert secret.encode() not in joined, secret


def test_labels_say_whom_the_calls_were_for() -> None:
    """A session file knows no team."""
    stripped = strip_line(line(), labels={"team": "search", "workflow": "website", "colour": "blue"})
    assert not isinstance(stripped, str)
    (event,) = events([stripped[0]])
    assert (event["team"], event["workflow"]) == ("search", "website")


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.just(line()),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            ["type", "message", "usage", "id", "data", "input_tokens", "output_tokens", "x"]
                        ),
                        inner,
                        max_size=4,
                    )
                ),
                max_leaves=12,
            ).map(lambda value: json.dumps(value).encode()),
            st.dictionaries(
                st.sampled_from(["input_tokens", "output_tokens", "cache_creation", "iterations", "service_tier"]),
                st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2),
            ).map(line),
        ),
        max_size=12,
    )
)
def test_whatever_comes_no_record_is_lost(values: list[bytes]) -> None:
    """Never a crash: accepted, rejected and silent records are all records."""
    decoded = decode(values)
    rejected = {each.row for each in decoded.rejected}
    assert len(rejected | set(decoded.rows.tolist())) + decoded.silent_records == len(values)
