"""A lake holds version 1 and a draft of version 2 of the usage event side by side."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tollbook.contracts import contract, shipped_folder, usage_event
from tollbook.formats.native import NativeDecoder
from tollbook.lake.parquet import write_parquet

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DRAFT = Path(__file__).parent / "draft"


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """Return a folder with the shipped schemas and the draft among them."""
    folder = tmp_path / "schemas"
    shutil.copytree(shipped_folder("schemas"), folder)
    shutil.copytree(DRAFT, folder, dirs_exist_ok=True)
    return folder


def _event(number: int, **fields: object) -> bytes:
    told = {
        "source": "s",
        "event_id": str(number),
        "occurred_at": "2026-06-01T00:00:00Z",
        "provider": "p",
        "model": "m",
    }
    return json.dumps(told | {"input_tokens": 10, "output_tokens": 1} | fields).encode()


def test_a_query_over_both_versions_sees_every_event_once(tmp_path: Path, schemas: Path) -> None:
    """An upgrade must not force a rewrite of history; old files read as null where a field is new."""
    first = NativeDecoder(usage_event()).decode(pa.array([_event(1)], pa.binary()), now=NOW)
    second_contract = contract("usage_event", 2, folder=schemas)
    second = NativeDecoder(second_contract).decode(
        pa.array([_event(2, schema_version=2, energy_joules=40)], pa.binary()), now=NOW
    )
    assert first.rejected == []
    assert second.rejected == []
    write_parquet(tmp_path, "usage/event_date=2026-06-01/v1.parquet", first.events)
    write_parquet(tmp_path, "usage/event_date=2026-06-01/v2.parquet", second.events)
    rows = duckdb.sql(
        f"select schema_version, event_id, input_tokens, energy_joules "
        f"from read_parquet('{tmp_path}/usage/*/*.parquet', union_by_name = true) order by event_id"
    ).fetchall()
    assert rows == [(1, "1", 10, None), (2, "2", 10, 40)]


def test_version_1_turns_away_what_was_written_for_version_2(schemas: Path) -> None:
    """Reading a newer event by an older contract would drop its new fields without a word."""
    decoded = NativeDecoder(usage_event()).decode(pa.array([_event(2, schema_version=2)], pa.binary()), now=NOW)
    assert [each.error.reason for each in decoded.rejected] == ["unsupported_schema_version"]
