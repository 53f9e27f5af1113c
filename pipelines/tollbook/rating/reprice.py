"""Pricing stored tellings anew, a stretch of files at a time, against the ratings that hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollbook.contracts import contract, usage_record_schema
from tollbook.errors import CorruptManifestError
from tollbook.rating.book import PriceBook
from tollbook.rating.columns import COST_COLUMNS, cost_columns
from tollbook.rating.differences import SUMMED
from tollbook.rating.rate import input_columns
from tollbook.rating.units import load_names

PLACE: Final = ("topic", "partition", "offset", "record_item")
"""What names a stored telling."""
# By another version of the book the same rating is no other rating.
_COMPARED: Final = tuple(name for name in COST_COLUMNS if name != "catalogue_version")
_BATCH_ROWS: Final = 65_536
_MEMORY_LIMIT: Final = "1GB"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tellings are priced anew.

    Attributes:
        provider: Provider, by any of its names; None for every one.
        model: Model, as events name it; None for every one.
    """

    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Usage files of one event date that follow each other, few enough rows for memory.

    Attributes:
        usage: The files.
        ratings: All rating files laid over that date.
        place: Topic, partition, first offset and offset after the last, which no row lies outside of; None when not
            known.
    """

    usage: tuple[Path, ...]
    ratings: tuple[Path, ...]
    place: tuple[str, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Repriced:
    """A batch of tellings, priced anew.

    Attributes:
        sums: `provider`, `model`, `contract_id` and the measures `SUMMED` of each, shape (n_events,).
        changed: Where the rating differs, shape (n_events,).
        ratings: Those that differ: `PLACE` and `COST_COLUMNS`, shape (n_changed,).
    """

    sums: pa.Table
    changed: pa.Array
    ratings: pa.Table


class Repricer:
    """Reads stretches of usage and prices them anew."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, shapes: dict[str, Path], book: PriceBook) -> None:
        self._connection, self._shapes, self._book = connection, shapes, book

    def reprice(self, stretch: Stretch, choice: Choice, *, keep_known: bool = False) -> Iterator[Repriced]:
        """Yield the tellings of a stretch, voids left out.

        Args:
            stretch: Where they lie.
            choice: Which of them.
            keep_known: Let a telling that has no price now keep the rating it has: it was charged, and not to know a
                price any more is no reason to refund it.

        Raises:
            CorruptManifestError: A file is absent or cannot be read.
        """
        try:
            for batch in self._in_force(stretch, choice):
                yield _repriced(batch, self._book, keep_known=keep_known)
        except (duckdb.IOException, duckdb.InvalidInputException) as broken:
            raise CorruptManifestError(
                f"expected the files that the logs of the lake name, got: {str(broken).splitlines()[0]}"
            ) from broken

    def _in_force(self, stretch: Stretch, choice: Choice) -> pa.RecordBatchReader:
        """Return the tellings with the ratings that hold: those of the highest sequence, else their own."""
        conditions = ["coalesce(action, 'record') <> 'void'"]
        values: dict[str, Any] = {
            "usage": [str(path) for path in (self._shapes["usage_record"], *stretch.usage)],
            "ratings": [str(path) for path in (self._shapes["rating"], *stretch.ratings)],
        }
        if choice.model is not None:
            conditions.append("model = $model")
            values["model"] = choice.model
        if choice.provider is not None:
            conditions.append("lower(trim(provider)) in (select unnest($providers))")
            values["providers"] = _aliases(choice.provider)
        if stretch.place is not None:
            values |= dict(zip(("topic", "partition", "first", "beyond"), stretch.place, strict=True))
        inputs = ", ".join(f'usage."{name}"' for name in (*PLACE, *input_columns()))
        in_force = ", ".join(f"{_held(name)} as {name}_before" for name in COST_COLUMNS)
        statement = f"""
            with usage as (

                select * replace (coalesce(record_item, 0) as record_item)
                from read_parquet($usage, union_by_name = true, hive_partitioning = false)
                where {" and ".join(conditions)}

            ),

            ratings as (

                select * replace (coalesce(record_item, 0) as record_item)
                from read_parquet($ratings, union_by_name = true, hive_partitioning = false)
                {"" if stretch.place is None else _ONLY_PLACE}
                qualify row_number() over (
                    partition by topic, "partition", "offset", record_item order by rating_sequence desc
                ) = 1

            )

            select {inputs}, {in_force}
            from usage
            left join ratings
                on usage.topic = ratings.topic
                    and usage."partition" = ratings."partition"
                    and usage."offset" = ratings."offset"
                    and usage.record_item = ratings.record_item
        """
        return self._connection.execute(statement, values).to_arrow_reader(_BATCH_ROWS)


