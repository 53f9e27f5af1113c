"""The second pass over all contracts: from days of standing usage to the charges of every billing period begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.contract_terms import (
    CommittedUse,
    Contract,
    PrepaidCredit,
    SpendCommitment,
    Term,
    VolumeTiers,
)
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar, BillingPeriod, billing_periods
from tollbook.rating.periods.charges import Scope, charge_table
from tollbook.rating.periods.commitments import charge_committed_use, charge_spend_commitment
from tollbook.rating.periods.credits import charge_credits
from tollbook.rating.periods.lines import Lines
from tollbook.rating.periods.totals import ChargedByVersion, Usage, usage_of
from tollbook.rating.periods.volume import charge_volume


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the terms of contracts come to.

    Attributes:
        charges: `charge/v1`, shape (n_charges,).
        scopes: Everything that was looked at: what has no rows in `charges` has none.
    """

    charges: pa.Table
    scopes: tuple[Scope, ...]


def assess(
    totals: pa.Table,
    contracts: Sequence[Contract],
    book: PriceBook,
    charged: ChargedByVersion,
    *,
    now: datetime,
    calendar: BillingCalendar = UTC_CALENDAR,
) -> Assessment:
    """Return the charges of every billing period that has begun.

    The order is that of the schema of contracts: volume tiers, committed use, spend commitments, prepaid credits, each
    on what those before it leave to pay. The same input gives the same charges.

    Args:
        totals: `TOTALS_SCHEMA`, all days of standing usage that contracts cover, shape (n_rows,).
        contracts: Contracts in force.
        book: Names of providers and models, and exchange rates, as they are now.
        charged: Prices by which the usage was charged, by the version that it bears.
        now: Fees are due when their period has begun, a shortfall and an expiry when their time has ended.
        calendar: Billing calendar: dates of contracts and of `totals` are days in it.
    """
    rows = []
    scopes = []
    for contract in contracts:
        if not contract.period_terms:
            continue
        versions = {"contract_version": contract.version, "catalogue_version": book.version}
        lines = Lines(contract, book.exchange, now, versions, calendar)
        _assess(lines, usage_of(contract, totals, book, charged, calendar))
        rows += lines.rows
        scopes += [
            Scope(contract.contract_id, term.term_id, calendar.begins(period.start))
            for term in contract.period_terms
            for period in _touched(term, lines)
        ]
    return Assessment(charge_table(rows), tuple(scopes))


def _assess(lines: Lines, usage: Usage) -> None:
    terms = lines.contract.period_terms
    for term in terms:
        if isinstance(term.body, VolumeTiers):
            for period in _touched(term, lines):
                charge_volume(lines, usage, term, term.body, period)
    for term in terms:
        if isinstance(term.body, CommittedUse):
            for period in _touched(term, lines):
                charge_committed_use(lines, usage, term, term.body, period)
    for term in terms:
        if isinstance(term.body, SpendCommitment):
            charge_spend_commitment(lines, usage, term, term.body, _touched(term, lines))
    charge_credits(lines, usage, terms)


def _touched(term: Term, lines: Lines) -> list[BillingPeriod]:
    """Return the billing periods that a term touches and that have begun; a credit's go on until it expires."""
    beyond = term.valid_to or date.max
    if isinstance(term.body, PrepaidCredit):
        beyond = max(beyond, term.body.expires_on or beyond)
    today = lines.calendar.day_at(lines.now)
    return list(billing_periods(term.valid_from, min(beyond, date.fromordinal(today.toordinal() + 1))))
