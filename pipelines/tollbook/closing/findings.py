"""What stands against closing a billing period, read from the published file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import duckdb

from tollbook.closing.adjustments import Adjustments
from tollbook.closing.closes import Closes, first_day, period_name
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod

_LISTED: Final = 5


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """What a close looks at.

    Attributes:
        published: The published file.
        period: Billing period, `YYYY-MM`.
        closes: What was closed before.
        adjustments: Disputes and adjustments.
        calendar: Billing calendar.
        now: The time.
    """

    published: duckdb.DuckDBPyConnection
    period: str
    closes: Closes
    adjustments: Adjustments
    calendar: BillingCalendar
    now: datetime

    @property
    def start(self) -> date:
        """First day of the period."""
        return first_day(self.period)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.published.execute(sql, list(values)).fetchall()


def against_soft_close(facts: PeriodFacts) -> Iterator[str]:
    """Yield in words what stands against a soft close."""
    for check in (_not_over, _unbalanced, _not_rolled_forward, _open_gaps):
        yield from check(facts)


def against_hard_close(facts: PeriodFacts) -> Iterator[str]:
    """Yield in words what stands against a hard close, reconciliation aside."""
    yield from against_soft_close(facts)
    checks: tuple[Callable[[PeriodFacts], Iterator[str]], ...] = (
        *(_not_soft_closed, _earlier_open, _unknown_costs, _unpriced_usage, _open_disputes),
    )
    for check in checks:
        yield from check(facts)


def _not_over(facts: PeriodFacts) -> Iterator[str]:
    ends = facts.calendar.begins(BillingPeriod.of(facts.start).end)
    if facts.now < ends:
        yield f"the period is not over: it ends at {ends:%Y-%m-%d %H:%M} UTC"


def _unbalanced(facts: PeriodFacts) -> Iterator[str]:
    for hand_over, scope, measure, difference in facts.rows(
        "select hand_over, scope, measure, difference from audit.fct_ledger_balance where difference <> 0 order by all"
    )[:_LISTED]:
        yield f"the ledger does not balance: {hand_over} of {scope} hands over {difference} {measure} too many"


def _not_rolled_forward(facts: PeriodFacts) -> Iterator[str]:
    for currency, difference in facts.rows(
        "select billing_currency, difference from finance.fct_roll_forward "
        "where billing_period_start <= ? and difference <> 0 order by all",
        facts.start,
    )[:_LISTED]:
        yield f"the roll-forward is off by {difference} {currency}"


def _open_gaps(facts: PeriodFacts) -> Iterator[str]:
    for topic, partition, description in facts.rows(
        "select topic, kafka_partition, description from audit.fct_offset_gaps where gap_state = 'open' order by all"
    )[:_LISTED]:
        yield f"offsets of {topic}-{partition} are missing ({description}): `tollbook gaps list` shows them"


def _not_soft_closed(facts: PeriodFacts) -> Iterator[str]:
    if facts.closes.of(facts.period).soft is None:
        yield f"it was not closed softly: `tollbook period close {facts.period} --soft`"


def _earlier_open(facts: PeriodFacts) -> Iterator[str]:
    open_start = facts.closes.open_start() or date.min
    earlier = facts.rows(
        "select distinct billing_period_start from finance.fct_charges "
        "where billing_period_start < ? and billing_period_start >= ? order by all",
        facts.start,
        open_start,
    )
    if earlier:
        yield f"earlier periods are not closed: {', '.join(period_name(start) for (start,) in earlier)}"


def _unknown_costs(facts: PeriodFacts) -> Iterator[str]:
    for kind, name, currency, count in facts.rows(
        "select source_kind, source_id, pricing_currency, count(*) from finance.fct_charges "
        "where billing_period_start = ? and charge_kind <> 'usage' and effective_cost is null "
        "group by all order by all",
        facts.start,
    )[:_LISTED]:
        yield f"{count:,} charges of {kind} {name} have no known cost; is there an exchange rate of {currency}?"


def _unpriced_usage(facts: PeriodFacts) -> Iterator[str]:
    for provider, model, calls, tokens in facts.rows(
        """
        with unpriced as (
            select provider, model, sum(unpriced_calls) as calls, coalesce(sum(unpriced_tokens), 0) as tokens
            from finance.fct_charges
            where billing_period_start = $start and unpriced_calls <> 0
            group by all
        ),
        estimated as (
            select distinct provider, model
            from finance.fct_charges
            where billing_period_start = $start and charge_kind = 'unpriced_estimate' and effective_cost is not null
        )
        select provider, model, calls, tokens
        from unpriced
        where not exists (
            select 1 from estimated
            where estimated.provider is not distinct from unpriced.provider
                and estimated.model is not distinct from unpriced.model
        )
        order by all
        """.replace("$start", f"date '{facts.start}'")
    )[:_LISTED]:
        yield (
            f"{calls:,} calls of {provider} {model} with {tokens:,} tokens have no price: give it one, or load an "
            "approved estimate (`tollbook reference load`, price_estimates)"
        )


def _open_disputes(facts: PeriodFacts) -> Iterator[str]:
    for dispute in facts.adjustments.open_disputes(facts.period)[:_LISTED]:
        yield f"dispute {dispute.number} of {dispute.team} is open: {dispute.reason}"
