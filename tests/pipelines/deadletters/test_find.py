"""Rejects are found by what they say and where they stood, counted whole and listed in bounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.pipelines.deadletters.conftest import NOW, event

from tollbook.contracts import contract
from tollbook.deadletters.dismiss import dismiss_rejects
from tollbook.deadletters.filters import ALL, DISMISSED, RejectFilter
from tollbook.deadletters.find import find_rejects, kept_rows, rejects_in_order, unparsed_values
from tollbook.deadletters.kept import letter_of
from tollbook.errors import MisuseError
from tollbook.formats.decoder import UNPARSED
from tollbook.formats.rejected import kept_headers, meaningful_headers, rejected_batch
from tollbook.formats.route import RecordRouter
from tollbook.lake.layout import chunk_name, data_path
from tollbook.lake.manifest import FileEntry, Manifest, commit, newest_commit
from tollbook.lake.parquet import write_parquet
from tollbook.reference.dimensions import default_dimensions

GOLDEN = Path(__file__).parents[2] / "golden" / "lake_v1" / "home" / "lake"


def _commit(
    lake: Path, values: Sequence[bytes], *, topic: str = "llm.usage", partition: int = 0, first: int = 0, days: int = 0
) -> None:
    """Commit the rejects of some records that were read `days` after `NOW`, as the meter does."""
    now = NOW + timedelta(days=days)
    rows = [
        {
            "topic": topic,
            "partition": partition,
            "offset": first + n,
            "kafka_timestamp": now,
            "key": None,
            "value": value,
        }
        for n, value in enumerate(values)
    ]
    records = pa.RecordBatch.from_pylist(rows, schema=contract("kafka_record").arrow_schema)
    name = topic.removeprefix("llm.usage").removeprefix(".") or "native"
    decoded = RecordRouter().decode(records.column("value"), name, now=now)
    rejects = rejected_batch(decoded.rejected, records, now=now, schema_version=1, topic_format=name)
    apart = [
        {"reject_id": reject_id, "value": each.value}
        for reject_id, each in zip(rejects.column("reject_id").to_pylist(), decoded.rejected, strict=True)
        if each.value_state == UNPARSED
    ]
    schema = pa.schema([("reject_id", pa.string()), ("value", pa.binary())])
    tables = {"rejects": (rejects, 2), "unparsed": (pa.RecordBatch.from_pylist(apart, schema=schema), 1)}
    files = []
    for table, (batch, version) in tables.items():
        path = data_path(table, now.date().isoformat(), chunk_name(topic, partition, first, first + len(values), 1))
        files.append(
            FileEntry(
                table=table,
                path=path,
                event_date=now.date().isoformat(),
                rows=batch.num_rows,
                bytes=write_parquet(lake, path, batch),
                schema_version=version,
                topic=topic,
                partition=partition,
                first_offset=first,
                next_offset=first + len(values),
            )
        )
    manifest = Manifest(
        commit=newest_commit(lake) + 1,
        epoch=1,
        writer="test",
        committed_at=now,
        schema_versions={},
        catalogue_version="",
        reference_version="",
        files=files,
        offsets={},
        totals={},
    )
    commit(lake, manifest)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Return a lake of six rejects: three of the first day, two of the next, and one of LiteLLM's a day later."""
    folder = tmp_path / "lake"
    _commit(folder, [event("a", model=None), b"{not json", event("c", source="openai", model=None)])
    _commit(folder, [b"[]", event("e", reporter="proxy", input_tokens=-1)], partition=1, first=7, days=1)
    _commit(folder, [b"{}"], topic="llm.usage.litellm", days=2)
    return folder


def _places(lake: Path, **conditions: Any) -> list[str]:
    found = find_rejects(lake, RejectFilter(**conditions), limit=100)
    assert found.matched == len(found.rejects)
    return sorted(each.reject_id for each in found.rejects)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["llm.usage.litellm:0:0", *(f"llm.usage:0:{n}" for n in range(3)), "llm.usage:1:7", "llm.usage:1:8"]),
        ({"reasons": ("invalid_json", "not_an_object")}, ["llm.usage:0:1", "llm.usage:1:7"]),
        ({"topics": ("llm.usage.litellm",)}, ["llm.usage.litellm:0:0"]),
        ({"partition": 1}, ["llm.usage:1:7", "llm.usage:1:8"]),
        ({"from_offset": 2, "to_offset": 8}, ["llm.usage:0:2", "llm.usage:1:7"]),
        ({"formats": ("litellm",)}, ["llm.usage.litellm:0:0"]),
        ({"source": "anthropic"}, ["llm.usage:0:0", "llm.usage:1:8"]),
        ({"reporter": "proxy"}, ["llm.usage:1:8"]),
        ({"rejected_from": NOW + timedelta(days=1)}, ["llm.usage.litellm:0:0", "llm.usage:1:7", "llm.usage:1:8"]),
        ({"rejected_to": NOW + timedelta(days=1)}, [f"llm.usage:0:{n}" for n in range(3)]),
        ({"ids": ("llm.usage:0:1", "llm.usage:1:8", "llm.usage:9:9")}, ["llm.usage:0:1", "llm.usage:1:8"]),
        ({"reasons": ("missing_field",), "source": "openai", "partition": 0}, ["llm.usage:0:2"]),
        ({"topics": ("llm.usage.others",)}, []),
    ],
)
def test_every_condition_that_is_given_must_hold(lake: Path, conditions: dict[str, Any], expected: list[str]) -> None:
    """What is replayed is what was meant, and no more."""
    assert _places(lake, **conditions) == expected


