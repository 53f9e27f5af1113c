"""Charge lines: amounts of a term in exact numbers, converted at dated rates and rounded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from tollbook.rating.contract_terms import USD, Contract, Term
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar, BillingPeriod
from tollbook.rating.periods.charged import Amount
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates

USAGE, PURCHASE, CREDIT, ADJUSTMENT = "Usage", "Purchase", "Credit", "Adjustment"
ONE_TIME, RECURRING, USAGE_BASED = "One-Time", "Recurring", "Usage-Based"
# Kind of a charge: FOCUS category and frequency, and whether it changes the cost of usage whose list cost is counted
# with the usage.
KINDS: Final = {
    "volume_tier": (USAGE, USAGE_BASED, True),
    "included_usage": (USAGE, USAGE_BASED, True),
    "overage": (USAGE, USAGE_BASED, True),
    "commitment_discount": (USAGE, USAGE_BASED, True),
    "commitment_fee": (PURCHASE, RECURRING, False),
    "commitment_shortfall": (USAGE, ONE_TIME, False),
    "prepaid_purchase": (PURCHASE, ONE_TIME, False),
    "prepaid_drawdown": (CREDIT, USAGE_BASED, True),
    "prepaid_expiry": (ADJUSTMENT, ONE_TIME, True),
}
PICO: Final = 10**12
MILLION: Final = 10**6
TOKENS: Final = "Tokens"
_EXACT: Final = Context(prec=76)
_DAY: Final = timedelta(days=1)

# Half-open.
Days = tuple[date, date]


@dataclass(slots=True)
class Sums:
    """What one line adds up: amounts in millionths of a millionth of the contract's currency, and tokens."""

    amount: Amount = 0
    tokens: Amount = 0


