"""What plans are worth to those who use them, and what AI takes of margins, read from the published file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tollbook.closing.closes import first_day, period_name
from tollbook.errors import MisuseError
from tollbook.settings import Settings
from tollbook.trace.literals import bound
from tollbook.warehouse.query import ask, ask_each

_PERSONS: Final = """
    select * exclude (
        billing_period_end, billing_currency, persons, seats, unused_seats, plan_list_cost, plan_fee_cost,
        plan_multiple, gini, top_1_percent_share, top_10_percent_share, inputs_version, vendor, plan
    )
    from insight.fct_subsidies
    where billing_period_start = ? and (? is null or subscription_id = ?)
    order by subscription_id, usage_rank nulls last, person
"""
_PLANS: Final = """
    select distinct
        subscription_id, vendor, plan, billing_currency, persons, seats, unused_seats, plan_list_cost, plan_fee_cost,
        plan_multiple, gini, top_1_percent_share, top_10_percent_share
    from insight.fct_subsidies
    where billing_period_start = ? and (? is null or subscription_id = ?)
    order by subscription_id
"""
_MIXES: Final = """
    select subscription_id, offer_id, offer_persons, offer_seats, offer_mix_cost, offer_uniform_cost
    from insight.fct_plan_mixes
    where billing_period_start = ? and (? is null or subscription_id = ?)
    order by subscription_id, offer_id
"""
_MARGINS: Final = """
    select * exclude (billing_period_start, billing_period_end)
    from insight.fct_margins
    where billing_period_start = ? and (? is null or product = ?)
    order by product, margin_level, ai_cost desc nulls last, customer_id
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlanUse:
    """Subscriptions in one billing period.

    Attributes:
        period: The period, `YYYY-MM`.
        plans: One row of `insight.fct_subsidies` for each subscription: what is the same in all of them.
        persons: Its rows, by subscription and usage, the largest first.
        mixes: Rows of `insight.fct_plan_mixes`.
    """

    period: str
    plans: Sequence[Row]
    persons: Sequence[Row]
    mixes: Sequence[Row]

    def of(self, rows: Sequence[Row], subscription: str) -> list[Row]:
        """Return the rows of a subscription."""
        return [row for row in rows if row["subscription_id"] == subscription]

    def cheapest_cost(self, subscription: str) -> Decimal | None:
        """Return what the cheapest mix of plans on offer costs; None where nothing is on offer."""
        costs = [Decimal(row["offer_mix_cost"]) for row in self.of(self.mixes, subscription)]
        return sum(costs, Decimal(0)) if costs else None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON: amounts as text with every digit."""
        return {
            "billing_period": self.period,
            "subscriptions": [
                dict(plan)
                | {
                    "cheapest_mix_cost": _text(self.cheapest_cost(plan["subscription_id"])),
                    "plans_on_offer": self.of(self.mixes, plan["subscription_id"]),
                    "rows": self.of(self.persons, plan["subscription_id"]),
                }
                for plan in self.plans
            ],
        }


def read_plan_use(settings: Settings, *, period: str | None = None, subscription: str | None = None) -> PlanUse:
    """Return what subscriptions were worth in a billing period.

    Args:
        settings: Where the book lives.
        period: The period, `YYYY-MM`; by default the newest that has usage under a subscription.
        subscription: The subscription alone.

    Raises:
        MisuseError: There is no such period or subscription.
        NothingPublishedError: There is no published file yet.
        QueryError: The published file was made by a version that did not know subsidies.
    """
    chosen = chosen_period(
        settings,
        "select billing_period_start, bool_or(calls > 0) from insight.fct_subsidies group by all order by all",
        period,
        "under a subscription",
    )
    of = (first_day(chosen), subscription, subscription)
    plans, persons, mixes = ask_each(settings, [bound(sql, of) for sql in (_PLANS, _PERSONS, _MIXES)])
    if subscription is not None and not plans.rows:
        raise MisuseError(f"expected a subscription that was used or paid for in {chosen}, got {subscription!r}")
    return PlanUse(chosen, plans.as_records(), persons.as_records(), mixes.as_records())


def read_margins(
    settings: Settings, *, period: str | None = None, product: str | None = None
) -> tuple[str, Sequence[Row]]:
    """Return a billing period and its rows of `insight.fct_margins`.

    Args:
        settings: Where the book lives.
        period: The period, `YYYY-MM`; by default the newest that has usage.
        product: The product alone.

    Raises:
        MisuseError: There is no such period or product.
        NothingPublishedError: There is no published file yet.
        QueryError: The published file was made by a version that did not know margins.
    """
    chosen = chosen_period(
        settings,
        "select billing_period_start, bool_or(calls > 0) from insight.fct_margins group by all order by all",
        period,
        "of products",
    )
    (answer,) = ask_each(settings, [bound(_MARGINS, (first_day(chosen), product, product))])
    if product is not None and not answer.rows:
        raise MisuseError(f"expected a product with calls or revenue in {chosen}, got {product!r}")
    return chosen, answer.as_records()


def chosen_period(settings: Settings, sql: str, period: str | None, what: str) -> str:
    """Return the billing period that is asked for, else the newest that was used, else the newest.

    Args:
        settings: Where the book lives.
        sql: Gives first days of billing periods and whether they were used, in order.
        period: The period, `YYYY-MM`; None where none is asked for.
        what: What usage it has, in words.

    Raises:
        MisuseError: There is no such period, or none at all.
    """
    held = {period_name(start): used for start, used in ask(settings, sql).rows}
    if period is not None:
        if period not in held:
            told = ", ".join(held) or "none"
            raise MisuseError(f"expected a billing period with usage {what} ({told}), got {period!r}")
        return period
    if not held:
        raise MisuseError(f"expected a billing period with usage {what}, found none")
    used = [name for name, has_calls in held.items() if has_calls]
    return (used or list(held))[-1]


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
