"""The statement lines of a billing period, read from the published file and rounded."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tollbook.chargeback.statement_lines import COSTS, IN_ORDER, TOLD_APART_BY, UNKNOWNS, Row, line_id_of, round_lines
from tollbook.errors import MisuseError, OutdatedPublicationError, QueryError
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED
from tollbook.warehouse.query import ask, ask_each

_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class PublishedPeriod:
    """A billing period as one build published it.

    Attributes:
        period: The billing period, `YYYY-MM`.
        days: Its days of the billing calendar.
        build_number: Build that made the marts.
        built_commit: Newest commit of the lake that they hold.
        built_at: When they were made, UTC.
    """

    period: str
    days: BillingPeriod
    build_number: int
    built_commit: int
    built_at: datetime

    @classmethod
    def of(cls, period: str, row: Row) -> PublishedPeriod:
        """Return a billing period of the publication that a row of `audit.publication` tells of."""
        days = BillingPeriod.of(_start(period))
        return cls(period, days, row["build_number"], row["built_commit"], row["built_at"])

    @property
    def version(self) -> str:
        """Name of the build among versions of the period."""
        return f"build-{self.build_number}"

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for a manifest."""
        return {
            "billing_period": self.period,
            "billing_period_start": self.days.start.isoformat(),
            "billing_period_end": self.days.end.isoformat(),
            "build_number": self.build_number,
            "built_commit": self.built_commit,
            "built_at": self.built_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class PeriodLines(PublishedPeriod):
    """The statement lines of a billing period as one build published it.

    The lines of a closed period are the same in every build after its close, and so is their version.

    Attributes:
        lines: `statement_line/v1`, by team and currency; one at least.
        close_number: Entry of the log of closes that closed the period; None while it is open.
    """

    lines: list[Row]
    close_number: int | None = None

    @property
    def version(self) -> str:
        """Name of the close, else of the build, among versions of the period."""
        return f"build-{self.build_number}" if self.close_number is None else f"close-{self.close_number}"


def read_period(settings: Settings, period: str) -> PeriodLines:
    """Return the statement lines of a billing period, all from one published file.

    Args:
        settings: Where the book lives.
        period: The billing period, `YYYY-MM`.

    Raises:
        MisuseError: It is no period, or nothing was charged in it.
        NothingPublishedError: There is no published file yet.
        OutdatedPublicationError: The published file is of a version that had no such charges.
    """
    rows, (told,) = read_published(settings, period, _lines, _publication)
    lines = [{"statement_line_id": line_id_of(period, row), "billing_period": period} | row for row in rows]
    round_lines(lines)
    return PeriodLines(
        period=period,
        days=BillingPeriod.of(_start(period)),
        build_number=told["build_number"],
        built_commit=told["built_commit"],
        built_at=told["built_at"],
        lines=lines,
        close_number=told["close_number"],
    )


def read_published(settings: Settings, period: str, *questions: Callable[[date], str]) -> list[list[Row]]:
    """Return the rows of questions about a billing period, all from one published file.

    Args:
        settings: Where the book lives.
        period: The billing period, `YYYY-MM`.
        questions: Each makes SQL of the first day of the period; the first is about its charges.

    Returns:
        Rows by question; those of the first are one at least.

    Raises:
        MisuseError: It is no period, or nothing was charged in it.
        NothingPublishedError: There is no published file yet.
        OutdatedPublicationError: The published file is of a version that had no such charges.
    """
    if not _PERIOD.fullmatch(period):
        raise MisuseError(f"expected a billing period such as 2026-08, got {period!r}")
    try:
        answers = ask_each(settings, [question(_start(period)) for question in questions])
        if not answers[0].rows:
            known = ask(settings, "select distinct billing_period_start from finance.fct_charges order by all").rows
            told = ", ".join(f"{day:%Y-%m}" for (day,) in known) or "none"
            raise MisuseError(f"expected a billing period with charges (published: {told}), got {period}")
    except QueryError as fault:
        published = (settings.serve / PUBLISHED).resolve()
        raise OutdatedPublicationError(
            f"expected charges as this version makes them in {published}, built by an older version: "
            f"run `tollbook warehouse build` ({str(fault).splitlines()[0]})"
        ) from fault
    return [[dict(zip(answer.columns, row, strict=True)) for row in answer.rows] for answer in answers]


def by_team(lines: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield each team and its lines, in the order of the lines."""
    held: defaultdict[str, list[Row]] = defaultdict(list)
    for line in lines:
        held[line["team"]].append(line)
    yield from held.items()


def _start(period: str) -> date:
    return date.fromisoformat(f"{period}-01")


def _lines(start: date) -> str:
    apart = ", ".join(TOLD_APART_BY)
    sums = ", ".join(
        f"sum({cost}) as {cost}, count(*) filter (where {cost} is null) as {UNKNOWNS[cost]}" for cost in COSTS
    )
    return (
        f"select {apart}, sum(calls) as calls, sum(unpriced_calls) as unpriced_calls, {sums} from finance.fct_charges "
        f"where billing_period_start = date '{start}' group by all order by {IN_ORDER}"
    )


def _publication(start: date) -> str:
    closed = f"select max(close_number) from finance.dim_billing_periods where billing_period_start = date '{start}'"
    return f"select build_number, built_commit, built_at, ({closed}) as close_number from audit.publication"
