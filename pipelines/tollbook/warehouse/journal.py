"""The journal as a step of dbt's: the postings of every billing period, by the accounts in use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.accounts import AccountRules
from tollbook.chargeback.journal import double_entry
from tollbook.chargeback.statement_lines import IN_ORDER, TOLD_APART_BY, Row, round_lines
from tollbook.contracts import contract
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.dated.use import ReferenceBook, read_reference
from tollbook.warehouse.plan import planned_time
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

_POSTED: Final = "effective_cost"


def journal_schema() -> pa.Schema:
    """Return `journal_line/v1` with the start of the billing period, and why a line has no account."""
    beside = [pa.field("billing_period_start", pa.date32()), pa.field("unposted_reason", pa.string())]
    return pa.schema([*contract("journal_line").arrow_schema, *beside])


def journal_of(charges: Any, periods: Any, session: Any) -> pa.Table:
    """Return the double entry of every billing period, as `export journal` writes it.

    Rules that are missing or contradict each other refuse no build: what they leave open has no account and says why.

    Args:
        charges: DuckDB relation of charges, with the columns of `finance.fct_charges`.
        periods: DuckDB relation of billing periods with `close_number`, null while a period is open.
        session: DuckDB connection of the build.

    Returns:
        `journal_schema`, by billing period.
    """
    with python_model(session) as settings:
        now, _ = planned_time(WarehouseFolder.of(settings))
        closes = dict(periods.project("billing_period_start, close_number").fetchall())
        apart = f"billing_period_start, {', '.join(TOLD_APART_BY)}"
        summed = charges.aggregate(f"{apart}, sum({_POSTED}) as {_POSTED}", apart)
        lines = summed.order(f"billing_period_start, {IN_ORDER}").to_arrow_table().to_pylist()
        return journal_table(lines, closes, read_reference(settings.reference), now)


def journal_table(
    lines: list[Row], closes: dict[date, int | None], book: ReferenceBook, known_at: datetime
) -> pa.Table:
    """Return the double entry of statement lines of billing periods.

    Args:
        lines: Sums of charges with `billing_period_start` and `effective_cost`, by billing period and in the order of
            statement lines.
        closes: Entry of the log of closes by first day of a billing period; None for open ones.
        book: Reference data, for accounts and legal entities.
        known_at: What was learned later is not known.

    Returns:
        `journal_schema`. A journal is named as its export is, but that of an open billing period `open`, where the
        export's has the number of the build.
    """
    rows = [
        row
        for start, held in groupby(lines, itemgetter("billing_period_start"))
        for row in _posted(start, list(held), closes.get(start), book, known_at)
    ]
    return pa.Table.from_pylist(rows, schema=journal_schema())


def _posted(start: date, lines: list[Row], close: int | None, book: ReferenceBook, known_at: datetime) -> Iterator[Row]:
    round_lines(lines, [_POSTED])
    period, posting_date = f"{start:%Y-%m}", BillingPeriod.of(start).end - timedelta(days=1)
    rules = AccountRules.on(book, posting_date, known_at)
    state = "open" if close is None else f"close-{close}"
    entry = double_entry(
        lines,
        rules,
        journal_id=f"{period}-{state}-accounts-{rules.version}",
        period=period,
        posting_date=posting_date,
    )
    for line in entry.lines:
        yield line | {"billing_period_start": start}
