"""Amounts of vendors' reports in USD, at the rate in force when their bucket begins."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import pyarrow as pa

from tollbook.chargeback.origins import money
from tollbook.rating.contract_terms import USD
from tollbook.rating.sources.exchange import ExchangeRates

_MONEY: Final = pa.decimal128(38, 12)


def in_usd(vendor_rows: pa.Table, exchange: ExchangeRates) -> pa.Table:
    """Return rows with `usd_amount` and `usd_step`; null where no exchange rate is known."""
    if not set(vendor_rows.column("currency").unique().to_pylist()) - {None, USD}:
        table = vendor_rows.append_column("usd_amount", vendor_rows.column("amount"))
        return table.append_column("usd_step", vendor_rows.column("amount_step"))
    amounts, steps = [], []
    told = vendor_rows.select(["amount", "amount_step", "currency", "bucket_start"]).to_pylist()
    for row in told:
        worth = _worth(row["currency"], row["bucket_start"], exchange)
        amounts.append(_converted(row["amount"], worth))
        steps.append(_converted(row["amount_step"], worth))
    table = vendor_rows.append_column("usd_amount", pa.array(amounts, _MONEY))
    return table.append_column("usd_step", pa.array(steps, _MONEY))


def _worth(currency: str | None, instant: datetime, exchange: ExchangeRates) -> Fraction | None:
    if currency in {None, USD}:
        return Fraction(1)
    rate = exchange.at(str(currency), instant)
    return None if rate is None else rate.usd


def _converted(amount: Decimal | None, worth: Fraction | None) -> Decimal | None:
    if amount is None or worth is None:
        return None
    return amount if worth == 1 else money(Fraction(amount) * worth)
