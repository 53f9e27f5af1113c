"""Invoices: their lines as rows, and the billed cost of the charges that they are for, which sums to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import decimal_of, digest, money, pico_of
from tollbook.chargeback.remainder import signed_remainder
from tollbook.rating.contract_terms import USD
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.reference.dated.entries import DatedEntry

_MONEY: Final = pa.decimal128(38, 12)
TAX: Final = "Tax"
INVOICE_LINES_SCHEMA: Final = pa.schema(
    [
        ("vendor", pa.string()),
        ("invoice_id", pa.string()),
        ("line_id", pa.string()),
        ("credit_note_for", pa.string()),
        ("issued_on", pa.date32()),
        ("booked_period_start", pa.date32()),
        ("billing_period_start", pa.date32()),
        ("charge_category", pa.string()),
        ("charge_description", pa.string()),
        ("obligation", pa.string()),
        ("model", pa.string()),
        ("project_id", pa.string()),
        ("service_from", pa.date32()),
        ("service_to", pa.date32()),
        ("invoice_currency", pa.string()),
        ("invoice_amount", _MONEY),
        ("exchange_rate", _MONEY),
        ("billed_cost", _MONEY),
        ("billing_currency", pa.string()),
        ("pricing_currency", pa.string()),
        ("pricing_currency_billed_cost", _MONEY),
        ("reference_entry", pa.string()),
    ]
)
"""Lines of invoices. Usage is settled in USD, as its costs are; anything else in the currency of its own."""
CHARGE_WEIGHTS_SCHEMA: Final = pa.schema(
    [
        ("charge_id", pa.string()),
        ("billing_period_start", pa.date32()),
        ("obligation", pa.string()),
        ("model", pa.string()),
        ("pricing_currency", pa.string()),
        ("contracted_cost", _MONEY),
    ]
)
"""What is read of charges to give them their part of an invoice."""
BILLED_SCHEMA: Final = pa.schema(
    [
        ("charge_id", pa.string()),
        ("billing_period_start", pa.date32()),
        ("obligation", pa.string()),
        ("model", pa.string()),
        ("pricing_currency", pa.string()),
        ("billed_cost", _MONEY),
        ("pricing_currency_billed_cost", _MONEY),
        ("is_unplaced", pa.bool_()),
    ]
)
"""Billed cost by charge; what no charge is there for has a row of its own, `is_unplaced`."""

_Key = tuple[date, str, str | None]
# Billing period, obligation and currency to the charges, each with its model and weight.
_Weights = dict[tuple[date, str, str], list[tuple[str, str | None, int]]]


def invoice_lines(entries: Iterable[DatedEntry], exchange: ExchangeRates, calendar: BillingCalendar) -> pa.Table:
    """Return the lines of invoices, `INVOICE_LINES_SCHEMA`, shape (n_lines,).

    Args:
        entries: Invoices in force.
        exchange: Dated rates to USD; the one in force when the day of issue begins converts an invoice.
        calendar: Billing calendar.
    """
    rows = [row for entry in entries for row in _lines(entry, exchange, calendar)]
    rows.sort(key=lambda row: (row["issued_on"], row["vendor"], row["invoice_id"], row["line_id"]))
    return pa.Table.from_pylist(rows, schema=INVOICE_LINES_SCHEMA)


def _lines(entry: DatedEntry, exchange: ExchangeRates, calendar: BillingCalendar) -> Iterator[dict[str, Any]]:
    body = entry.body
    currency, issued_on = body["currency"], date.fromisoformat(body["issued_on"])
    rate = None if currency == USD else exchange.at(currency, calendar.begins(issued_on))
    worth = Fraction(1) if currency == USD else None if rate is None else rate.usd
    for line in body["lines"]:
        amount = Fraction(line["amount"])
        obligation = _obligation(body["vendor"], line.get("for", {}))
        cost = None if worth is None else money(amount * worth)
        of_usage = obligation.startswith("usage ")
        yield {
            "vendor": body["vendor"],
            "invoice_id": body["invoice_id"],
            "line_id": line["line_id"],
            "credit_note_for": body.get("credit_note_for"),
            "issued_on": issued_on,
            "booked_period_start": BillingPeriod.of(issued_on).start,
            "billing_period_start": date.fromisoformat(f"{body['billing_period']}-01"),
            "charge_category": line["category"],
            "charge_description": line["description"],
            "obligation": obligation,
            "model": line.get("model"),
            "project_id": line.get("project"),
            "service_from": _day(line.get("service_from")),
            "service_to": _day(line.get("service_to")),
            "invoice_currency": currency,
            "invoice_amount": money(amount),
            "exchange_rate": None if worth is None else money(worth),
            "billed_cost": cost,
            "billing_currency": USD,
            "pricing_currency": USD if of_usage else currency,
            "pricing_currency_billed_cost": cost if of_usage else money(amount),
            "reference_entry": entry.entry_id,
        }


def billed_costs(lines: pa.Table, charges: pa.Table) -> pa.Table:
    """Return the billed cost of charges: what invoices say of them, net of tax, in proportion to what was payable.

    Args:
        lines: `INVOICE_LINES_SCHEMA`.
        charges: `CHARGE_WEIGHTS_SCHEMA`; those without an invoice get no row.

    Returns:
        `BILLED_SCHEMA`, shape (n_billed,). Its sums are those of the lines that are no tax, exactly.
    """
    told: dict[_Key, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines.to_pylist():
        if line["charge_category"] != TAX:
            told[line["billing_period_start"], line["obligation"], line["model"]].append(line)
    weights = _weights(charges, {(period, obligation) for period, obligation, _ in told})
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for (period, obligation, model), members in sorted(told.items(), key=lambda item: [str(each) for each in item[0]]):
        for currency in sorted({line["pricing_currency"] for line in members}):
            held = [
                (charge_id, weight)
                for charge_id, of_model, weight in weights.get((period, obligation, currency), [])
                if model is None or of_model == model
            ]
            mine = [line for line in members if line["pricing_currency"] == currency]
            cost, settled = (_sum(mine, name) for name in ("billed_cost", "pricing_currency_billed_cost"))
            if sum(weight for _, weight in held) <= 0:
                held = [(charge_id, weight) for charge_id, weight in held if weight > 0]
            unplaced = not held
            names = held or [(digest(("unplaced", period, obligation, model, currency)), 1)]
            parts = [
                [None] * len(names) if pico is None else signed_remainder(pico, [weight for _, weight in names])
                for pico in (cost, settled)
            ]
            for place, (charge_id, _) in enumerate(names):
                row = rows.setdefault(
                    (charge_id, currency),
                    {
                        "charge_id": charge_id,
                        "billing_period_start": period,
                        "obligation": obligation,
                        "model": model if unplaced else None,
                        "pricing_currency": currency,
                        "billed_cost": 0,
                        "pricing_currency_billed_cost": 0,
                        "is_unplaced": unplaced,
                    },
                )
                for name, column in zip(("billed_cost", "pricing_currency_billed_cost"), parts, strict=True):
                    row[name] = None if row[name] is None or column[place] is None else row[name] + column[place]
    return pa.Table.from_pylist([_decimals(row) for row in rows.values()], schema=BILLED_SCHEMA)


def _weights(charges: pa.Table, wanted: set[tuple[date, str]]) -> _Weights:
    """Return the charges that invoices may be for, each with what was payable; what is given back weighs below zero."""
    weights: _Weights = defaultdict(list)
    for row in charges.to_pylist():
        key = (row["billing_period_start"], row["obligation"])
        if key in wanted and row["contracted_cost"]:
            weights[*key, row["pricing_currency"]].append(
                (row["charge_id"], row["model"], pico_of(row["contracted_cost"]))
            )
    for members in weights.values():
        members.sort()
    return weights


def _obligation(vendor: str, what: Mapping[str, str]) -> str:
    for kind, name in what.items():
        if kind != "contract":
            return f"{kind} {name}"
    return f"usage {vendor}"


def _sum(lines: Iterable[Mapping[str, Any]], name: str) -> int | None:
    amounts: list[Decimal | None] = [line[name] for line in lines]
    return None if None in amounts else sum(pico_of(amount) for amount in amounts if amount is not None)


def _decimals(row: dict[str, Any]) -> dict[str, Any]:
    costs = {name: row[name] for name in ("billed_cost", "pricing_currency_billed_cost")}
    return {**row, **{name: None if pico is None else decimal_of(pico) for name, pico in costs.items()}}


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