def test_all_are_counted_by_reason_and_topic_and_the_newest_are_listed(lake: Path) -> None:
    """A list of a million rejects is of no use; its counts are."""
    found = find_rejects(lake, RejectFilter(), limit=2)
    assert [(each.rejects, each.reason, each.topic) for each in found.counts] == [
        (2, "missing_field", "llm.usage"),
        (1, "invalid_json", "llm.usage"),
        (1, "missing_field", "llm.usage.litellm"),
        (1, "not_an_object", "llm.usage"),
        (1, "out_of_range", "llm.usage"),
    ]
    assert (found.matched, [each.reject_id for each in found.rejects]) == (
        6,
        ["llm.usage.litellm:0:0", "llm.usage:1:7"],
    )


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"reasons": ("bad",)}, "a reason of empty_value"),
        ({"formats": ("xml",)}, "a format of native"),
        ({"ids": ("llm.usage:0",)}, "topic:partition:offset"),
        ({"ids": ("llm.usage:0:x",)}, "topic:partition:offset"),
        ({"state": "closed"}, "a state of open, replayed, dismissed, all"),
    ],
)
def test_a_mistyped_filter_is_misuse_and_not_an_empty_list(conditions: dict[str, Any], message: str) -> None:
    """An empty list would say that all is well."""
    with pytest.raises(MisuseError, match=message):
        RejectFilter(**conditions)


def test_a_home_without_a_lake_is_misuse(tmp_path: Path) -> None:
    """So is a mistyped home."""
    with pytest.raises(MisuseError, match="expected a lake at"):
        find_rejects(tmp_path / "lake", RejectFilter(), limit=1)


def test_dismissed_rejects_are_open_no_more_and_stay_in_the_lake(lake: Path) -> None:
    """What is open is what waits for someone."""
    assert dismiss_rejects(lake, RejectFilter(reasons=("missing_field",)), note="a test of the sender's", now=NOW) == 3
    assert _places(lake) == ["llm.usage:0:1", "llm.usage:1:7", "llm.usage:1:8"]
    found = find_rejects(lake, RejectFilter(state=DISMISSED), limit=1)
    assert (found.matched, found.rejects[0].settled_how, found.rejects[0].settled_at) == (
        3,
        "a test of the sender's",
        NOW,
    )
    assert len(_places(lake, state=ALL)) == 6


def test_dismissing_wants_a_filter_and_a_note(lake: Path) -> None:
    """All at once, or without a word why, is an oversight."""
    with pytest.raises(MisuseError, match="ids or a filter"):
        dismiss_rejects(lake, RejectFilter(), note="n", now=NOW)
    with pytest.raises(MisuseError, match=r"--note of 1 to 500 characters, got 0"):
        dismiss_rejects(lake, RejectFilter(partition=0), note=" ", now=NOW)
    assert len(_places(lake)) == 6


def test_rejects_of_the_first_version_are_found_and_can_go_out_again() -> None:
    """A lake that was written before has dead letters too, without a word of format, key and headers."""
    found = find_rejects(GOLDEN, RejectFilter(formats=("native",)), limit=100)
    truth = json.loads((GOLDEN.parents[1] / "truth.json").read_text(encoding="utf-8"))
    assert found.matched == truth["rejected"]
    index = rejects_in_order(GOLDEN, RejectFilter())
    rows = kept_rows(sorted(set(index["path"].to_pylist())), index["reject_id"].to_pylist())
    apart = unparsed_values(GOLDEN, [row["reject_id"] for row in rows if row["value_state"] == UNPARSED])
    letters = [letter_of(row, apart) for row in rows]
    assert [letter.refused for letter in letters] == [None] * truth["rejected"]
    assert {letter.format for letter in letters} == {"native"}


def test_only_headers_with_a_meaning_are_kept() -> None:
    """Beside a record may stand whatever a proxy put there, credentials too."""
    told = {
        "tollbook-format": b"cloudevents",
        "content-type": b"application/json",
        "ce_id": b"7",
        "ce_subject": b"ada@example.org",
        "ce_traceparent": b"00-1",
        "team": b"search",
        "workflow": b"w" * 257,
        "authorization": b"Bearer secret",
        "x-api-key": b"secret",
    }
    kept = dict(kept_headers(told, meaningful_headers(default_dimensions())) or ())
    assert kept == {
        "tollbook-format": b"cloudevents",
        "content-type": b"application/json",
        "ce_id": b"7",
        "team": b"search",
    }
    assert kept_headers({"authorization": b"Bearer secret"}, ()) is None


def test_a_day_is_looked_for_in_files_of_the_day_before_too(tmp_path: Path) -> None:
    """A commit begun before midnight goes on after it."""
    entry = FileEntry(table="rejects", path="p", event_date="2026-11-24", rows=1, bytes=1)
    after = RejectFilter(rejected_from=datetime(2026, 11, 25, 0, 0, 1, tzinfo=UTC))
    assert after.may_hold(entry)
    assert not RejectFilter(rejected_from=datetime(2026, 11, 26, tzinfo=UTC)).may_hold(entry)
    assert not RejectFilter(rejected_to=datetime(2026, 11, 23, 12, tzinfo=UTC)).may_hold(entry)
