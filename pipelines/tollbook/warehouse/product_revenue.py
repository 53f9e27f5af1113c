"""What products earned, as a step of dbt's: amounts of reference data, in USD by dated rates."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import money
from tollbook.rating.sources.exchange import USD, ExchangeRates, read_exchange_rates
from tollbook.reference.dated.kinds import REVENUE
from tollbook.reference.dated.use import read_reference
from tollbook.warehouse.plan import planned_scope
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

REVENUE_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *((name, pa.string()) for name in ("product", "customer_id", "revenue_currency")),
        *((name, pa.decimal128(38, 12)) for name in ("revenue_in_currency", "exchange_rate", "revenue")),
        ("reference_entry", pa.string()),
    ]
)
"""Revenue in force; `customer_id` is null for what is not of one customer, `revenue` without an exchange rate."""


def product_revenue_of(session: Any) -> pa.Table:
    """Return the revenue that was known when the build was planned, `REVENUE_SCHEMA`, shape (n_entries,).

    An amount is converted by the rate in force when its billing period begins, as charges of the period are.
    """
    with python_model(session) as settings:
        scope = planned_scope(WarehouseFolder.of(settings))
        path = settings.exchange_rates
        exchange = read_exchange_rates(path) if path.exists() else ExchangeRates()
        rows = []
        for entry in read_reference(settings.reference).known(REVENUE, scope.now):
            body = entry.body
            start = date.fromisoformat(f"{body['billing_period']}-01")
            held = None if body["currency"] == USD else exchange.at(body["currency"], scope.calendar.begins(start))
            usd = Fraction(1) if body["currency"] == USD else None if held is None else held.usd
            rows.append(
                {
                    "billing_period_start": start,
                    "product": body["product"],
                    "customer_id": body.get("customer_id"),
                    "revenue_currency": body["currency"],
                    "revenue_in_currency": money(Fraction(body["amount"])),
                    "exchange_rate": None if usd is None else money(usd),
                    "revenue": None if usd is None else money(Fraction(body["amount"]) * usd),
                    "reference_entry": entry.entry_id,
                }
            )
        return pa.Table.from_pylist(rows, schema=REVENUE_SCHEMA)
