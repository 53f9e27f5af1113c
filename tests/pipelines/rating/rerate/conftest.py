"""A lake as the meter writes it, to price anew.

Prices are plain: `gpt-4o` at 2.50 USD a million input tokens, so that 1,000,000 of them cost 2.50 USD.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tollbook.contracts import usage_record_schema
from tollbook.lake.layout import chunk_name, data_path
from tollbook.lake.manifest import FileEntry, Manifest, commit, newest
from tollbook.lake.parquet import write_parquet
from tollbook.lake.ratings import RatingEntry, ratings_after
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.columns import cost_columns
from tollbook.rating.prices import Price
from tollbook.rating.reprice import Choice
from tollbook.rating.rerate import Rerated, rerate
from tollbook.settings import Settings

TOPIC = "llm.usage"
JUNE = date(2026, 6, 1)
JULY = date(2026, 7, 1)
MakeEvents = Callable[[Sequence[dict[str, Any]]], pa.RecordBatch]


def price(model: str, usd_per_million: str, since: str | None = None, until: str | None = None) -> Price:
    """Return a price for input tokens alone."""
    # A million tokens for x USD are x million pico-USD a token.
    rate = Fraction(usd_per_million) * 1_000_000
    return Price(
        provider="openai",
        model=model,
        rates={"input_tokens": rate, "output_tokens": 0},
        valid_from=None if since is None else datetime.fromisoformat(f"{since}T00:00:00+00:00"),
        valid_to=None if until is None else datetime.fromisoformat(f"{until}T00:00:00+00:00"),
    )


def book_of(*prices: Price, version: str = "test") -> PriceBook:
    """Return a book of some prices."""
    return PriceBook.of(Catalogue.from_rows(prices, version=version))


TODAY = book_of(price("gpt-4o", "2.50"))
FIXED = book_of(price("gpt-4o", "3.00"), version="fixed")


@dataclass
class StoredUsage:
    """A lake as the meter writes it: rated events, a commit for each call of `meter`."""

    settings: Settings
    make_events: MakeEvents
    offsets: dict[int, int] = field(default_factory=dict)
    today: PriceBook = TODAY
    fixed: PriceBook = FIXED
    price = staticmethod(price)
    book_of = staticmethod(book_of)

    def meter(self, rows: Sequence[dict[str, Any]], book: PriceBook = TODAY, *, partition: int = 0) -> None:
        """Commit events of one date, rated by a book."""
        filled = [
            {"input_tokens": 1_000_000, "uncached_input_tokens": 1_000_000, "output_tokens": 0, **row} for row in rows
        ]
        filled = [
            {"text_output_tokens": 0, "event_id": f"{partition}-{place}", **row} for place, row in enumerate(filled)
        ]
        events = self.make_events(filled)
        first = self.offsets.get(partition, 0)
        self.offsets[partition] = after = first + len(rows)
        columns = {name: events.column(name) for name in events.schema.names} | cost_columns(events, book)
        columns |= {"topic": [TOPIC] * len(rows), "partition": [partition] * len(rows), "offset": range(first, after)}
        arrays = [
            pa.array(columns[each.name], each.type)
            if not isinstance(columns[each.name], pa.Array)
            else columns[each.name].cast(each.type)
            for each in usage_record_schema()
            if each.name in columns
        ]
        schema = pa.schema([each for each in usage_record_schema() if each.name in columns])
        table = pa.Table.from_arrays(arrays, schema=schema)
        day = filled[0].get("occurred_at", datetime(2026, 6, 1, tzinfo=UTC)).date().isoformat()
        path = data_path("usage", day, chunk_name(TOPIC, partition, first, after, 1))
        size = write_parquet(self.settings.lake, path, table)
        before = newest(self.settings.lake)
        manifest = Manifest(
            commit=1 if before is None else before.commit + 1,
            epoch=1,
            writer="test",
            committed_at=datetime(2026, 8, 1, tzinfo=UTC),
            schema_versions={},
            catalogue_version=book.version,
            reference_version="none",
            files=[FileEntry(table="usage", path=path, event_date=day, rows=len(rows), bytes=size)],
            offsets={},
            totals={},
        )
        commit(self.settings.lake, manifest)

    def rerate(self, book: PriceBook, **options: Any) -> Rerated:
        """Rerate June by a book."""
        choice = Choice(provider=options.pop("provider", None), model=options.pop("model", None))
        span = {"first_date": JUNE, "end_date": JULY} | options
        return rerate(self.settings, choice=choice, load_book=lambda _: book, **span)

    def entries(self) -> list[RatingEntry]:
        """Return the log of ratings."""
        return list(ratings_after(self.settings.lake, 0))

    def in_force(self, column: str = "list_cost") -> list[Any]:
        """Return a column of the ratings that hold, by partition and offset, worked out apart from the code."""
        usage = f"read_parquet('{self.settings.lake}/usage/*/*.parquet', hive_partitioning = false)"
        rows = f'select topic, "partition", "offset", {column}, 0 as sequence from {usage}'
        for entry in self.entries():
            for file in entry.files:
                if file.table == "ratings":
                    path = self.settings.lake / file.path
                    rows += f""" union all select topic, "partition", "offset", {column}, rating_sequence
                        from read_parquet('{path}', hive_partitioning = false)"""
        statement = f"""
            select arg_max({{'value': {column}}}, sequence).value from ({rows})
            group by topic, "partition", "offset" order by topic, "partition", "offset"
        """
        return [value for (value,) in duckdb.execute(statement).fetchall()]

    def data_files(self) -> set[str]:
        """Return the data files below `ratings`."""
        root = self.settings.lake / "ratings"
        return {path.relative_to(self.settings.lake).as_posix() for path in root.rglob("*.parquet*")}


@pytest.fixture
def usage(tmp_path: Path, make_events: MakeEvents) -> StoredUsage:
    """An empty lake."""
    return StoredUsage(Settings(home=tmp_path), make_events)
