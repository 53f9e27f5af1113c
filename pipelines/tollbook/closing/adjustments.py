"""Disputes of charge lines, what was decided of them, and adjustments that an approver makes.

`lake/adjustments/commits/<N>.json` is a numbered log. What is upheld moves an amount from the team of a line to another
one: both sides become charges of the period that was open then, so that the whole stays what the vendor is owed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import msgspec

from tollbook.errors import CorruptManifestError, MisuseError
from tollbook.lake.log import append, entries_after, entry_path, newest_number

TABLE: Final = "adjustments"
Step = Literal["opened", "upheld", "rejected", "adjusted"]
OPENED: Final = "opened"
UPHELD: Final = "upheld"
REJECTED: Final = "rejected"
ADJUSTED: Final = "adjusted"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Who bears a line.

    Attributes:
        team: Team.
        cost_center: Cost centre.
        business_unit: Business unit.
        workflow: Workflow.
    """

    team: str
    cost_center: str
    business_unit: str
    workflow: str


class AdjustmentEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the log.

    Attributes:
        number: Its number, from 1; of an opened dispute the number by which it is known.
        step: `opened`, `upheld`, `rejected` or `adjusted`.
        charge_id: Line that it is about.
        period: Billing period of the line, `YYYY-MM`.
        team: Team that bears the line.
        author: Who did it.
        reason: Why, in the words of who did it.
        recorded_at: When, UTC.
        dispute: Dispute that is decided; None for others.
        currency: Currency of `amount`, the line's pricing currency.
        amount: What moves. Unit: `currency`. None where nothing does.
        from_place: Whose it was.
        to_place: Whose it is.
        obligation: What an invoice for the line settles.
        billed_by: Who sends that invoice.
        posted_period: Period that takes it, `YYYY-MM`.
    """

    number: int
    step: Step
    charge_id: str
    period: str
    team: str
    author: str
    reason: str
    recorded_at: datetime
    dispute: int | None = None
    currency: str | None = None
    amount: str | None = None
    from_place: Place | None = None
    to_place: Place | None = None
    obligation: str | None = None
    billed_by: str | None = None
    posted_period: str | None = None

    @property
    def moved(self) -> Decimal | None:
        """What moves, None where nothing does."""
        return None if self.amount is None else Decimal(self.amount)


@dataclass(frozen=True, slots=True)
class Adjustments:
    """Every entry of the log.

    Attributes:
        entries: The oldest first.
    """

    entries: tuple[AdjustmentEntry, ...] = ()

    @property
    def number(self) -> int:
        """Number of the newest entry, 0 for none."""
        return self.entries[-1].number if self.entries else 0

    @property
    def moved_number(self) -> int:
        """Number of the newest entry that moves an amount, 0 for none."""
        return max((entry.number for entry in self.moves()), default=0)

    def up_to(self, number: int) -> Adjustments:
        """Return the entries up to a number."""
        return Adjustments(self.entries[:number])

    def decision(self, dispute: int) -> AdjustmentEntry | None:
        """Return what was decided of a dispute, None while it is open."""
        return next((entry for entry in self.entries if entry.dispute == dispute), None)

    def disputes(self) -> Iterator[AdjustmentEntry]:
        """Yield the disputes that were opened, decided ones among them."""
        yield from (entry for entry in self.entries if entry.step == OPENED)

    def open_disputes(self, period: str | None = None) -> list[AdjustmentEntry]:
        """Return the disputes that nobody has decided, of one period or all."""
        return [
            entry for entry in self.disputes() if self.decision(entry.number) is None and period in {None, entry.period}
        ]

    def dispute(self, number: int) -> AdjustmentEntry:
        """Return an open dispute.

        Raises:
            MisuseError: There is none of the number, or it was decided.
        """
        found = next((entry for entry in self.disputes() if entry.number == number), None)
        if found is None:
            raise MisuseError(f"expected the number of a dispute, got {number}: `tollbook dispute list` shows them")
        decided = self.decision(number)
        if decided is not None:
            raise MisuseError(f"expected an open dispute, but {decided.author} decided {number}: {decided.step}")
        return found

    def moved_of(self, charge_id: str) -> Decimal:
        """Return what was moved of a line in all. Unit: the line's pricing currency."""
        return sum((entry.moved or Decimal(0) for entry in self.moves() if entry.charge_id == charge_id), Decimal(0))

    def moves(self) -> Iterator[AdjustmentEntry]:
        """Yield the entries that move an amount."""
        yield from (entry for entry in self.entries if entry.moved)


NO_ADJUSTMENTS: Final = Adjustments()
"""What a book has in which nothing was disputed or adjusted."""


def adjustments_log(lake: Path) -> Path:
    """Return the folder of the log."""
    return lake / TABLE / "commits"


def newest_adjustment(lake: Path) -> int:
    """Return the number of the newest entry, 0 when there is none."""
    return newest_number(adjustments_log(lake))


def read_adjustments(lake: Path) -> Adjustments:
    """Return all disputes and adjustments of a lake.

    Raises:
        CorruptManifestError: An entry is missing or cannot be read.
    """
    entries = []
    for number, encoded in entries_after(adjustments_log(lake), 0):
        try:
            entries.append(msgspec.json.decode(encoded, type=AdjustmentEntry))
        except msgspec.MsgspecError as broken:
            path = entry_path(adjustments_log(lake), number)
            raise CorruptManifestError(f"expected an entry of the log of disputes at {path}, got: {broken}") from broken
    return Adjustments(tuple(entries))


def append_adjustment(lake: Path, entry: AdjustmentEntry) -> None:
    """Make an entry part of the book.

    Raises:
        CommitConflictError: Its number is taken.
    """
    append(adjustments_log(lake), entry.number, msgspec.json.encode(entry))


def posting_day(entry: AdjustmentEntry) -> date:
    """Return the first day of the period that takes what an entry moves.

    Raises:
        ValueError: It moves nothing.
    """
    if entry.posted_period is None:
        raise ValueError(f"expected an entry that moves an amount, got {entry.number}")
    return date.fromisoformat(f"{entry.posted_period}-01")
