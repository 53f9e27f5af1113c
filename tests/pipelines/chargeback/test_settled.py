"""What stands of closed periods, as properties of the SQL that settles them: random rows, several closes in a row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.chargeback.invoices import INVOICE_LINES_SCHEMA
from tollbook.chargeback.origins import ORIGIN_SCHEMA

MONTHS = tuple(date(2026, month, 1) for month in (6, 7, 8, 9, 10))
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = ("a", "b", "c")
CURRENCIES = ("EUR", "USD")
# Of each charge by name, month and currency: no amount of None is known.
World = Mapping[tuple[str, date, str], Decimal | None]
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
amounts = st.none() | st.decimals(-(10**9), 10**9, places=12) | st.sampled_from([Decimal(0), Decimal(5)])
# What was never said stays away; what was said may be gone, dearer, or the same later on.
worlds = st.dictionaries(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(MONTHS), st.sampled_from(CURRENCIES)), amounts, max_size=12
)


def charge(name: str, month: date, currency: str, amount: Decimal | None) -> dict[str, Any]:
    """Return a row of `ORIGIN_SCHEMA`; a charge's name tells its month, as the digests of charges do."""
    end = next((each for each in MONTHS if each > month), date(2026, 11, 1))
    row: dict[str, Any] = dict.fromkeys(ORIGIN_SCHEMA.names)
    row |= {
        "charge_id": f"{name} {month:%Y-%m}",
        "billing_period_start": month,
        "billing_period_end": end,
        "charge_period_start": JUNE,
        "charge_period_end": JUNE,
        "first_day": month,
        "charge_description": name,
        "pricing_currency": currency,
        "effective_cost": amount,
        "pricing_currency_effective_cost": amount,
    }
    return row


class Charges:
    """`fct_charge_origins` on tables of its own."""

    def __init__(self, sql: str, connection: duckdb.DuckDBPyConnection) -> None:
        self._sql, self._connection = sql, connection
        empty = ORIGIN_SCHEMA.empty_table()
        connection.register("empty", empty)
        connection.execute("create table int_charge_origins_computed as from empty")
        connection.execute("create table stg_lake__closed_charge_origins as from empty")
        connection.execute("alter table stg_lake__closed_charge_origins add column corrects_charge_id varchar")
        connection.execute("create table stg_plan__scope (open_period_start date)")

    def settle(self, world: World, open_start: date | None) -> list[dict[str, Any]]:
        """Return all that stands, when a world is known and the periods before one are closed."""
        rows = [charge(*key, amount) for key, amount in world.items()]
        self._connection.register("told", pa.Table.from_pylist(rows, schema=ORIGIN_SCHEMA))
        self._connection.execute("create or replace table int_charge_origins_computed as from told")
        self._connection.execute(
            "create or replace table stg_plan__scope as select ?::date as open_period_start", [open_start]
        )
        self._connection.execute(f"create or replace table settled as {self._sql}")
        found: list[dict[str, Any]] = self._connection.execute("from settled order by all").to_arrow_table().to_pylist()
        return found

    def close(self, month: date) -> None:
        """Freeze what stands of a month."""
        self._connection.execute(
            "insert into stg_lake__closed_charge_origins by name select * from settled where billing_period_start = ?",
            [month],
        )


@contextmanager
def charges(finance_model: Callable[[str], str]) -> Iterator[Charges]:
    """Give a book without charges."""
    with duckdb.connect() as connection:
        yield Charges(finance_model("fct_charge_origins"), connection)


