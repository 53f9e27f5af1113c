"""Rows of foreign files as events."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import MisuseError
from tollbook.senders.lines import Source
from tollbook.senders.mapping import FieldMapping, load_mapping
from tollbook.senders.rows import mapped_records

FIELDS: dict[str, Any] = {
    "source": {"constant": "test"},
    "event_id": {"column": "id"},
    "occurred_at": {"column": "at"},
    "task_id": {"column": "task"},
    "input_tokens": {"column": "in"},
    "tags.note": {"column": "note"},
}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for mapping files."""
    return tmp_path_factory.mktemp("mapping")


def mapping(folder: Path, form: dict[str, Any], fields: dict[str, Any] | None = None) -> FieldMapping:
    """Return a mapping with the fields above or others."""
    path = folder / "m.yml"
    path.write_text(yaml.safe_dump({"mapping": 1, "input": form, "fields": fields or FIELDS}), encoding="utf-8")
    return load_mapping(path)


def run(content: bytes, told: FieldMapping) -> tuple[list[dict[str, Any]], list[str], list[Any]]:
    """Return the events of a file, its problems as `line: message`, and (key, time, line) of each record."""
    stream = io.BytesIO(content)
    problems: list[str] = []
    events, records = [], []
    source = Source("f", stream, stream, len(content))
    for run_, _ in mapped_records(source, told, lambda line, error: problems.append(f"{line}: {error}")):
        events += [json.loads(value) for value in run_.values]
        records += list(zip(run_.keys, run_.timestamps_ms, run_.lines, strict=True))
    return events, problems, records


def test_a_row_becomes_an_event_with_its_key_and_its_time(folder: Path) -> None:
    """Kafka's time is the event's, so that a backfill lies where it happened."""
    content = b"id,at,task,in,note\ne1,2026-06-01T00:00:00.5Z,t1,7,\n"
    events, problems, records = run(content, mapping(folder, {"format": "csv"}))
    assert events == [
        {
            "source": "test",
            "event_id": "e1",
            "occurred_at": "2026-06-01T00:00:00.500000Z",
            "task_id": "t1",
            "input_tokens": 7,
        }
    ]
    assert problems == []
    assert records == [(b"t1", 1_780_272_000_500, 2)]


def test_a_row_that_cannot_be_mapped_is_told_by_its_line_and_the_others_go_on(folder: Path) -> None:
    """One bad row in a million must not cost the others, nor vanish."""
    content = (
        b"id,at,task,in,note\n"
        b"e1,2026-06-01T00:00:00Z,t,7,x\n"
        b"e2,yesterday,t,7,x\n"
        b'e3,2026-06-01T00:00:00Z,t,7,"two\nlines"\n'
        b"e4,2026-06-01T00:00:00Z,t,many,x\n"
        b"\n"
        b"e5,2026-06-01T00:00:00Z,t\n"
        b",2026-06-01T00:00:00Z,t,7,x\n"
        b"caf\xe9,2026-06-01T00:00:00Z,t,7,x\n"
        b"e6,2026-06-01T00:00:00Z,t,7,x\n"
    )
    events, problems, records = run(content, mapping(folder, {"format": "csv"}))
    assert [event["event_id"] for event in events] == ["e1", "e3", "e6"]
    assert events[1]["tags"] == {"note": "two\nlines"}
    assert [line for _, _, line in records] == [2, 4, 11]
    assert [problem.partition(":")[0] for problem in problems] == ["3", "6", "8", "9", "10"]
    assert "`occurred_at` to be an RFC 3339 time" in problems[0]
    assert "`input_tokens` to be a number, got 'many'" in problems[1]
    assert "to be 5 values, got 3 values" in problems[2]
    assert "missing_field: expected `event_id`" in problems[3]
    assert "to be UTF-8" in problems[4]


def test_a_file_that_lacks_a_column_is_refused_whole(folder: Path) -> None:
    """Every row would lack it; the header says so once."""
    with pytest.raises(MisuseError, match=r"`event_id`: expected a column of f \(at, task\), got `id`"):
        run(b"at,task\n", mapping(folder, {"format": "csv"}))


def test_a_header_that_names_a_column_twice_is_refused(folder: Path) -> None:
    """Which of the two is meant cannot be known."""
    with pytest.raises(MisuseError, match="each column once"):
        run(b"id,id\n", mapping(folder, {"format": "csv"}))


def test_a_file_may_have_no_header_another_delimiter_other_nulls_and_a_byte_order_mark(folder: Path) -> None:
    """So spreadsheets and databases write them."""
    form = {"format": "csv", "delimiter": ";", "columns": ["id", "at", "task", "in", "note"], "nulls": ["NULL"]}
    events, problems, _ = run("\ufeffe1;2026-06-01T00:00:00Z;NULL;7;\r\n".encode(), mapping(folder, form))
    assert problems == []
    assert events[0]["event_id"] == "e1"
    assert "task_id" not in events[0]
    assert events[0]["tags"] == {"note": ""}


def test_paths_reach_into_objects_and_a_key_with_dots_is_found_first(folder: Path) -> None:
    """OpenTelemetry writes `gen_ai.usage.input_tokens` as one key."""
    fields = FIELDS | {
        "event_id": {"template": "{$row}-{call.id}"},
        "input_tokens": {"column": "usage.input"},
        "output_tokens": {"column": "gen_ai.usage.output_tokens"},
        "provider_cost": {"column": "cost"},
        "provider_cost_currency": {"constant": "USD"},
    }
    row = {
        "call": {"id": 5},
        "at": "2026-06-01T00:00:00Z",
        "usage": {"input": 7},
        "gen_ai.usage.output_tokens": 9,
        "cost": 0.1,
    }
    events, problems, _ = run(b"\n" + json.dumps(row).encode(), mapping(folder, {"format": "jsonl"}, fields))
    assert problems == []
    assert events[0]["event_id"] == "1-5"
    assert events[0]["input_tokens"] == 7
    assert events[0]["output_tokens"] == 9
    assert events[0]["provider_cost"] == "0.1"
    assert "task_id" not in events[0]


def test_lines_that_are_no_objects_are_told_by_their_lines(folder: Path) -> None:
    """They are the bad records of JSON lines."""
    content = b'null\n{"id":\n[1]\n\xff\n{"id":"e","at":"2026-06-01T00:00:00Z"}{}\n'
    events, problems, _ = run(content, mapping(folder, {"format": "jsonl"}))
    assert events == []
    assert [problem.partition(":")[0] for problem in problems] == ["1", "2", "3", "4", "5"]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)


@given(st.lists(st.tuples(st.integers(0, 10**9), cells), max_size=30))
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, str]]
) -> None:
    """Quotes and delimiters within values belong to them."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["id", "at", "task", "in", "note"])
    for number, (tokens, note) in enumerate(told):
        writer.writerow([f"e{number}", "2026-06-01T00:00:00Z", "t", tokens, note])
    form = mapping(tmp_path_factory.mktemp("m"), {"format": "csv"})
    events, problems, _ = run(buffer.getvalue().encode(), form)
    assert problems == []
    assert [(event["input_tokens"], event.get("tags", {}).get("note", "")) for event in events] == told
