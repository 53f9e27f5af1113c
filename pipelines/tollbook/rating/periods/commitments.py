"""Committed use and spend commitments: fees, what they include, what goes beyond, and promises that were not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby

from tollbook.rating.contract_terms import TERM, CommittedUse, SpendCommitment, Step, Term
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.rating.periods.charged import Amount
from tollbook.rating.periods.lines import MILLION, PICO, Lines, Sums, last_day, percent
from tollbook.rating.periods.totals import Usage
from tollbook.rating.periods.volume import Stretch, applied, graduated, spend_of, tokens_of


def charge_committed_use(lines: Lines, usage: Usage, term: Term, body: CommittedUse, period: BillingPeriod) -> None:
    """Add the fee of a billing period, what it includes, and what goes beyond it at the overage rate.

    The fee is due when the period begins, whole. Of the tokens that the term reaches the first ones used are included;
    what no token is billed for (tool calls, requests) is not. A token is included once: what a term before this one
    includes neither uses up this one's quantity nor goes beyond it.
    """
    first, beyond = max(period.start, term.valid_from), min(period.end, term.valid_to or period.end)
    if not lines.begun(first):
        return
    lines.add(
        term,
        "commitment_fee",
        period,
        f"Fee for {body.included_tokens:,} included tokens",
        body.fee * PICO,
        charged=(first, beyond),
        served=(first, beyond),
        worth=lines.worth_on(first),
    )
    included = Step(Fraction(0), share=Fraction(1))
    past = Step(Fraction(body.included_tokens), rate=body.overage_rate)
    parts = [part for part in usage.within(term, first, beyond) if part.tokens]
    steps = [past] if body.included_tokens == 0 else [included, past]
    shares = list(graduated(parts, steps, tokens_of))
    sums = applied(lines, shares)
    for share in shares:
        if share.step is included:
            share.part.tokens -= share.of_part * share.part.tokens
    unknown = usage.unknown_within(term, first, beyond)
    for (step, worth), each in sums.items():
        tokens = f"{round(each.tokens):,} tokens"
        if step is included:
            kind, words = "included_usage", f"{tokens} that the fee includes"
        elif body.overage_rate is None:
            continue
        else:
            rate = lines.said(body.overage_rate * MILLION * PICO)
            kind, words = "overage", f"{tokens} beyond {body.included_tokens:,} at {rate} a million"
        lines.add(
            term,
            kind,
            period,
            words,
            each.amount,
            charged=lines.days(period, term.valid_from, term.valid_to, worth),
            worth=worth,
            unknown=unknown,
            tier_from=step.start,
            tokens=each.tokens,
        )


def charge_spend_commitment(
    lines: Lines, usage: Usage, term: Term, body: SpendCommitment, periods: Sequence[BillingPeriod]
) -> None:
    """Add the discounts on spend, and what was promised and is missing when the time for it has ended.

    The steps of a discount are filled by spend before the discount; the promise is kept by spend after it. Where some
    of the spend is not known and the rest does not keep the promise, what is missing is not known either.
    """
    end = term.valid_to
    if body.per == TERM and end is not None:
        _charge_span(lines, usage, term, body, term.valid_from, end)
    else:
        for period in periods:
            _charge_span(lines, usage, term, body, period.start, period.end)


def _charge_span(lines: Lines, usage: Usage, term: Term, body: SpendCommitment, first: date, beyond: date) -> None:
    first, beyond = max(first, term.valid_from), min(beyond, term.valid_to or beyond)
    parts = usage.within(term, first, beyond)
    if body.steps:
        shares = list(graduated(parts, body.steps, spend_of, PICO))
        # Shares are in order of days.
        for period, here in groupby(shares, key=lambda share: BillingPeriod.of(share.part.day)):
            _discount(lines, usage, term, period, applied(lines, list(here)))
    if not lines.begun(beyond):
        return
    spent: Amount = sum(part.payable for part in parts)
    missing = body.amount * PICO - spent
    if missing > 0:
        unknown = usage.unknown_within(term, first, beyond)
        words = f"{lines.said(body.amount * PICO)} were promised for {first} to {last_day(beyond)}, "
        words += f"{lines.said(spent)} were spent"
        if any(unknown):
            words += f" beside what is not known ({unknown[0]:,} calls, {unknown[1]:,} tokens): so is what is missing"
        lines.add(
            term,
            "commitment_shortfall",
            BillingPeriod.of(last_day(beyond)),
            words,
            # What was spent beside may be all that is missing, or nothing of it.
            None if any(unknown) else missing,
            charged=(first, beyond),
            worth=lines.worth_on(last_day(beyond)),
            unknown=unknown,
        )


def _discount(lines: Lines, usage: Usage, term: Term, period: BillingPeriod, sums: Mapping[Stretch, Sums]) -> None:
    unknown = usage.unknown_within(term, period.start, period.end)
    for (step, worth), each in sums.items():
        if step.share:
            lines.add(
                term,
                "commitment_discount",
                period,
                f"{percent(step.share)} off what is spent beyond {lines.said(step.start * PICO)}",
                each.amount,
                charged=lines.days(period, term.valid_from, term.valid_to, worth),
                worth=worth,
                unknown=unknown,
                tier_from=step.start * PICO,
            )
