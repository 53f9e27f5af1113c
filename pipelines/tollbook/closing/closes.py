"""The log of closes: which billing periods were closed, by whom, on what, and the files that were frozen.

`lake/closed/commits/<N>.json` is a numbered log. A soft close states what is accrued; a proposal asks for the hard
close; the close itself names the proposal, a second person and the frozen files below `lake/closed/<period>/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, entry_path, newest_number
from tollbook.rating.periods.calendar import BillingPeriod

CLOSED: Final = "closed"
OPEN, SOFT_CLOSED, PROPOSED, HARD_CLOSED = "open", "soft_closed", "proposed", "closed"
Step = Literal["soft_close", "proposal", "close"]
SOFT_CLOSE: Final = "soft_close"
PROPOSAL: Final = "proposal"
CLOSE: Final = "close"


class FrozenFile(msgspec.Struct, frozen=True, kw_only=True):
    """One frozen file.

    Attributes:
        role: What it holds: `charges`, `charge_origins`, `invoice_lines`, `lineage`, `accruals` or `statement_lines`.
        path: Path below the lake's folder, with `/`.
        rows: Rows in it.
        bytes: Size. Unit: Bytes.
        sha256: Digest of its bytes.
    """

    role: str
    path: str
    rows: int
    bytes: int
    sha256: str


class FrozenTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the frozen charges, unknown amounts taken for nothing.

    Attributes:
        charges: Charge lines.
        calls: Calls.
        tokens: Input and output tokens. Unit: Tokens.
        unpriced_calls: Calls of unknown cost; estimates stand for it.
        list_cost: List cost of usage. Unit: USD.
        contracted_cost: Contracted cost. Unit: USD.
        effective_cost: Effective cost. Unit: USD.
        billed_cost: What invoices say. Unit: USD.
    """

    charges: int
    calls: int
    tokens: int
    unpriced_calls: int
    list_cost: str
    contracted_cost: str
    effective_cost: str
    billed_cost: str


class CloseEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the log.

    Attributes:
        number: Its number, from 1.
        step: `soft_close`, `proposal` or `close`.
        period: Billing period, `YYYY-MM`.
        author: Who did it.
        reason: Why, in the words of who did it.
        recorded_at: When, UTC.
        digest: SHA-256 over the digests of the frozen files; two equal ones froze the same.
        build_number: Build whose published file was frozen.
        lake_commit: Newest commit of the lake that it holds: events of later commits do not belong to the close.
        rating_sequence: Newest rating that it holds.
        charge_sequence: Newest entry of the log of charges that it holds.
        adjustment_number: Newest entry of the log of disputes that it holds.
        reference_number: Entry of the recorded reference data in force, 0 for none.
        reference_version: Digest of these.
        catalogue_version: Price catalogue in force.
        billing_time_zone: Zone of the billing calendar.
        hand_overs: Amounts of the ledger that were compared, all equal.
        totals: Sums over the frozen charges.
        files: What was frozen.
        proposal: Entry that a close approves; None for other steps.
        proposed_by: Who proposed it.
    """

    number: int
    step: Step
    period: str
    author: str
    reason: str
    recorded_at: datetime
    digest: str
    build_number: int
    lake_commit: int
    rating_sequence: int
    charge_sequence: int
    adjustment_number: int
    reference_number: int
    reference_version: str
    catalogue_version: str
    billing_time_zone: str
    hand_overs: int
    totals: FrozenTotals
    files: list[FrozenFile]
    proposal: int | None = None
    proposed_by: str | None = None

    @property
    def start(self) -> date:
        """First day of the period."""
        return first_day(self.period)

    @property
    def days(self) -> BillingPeriod:
        """Days of the period."""
        return BillingPeriod.of(self.start)


@dataclass(frozen=True, slots=True)
class PeriodClose:
    """How far a billing period is closed.

    Attributes:
        period: Billing period, `YYYY-MM`.
        soft: Its newest soft close.
        proposal: Its newest proposal.
        close: Its hard close.
    """

    period: str
    soft: CloseEntry | None = None
    proposal: CloseEntry | None = None
    close: CloseEntry | None = None

    @property
    def state(self) -> str:
        """`open`, `soft_closed`, `proposed` or `closed`."""
        if self.close is not None:
            return HARD_CLOSED
        if self.proposal is not None:
            return PROPOSED
        return OPEN if self.soft is None else SOFT_CLOSED


@dataclass(frozen=True, slots=True)
class Closes:
    """All closes of a book, as the log tells them.

    Attributes:
        entries: Entries of the log, the oldest first.
    """

    entries: tuple[CloseEntry, ...] = ()

    @property
    def number(self) -> int:
        """Number of the newest entry, 0 where nothing was ever closed."""
        return self.entries[-1].number if self.entries else 0

    @property
    def hard_number(self) -> int:
        """Number of the newest entry that closed a period for good, 0 for none."""
        return max((entry.number for entry in self.entries if entry.step == CLOSE), default=0)

    def closed_since(self, number: int) -> list[CloseEntry]:
        """Return the hard closes after an entry, the oldest first."""
        return [entry for entry in self.entries if entry.step == CLOSE and entry.number > number]

    def of(self, period: str) -> PeriodClose:
        """Return how far a period is closed."""
        mine: dict[str, CloseEntry] = {entry.step: entry for entry in self.entries if entry.period == period}
        return PeriodClose(period, mine.get(SOFT_CLOSE), mine.get(PROPOSAL), mine.get(CLOSE))

    def periods(self) -> list[PeriodClose]:
        """Return the periods that the log names, in order."""
        return [self.of(period) for period in sorted({entry.period for entry in self.entries})]

    def hard(self) -> list[CloseEntry]:
        """Return the hard closes, by period."""
        return sorted((entry for entry in self.entries if entry.step == CLOSE), key=lambda entry: entry.period)

    def open_start(self) -> date | None:
        """Return the first day of the first period that is not closed, None while none is.

        Periods are closed in order, so all before it are.
        """
        closed = self.hard()
        return closed[-1].days.end if closed else None

    def is_closed(self, day: date) -> bool:
        """Say whether a day of the billing calendar lies in a closed period."""
        start = self.open_start()
        return start is not None and day < start

    def files(self) -> Iterator[FrozenFile]:
        """Yield the files that hard closes froze."""
        for entry in self.hard():
            yield from entry.files


def closes_log(lake: Path) -> Path:
    """Return the folder of the log."""
    return lake / CLOSED / "commits"


def newest_close(lake: Path) -> int:
    """Return the number of the newest entry, 0 when there is none."""
    return newest_number(closes_log(lake))


def read_closes(lake: Path) -> Closes:
    """Return all closes of a lake.

    Raises:
        CorruptManifestError: An entry is missing or cannot be read.
    """
    return Closes(tuple(_decoded(lake, entries_after(closes_log(lake), 0))))


def append_close(lake: Path, entry: CloseEntry) -> None:
    """Make an entry part of the book.

    Raises:
        CommitConflictError: Its number is taken.
    """
    append(closes_log(lake), entry.number, msgspec.json.encode(entry))


def first_day(period: str) -> date:
    """Return the first day of a period that is told as `YYYY-MM`."""
    return date.fromisoformat(f"{period}-01")


def period_name(start: date) -> str:
    """Return the name of a period, `YYYY-MM`."""
    return f"{start:%Y-%m}"


def _decoded(lake: Path, entries: Iterable[tuple[int, bytes]]) -> Iterator[CloseEntry]:
    for number, encoded in entries:
        try:
            yield msgspec.json.decode(encoded, type=CloseEntry)
        except msgspec.MsgspecError as broken:
            path = entry_path(closes_log(lake), number)
            raise CorruptManifestError(f"expected an entry of the log of closes at {path}, got: {broken}") from broken