_ONLY_PLACE: Final = """
                where topic = $topic and "partition" = $partition and "offset" >= $first and "offset" < $beyond
"""


@contextmanager
def repricer(book: PriceBook) -> Iterator[Repricer]:
    """Open what reads and prices; what does not fit its memory spills to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tollbook-rerate-") as folder:
        config: dict[str, Any] = {"memory_limit": _MEMORY_LIMIT, "temp_directory": folder}
        # An empty file of the contract stands first, so that columns and types are the contract's.
        shapes = {"usage_record": usage_record_schema(), "rating": contract("rating").arrow_schema}
        paths = {name: Path(folder) / f"{name}.parquet" for name in shapes}
        for name, schema in shapes.items():
            pq.write_table(schema.empty_table(), paths[name], store_decimal_as_integer=True)
        with duckdb.connect(config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield Repricer(connection, paths, book)


def _held(name: str) -> str:
    # A file from before contracts has no contracted cost: without a contract it is the list cost.
    own = "coalesce(usage.contracted_cost, usage.list_cost)" if name == "contracted_cost" else f"usage.{name}"
    return f"case when ratings.rating_sequence is null then {own} else ratings.{name} end"


def _repriced(batch: pa.RecordBatch, book: PriceBook, *, keep_known: bool) -> Repriced:
    before = {name: batch.column(f"{name}_before") for name in COST_COLUMNS}
    after = _rated(batch, book)
    changed = pa.array([False] * len(batch))
    for name in _COMPARED:
        changed = pc.or_(changed, _differs(before[name], after[name]))
    if keep_known:
        changed = pc.and_(changed, pc.is_valid(after["list_cost"]))
        after = {name: pc.if_else(changed, after[name], before[name]) for name in COST_COLUMNS}
    places = {name: batch.column(name) for name in PLACE}
    return Repriced(
        sums=_sums(batch, before, after, changed),
        changed=changed,
        ratings=pa.table({**places, **after}).filter(changed),
    )


def _rated(batch: pa.RecordBatch, book: PriceBook) -> dict[str, pa.Array]:
    """Return the columns of the new ratings, texts as plain as those that are read."""
    return {
        name: column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for name, column in cost_columns(batch, book).items()
    }


def _differs(before: pa.Array, after: pa.Array) -> pa.Array:
    unequal = pc.fill_null(pc.not_equal(before, after), False)
    return pc.or_(unequal, pc.xor(pc.is_null(before), pc.is_null(after)))


def _sums(
    batch: pa.RecordBatch, before: dict[str, pa.Array], after: dict[str, pa.Array], changed: pa.Array
) -> pa.Table:
    tokens = pc.add(pc.fill_null(batch.column("input_tokens"), 0), pc.fill_null(batch.column("output_tokens"), 0))
    measures = {
        "events": pa.array([1] * len(batch)),
        "changed_events": changed,
        "tokens": tokens,
        "list_cost_before": before["list_cost"],
        "list_cost_after": after["list_cost"],
        "contracted_cost_before": before["contracted_cost"],
        "contracted_cost_after": after["contracted_cost"],
        "unpriced_before": pc.is_null(before["list_cost"]),
        "unpriced_after": pc.is_null(after["list_cost"]),
    }
    columns = {name: measures[name].cast(SUMMED.field(name).type) for name in SUMMED.names}
    keys = {"provider": batch.column("provider"), "model": batch.column("model"), "contract_id": after["contract_id"]}
    return pa.table({**keys, **columns})


def _aliases(provider: str) -> list[str]:
    """Return every name of a provider, lower case."""
    names = load_names()
    wanted = names.provider(provider)
    return sorted({wanted, *(alias for alias, meant in names.providers.items() if meant == wanted)})
