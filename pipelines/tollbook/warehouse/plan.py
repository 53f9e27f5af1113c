"""The plan of a build: which event dates it makes anew, and from which files.

A build follows the new data, not the history. It names **all** files of every date it touches, since a date is made
whole, and the files around that tell of the same calls. dbt reads the plan when it starts (macro `register_plan`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.chargeback.places import Places
from tollbook.closing.closes import Closes, first_day
from tollbook.closing.frozen import SETTLED, refuse_changed
from tollbook.lake.erasures import Pseudonyms
from tollbook.lake.merge import USAGE_VERSION
from tollbook.lake.remote import fetch
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.warehouse.book import Progress
from tollbook.warehouse.keys import CrossDates, find_cross_dates
from tollbook.warehouse.shapes import contract_file
from tollbook.warehouse.state import WarehouseFolder

_FILES = pa.schema(
    [("role", pa.string()), ("schema_version", pa.int32()), ("commit_number", pa.int64()), ("path", pa.string())]
)

_BILLING_DAYS = pa.schema(
    [
        ("event_date", pa.date32()),
        ("billing_date", pa.date32()),
        ("billing_period_start", pa.date32()),
        ("begins_at", pa.timestamp("us", "UTC")),
        ("ends_at", pa.timestamp("us", "UTC")),
    ]
)


_CLOSED_PERIODS = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("soft_close_number", pa.int64()),
        ("soft_closed_at", pa.timestamp("us", "UTC")),
        ("close_number", pa.int64()),
        ("closed_at", pa.timestamp("us", "UTC")),
        ("lake_commit", pa.int64()),
        ("told_charges", pa.int64()),
        ("told_calls", pa.int64()),
        ("told_contracted_cost", pa.decimal128(38, 12)),
        ("told_effective_cost", pa.decimal128(38, 12)),
        ("told_billed_cost", pa.decimal128(38, 12)),
    ]
)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a build goes by that the lake's usage does not tell.

    Attributes:
        calendar: Assigns calls to billing periods.
        now: When it does so: what contracts make due by then is charged.
        places: The hierarchy by which charges are placed.
        closes: Billing periods that are closed.
        adjustment_number: Newest entry of the log of disputes that moves an amount.
        persons: How identifiers of persons become pseudonyms, and whose are erased.
    """

    calendar: BillingCalendar
    now: datetime
    places: Places
    closes: Closes
    adjustment_number: int
    persons: Pseudonyms


