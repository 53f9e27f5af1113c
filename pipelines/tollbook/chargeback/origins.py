"""Charges before they are allocated: each a whole amount of one source, in its own currency and in USD.

An amount is exact until here and is rounded once, to a millionth of a millionth of its currency; USD is rounded once
from the exact amount, at the exchange rate in force when the charge begins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.rating.contract_terms import USD
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.reference.dated.entries import DatedEntry

PICO: Final = 10**12
USAGE, PURCHASE, CREDIT, ADJUSTMENT = "Usage", "Purchase", "Credit", "Adjustment"
ONE_TIME, RECURRING, USAGE_BASED = "One-Time", "Recurring", "Usage-Based"
_EXACT: Final = Context(prec=76)
_MONEY: Final = pa.decimal128(38, 12)
_INSTANT: Final = pa.timestamp("us", "UTC")

COSTS: Final = ("list_cost", "contracted_cost", "effective_cost")
CURRENCY_COSTS: Final = ("pricing_currency_contracted_cost", "pricing_currency_effective_cost")

ORIGIN_SCHEMA: Final = pa.schema(
    [
        ("charge_id", pa.string()),
        ("billing_period_start", pa.date32()),
        ("billing_period_end", pa.date32()),
        ("charge_period_start", _INSTANT),
        ("charge_period_end", _INSTANT),
        ("first_day", pa.date32()),
        ("charge_category", pa.string()),
        ("charge_class", pa.string()),
        ("charge_frequency", pa.string()),
        ("charge_kind", pa.string()),
        ("charge_component", pa.string()),
        ("charge_description", pa.string()),
        ("source_kind", pa.string()),
        ("source_id", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("contract_id", pa.string()),
        ("billed_by", pa.string()),
        ("obligation", pa.string()),
        ("list_cost", _MONEY),
        ("contracted_cost", _MONEY),
        ("effective_cost", _MONEY),
        ("billing_currency", pa.string()),
        ("pricing_currency", pa.string()),
        ("pricing_currency_contracted_cost", _MONEY),
        ("pricing_currency_effective_cost", _MONEY),
        ("exchange_rate", _MONEY),
        ("measured_quantity", _MONEY),
        ("measured_unit", pa.string()),
        ("corrects_period_start", pa.date32()),
        ("reference_entry", pa.string()),
    ]
)
"""Origin charges. `first_day` is the day of the billing calendar on which rules are looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One charge as a whole, a row of `ORIGIN_SCHEMA`; costs are None where they are not known."""

    charge_id: str
    billing_period_start: date
    billing_period_end: date
    charge_period_start: datetime
    charge_period_end: datetime
    first_day: date
    charge_category: str
    charge_class: str | None = None
    charge_frequency: str
    charge_kind: str
    charge_component: str | None = None
    charge_description: str
    source_kind: str
    source_id: str
    provider: str | None = None
    model: str | None = None
    contract_id: str | None = None
    billed_by: str | None = None
    obligation: str
    list_cost: Decimal | None
    contracted_cost: Decimal | None
    effective_cost: Decimal | None
    billing_currency: str = USD
    pricing_currency: str = USD
    pricing_currency_contracted_cost: Decimal | None
    pricing_currency_effective_cost: Decimal | None
    exchange_rate: Decimal | None
    measured_quantity: Decimal | None = None
    measured_unit: str | None = None
    corrects_period_start: date | None = None
    reference_entry: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Days of `[first, beyond)` in one billing period."""

    period: BillingPeriod
    first: date
    beyond: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.beyond - self.first).days


