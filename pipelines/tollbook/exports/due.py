"""Which exports of a billing period are there, and which are late; whether the period is closed likewise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tollbook.errors import ExportLateError, MisuseError, NothingPublishedError, QueryError
from tollbook.exports.focus.export import FOCUS
from tollbook.exports.folder import MANIFEST
from tollbook.exports.journal import JOURNAL
from tollbook.exports.statements import STATEMENTS
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings
from tollbook.warehouse.query import ask

CLOSE: Final = "close"
EXPORTS: Final = (STATEMENTS, JOURNAL, FOCUS)
AWAITED: Final = (*EXPORTS, CLOSE)
LAST: Final = "last"
DONE, DUE, LATE = "done", "due", "late"
_PERIOD: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_DAYS: Final = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Awaited:
    """One thing that a billing period has to have.

    Attributes:
        what: `close`, or which export.
        state: `done`, `due` when there is still time, `late` otherwise.
        versions: Versions that are there, oldest first; of a close its number.
        due_on: Day on which it has to be there when it begins.
    """

    what: str
    state: str
    versions: tuple[str, ...]
    due_on: date

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "what": self.what,
            "state": self.state,
            "versions": list(self.versions),
            "due_on": self.due_on.isoformat(),
        }


def named_period(settings: Settings, period: str, now: datetime) -> str:
    """Return a billing period by its name, where `last` is the one that ended last.

    Args:
        settings: Where the book lives.
        period: `YYYY-MM`, or `last`.
        now: The present, with a time zone.

    Raises:
        MisuseError: It is neither.
        ReferenceDataError: The billing calendar has a fault.
    """
    if period == LAST:
        running = billing_calendar(settings).period_at(now)
        return f"{running.start - timedelta(days=1):%Y-%m}"
    if not _PERIOD.fullmatch(period):
        raise MisuseError(f"expected a billing period such as 2026-08, or `last`, got {period!r}")
    return period


def due_day(period: str, due: str) -> date:
    """Return the day on which something of a billing period has to be there.

    Args:
        period: `YYYY-MM`.
        due: A day, `YYYY-MM-DD`, or how many days after the first one behind the period.

    Raises:
        MisuseError: It is neither.
    """
    if _DAYS.fullmatch(due):
        return BillingPeriod.of(date.fromisoformat(f"{period}-01")).end + timedelta(days=int(due))
    try:
        return date.fromisoformat(due)
    except ValueError as fault:
        raise MisuseError(f"expected a day such as 2026-09-05, or days after the period's end, got {due!r}") from fault


def awaited(settings: Settings, period: str, due_on: date, of: Sequence[str], now: datetime) -> list[Awaited]:
    """Return what a billing period has to have, and whether it has.

    Args:
        settings: Where the book lives.
        period: `YYYY-MM`.
        due_on: Day of the billing calendar with whose beginning it is late.
        of: Some of `AWAITED`; empty for the exports.
        now: The present, with a time zone.

    Raises:
        MisuseError: Something else is asked for.
        ReferenceDataError: The billing calendar has a fault.
    """
    for each in of:
        if each not in AWAITED:
            raise MisuseError(f"expected one of {', '.join(AWAITED)}, got {each!r}")
    open_state = LATE if now >= billing_calendar(settings).begins(due_on) else DUE
    told = []
    for what in of or EXPORTS:
        versions = tuple(_closes(settings, period) if what == CLOSE else _versions(settings.exports / what / period))
        told.append(Awaited(what, DONE if versions else open_state, versions, due_on))
    return told


def refuse_late(period: str, states: Iterable[Awaited]) -> None:
    """Refuse when something is late.

    Raises:
        ExportLateError: It names what, and since when.
    """
    late = [each for each in states if each.state == LATE]
    if late:
        what = ", ".join(each.what for each in late)
        raise ExportLateError(f"expected {what} of {period} before {late[0].due_on} began, found none", period)


def _versions(folder: Path) -> Iterator[str]:
    """Yield the versions that are there whole: a manifest is written with all files or not at all."""
    held = []
    for path in folder.glob(f"[!.]*/{MANIFEST}"):
        facts = json.loads(path.read_bytes())
        held.append((facts["built_at"], path.parent.name))
    yield from (name for _, name in sorted(held))


def _closes(settings: Settings, period: str) -> Iterator[str]:
    try:
        rows = ask(
            settings,
            "select close_number from finance.dim_billing_periods "
            f"where billing_period_start = date '{period}-01' and period_state = 'closed'",
        ).rows
    except (NothingPublishedError, QueryError):
        return
    yield from (f"close-{number}" for (number,) in rows)