@dataclass(slots=True)
class Lines:
    """The lines of one contract.

    Attributes:
        contract: The contract.
        exchange: Dated rates to USD.
        now: Instant up to which things have happened.
        versions: Provenance columns of every line.
        calendar: Billing calendar, whose days the contract's dates are.
        rows: The lines as rows of `charge/v1`.
    """

    contract: Contract
    exchange: ExchangeRates
    now: datetime
    versions: Mapping[str, str]
    calendar: BillingCalendar = UTC_CALENDAR
    rows: list[dict[str, Any]] = field(default_factory=list)
    _worths: dict[date, ExchangeRate | None] = field(default_factory=dict, repr=False)

    def begun(self, day: date) -> bool:
        """Return whether a day has begun."""
        return self.calendar.begins(day) <= self.now

    def worth_on(self, day: date) -> ExchangeRate | None:
        """Return the exchange rate in force when a day begins; None for USD, and where there is none."""
        if self.contract.currency == USD:
            return None
        if day not in self._worths:
            self._worths[day] = self.exchange.at(self.contract.currency, self.calendar.begins(day))
        return self._worths[day]

    def days(self, period: BillingPeriod, first: date, beyond: date | None, worth: ExchangeRate | None) -> Days:
        """Return the days of a billing period that lie in `[first, beyond)` and on which an exchange rate holds."""
        first, beyond = max(period.start, first), min(period.end, beyond or period.end)
        if worth is not None and worth.valid_from is not None:
            first = max(first, self.calendar.first_day_from(worth.valid_from))
        if worth is not None and worth.valid_to is not None:
            beyond = min(beyond, self.calendar.first_day_from(worth.valid_to))
        return first, beyond

    def add(
        self,
        term: Term,
        kind: str,
        period: BillingPeriod,
        description: str,
        amount: Amount | None,
        *,
        charged: Days,
        worth: ExchangeRate | None,
        effective: Amount | None = None,
        contracted: Amount | None = None,
        amortised: tuple[Amount, ExchangeRate | None] = (0, None),
        served: tuple[date, date | None] | None = None,
        unknown: tuple[int, int] = (0, 0),
        tier_from: Amount | None = None,
        tokens: Amount | None = None,
    ) -> None:
        """Add a line.

        Args:
            term: Term that it follows from.
            kind: Key of `KINDS`.
            period: Billing period that it is invoiced in.
            description: The line in words.
            amount: What it amounts to, in pico-units of the contract's currency, exact; None where that is not known.
            charged: Days on which the cost arises, half-open.
            worth: Exchange rate; None for USD, and where none is known.
            effective: What counts as effective cost; by default `contracted`.
            contracted: What counts as contracted cost; by default `amount`.
            amortised: What effective cost has besides, of a purchase at its own exchange rate.
            served: Days that a purchase serves, half-open.
            unknown: Calls and tokens that it leaves out because their cost is unknown.
            tier_from: Start of the step, tokens or pico-units of the contract's currency.
            tokens: Tokens that it is about; None when it is about none.
        """
        category, frequency, beside_usage = KINDS[kind]
        contracted = amount if contracted is None else contracted
        effective = contracted if effective is None else effective
        currency = self.contract.currency
        usd = self._usd(PICO, worth)
        effective_usd, amortised_usd = self._usd(effective, worth), self._usd(*amortised)
        reach = term.reach
        accounts = self.contract.billing_accounts or ()
        begins = self.calendar.begins
        model = reach.models[0] if len(reach.models) == 1 and "*" not in reach.models[0] else None
        tier = next(iter(reach.service_tiers)) if reach.service_tiers and len(reach.service_tiers) == 1 else None
        self.rows.append(
            {
                "billing_period_start": begins(period.start),
                "billing_period_end": begins(period.end),
                "charge_period_start": begins(charged[0]),
                "charge_period_end": begins(charged[1]),
                "service_period_start": None if served is None else begins(served[0]),
                "service_period_end": None if served is None or served[1] is None else begins(served[1]),
                "charge_category": category,
                "charge_frequency": frequency,
                "charge_kind": kind,
                "charge_description": description,
                "provider": self.contract.provider,
                "billing_account_id": next(iter(accounts)) if len(accounts) == 1 else None,
                "contract_id": self.contract.contract_id,
                "term_id": term.term_id,
                "model": model,
                "service_tier": tier,
                "tier_from": None if tier_from is None else _decimal(tier_from if tokens is None else tier_from * PICO),
                "consumed_quantity": None if tokens is None else _decimal(tokens * PICO),
                "consumed_unit": None if tokens is None else TOKENS,
                "list_cost": Decimal(0) if beside_usage else None,
                "contracted_cost": _told(self._usd(contracted, worth)),
                "effective_cost": _told(_sum(effective_usd, amortised_usd)),
                "billing_currency": currency,
                "billing_currency_amount": _told(amount),
                "exchange_rate": _told(usd),
                "exchange_rate_date": self._since(worth),
                "unpriced_calls": unknown[0],
                "unpriced_tokens": unknown[1],
                **self.versions,
            }
        )

    def said(self, amount: Amount) -> str:
        """Return an amount in pico-units of the contract's currency in words."""
        return f"{plain(amount)} {self.contract.currency}"

    def _usd(self, amount: Amount | None, worth: ExchangeRate | None) -> Amount | None:
        """Return an amount in USD; None where it or its exchange rate is not known. Nothing is so in any currency."""
        if not amount or self.contract.currency == USD:
            return amount
        return None if worth is None else amount * worth.usd

    def _since(self, worth: ExchangeRate | None) -> date | None:
        return None if worth is None or worth.valid_from is None else self.calendar.day_at(worth.valid_from)


def plain(pico: Amount) -> str:
    """Return pico-units as units in words, with no digits that say nothing."""
    return f"{_decimal(pico).normalize(_EXACT):,f}"


def percent(share: Fraction) -> str:
    """Return a share as a percentage in words."""
    return f"{plain(share * 100 * PICO)} %"


def last_day(beyond: date) -> date:
    """Return the last day before one."""
    return beyond - _DAY


def _sum(one: Amount | None, other: Amount | None) -> Amount | None:
    return None if one is None or other is None else one + other


def _told(pico: Amount | None) -> Decimal | None:
    return None if pico is None else _decimal(pico)


def _decimal(pico: Amount) -> Decimal:
    """Return pico-units as a decimal of units, rounded half-even once to whole pico-units."""
    # `round` of a fraction is half-even.
    return Decimal(round(pico)).scaleb(-12, _EXACT)