def told(rows: list[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """Return what rows say of each charge and currency, corrections with what they correct; nothing is left out."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        name = row["corrects_charge_id"] or row["charge_id"]
        sums[name, row["pricing_currency"]] += row["effective_cost"] or 0
    return {key: amount for key, amount in sums.items() if amount}


def restated(world: World) -> dict[tuple[str, str], Decimal]:
    """Return what a world says of each charge, as if nothing were closed."""
    return {(f"{name} {month:%Y-%m}", currency): cost for (name, month, currency), cost in world.items() if cost}


@few
@given(st.lists(worlds, min_size=1, max_size=5))
def test_closed_and_corrections_are_what_a_restatement_would_give(
    finance_model: Callable[[str], str], history: list[World]
) -> None:
    """Each world is what is known when the next month is closed; of a charge all rows together say what it says."""
    with charges(finance_model) as book:
        open_start: date | None = None
        for place, world in enumerate(history):
            rows = book.settle(world, open_start)
            assert told(rows) == restated(world)
            assert max(Counter((row["charge_id"], row["pricing_currency"]) for row in rows).values(), default=1) == 1
            book.close(MONTHS[place])
            open_start = (*MONTHS[1:], date(2026, 11, 1))[place]


@few
@given(st.lists(worlds, min_size=2, max_size=5))
def test_what_was_frozen_stays_and_corrections_stand_in_the_first_open_month(
    finance_model: Callable[[str], str], history: list[World]
) -> None:
    """However the world changes, rows of closed months are those that were frozen, whole."""
    with charges(finance_model) as book:
        frozen: list[dict[str, Any]] = []
        open_start: date | None = None
        for place, world in enumerate(history):
            rows = book.settle(world, open_start)
            assert [row for row in rows if open_start and row["billing_period_start"] < open_start] == frozen
            later = [row for row in rows if row["corrects_charge_id"] and row not in frozen]
            assert {row["billing_period_start"] for row in later} <= {open_start}
            assert {row["charge_class"] for row in later} <= {"Correction"}
            assert all(row["corrects_period_start"] < open_start for row in later if open_start)
            book.close(MONTHS[place])
            frozen = [row for row in rows if row["billing_period_start"] <= MONTHS[place]]
            open_start = (*MONTHS[1:], date(2026, 11, 1))[place]


@few
@given(st.lists(worlds, min_size=1, max_size=4))
def test_restating_without_a_change_changes_nothing(finance_model: Callable[[str], str], history: list[World]) -> None:
    """What was known at a close and is told once more makes no correction, also where months before were corrected."""
    with charges(finance_model) as book:
        open_start: date | None = None
        for place, world in enumerate(history):
            before = book.settle(world, open_start)
            book.close(MONTHS[place])
            open_start = MONTHS[place + 1]
            assert book.settle(world, open_start) == before


@few
@given(
    st.dictionaries(st.sampled_from(NAMES), st.decimals(-(10**6), 10**6, places=2), max_size=3),
    st.dictionaries(st.sampled_from(NAMES), st.decimals(-(10**6), 10**6, places=2), max_size=3),
)
def test_invoices_that_come_late_for_a_closed_month_are_booked_in_the_open_one(
    finance_model: Callable[[str], str], first: dict[str, Decimal], second: dict[str, Decimal]
) -> None:
    """What was known of June when it was closed, and what is known later, booked in July as the difference."""

    def line(name: str, amount: Decimal) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(INVOICE_LINES_SCHEMA.names)
        told_of = {"line_id": name, "vendor": "v", "invoice_id": "i", "booked_period_start": MONTHS[0]}
        costs = dict.fromkeys(("invoice_amount", "billed_cost", "pricing_currency_billed_cost"), amount)
        return row | told_of | costs

    with duckdb.connect() as connection:
        for name, held in (("int_invoice_lines_read", second), ("stg_lake__closed_invoice_lines", first)):
            rows = [line(*each) for each in held.items()]
            connection.register("told", pa.Table.from_pylist(rows, schema=INVOICE_LINES_SCHEMA))
            connection.execute(f"create table {name} as from told")
        for column in ("corrects_period_start date", "corrects_line_id varchar"):
            connection.execute(f"alter table stg_lake__closed_invoice_lines add column {column}")
        connection.execute("create table stg_plan__scope as select date '2026-07-01' as open_period_start")
        booked: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
        for month, name, amount in connection.execute(
            "select booked_period_start, coalesce(corrects_line_id, line_id), billed_cost from "
            f"({finance_model('fct_invoice_lines')})"
        ).fetchall():
            booked[month, name] += amount
    changed = {name: second.get(name, Decimal(0)) - first.get(name, Decimal(0)) for name in first | second}
    assert {name: amount for (month, name), amount in booked.items() if month == MONTHS[0]} == first
    assert {name: amount for (month, name), amount in booked.items() if month == MONTHS[1]} == {
        name: amount for name, amount in changed.items() if amount
    }