@dataclass(slots=True)
class Origins:
    """Origin charges as they are found.

    Attributes:
        calendar: Billing calendar, whose days spans are of.
        exchange: Dated rates to USD.
        rows: The charges.
    """

    calendar: BillingCalendar
    exchange: ExchangeRates
    rows: list[Origin] = field(default_factory=list)

    def add(
        self,
        span: Span,
        entry: DatedEntry,
        *,
        kind: str,
        description: str,
        category: str,
        frequency: str,
        source: tuple[str, str],
        currency: str,
        contracted: Fraction,
        effective: Fraction,
        component: str | None = None,
        provider: str | None = None,
        billed_by: str | None = None,
        obligation: str | None = None,
        listed: Fraction | None = None,
        measured: tuple[Fraction, str] | None = None,
    ) -> None:
        """Add a charge.

        Args:
            span: Days on which the cost arises.
            entry: Entry of the reference data that it follows from.
            kind: What made it.
            description: The line in words.
            category: FOCUS ChargeCategory.
            frequency: FOCUS ChargeFrequency.
            source: Kind and name of what is charged.
            currency: Of the amounts.
            contracted: What becomes payable. Unit: `currency`.
            effective: What is used up. Unit: `currency`.
            component: Part of the source's cost.
            provider: Who provides it.
            billed_by: Who sends an invoice for it; None for what the organisation charges itself.
            obligation: What an invoice for it settles; by default the source.
            listed: List cost; by default `contracted`, as no other price is published.
            measured: Quantity that it is about, and its unit.
        """
        begins = self.calendar.begins
        worth = Fraction(1)
        if currency != USD:
            rate = self.exchange.at(currency, begins(span.first))
            worth = Fraction(0) if rate is None else rate.usd
        usd = [
            None if currency != USD and not worth and amount else money(amount * worth)
            for amount in (contracted if listed is None else listed, contracted, effective)
        ]
        identity = (*source, kind, component, provider, span.period.start, span.first)
        self.rows.append(
            Origin(
                charge_id=digest(identity),
                billing_period_start=span.period.start,
                billing_period_end=span.period.end,
                charge_period_start=begins(span.first),
                charge_period_end=begins(span.beyond),
                first_day=span.first,
                charge_category=category,
                charge_frequency=frequency,
                charge_kind=kind,
                charge_component=component,
                charge_description=description,
                source_kind=source[0],
                source_id=source[1],
                provider=provider,
                billed_by=billed_by,
                obligation=obligation or " ".join(source),
                list_cost=usd[0],
                contracted_cost=usd[1],
                effective_cost=usd[2],
                pricing_currency=currency,
                pricing_currency_contracted_cost=money(contracted),
                pricing_currency_effective_cost=money(effective),
                exchange_rate=money(worth) if worth else None,
                measured_quantity=None if measured is None else money(measured[0]),
                measured_unit=None if measured is None else measured[1],
                reference_entry=entry.entry_id,
            )
        )


def origin_table(rows: Iterable[Origin]) -> pa.Table:
    """Return charges as `ORIGIN_SCHEMA`, shape (n_charges,).

    Raises:
        ValueError: Two charges have one identity.
    """
    held = sorted(rows, key=lambda row: (row.billing_period_start, row.source_kind, row.source_id, row.charge_id))
    if len({row.charge_id for row in held}) < len(held):
        twice = next(
            row for place, row in enumerate(held) if row.charge_id in {each.charge_id for each in held[:place]}
        )
        raise ValueError(f"expected each charge once, got {twice.charge_description!r} of {twice.source_id} twice")
    names = [each.name for each in fields(Origin)]
    return pa.Table.from_pylist([{name: getattr(row, name) for name in names} for row in held], schema=ORIGIN_SCHEMA)


def digest(identity: Iterable[Any]) -> str:
    """Return the name of a line: 32 hexadecimal digits, the same whenever it is computed."""
    told = json.dumps([None if each is None else str(each) for each in identity])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def money(amount: Fraction) -> Decimal:
    """Return an amount as a decimal of 12 places, rounded half-even once."""
    return decimal_of(round(amount * PICO))


def decimal_of(pico: int) -> Decimal:
    """Return millionths of a millionth as a decimal of units, exact."""
    return Decimal(pico).scaleb(-12, _EXACT)


def pico_of(amount: Decimal) -> int:
    """Return a decimal of at most 12 places as whole millionths of a millionth."""
    return int(_EXACT.scaleb(amount, 12))
