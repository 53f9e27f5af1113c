"""Closing a billing period: softly, by a proposal, and for good by a second person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import duckdb

from tollbook.closing.adjustments import newest_adjustment, read_adjustments
from tollbook.closing.closes import (
    CLOSE,
    HARD_CLOSED,
    PROPOSAL,
    SOFT_CLOSE,
    CloseEntry,
    Closes,
    Step,
    append_close,
    closes_log,
    read_closes,
)
from tollbook.closing.findings import PeriodFacts, against_hard_close, against_soft_close
from tollbook.closing.freeze import Frozen, freeze
from tollbook.closing.frozen import refuse_changed, write_frozen
from tollbook.closing.policy import closing_policy
from tollbook.errors import ApprovalError, CloseRefusedError, NothingPublishedError
from tollbook.lake.log import log_lock
from tollbook.rating.book import PriceBook
from tollbook.rating.periods.charges import newest_charges
from tollbook.reconcile.findings import unreconciled
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.reference.dated.recorded import newest_reference
from tollbook.settings import Settings
from tollbook.warehouse.period_charges import charges_are_current
from tollbook.warehouse.publish import PUBLISHED
from tollbook.warehouse.status import warehouse_status

Clock = Callable[[], datetime]
_BUILD: Final = "run `tollbook warehouse build` first"


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """Who closes what, and why.

    Attributes:
        period: Billing period, `YYYY-MM`.
        author: Who does it.
        reason: Why.
    """

    period: str
    author: str
    reason: str


def soft_close(settings: Settings, request: CloseRequest, *, clock: Clock = lambda: datetime.now(UTC)) -> CloseEntry:
    """State what a period is charged and what is accrued, before invoices are there; it may be done again.

    Raises:
        CloseRefusedError: Something stands against it.
        NothingPublishedError: There is no published file yet.
    """
    with _closing(settings, request, clock) as at:
        _refuse(request, "softly ", against_soft_close(at.facts))
        return at.append(SOFT_CLOSE)


def propose_close(settings: Settings, request: CloseRequest, *, clock: Clock = lambda: datetime.now(UTC)) -> CloseEntry:
    """Freeze a period and ask for its close; a second person approves it.

    Raises:
        CloseRefusedError: Something stands against it.
        NothingPublishedError: There is no published file yet.
    """
    with _closing(settings, request, clock) as at:
        _refuse(request, "", _against(settings, at.facts))
        return at.append(PROPOSAL)


def approve_close(settings: Settings, request: CloseRequest, *, clock: Clock = lambda: datetime.now(UTC)) -> CloseEntry:
    """Close a period for good, as it was proposed by another.

    What is frozen are the files of the proposal; if the published file holds anything else by now, a new proposal is
    asked for. The period never opens again.

    Raises:
        ApprovalError: It was not proposed, or by the one who approves, or the policy names others.
        CloseRefusedError: Something stands against it, or it has changed since it was proposed.
        CorruptManifestError: The files of the proposal are not as they were written.
    """
    with _closing(settings, request, clock) as at:
        proposal = at.facts.closes.of(request.period).proposal
        if proposal is None:
            raise ApprovalError(f"expected a proposed close of {request.period}, found none: propose it first")
        what = f"the close of {request.period}"
        closing_policy(settings).refuse_approver(request.author, asked_by=proposal.author, what=what)
        _refuse(request, "", _against(settings, at.facts))
        refuse_changed(settings.lake, proposal.files)
        if at.frozen.digest != proposal.digest:
            raise CloseRefusedError(
                f"expected {request.period} as {proposal.author} proposed it (digest {proposal.digest[:16]}), but it "
                f"has changed since (digest {at.frozen.digest[:16]}): propose it again"
            )
        return at.append(CLOSE, proposal=proposal)


@dataclass(frozen=True, slots=True)
class _Closing:
    """A step of a close at work."""

    settings: Settings
    request: CloseRequest
    facts: PeriodFacts
    frozen: Frozen
    stamp: dict[str, Any]

    def append(self, step: Step, *, proposal: CloseEntry | None = None) -> CloseEntry:
        """Write the files and the entry; return it."""
        lake, number = self.settings.lake, self.facts.closes.number + 1
        files = (
            write_frozen(lake, self.frozen.contents, self.frozen.rows, period=self.request.period, number=number)
            if proposal is None
            else proposal.files
        )
        reference = newest_reference(lake)
        ((hand_overs,),) = self.facts.rows("select count(*) from audit.fct_ledger_balance")
        entry = CloseEntry(
            number=number,
            step=step,
            period=self.request.period,
            author=self.request.author,
            reason=self.request.reason,
            recorded_at=self.facts.now,
            digest=self.frozen.digest,
            build_number=self.stamp["build_number"],
            lake_commit=self.stamp["built_commit"],
            rating_sequence=self.stamp["built_rating"],
            charge_sequence=newest_charges(lake),
            adjustment_number=newest_adjustment(lake),
            reference_number=0 if reference is None else reference.number,
            reference_version="" if reference is None else reference.version,
            catalogue_version=PriceBook.load(self.settings).version,
            billing_time_zone=self.facts.calendar.time_zone,
            hand_overs=hand_overs,
            totals=self.frozen.totals,
            files=files,
            proposal=None if proposal is None else proposal.number,
            proposed_by=None if proposal is None else proposal.author,
        )
        append_close(lake, entry)
        return entry


@contextmanager
def _closing(settings: Settings, request: CloseRequest, clock: Clock) -> Iterator[_Closing]:
    """Hold the log of closes, and give what a step needs."""
    lake, now = settings.lake, clock()
    with log_lock(closes_log(lake), wait=True):
        closes = read_closes(lake)
        _refuse_closed(closes, request)
        status = warehouse_status(settings)
        if status.published_version is None:
            raise NothingPublishedError(f"expected a published file in {settings.serve}, found none: {_BUILD}")
        with duckdb.connect((settings.serve / PUBLISHED).resolve(), read_only=True) as published:
            published.execute("set TimeZone = 'UTC'")
            answer = published.execute("from audit.publication")
            stamp = dict(zip((column[0] for column in answer.description), answer.fetchall()[0], strict=True))
            if not status.current or not charges_are_current(settings, now, closing_build=stamp["build_number"]):
                raise CloseRefusedError(
                    f"expected a published file that holds everything up to commit {status.lake_commit}, rating "
                    f"{status.lake_rating} and the reference data in use, found one of commit "
                    f"{status.published_commit}: {_BUILD}"
                )
            frozen = freeze(settings, published, request.period)
            facts = PeriodFacts(
                published=published,
                period=request.period,
                closes=closes,
                adjustments=read_adjustments(lake),
                calendar=billing_calendar(settings),
                now=now,
            )
            yield _Closing(settings, request, facts, frozen, stamp)


def _against(settings: Settings, facts: PeriodFacts) -> Iterator[str]:
    """Yield in words what stands against a hard close."""
    yield from against_hard_close(facts)
    tolerance = closing_policy(settings).tolerance
    for residual in unreconciled(facts.published, facts.start, tolerance=tolerance):
        yield residual.message


def _refuse_closed(closes: Closes, request: CloseRequest) -> None:
    held = closes.of(request.period)
    if held.state == HARD_CLOSED and held.close is not None:
        raise CloseRefusedError(
            f"expected an open billing period, but {held.close.author} closed {request.period} at "
            f"{held.close.recorded_at:%Y-%m-%d %H:%M} UTC; closed periods never open again, what is found out later "
            "becomes corrections"
        )


def _refuse(request: CloseRequest, how: str, findings: Iterable[str]) -> None:
    told = tuple(findings)
    if told:
        raise CloseRefusedError(f"expected {request.period} to be ready to close {how}but:".replace("  ", " "), told)