@dataclass(frozen=True, slots=True)
class PlannedScope:
    """What the build at work goes by, as its plan says.

    Attributes:
        now: When it was planned.
        calendar: Billing calendar.
        open_start: First day of the first billing period that is not closed, None while none was ever closed.
        close_number: Newest entry of the log of closes.
        hard_close_number: Newest one that closed a period for good.
        adjustment_number: Newest entry of the log of disputes that moves an amount.
    """

    now: datetime
    calendar: BillingCalendar
    open_start: date | None
    close_number: int
    hard_close_number: int
    adjustment_number: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What one build does.

    Attributes:
        is_full: Whether it makes every date of the lake.
        built_commit: Newest commit that the marts hold before it; 0 for none.
        target_commit: Newest commit that they hold after it.
        target_rating: Newest entry of the ratings that they hold after it.
        event_dates: Dates it makes anew, in order.
        files: Files it reads: role, schema version, commit (of ratings their sequence) and path of each.
        cross_dates: Calls told under several dates.
    """

    is_full: bool
    built_commit: int
    target_commit: int
    target_rating: int
    event_dates: tuple[date, ...]
    files: tuple[dict[str, Any], ...]
    cross_dates: CrossDates


def make_plan(
    folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, lake: Path, progress: Progress, *, is_full: bool
) -> Plan:
    """Return what the next build has to do; the index of keys must be up to date.

    Args:
        folder: The warehouse.
        ledger: Names the files.
        lake: Folder of the lake.
        progress: How far the warehouse has come.
        is_full: Make every date, whatever was built.
    """
    built, built_rating = (0, 0) if is_full else (progress.built_commit, progress.built_rating)
    pending = _dates(
        ledger.execute(
            """
            select distinct event_date from book.lake_files
            where table_name = 'usage' and commit_number > ? order by event_date
            """,
            [built],
        )
    )
    rated = _dates(
        ledger.execute(
            "select distinct event_date from book.rating_files where rating_sequence > ? order by event_date",
            [built_rating],
        )
    )
    cross = find_cross_dates(folder, built_commit=built, pending_dates=pending, rated_dates=rated)
    planned = sorted({*pending, *rated, *cross.touched})
    elsewhere = sorted(set(cross.keys["event_date"].to_pylist()) - set(planned))
    files = [
        *_contract_files(folder, ledger),
        *_rating_files(folder, ledger, lake, [*planned, *elsewhere]),
        *_files_of(ledger, lake, "usage", planned),
        *_files_of(ledger, lake, "usage_elsewhere", elsewhere),
    ]
    return Plan(is_full, built, progress.taken_commit, progress.taken_rating, tuple(planned), tuple(files), cross)


def write_plan(folder: WarehouseFolder, lake: Path, plan: Plan, known: Knowledge) -> None:
    """Write the plan where dbt looks for it. Written anew by every build, so it need not be atomic.

    Args:
        folder: The warehouse.
        lake: Folder of the lake, in which closed periods lie.
        plan: What the build does.
        known: What it goes by.

    Raises:
        CorruptManifestError: What was frozen of a closed period is not as it was.
    """
    folder.plan.parent.mkdir(parents=True, exist_ok=True)
    tables = {
        "dates": pa.table({"event_date": pa.array(plan.event_dates, pa.date32())}),
        "billing_days": pa.Table.from_pylist(billing_days(known.calendar, plan.event_dates), schema=_BILLING_DAYS),
        "files": pa.Table.from_pylist([*plan.files, *_closed_files(lake, known.closes)], schema=_FILES),
        "cross_date_keys": plan.cross_dates.keys,
        "places": known.places.table(),
        "closed_periods": _closed_periods(known.closes),
    }
    for name, table in tables.items():
        pq.write_table(table, folder.plan.with_name(f"{name}.parquet"))
    open_start = known.closes.open_start()
    scope = {
        "is_full": plan.is_full,
        "built_commit": plan.built_commit,
        "target_commit": plan.target_commit,
        "planned_at": known.now.isoformat(),
        "billing_time_zone": known.calendar.time_zone,
        "places_version": known.places.version,
        "open_period_start": None if open_start is None else open_start.isoformat(),
        "close_number": known.closes.number,
        "hard_close_number": known.closes.hard_number,
        "adjustment_number": known.adjustment_number,
        "person_salt": known.persons.salt,
        "erased_persons": sorted(known.persons.erased),
    }
    folder.plan.write_text(json.dumps(scope), encoding="utf-8")


def planned_scope(folder: WarehouseFolder) -> PlannedScope:
    """Return what the build at work goes by."""
    scope = json.loads(folder.plan.read_text(encoding="utf-8"))
    open_start = scope["open_period_start"]
    return PlannedScope(
        now=datetime.fromisoformat(scope["planned_at"]),
        calendar=BillingCalendar(scope["billing_time_zone"]),
        open_start=None if open_start is None else date.fromisoformat(open_start),
        close_number=scope["close_number"],
        hard_close_number=scope["hard_close_number"],
        adjustment_number=scope["adjustment_number"],
    )


def planned_time(folder: WarehouseFolder) -> tuple[datetime, BillingCalendar]:
    """Return when the build at work was planned, and the billing calendar that it goes by."""
    scope = planned_scope(folder)
    return scope.now, scope.calendar


def _closed_files(lake: Path, closes: Closes) -> Iterable[dict[str, Any]]:
    """Return the frozen files that models read, each held against its digest."""
    files = [file for file in closes.files() if file.role in SETTLED]
    fetch(lake, {file.path: file.bytes for file in files})
    refuse_changed(lake, files)
    return [_file(f"closed_{file.role}", 1, None, lake / file.path) for file in files]


def _closed_periods(closes: Closes) -> pa.Table:
    rows = []
    for held in closes.periods():
        told = None if held.close is None else held.close.totals
        rows.append(
            {
                "billing_period_start": first_day(held.period),
                "soft_close_number": None if held.soft is None else held.soft.number,
                "soft_closed_at": None if held.soft is None else held.soft.recorded_at,
                "close_number": None if held.close is None else held.close.number,
                "closed_at": None if held.close is None else held.close.recorded_at,
                "lake_commit": None if held.close is None else held.close.lake_commit,
                "told_charges": None if told is None else told.charges,
                "told_calls": None if told is None else told.calls,
                "told_contracted_cost": None if told is None else Decimal(told.contracted_cost),
                "told_effective_cost": None if told is None else Decimal(told.effective_cost),
                "told_billed_cost": None if told is None else Decimal(told.billed_cost),
            }
        )
    return pa.Table.from_pylist(rows, schema=_CLOSED_PERIODS)


def billing_days(calendar: BillingCalendar, event_dates: Iterable[date]) -> list[dict[str, Any]]:
    """Return the days of the billing calendar that event dates lie in, as the plan tells them."""
    return [
        {
            "event_date": part.event_date,
            "billing_date": part.billing_date,
            "billing_period_start": BillingPeriod.of(part.billing_date).start,
            "begins_at": part.begins_at,
            "ends_at": part.ends_at,
        }
        for part in calendar.days_of(event_dates)
    ]


def _files_of(
    ledger: duckdb.DuckDBPyConnection, lake: Path, role: str, dates: Sequence[date]
) -> Iterable[dict[str, Any]]:
    ledger.register("wanted", pa.table({"event_date": pa.array(dates, pa.date32())}))
    rows = ledger.execute(
        """
        select lake_files.schema_version, lake_files.commit_number, lake_files.path
        from book.lake_files
        semi join wanted on lake_files.event_date = wanted.event_date
        where lake_files.table_name = 'usage'
        order by lake_files.commit_number, lake_files.path
        """
    ).fetchall()
    ledger.unregister("wanted")
    fetch(lake, {path: None for _, _, path in rows})
    return [_file(role, version, commit, lake / path) for version, commit, path in rows]


def _contract_files(folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection) -> Iterable[dict[str, Any]]:
    """Return an empty file for each version of the contract in the lake, and of those whose columns models name."""
    versions = set(range(1, USAGE_VERSION + 1)) | {
        version
        for (version,) in ledger.execute(
            "select distinct schema_version from book.lake_files where table_name = 'usage'"
        ).fetchall()
    }
    for version in sorted(versions):
        path = contract_file(folder, "usage_record", version)
        for role in ("usage", "usage_elsewhere"):
            yield _file(role, version, None, path)


def _rating_files(
    folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, lake: Path, dates: Sequence[date]
) -> Iterable[dict[str, Any]]:
    """Return the ratings laid over the usage of some dates, an empty file of the contract first."""
    yield _file("ratings", 1, None, contract_file(folder, "rating", 1))
    ledger.register("wanted", pa.table({"event_date": pa.array(dates, pa.date32())}))
    rows = ledger.execute(
        """
        select rating_files.schema_version, rating_files.rating_sequence, rating_files.path
        from book.rating_files
        semi join wanted on rating_files.event_date = wanted.event_date
        order by rating_files.rating_sequence, rating_files.path
        """
    ).fetchall()
    ledger.unregister("wanted")
    fetch(lake, {path: None for _, _, path in rows})
    for version, sequence, path in rows:
        yield _file("ratings", version, sequence, lake / path)


def _file(role: str, version: int, commit: int | None, path: Path) -> dict[str, Any]:
    return {"role": role, "schema_version": version, "commit_number": commit, "path": str(path)}


def _dates(answer: duckdb.DuckDBPyConnection) -> list[date]:
    return [day for (day,) in answer.fetchall()]
