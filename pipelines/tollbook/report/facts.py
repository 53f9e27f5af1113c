"""What the page shows, asked of the published file. Costs are list costs in USD, periods those of the calendar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tollbook.errors import NothingPublishedError
from tollbook.report import queries
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED

Cost = Decimal | None
"""List cost; None when no call behind it has a known price. Unit: USD."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Publication:
    """The version of the book that was asked.

    Attributes:
        version: Name of its file.
        built_commit: Newest commit of the lake that it holds.
        built_at: When its marts were made, UTC.
    """

    version: str
    built_commit: int
    built_at: datetime


@dataclass(frozen=True, slots=True)
class Month:
    """One billing period.

    Attributes:
        start: Its first day.
        last_day: Last of its days with a call.
        is_whole: Whether that is its very last day.
        calls: Calls that stand.
        unpriced_calls: Calls whose price is unknown; `list_cost` leaves them out.
        total_tokens: Input and output. Unit: Tokens.
        unpriced_tokens: Tokens of the unpriced calls.
        list_cost: Cost of the priced calls.
        tasks: Tasks that began in it.
        task_tokens: Tokens of these tasks, until they end. Unit: Tokens.
        task_cost: Cost of these tasks, until they end.
    """

    start: date
    last_day: date
    is_whole: bool
    calls: int
    unpriced_calls: int
    total_tokens: int
    unpriced_tokens: int
    list_cost: Cost
    tasks: int
    task_tokens: int
    task_cost: Cost

    @property
    def price_of_million(self) -> Decimal | None:
        """What a million tokens cost on average, of the calls whose price is known. Unit: USD/1000000 Tokens."""
        priced = self.total_tokens - self.unpriced_tokens
        return None if self.list_cost is None or priced <= 0 else self.list_cost * _MILLION / priced

    @property
    def tokens_per_task(self) -> int | None:
        """Tokens of a task on average, rounded down."""
        return self.task_tokens // self.tasks if self.tasks else None

    @property
    def cost_of_task(self) -> Cost:
        """Cost of a task on average."""
        return self.task_cost / self.tasks if self.task_cost is not None and self.tasks else None


@dataclass(frozen=True, slots=True)
class Charge:
    """What one row of a chargeback table says, month by month.

    Attributes:
        names: Team and cost centre, or team and workflow.
        costs: Cost in each month of the book, in order.
        list_cost: Cost in all of them.
        calls: Calls that stand.
        unpriced_calls: Calls whose price is unknown.
        total_tokens: Input and output. Unit: Tokens.
    """

    names: tuple[str, str]
    costs: tuple[Cost, ...]
    list_cost: Cost
    calls: int
    unpriced_calls: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What was used of one model."""

    model: str
    providers: str
    calls: int
    unpriced_calls: int
    total_tokens: int
    list_cost: Cost


@dataclass(frozen=True, slots=True)
class Task:
    """One of the dearest tasks."""

    task_id: str
    workflow: str
    team: str
    started_at: datetime
    calls: int
    agents: int
    total_tokens: int
    list_cost: Cost


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks that ended alike.

    Attributes:
        kind: `outcome`, as told by the caller, or `calls`, by whether a call failed.
        name: The outcome, None when none was told; or `some failed` and `none failed`.
        tasks: How many.
        calls: Their calls.
        total_tokens: Unit: Tokens.
        list_cost: Cost of all of them.
    """

    kind: str
    name: str | None
    tasks: int
    calls: int
    total_tokens: int
    list_cost: Cost


