"""Billing periods at a glance: how far each is closed, and what it is charged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from tollbook.closing.closes import first_day, period_name, read_closes
from tollbook.settings import Settings
from tollbook.warehouse.query import ask

_QUESTION: Final = """
    with charges as (
        select
            billing_period_start,
            count(*) as charges,
            coalesce(sum(effective_cost), 0)::decimal(38, 12) as effective_cost,
            coalesce(sum(effective_cost) filter (where charge_class = 'Correction'), 0)::decimal(38, 12) as corrections,
            sum(unpriced_calls)::bigint as unpriced_calls
        from finance.fct_charges
        group by all
    ),
    accruals as (
        select billing_period_start, sum(closing_accrual)::decimal(38, 12) as accrued
        from finance.fct_accruals
        where billing_currency = 'USD'
        group by all
    )
    select
        billing_period_start,
        coalesce(charges, 0) as charges,
        coalesce(effective_cost, 0) as effective_cost,
        coalesce(corrections, 0) as corrections,
        coalesce(accrued, 0) as accrued,
        coalesce(unpriced_calls, 0) as unpriced_calls
    from charges
    full outer join accruals using (billing_period_start)
    order by billing_period_start
"""


@dataclass(frozen=True, slots=True)
class PeriodOverview:
    """One billing period.

    Attributes:
        period: `YYYY-MM`.
        state: `open`, `soft_closed`, `proposed` or `closed`.
        charges: Charge lines.
        effective_cost: What is charged. Unit: USD.
        corrections: Of it, corrections of closed periods. Unit: USD.
        accrued: Accrued at its end, of what is owed in USD. Unit: USD.
        unpriced_calls: Calls of unknown cost.
        proposed_by: Who proposed its close.
        closed_by: Who approved it.
    """

    period: str
    state: str
    charges: int
    effective_cost: Decimal
    corrections: Decimal
    accrued: Decimal
    unpriced_calls: int
    proposed_by: str | None
    closed_by: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def period_overview(settings: Settings) -> list[PeriodOverview]:
    """Return the billing periods of the published file and of the log of closes, in order.

    Raises:
        NothingPublishedError: There is no published file yet.
    """
    answer = ask(settings, _QUESTION)
    closes = read_closes(settings.lake)
    told = {row[0]: dict(zip(answer.columns[1:], row[1:], strict=True)) for row in answer.rows}
    nothing = dict.fromkeys(answer.columns[1:], 0)
    overview = []
    for start in sorted(set(told) | {first_day(each.period) for each in closes.periods()}):
        held = closes.of(period_name(start))
        facts = told.get(start, nothing)
        overview.append(
            PeriodOverview(
                period=held.period,
                state=held.state,
                proposed_by=None if held.proposal is None else held.proposal.author,
                closed_by=None if held.close is None else held.close.author,
                **facts,
            )
        )
    return overview
