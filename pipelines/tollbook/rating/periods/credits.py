"""Prepaid credits: bought once, used up by usage in a stated order, and what is left when they expire.

Contracted cost is what is payable: the purchase when it is made, and usage less what credit pays of it. Effective cost
spreads the purchase over its use: credit that is drawn costs its share of the price, and what expires costs the rest,
both at the exchange rate of the purchase, so that in USD too no more and no less is spread than was paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import groupby

from tollbook.rating.contract_terms import PrepaidCredit, Term
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.rating.periods.charged import Amount
from tollbook.rating.periods.lines import PICO, Lines, last_day
from tollbook.rating.periods.totals import Part, Usage
from tollbook.rating.sources.exchange import ExchangeRate


@dataclass(slots=True)
class _Credit:
    term: Term
    body: PrepaidCredit
    left: Amount

    def paid_for(self, lines: Lines, amount: Amount) -> tuple[Amount, ExchangeRate | None]:
        """Return what some of the credit cost, and the exchange rate at which it was bought."""
        return amount * self.body.price / self.body.amount, lines.worth_on(self.body.purchased_on)

    def pays_on(self, day: date) -> bool:
        return self.body.purchased_on <= day and (self.body.expires_on is None or day < self.body.expires_on)

    def order(self) -> tuple[int, date, date, str]:
        return self.body.order, self.body.expires_on or date.max, self.body.purchased_on, self.term.term_id


def charge_credits(lines: Lines, usage: Usage, terms: Iterable[Term]) -> None:
    """Add purchases, what they pay for, and what expires, of all credits of a contract in the order of their use.

    A day's credit pays for each part of the day's usage in proportion.
    """
    bought = sorted(
        (
            _Credit(term, term.body, term.body.amount * PICO)
            for term in terms
            if isinstance(term.body, PrepaidCredit) and lines.begun(term.body.purchased_on)
        ),
        key=_Credit.order,
    )
    for credit in bought:
        _purchase(lines, credit)
    drawn: defaultdict[tuple[str, BillingPeriod, ExchangeRate | None], Amount] = defaultdict(int)
    for day, members in groupby(usage.parts, key=lambda part: part.day):
        parts = list(members)
        for credit in bought:
            if credit.left > 0 and credit.pays_on(day):
                amount = _draw(credit, parts)
                if amount:
                    drawn[credit.term.term_id, BillingPeriod.of(day), lines.worth_on(day)] += amount
    for credit in bought:
        for (term_id, period, worth), amount in drawn.items():
            if term_id == credit.term.term_id:
                _drawdown(lines, usage, credit, period, worth, amount)
        _expiry(lines, credit)


def _draw(credit: _Credit, parts: Iterable[Part]) -> Amount:
    reach = credit.term.reach
    reached = [
        part
        for part in parts
        if part.payable > 0 and reach.covers(part.model, part.service_tier) and reach.covers_key(part.rate_key)
    ]
    total: Amount = sum(part.payable for part in reached)
    if not total:
        return 0
    amount = min(credit.left, total)
    left = 1 - Fraction(amount) / total
    for part in reached:
        part.payable = part.payable * left if left else 0
    credit.left -= amount
    return amount


def _purchase(lines: Lines, credit: _Credit) -> None:
    day, body = credit.body.purchased_on, credit.body
    lines.add(
        credit.term,
        "prepaid_purchase",
        BillingPeriod.of(day),
        f"Credit of {lines.said(body.amount * PICO)} bought for {lines.said(body.price * PICO)}",
        body.price * PICO,
        charged=(day, date.fromordinal(day.toordinal() + 1)),
        served=(day, body.expires_on),
        worth=lines.worth_on(day),
        effective=0,
    )


def _drawdown(
    lines: Lines, usage: Usage, credit: _Credit, period: BillingPeriod, worth: ExchangeRate | None, amount: Amount
) -> None:
    lines.add(
        credit.term,
        "prepaid_drawdown",
        period,
        f"Credit pays for usage of {lines.said(amount)}",
        -amount,
        charged=lines.days(period, credit.body.purchased_on, credit.body.expires_on, worth),
        worth=worth,
        amortised=credit.paid_for(lines, amount),
        unknown=usage.unknown_within(credit.term, period.start, period.end),
    )


def _expiry(lines: Lines, credit: _Credit) -> None:
    expires = credit.body.expires_on
    if expires is None or not lines.begun(expires) or not credit.left:
        return
    last = last_day(expires)
    lines.add(
        credit.term,
        "prepaid_expiry",
        BillingPeriod.of(last),
        f"Credit of {lines.said(credit.left)} expired unused",
        credit.left,
        charged=(last, expires),
        worth=lines.worth_on(last),
        contracted=0,
        amortised=credit.paid_for(lines, credit.left),
    )
