"""A large book of many divisions: one simulated organisation, decoded, owned and priced once, and told again by each.

Traffic of `tollbook simulate` goes through the meter's own steps, without Kafka, which would measure something else.
Then the rows of one organisation are told again by as many as are needed: each has tasks of its own, and four of them
make a division, with teams, workflows, persons and customers of its own. Rows are committed day by day as the meter
would. All of it has one contract, subscription and revenue, so that every mart has something to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
from history import add_rows, next_offset

from tollbook.contracts import usage_record_schema
from tollbook.demo.reference_data import reference_documents
from tollbook.formats.route import RecordRouter
from tollbook.rating.book import PriceBook
from tollbook.rating.columns import cost_columns
from tollbook.reference.kinds import load_file
from tollbook.reference.owners import load_owners, owners_of
from tollbook.settings import Settings
from tollbook.simulate.delivery import Shares
from tollbook.simulate.organisation import TEAMS, organisation, owners_document
from tollbook.simulate.simulation import Plan, traffic
from tollbook.simulate.truth import Truth
from tollbook.stream.columns import with_columns

FIRST_DAY = date(2026, 6, 1)
MONTHS = 3
BOOK_DAYS = 88
"""Days that the first build finds; the next one is what one more build finds."""

SIMULATED_EVENTS = 100_000
COPIES_OF_A_DIVISION = 4
FILES_A_DAY = 4
"""As many as compaction leaves of a day of this size, rather than one for each commit."""

DECODED_TOGETHER = 20_000
READ_AT = datetime(2026, 11, 1, tzinfo=UTC)
SEED = 7

_OF_A_COPY = ("event_id", "task_id", "operation_id", "trace_id")
_OF_A_DIVISION = (
    *("team", "workflow", "owner_team", "owner_cost_center", "principal_id", "customer_id"),
    "credential_id",
)
_TIMES = ("occurred_at", "kafka_timestamp", "ingested_at")
_STANDING = """
    select * from simulated
    where action = 'record'
    qualify row_number() over (partition by source, event_id order by revision desc, offset_told) = 1
    order by occurred_at
"""
"""Each call once: what a call's tellings make of each other is measured elsewhere."""


class Book:
    """The rows of a large book, day by day."""

    def __init__(self, settings: Settings, events: int, simulated: int = SIMULATED_EVENTS) -> None:
        """Load the reference data of the book and simulate the organisation that is told again.

        Args:
            settings: Home of the book.
            events: Events of the days that the first build finds, about.
            simulated: Events of the organisation, over three months.
        """
        self._lake = settings.lake
        self._connection = duckdb.connect(config={"temp_directory": str(settings.home / "spill")})
        self._connection.execute("set TimeZone = 'UTC'")
        simulated_rows = simulated_organisation(settings, min(simulated, events))
        self._connection.register("simulated", simulated_rows)
        self._connection.execute(f"create table standing as {_STANDING}")
        self._connection.unregister("simulated")
        ((found,),) = self._connection.execute(
            "select count(*) from standing where occurred_at < ?", [_midnight(FIRST_DAY + timedelta(BOOK_DAYS))]
        ).fetchall()
        self.copies = max(1, round(events / found))

    def add_day(self, number: int, rows: int | None = None) -> int:
        """Commit a day of the book, counted from zero, or its first rows; return how many rows it has."""
        day = FIRST_DAY + timedelta(days=number)
        told = self._connection.execute(
            _day_sql(rows), {"from": _midnight(day), "to": _midnight(day + timedelta(1)), "copies": self.copies}
        ).to_arrow_table()
        first = next_offset(self._lake)
        placed = told.append_column("offset", pa.array(range(first, first + told.num_rows), pa.int64()))
        add_rows(self._lake, day, placed.select(usage_record_schema().names).cast(usage_record_schema()), FILES_A_DAY)
        return len(placed)

    def close(self) -> None:
        """Let go of the organisation's rows."""
        self._connection.close()


def simulated_organisation(settings: Settings, events: int) -> pa.Table:
    """Return usage of one organisation, priced and owned: `usage_record/v1` without `offset`, and `offset_told`."""
    plan = Plan(events=events, seed=SEED, start=FIRST_DAY, months=MONTHS, shares=Shares(0, 0, 0, 0))
    people = organisation(plan.month_starts, plan.team_count)
    _load_reference(settings, plan, owners_document(people.rules))
    owners, book, router = owners_of(settings.owners), PriceBook.load(settings), RecordRouter()
    batches = []
    for values in _chunks(traffic(plan, people, Truth(people))):
        decoded = router.decode(values, "native", now=READ_AT)
        if decoded.rejected:
            raise RuntimeError(f"expected simulated events alone, got {len(decoded.rejected)} rejects")
        owned = with_columns(decoded.events, owners.assign(decoded.events))
        batches.append(pa.Table.from_batches([with_columns(owned, cost_columns(owned, book))]))
    rows = pa.concat_tables(batches, promote_options="permissive")
    same = {
        "topic": pa.repeat("llm.usage", rows.num_rows),
        "partition": pa.repeat(0, rows.num_rows),
        "record_item": pa.repeat(0, rows.num_rows),
        "stream_repeat": pa.repeat(False, rows.num_rows),
        "kafka_timestamp": rows["occurred_at"],
        "ingested_at": rows["occurred_at"],
    }
    for name, column in same.items():
        rows = rows.append_column(name, column)
    fields = [field for field in usage_record_schema() if field.name != "offset"]
    rows = rows.select([field.name for field in fields]).cast(pa.schema(fields))
    return rows.append_column("offset_told", pa.array(range(rows.num_rows), pa.int64()))


def _load_reference(settings: Settings, plan: Plan, owners: str) -> None:
    folder = settings.home / "given"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "owners.yml"
    path.write_text(owners, encoding="utf-8")
    load_owners(path, settings.owners)
    for kind, text in reference_documents(TEAMS, plan.month_starts, plan.end).items():
        path = folder / f"{kind}.yml"
        path.write_text(text, encoding="utf-8")
        load_file(path, settings, now=READ_AT)


def _chunks(lines: Iterator[bytes]) -> Iterator[pa.BinaryArray]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == DECODED_TOGETHER:
            yield pa.array(chunk, pa.binary())
            chunk = []
    if chunk:
        yield pa.array(chunk, pa.binary())


def _day_sql(rows: int | None) -> str:
    """Return what tells a day again, about in the order of time: a copy a second after the other."""
    division = f"(copies.copy // {COPIES_OF_A_DIVISION})"
    told = [f"{name} || '-' || copies.copy as {name}" for name in _OF_A_COPY]
    told += [f"{name} || if({division} = 0, '', '-' || {division}) as {name}" for name in _OF_A_DIVISION]
    told += [
        f"{name} + to_seconds(copies.copy) as {name}" for name in ("occurred_at", "kafka_timestamp", "ingested_at")
    ]
    instant = "of_the_day.occurred_at + to_seconds(copies.copy)"
    return f"""
        with of_the_day as (
            select * exclude (offset_told) from standing
            where occurred_at >= $from - to_seconds($copies) and occurred_at < $to
        )
        select of_the_day.* replace ({", ".join(told)})
        from of_the_day
        cross join range(cast($copies as bigint)) as copies (copy)
        where {instant} >= $from and {instant} < $to
        {"" if rows is None else f"limit {rows}"}
    """


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
