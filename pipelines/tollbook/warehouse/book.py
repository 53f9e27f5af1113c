"""The book: the tables of the ledger in which the warehouse keeps what it took from the lake, and how far it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from duckdb import DuckDBPyConnection

COST = pa.decimal128(38, 12)
LAKE_FILES = pa.schema(
    [
        ("path", pa.string()),
        ("table_name", pa.string()),
        ("commit_number", pa.int64()),
        ("event_date", pa.date32()),
        ("schema_version", pa.int32()),
        ("topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("told_rows", pa.int64()),
        ("told_input_tokens", pa.int64()),
        ("told_output_tokens", pa.int64()),
        ("told_list_cost", COST),
        ("told_contracted_cost", COST),
        ("held_rows", pa.int64()),
        ("held_input_tokens", pa.int64()),
        ("held_output_tokens", pa.int64()),
        ("held_list_cost", COST),
        ("held_contracted_cost", COST),
        ("live_calls", pa.int64()),
        ("live_input_tokens", pa.int64()),
        ("live_output_tokens", pa.int64()),
        ("live_list_cost", COST),
    ]
)
"""Columns of `book.lake_files`, one row a file that passed the gate."""

PARTITION_TOTALS = pa.schema(
    [
        ("topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("first_offset", pa.int64()),
        ("next_offset", pa.int64()),
        ("records", pa.int64()),
        ("tombstones", pa.int64()),
        ("control_offsets", pa.int64()),
        ("aborted_offsets", pa.int64()),
        ("missing_offsets", pa.int64()),
        ("lost_offsets", pa.int64()),
        ("usage_rows", pa.int64()),
        ("reject_rows", pa.int64()),
        ("silent_records", pa.int64()),
        ("further_items", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("list_cost", COST),
        ("contracted_cost", COST),
    ]
)
"""Columns of `book.partition_totals`, one row a Kafka partition."""

RATING_FILES = pa.schema(
    [
        ("path", pa.string()),
        ("rating_sequence", pa.int64()),
        ("event_date", pa.date32()),
        ("schema_version", pa.int32()),
        ("told_rows", pa.int64()),
        ("told_list_cost_difference", COST),
        ("told_contracted_cost_difference", COST),
    ]
)
"""Columns of `book.rating_files`, one row a file of ratings that passed the gate."""

OFFSET_GAPS = pa.schema(
    [
        ("gap_number", pa.int64()),
        ("topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("gap_kind", pa.string()),
        ("gap_state", pa.string()),
        ("first_offset", pa.int64()),
        ("next_offset", pa.int64()),
        ("lost_offsets", pa.int64()),
        ("loss_is_known", pa.bool_()),
        ("offset_base_before", pa.int64()),
        ("offset_base_after", pa.int64()),
        ("kafka_first_offset", pa.int64()),
        ("kafka_end_offset", pa.int64()),
        ("topic_id_before", pa.string()),
        ("topic_id_after", pa.string()),
        ("detected_commit", pa.int64()),
        ("detected_at", pa.timestamp("us", "UTC")),
        ("settled_at", pa.timestamp("us", "UTC")),
        ("accepted_by", pa.string()),
        ("accepted_reason", pa.string()),
        ("description", pa.string()),
    ]
)
"""Columns of `book.offset_gaps`, one row a gap that the meter found."""

BOOK = {
    "lake_files": LAKE_FILES,
    "partition_totals": PARTITION_TOTALS,
    "rating_files": RATING_FILES,
    "offset_gaps": OFFSET_GAPS,
}
"""Tables of the schema `book` in the ledger."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the warehouse has come.

    Attributes:
        taken_commit: Newest commit whose files passed the gate; 0 for none.
        taken_commit_mark: What tells that commit from another of its number; empty for none.
        built_commit: Newest commit whose dates are all in the marts; 0 for none.
        taken_rating: Newest entry of the log of ratings whose files passed the gate; 0 for none.
        taken_rating_mark: What tells that entry from another of its number; empty for none.
        built_rating: Newest entry whose dates are all in the marts; 0 for none.
        build_number: Number of the last build that ended well; 0 for none.
        project_digest: Digest of the dbt project that made the marts; empty for none.
        billing_calendar: Version of the billing calendar that assigned calls to periods; empty for none.
        whole: Whether the marts are those of the last good build, and not changed by one that did not end well.
        remake: Whether a full refresh was begun and did not end.
    """

    taken_commit: int
    taken_commit_mark: str
    built_commit: int
    taken_rating: int
    taken_rating_mark: str
    built_rating: int
    build_number: int
    project_digest: str
    billing_calendar: str
    whole: bool
    remake: bool


def make_book(connection: DuckDBPyConnection) -> None:
    """Make the tables of the book where they are absent.

    A book of another version of Tollbook, which kept other columns, is begun anew: all of it comes from the lake.
    """
    with transaction(connection):
        build_number = _drop_other_book(connection)
        connection.execute("create schema if not exists book")
        for name, schema in BOOK.items():
            connection.register("shape", schema.empty_table())
            connection.execute(f"create table if not exists book.{name} as select * from shape")
            connection.unregister("shape")
        connection.execute(
            f"""
            create table if not exists book.progress as
            select
                0::bigint as taken_commit,
                '' as taken_commit_mark,
                0::bigint as built_commit,
                0::bigint as taken_rating,
                '' as taken_rating_mark,
                0::bigint as built_rating,
                {build_number}::bigint as build_number,
                '' as project_digest,
                '' as billing_calendar,
                true as whole,
                false as remake
            """
        )


@contextmanager
def transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    connection.execute("begin")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def pico_to_usd(pico: Sequence[int]) -> pa.Array:
    """Return whole pico-USD as decimals, shape (n,). Unit: USD."""
    return pa.array(pico, pa.decimal128(38, 0)).view(COST)


def _drop_other_book(connection: DuckDBPyConnection) -> int:
    """Drop a book with other columns than ours and return the number of its last build, 0 where there is none."""
    rows = connection.execute(
        """
        select table_name, list(column_name)
        from duckdb_columns()
        where database_name = current_database() and schema_name = 'book'
        group by table_name
        """
    ).fetchall()
    held = {name: set(columns) for name, columns in rows}
    ours = {name: set(schema.names) for name, schema in BOOK.items()} | {"progress": set(Progress.__slots__)}
    if not held or held == ours:
        return 0
    ((number,),) = connection.execute("select build_number from book.progress").fetchall()
    connection.execute("drop schema book cascade")
    return int(number)
