"""The second pass of rating as a step of dbt's: totals from the warehouse, charges into the lake and back.

The charges are those of the contracts in force and of all days of standing usage that they cover. What is computed
again and comes out the same writes nothing, so a build may die and be repeated at any moment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tollbook.closing.adjustments import read_adjustments
from tollbook.closing.closes import read_closes
from tollbook.lake.log import write_synced
from tollbook.rating.book import PriceBook
from tollbook.rating.contract_terms import Contract, PrepaidCredit
from tollbook.rating.differences import amount
from tollbook.rating.periods.assess import assess
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.rating.periods.charged import charged_prices
from tollbook.rating.periods.charges import (
    Scope,
    ScopeEntry,
    charge_table,
    current_scopes,
    newest_charges,
    read_charges,
    write_charges,
)
from tollbook.rating.periods.totals import TOTALS_SCHEMA
from tollbook.rating.sources.contracts import NO_CONTRACTS, contracts_version, read_contracts
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings
from tollbook.warehouse.chargeback import NO_SHARED_CHARGES, shared_inputs
from tollbook.warehouse.plan import planned_scope
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

SCOPES_SCHEMA: Final = pa.schema(
    [
        ("contract_id", pa.string()),
        ("term_id", pa.string()),
        ("billing_period_start", pa.timestamp("us", "UTC")),
        ("charge_sequence", pa.int64()),
        ("charges", pa.int64()),
        ("contracted_cost", pa.decimal128(38, 12)),
        ("effective_cost", pa.decimal128(38, 12)),
    ]
)
"""Charge scopes as the log tells them, one row a scope that has charges."""

DATES: Final = ("billing_period_first_date", "billing_period_end_date", "corrects_period_first_date")
"""Columns beside those of a charge: first day and end of its billing period, and first day of the one it corrects."""


def period_charges_of(totals: Any, session: Any) -> pa.Table:
    """Compute the charges of all billing periods begun, write what changed to the lake, and return what holds.

    Args:
        totals: DuckDB relation of days of standing usage that has the columns of `TOTALS_SCHEMA`.
        session: DuckDB connection of the build.

    Returns:
        `charge/v1`: every charge that holds, corrections among them; and `DATES`, its periods as dates of the billing
        calendar.
    """
    with python_model(session) as settings:
        folder = WarehouseFolder.of(settings)
        scope = planned_scope(folder)
        now, calendar = scope.now, scope.calendar
        contracts = _contracts(settings, now)
        inputs = _inputs(settings, contracts, calendar, now)
        charges, scopes = charge_table([]), _standing_scopes(settings.lake)
        if contracts:
            first = min(contract.valid_from for contract in contracts)
            covered = totals.filter(f"billing_date >= date '{first}'").project(", ".join(TOTALS_SCHEMA.names))
            book, table = PriceBook.load(settings), covered.to_arrow_table().cast(TOTALS_SCHEMA)
            charged = charged_prices(settings.lake, table)
            assessment = assess(table, contracts, book, charged, now=now, calendar=calendar)
            charges, scopes = assessment.charges, [*scopes, *assessment.scopes]
        write_charges(settings.lake, charges, scopes=scopes)
        number = newest_charges(settings.lake)
        held = _held(
            inputs,
            number,
            hard_close=scope.hard_close_number,
            adjustment=scope.adjustment_number,
            close=scope.close_number,
        )
        write_synced(_read_file(folder), json.dumps(held).encode())
        return _dated(read_charges(settings.lake, number=number), calendar)


def charge_scopes_told(session: Any) -> pa.Table:
    """Return the scopes that the log of charges tells, up to the entry that `period_charges_of` read.

    Returns:
        `SCOPES_SCHEMA`.
    """
    with python_model(session) as settings:
        held = json.loads(_read_file(WarehouseFolder.of(settings)).read_text(encoding="utf-8"))
        told = [_told(each) for each in current_scopes(settings.lake, number=held["charges"])]
        return pa.Table.from_pylist(told, schema=SCOPES_SCHEMA)


def charges_are_current(settings: Settings, now: datetime, *, closing_build: int | None = None) -> bool:
    """Return whether the marts hold the charges of the contracts, prices and due dates as they are now.

    Args:
        settings: Where the book lives.
        now: The time.
        closing_build: Build that periods are being closed from; None where the marts have to show every close. Soft
            closes and proposals change no charge, and neither does a close that froze what this build holds.

    Raises:
        ReferenceDataError: A contract, or what it is priced by, has a fault.
    """
    contracts, calendar, closes = _contracts(settings, now), billing_calendar(settings), read_closes(settings.lake)
    held = _held(
        _inputs(settings, contracts, calendar, now),
        newest_charges(settings.lake),
        hard_close=closes.hard_number,
        adjustment=read_adjustments(settings.lake).moved_number,
        close=closes.number,
    )
    try:
        marts = json.loads(_read_file(WarehouseFolder.of(settings)).read_text(encoding="utf-8"))
    except FileNotFoundError:
        marts = _held(_inputs(settings, (), calendar, now), 0, hard_close=0, adjustment=0, close=0)
    if closing_build is not None:
        shown = marts.get("hard_close", 0)
        if all(entry.build_number == closing_build for entry in closes.closed_since(shown)):
            held["hard_close"] = shown
        held["close"] = marts.get("close")
    return all(marts.get(name) == told for name, told in held.items())


def _held(inputs: str, charges: int, *, hard_close: int, adjustment: int, close: int) -> dict[str, Any]:
    """Return by what charges are computed: a digest, and entries of three logs."""
    return {
        "inputs": inputs,
        "charges": charges,
        "hard_close": hard_close,
        "adjustment": adjustment,
        "close": close,
    }


def _contracts(settings: Settings, now: datetime) -> list[Contract]:
    """Return the contracts with period terms that are known, with who bills as the price list names it."""

    def provider_of(told: str) -> str:
        return PriceBook.load(settings).list_prices.provider(told)

    return [each for each in read_contracts(settings.contracts, provider_of, as_of=now) if each.period_terms]


def _inputs(settings: Settings, contracts: Sequence[Contract], calendar: BillingCalendar, now: datetime) -> str:
    """Return a digest of all that decides charges, but for the usage."""
    shared = shared_inputs(settings, calendar, now)
    if not contracts:
        return NO_CONTRACTS if shared == NO_SHARED_CHARGES else shared
    today = calendar.day_at(now)
    due = {day for contract in contracts for day in _due_days(contract) if day is not None and day <= today}
    dates = [BillingPeriod.of(today).start, *sorted(due)]
    texts = (contracts_version(contracts), PriceBook.load(settings).version, *map(str, dates), shared)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _due_days(contract: Contract) -> Iterator[date | None]:
    """Yield the days on which something of a contract falls due, billing periods aside."""
    for term in contract.period_terms:
        yield from (term.valid_from, term.valid_to)
        if isinstance(term.body, PrepaidCredit):
            yield from (term.body.purchased_on, term.body.expires_on)


def _dated(charges: pa.Table, calendar: BillingCalendar) -> pa.Table:
    """Return charges with `DATES`; one of another calendar's period is in the period in which that one begins."""
    starts = charges.column("billing_period_start").to_pylist()
    corrected = charges.column("corrects_period_start").to_pylist()
    periods = [calendar.period_at(start) for start in starts]
    dates = (
        [period.start for period in periods],
        [period.end for period in periods],
        [None if start is None else calendar.period_at(start).start for start in corrected],
    )
    for name, column in zip(DATES, dates, strict=True):
        charges = charges.append_column(name, pa.array(column, pa.date32()))
    return charges


def _standing_scopes(lake: Path) -> list[Scope]:
    """Return the scopes of earlier second passes: those that no contract makes any more have no charges."""
    rows = read_charges(lake).select(["contract_id", "term_id", "billing_period_start", "charge_kind", "charge_class"])
    return [
        Scope(row["contract_id"], row["term_id"], row["billing_period_start"])
        for row in rows.to_pylist()
        if row["charge_class"] is None
    ]


def _told(entry: ScopeEntry) -> dict[str, Any]:
    return {
        "contract_id": entry.contract_id,
        "term_id": entry.term_id,
        "billing_period_start": entry.billing_period_start,
        "charge_sequence": entry.charge_sequence,
        "charges": entry.rows,
        "contracted_cost": amount(entry.contracted_cost_pico_usd),
        "effective_cost": amount(entry.effective_cost_pico_usd),
    }


def _read_file(folder: WarehouseFolder) -> Path:
    """Return the file that says by what the charges in the marts were computed, and up to which entry they are read."""
    return folder.plan.with_name("charges.json")
