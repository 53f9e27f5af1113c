"""Scales: graduated and whole-volume steps over tokens or spend, and the charges of volume tiers.

A graduated scale fills up in the order of days. What is used on one day counts as used evenly over it: where a step
begins within a day, each part of the day's usage lies below and above it in the same proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from tollbook.rating.contract_terms import GRADUATED, TOKENS, Step, Term, VolumeTiers
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.rating.periods.charged import Amount
from tollbook.rating.periods.lines import MILLION, PICO, Lines, Sums, percent
from tollbook.rating.periods.totals import Part, Usage
from tollbook.rating.sources.exchange import ExchangeRate

Measure = Callable[[Part], Amount]
Stretch = tuple[Step, ExchangeRate | None]


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a part lies in a step: from 0 to 1."""

    part: Part
    step: Step
    of_part: Amount


def tokens_of(part: Part) -> Amount:
    """Return the tokens of a part."""
    return part.tokens


def spend_of(part: Part) -> Amount:
    """Return what is left to pay for a part, in pico-units of the contract's currency."""
    return part.payable


def graduated(parts: Sequence[Part], steps: Sequence[Step], measure: Measure, unit: int = 1) -> Iterator[Share]:
    """Yield how parts fill up a scale, in order of days.

    Args:
        parts: Parts in order of days.
        steps: Steps, the first from 0.
        measure: What is counted.
        unit: What one unit of a step's start is in units of `measure`.
    """
    before: Amount = 0
    for _, members in groupby(parts, key=lambda part: part.day):
        day = list(members)
        total: Amount = sum(measure(part) for part in day)
        if not total:
            # Nothing that counts: tool calls among tokens are priced where the day before left off.
            step = _reached(steps, before, unit)
            yield from (Share(part, step, 1) for part in day)
            continue
        after = before + total
        # A day that gives back goes down the steps that those before it had climbed.
        lower, upper = min(before, after), max(before, after)
        for place, step in enumerate(steps):
            start = step.start * unit if place else lower
            end = steps[place + 1].start * unit if place + 1 < len(steps) else upper
            inside = min(upper, end) - max(lower, start)
            if inside > 0:
                of_day = 1 if inside == upper - lower else Fraction(inside) / (upper - lower)
                yield from (Share(part, step, of_day) for part in day)
        before = after


def whole_volume(parts: Sequence[Part], steps: Sequence[Step], measure: Measure, unit: int = 1) -> Iterator[Share]:
    """Yield parts as the one step that their total reaches has them whole."""
    step = _reached(steps, sum(measure(part) for part in parts), unit)
    yield from (Share(part, step, 1) for part in parts)


def _reached(steps: Sequence[Step], total: Amount, unit: int) -> Step:
    """Return the last step that begins at or before a total; the first one holds below zero too.

    Rounding leaves a total a few picos below zero where terms take off all that tokens cost.
    """
    return next((step for step in reversed(steps) if step.start * unit <= total), steps[0])


def change(share: Share) -> Amount:
    """Return what a step changes of what is left to pay for its share of a part."""
    part, step = share.part, share.step
    if step.rate is not None:
        return share.of_part * (part.tokens * step.rate * PICO - part.payable)
    return -share.of_part * part.payable * step.share if step.share else 0


def charge_volume(lines: Lines, usage: Usage, term: Term, body: VolumeTiers, period: BillingPeriod) -> None:
    """Add what the tiers of a term change in a billing period, a line for each step and exchange rate."""
    parts = usage.within(term, period.start, period.end)
    counts_tokens = body.counts == TOKENS
    fill = graduated if body.mode == GRADUATED else whole_volume
    measure, unit = (tokens_of, 1) if counts_tokens else (spend_of, PICO)
    shares = list(fill(parts, body.steps, measure, unit))
    sums = applied(lines, shares)
    unknown = usage.unknown_within(term, period.start, period.end)
    for (step, worth), each in sums.items():
        if step.rate is None and not step.share:
            continue
        lines.add(
            term,
            "volume_tier",
            period,
            _words(lines, body, step, each),
            each.amount,
            charged=lines.days(period, term.valid_from, term.valid_to, worth),
            worth=worth,
            unknown=unknown,
            tier_from=step.start if counts_tokens else step.start * PICO,
            tokens=each.tokens if counts_tokens else None,
        )


def applied(lines: Lines, shares: Sequence[Share]) -> dict[Stretch, Sums]:
    """Take what steps change off what is left to pay; return it by step and exchange rate."""
    # By identity: hashing exact numbers for each share takes longer than adding them up.
    sums: dict[tuple[int, int], tuple[Stretch, Sums]] = {}
    changes = [(share, change(share)) for share in shares]
    for share, amount in changes:
        worth = lines.worth_on(share.part.day)
        key = (id(share.step), id(worth))
        if key not in sums:
            sums[key] = ((share.step, worth), Sums())
        stretch = sums[key][1]
        stretch.tokens += share.of_part * share.part.tokens
        if amount:
            stretch.amount += amount
            share.part.payable += amount
    return dict(sums.values())


def _words(lines: Lines, body: VolumeTiers, step: Step, sums: Sums) -> str:
    begins = f"{int(step.start):,} tokens" if body.counts == TOKENS else lines.said(step.start * PICO)
    price = f"{percent(step.share)} off" if step.rate is None else f"{lines.said(step.rate * MILLION * PICO)} a million"
    scope = "graduated" if body.mode == GRADUATED else "for the whole volume"
    return f"Volume tier from {begins}, {scope}: {round(sums.tokens):,} tokens at {price}"
