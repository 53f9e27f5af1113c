"""Small lakes, written row by row, for the warehouse's tests."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tollbook.contracts import contract, usage_record_schema
from tollbook.lake.layout import chunk_name, commit_name, data_path
from tollbook.lake.manifest import FileEntry, Manifest, PartitionTotals, commit, newest
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED

TOPIC = "llm.usage"
EPOCH = 1
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
Row = dict[str, Any]


def usage_row(event_id: str, day: str = "2026-06-01", **fields: Any) -> Row:
    """Return one usage row: 100 input and 10 output tokens for 0.001 USD at noon of `day`, but for `fields`."""
    row: Row = {
        "source": "openai",
        "event_id": event_id,
        "revision": 0,
        "action": "record",
        "occurred_at": datetime.fromisoformat(f"{day}T12:00:00+00:00"),
        "provider": "openai",
        "model": "gpt-5",
        "team": "search",
        "workflow": "answers",
        "task_id": "task-1",
        "agent": "planner",
        "input_tokens": 100,
        "output_tokens": 10,
        "list_cost": Decimal("0.001"),
        "cost_basis": "rated",
        "owner_team": "search",
        "owner_cost_center": "cc-10",
        "owner_business_unit": "products",
        "stream_repeat": False,
    } | fields
    row.setdefault("contracted_cost", row["list_cost"])
    if row["list_cost"] is None and row["action"] != "void":
        row["cost_basis"], row["unpriced_reason"] = "unpriced", "unknown_model"
    if "uncached_input_tokens" not in fields and row["input_tokens"] is not None:
        cached = ("cache_read_tokens", "cache_read_audio_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
        row["uncached_input_tokens"] = row["input_tokens"] - sum(row.get(name) or 0 for name in cached)
    if "text_output_tokens" not in fields and row["output_tokens"] is not None:
        row["text_output_tokens"] = row["output_tokens"] - (row.get("reasoning_tokens") or 0)
    return row


def void_row(event_id: str, day: str = "2026-06-01", *, revision: int = 1, **fields: Any) -> Row:
    """Return a telling that voids a call."""
    nothing = {"provider": None, "model": None, "input_tokens": None, "output_tokens": None, "list_cost": None}
    told = nothing | {"action": "void", "action_reason": "test", "revision": revision, "cost_basis": None}
    return usage_row(event_id, day, **(told | fields))


@dataclass
class LakeBuilder:
    """Writes commits as the meter does, and reads what was published."""

    settings: Settings
    offsets: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def commit(
        self,
        rows: Sequence[Row],
        *,
        partition: int = 0,
        rejects: int = 0,
        tombstones: int = 0,
        schema_version: int = 1,
    ) -> Manifest:
        """Commit rows of one partition, then some rejects and tombstones."""
        before = newest(self.settings.lake)
        number = 1 if before is None else before.commit + 1
        first = self.offsets[partition]
        after = first + len(rows) + rejects + tombstones
        placed = [
            row
            | {
                "topic": TOPIC,
                "partition": partition,
                "offset": first + place,
                "kafka_timestamp": row["occurred_at"],
                "ingested_at": START + timedelta(days=60),
            }
            for place, row in enumerate(rows)
        ]
        self.offsets[partition] = after
        name = chunk_name(TOPIC, partition, first, after, EPOCH)
        files = []
        for day, chosen in sorted(_by_date(placed).items()):
            files.append(
                self._usage(data_path("usage", day, name), day, chosen, (partition, first, after), schema_version)
            )
            files.append(self._minutes(data_path("usage_minute", day, commit_name(number, EPOCH)), day, chosen))
        if rejects:
            files.append(self._rejects(name, partition, first, after, rejects))
        totals = before.totals if before else {}
        total = totals.setdefault(TOPIC, {}).setdefault(
            partition, PartitionTotals(first_offset=first, next_offset=first)
        )
        total.next_offset = after
        total.records += len(rows) + rejects
        total.tombstones += tombstones
        total.usage_rows += len(rows)
        total.reject_rows += rejects
        total.input_tokens += sum(file.input_tokens for file in files)
        total.output_tokens += sum(file.output_tokens for file in files)
        total.list_cost_pico_usd += sum(file.list_cost_pico_usd for file in files)
        total.contracted_cost_pico_usd += sum(file.contracted_cost_pico_usd for file in files)
        manifest = Manifest(
            commit=number,
            epoch=EPOCH,
            writer="test",
            committed_at=START + timedelta(seconds=number),
            schema_versions={"usage_event": 1},
            catalogue_version="test",
            reference_version="test",
            files=files,
            offsets={TOPIC: {p: each.next_offset for p, each in totals[TOPIC].items()}},
            totals=totals,
        )
        commit(self.settings.lake, manifest)
        return manifest

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the published file."""
        with duckdb.connect((self.settings.serve / PUBLISHED).resolve(), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def path(self, manifest: Manifest, table: str = "usage") -> Path:
        """Return the first file of a table that a commit added."""
        return self.settings.lake / next(file.path for file in manifest.files if file.table == table)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the rows of every published mart, in order."""
        names = self.query(
            """
            select schema_name || '.' || table_name from duckdb_tables()
            where not temporary and table_name <> 'publication' order by all
            """
        )
        return {name: self.query(f"from {name} order by all") for (name,) in names}

    def total(self) -> tuple[Any, ...]:
        """Return calls, input tokens, output tokens and list cost of the chargeback by team."""
        sql = "select sum(calls)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(list_cost)"
        return self.query(f"{sql} from finance.fct_chargeback_by_team")[0]

    def _usage(self, path: str, day: str, rows: list[Row], place: tuple[int, int, int], version: int) -> FileEntry:
        partition, first, after = place
        size = self._write(path, pa.Table.from_pylist(rows, schema=usage_record_schema(version)))
        return FileEntry(
            table="usage",
            path=path,
            event_date=day,
            rows=len(rows),
            bytes=size,
            schema_version=version,
            topic=TOPIC,
            partition=partition,
            first_offset=first,
            next_offset=after,
            input_tokens=sum(row["input_tokens"] or 0 for row in rows),
            output_tokens=sum(row["output_tokens"] or 0 for row in rows),
            list_cost_pico_usd=sum(int((row["list_cost"] or Decimal(0)).scaleb(12)) for row in rows),
            contracted_cost_pico_usd=sum(int((row["contracted_cost"] or Decimal(0)).scaleb(12)) for row in rows),
            unpriced_events=sum(row["cost_basis"] == "unpriced" for row in rows),
            stream_repeats=sum(row["stream_repeat"] for row in rows),
        )

    def _minutes(self, path: str, day: str, rows: list[Row]) -> FileEntry:
        live = [row for row in rows if not row["stream_repeat"] and row["action"] != "void"]
        minute = {
            "calls": len(live),
            "unpriced_calls": sum(row["list_cost"] is None for row in live),
            "input_tokens": sum(row["input_tokens"] or 0 for row in live),
            "output_tokens": sum(row["output_tokens"] or 0 for row in live),
            "list_cost": sum((row["list_cost"] or Decimal(0) for row in live), Decimal(0)),
        }
        size = self._write(path, pa.Table.from_pylist([minute], schema=contract("usage_minute").arrow_schema))
        return FileEntry(table="usage_minute", path=path, event_date=day, rows=1, bytes=size)

    def _rejects(self, name: str, partition: int, first: int, after: int, count: int) -> FileEntry:
        path = data_path("rejects", START.date().isoformat(), name)
        rows = [{"topic": TOPIC, "partition": partition, "offset": after - 1 - place} for place in range(count)]
        size = self._write(path, pa.Table.from_pylist(rows, schema=contract("rejected_record").arrow_schema))
        return FileEntry(
            table="rejects",
            path=path,
            event_date=START.date().isoformat(),
            rows=count,
            bytes=size,
            topic=TOPIC,
            partition=partition,
            first_offset=first,
            next_offset=after,
        )

    def _write(self, path: str, table: pa.Table) -> int:
        file = self.settings.lake / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file, compression="zstd", store_decimal_as_integer=True)
        return file.stat().st_size


def _by_date(rows: Sequence[Row]) -> dict[str, list[Row]]:
    dates: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        dates[row["occurred_at"].astimezone(UTC).date().isoformat()].append(row)
    return dates


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose path stays the same, so that dbt parses the project once and not for each test."""
    return tmp_path_factory.mktemp("book")


@pytest.fixture
def lake(shared_home: Path) -> Iterator[LakeBuilder]:
    """An empty lake in an empty home."""
    yield LakeBuilder(Settings(home=shared_home))
    for folder in (shared_home / "lake", shared_home / "serve"):
        shutil.rmtree(folder, ignore_errors=True)
    clear_warehouse(shared_home / "warehouse")


@pytest.fixture(scope="session")
def new_lake() -> Callable[[Settings], LakeBuilder]:
    """Makes an empty lake in a home of its own."""
    return LakeBuilder


@pytest.fixture(scope="session")
def usage() -> Callable[..., Row]:
    """Makes a usage row, as `event` does, for the whole session."""
    return usage_row


@pytest.fixture(scope="session")
def voiding() -> Callable[..., Row]:
    """Makes a telling that voids a call, as `void` does, for the whole session."""
    return void_row


@pytest.fixture
def event() -> Callable[..., Row]:
    """Makes a usage row; see `usage_row`."""
    return usage_row


@pytest.fixture
def void() -> Callable[..., Row]:
    """Makes a telling that voids a call; see `void_row`."""
    return void_row


def clear_warehouse(warehouse: Path) -> None:
    """Delete the warehouse but for what dbt parsed."""
    for entry in warehouse.glob("*") if warehouse.exists() else ():
        if entry.is_dir() and entry.name != "target":
            shutil.rmtree(entry)
        elif entry.is_file():
            entry.unlink()