@dataclass(frozen=True, slots=True)
class HandOver:
    """One hand-over of the ledger: what went in and what came out, by measure.

    Attributes:
        name: From what to what.
        amounts: Measure to amount in, amount out (listed ones included), and of that amount listed.
        differences: How many of its amounts differ.
    """

    name: str
    amounts: dict[str, tuple[Decimal, Decimal, Decimal]]
    differences: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the page shows.

    Attributes:
        publication: Which version of the book it is.
        months: Billing periods, in order.
        by_team: Team and cost centre, dearest first.
        by_workflow: Team and workflow, dearest first.
        days: Day to cost, every day from the first to the last; None where nothing is known.
        models: Models, dearest first.
        tasks: The dearest tasks.
        task_groups: Tasks by how they ended.
        records: Records read, and what became of them, by state.
        hand_overs: The ledger balance.
        compared: Amounts that the balance compares.
    """

    publication: Publication
    months: tuple[Month, ...]
    by_team: tuple[Charge, ...]
    by_workflow: tuple[Charge, ...]
    days: tuple[tuple[date, Cost], ...]
    models: tuple[ModelUse, ...]
    tasks: tuple[Task, ...]
    task_groups: tuple[TaskGroup, ...]
    records: dict[str, int]
    hand_overs: tuple[HandOver, ...]
    compared: int

    @property
    def is_balanced(self) -> bool:
        """Whether every hand-over gives out what it took in."""
        return not any(each.differences for each in self.hand_overs)

    @property
    def whole(self) -> Charge:
        """All months together."""
        return Charge(
            ("", ""),
            tuple(month.list_cost for month in self.months),
            known_sum(month.list_cost for month in self.months),
            sum(month.calls for month in self.months),
            sum(month.unpriced_calls for month in self.months),
            sum(month.total_tokens for month in self.months),
        )


def known_sum(costs: Iterable[Cost]) -> Cost:
    """Return the sum of the known costs, None when none is known."""
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known else None


def published_file(settings: Settings) -> Path:
    """Return the file that `serve/tollbook.duckdb` names now.

    The link is resolved for each opening: a process that opened the link's own path before would see the old file.

    Raises:
        NothingPublishedError: There is no published file yet.
    """
    path = settings.serve / PUBLISHED
    if not path.exists():
        raise NothingPublishedError(f"expected a published file at {path}, found none: run `tollbook warehouse build`")
    return path.resolve()


def read_facts(settings: Settings) -> Facts:
    """Return what the published book says; all of it from one version.

    Raises:
        NothingPublishedError: There is no published file yet.
    """
    path = published_file(settings)
    with duckdb.connect(path, read_only=True) as book:
        book.execute("set TimeZone = 'UTC'")
        months = _months(book)
        starts = [month.start for month in months]
        return Facts(
            publication=Publication(path.name, *_rows(book, queries.PUBLICATION)[0]),
            months=months,
            by_team=_charges(book, "fct_chargeback_by_team", "team", "cost_center", starts),
            by_workflow=_charges(book, "fct_chargeback_by_workflow", "team", "workflow", starts),
            days=tuple(_rows(book, queries.DAYS)),
            models=tuple(ModelUse(*row) for row in _rows(book, queries.MODELS)),
            tasks=tuple(Task(*row) for row in _rows(book, queries.TASKS)),
            task_groups=tuple(TaskGroup(*row) for row in _rows(book, queries.TASK_GROUPS)),
            records=dict(_rows(book, queries.RECORDS)),
            hand_overs=_hand_overs(book),
            compared=_rows(book, "select count(*) from audit.fct_ledger_balance")[0][0],
        )


def _rows(book: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return book.execute(query).fetchall()


def _months(book: duckdb.DuckDBPyConnection) -> tuple[Month, ...]:
    return tuple(Month(*row) for row in _rows(book, queries.MONTHS))


def _charges(
    book: duckdb.DuckDBPyConnection, table: str, first: str, second: str, starts: Sequence[date]
) -> tuple[Charge, ...]:
    """Return the rows of a chargeback table with their months side by side."""
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for names in _rows(
        book,
        f"""
        select
            {first},
            {second},
            billing_period_start,
            cast(sum(list_cost) as decimal(38, 12)),
            cast(sum(calls) as bigint),
            cast(sum(unpriced_calls) as bigint),
            cast(coalesce(sum(total_tokens), 0) as bigint)
        from finance.{table}
        group by all
        having sum(calls) > 0
        order by all
        """,
    ):
        found.setdefault(names[:2], []).append(names[2:])
    charges = []
    for (one, other), rows in found.items():
        costs = {start: cost for start, cost, *_ in rows}
        charges.append(
            Charge(
                (one, other),
                tuple(costs.get(start) for start in starts),
                known_sum(costs.values()),
                *(sum(row[position] for row in rows) for position in (2, 3, 4)),
            )
        )
    return tuple(sorted(charges, key=lambda charge: (-(charge.list_cost or Decimal(0)), charge.names)))


def _hand_overs(book: duckdb.DuckDBPyConnection) -> tuple[HandOver, ...]:
    amounts: dict[str, dict[str, tuple[Decimal, Decimal, Decimal]]] = {}
    differences: dict[str, int] = {}
    for name, measure, amount_in, amount_out, listed, differing in _rows(book, queries.BALANCE):
        amounts.setdefault(name, {})[measure] = (amount_in, amount_out, listed)
        differences[name] = differences.get(name, 0) + differing
    return tuple(HandOver(name, each, differences[name]) for name, each in amounts.items())
