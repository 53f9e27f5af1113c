"""Days of usage and contracts, for charges that are worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import Body, Contract, Reach, Term
from tollbook.rating.periods.assess import Assessment, assess
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.rating.periods.charged import ChargedPrices
from tollbook.rating.periods.totals import TOTALS_SCHEMA
from tollbook.rating.prices import Price
from tollbook.rating.sources.exchange import ExchangeRates

KNOWN = datetime(2026, 1, 1, tzinfo=UTC)
# One dollar a million input tokens, four a million output tokens: a token costs 1,000,000 or 4,000,000 pico-USD.
LIST = Price("openai", "gpt", {"input_tokens": 1_000_000, "output_tokens": 4_000_000})
CATALOGUE = Catalogue.from_rows([LIST], version="list")


class Desk:
    """Makes usage, terms and contracts of June to August 2026, and computes their charges."""

    def usage(self, day: str, cost: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return one day's usage; its cost is that of its tokens at list price unless told."""
        tokens_in, tokens_out = fields.pop("input", 0), fields.pop("output", 0)
        known = Decimal(tokens_in * 1_000_000 + tokens_out * 4_000_000).scaleb(-12) if cost is None else Decimal(cost)
        row: dict[str, Any] = dict.fromkeys(TOTALS_SCHEMA.names)
        row |= {
            "billing_date": date.fromisoformat(day),
            "provider": "openai",
            "model": "gpt",
            "service_tier": "default",
            "sku_price_id": LIST.sku_price_id,
            "cost_basis": "rated",
            "catalogue_version": CATALOGUE.version,
            "calls": 1,
            "unpriced_calls": 0,
            "unpriced_tokens": 0,
            "uncached_input_tokens": tokens_in,
            "text_output_tokens": tokens_out,
            "list_cost": known,
            "contracted_cost": known,
        }
        return row | fields

    def unpriced(self, day: str, tokens: int, **fields: Any) -> dict[str, Any]:
        """Return one call of unknown cost."""
        nothing = {"list_cost": None, "contracted_cost": None, "sku_price_id": None, "cost_basis": "unpriced"}
        return self.usage(day, input=tokens) | nothing | {"unpriced_calls": 1, "unpriced_tokens": tokens} | fields

    def term(self, body: Body, name: str = "t", reach: Reach | None = None, **fields: Any) -> Term:
        """Return a term of the whole contract."""
        span = {"valid_from": date(2026, 6, 1), "valid_to": date(2026, 9, 1)}
        return Term(name, body, reach=reach or Reach(), **span | fields)

    def contract(self, *terms: Term, currency: str = "USD", **fields: Any) -> Contract:
        """Return a contract with OpenAI."""
        span = {"valid_from": date(2026, 6, 1), "valid_to": date(2026, 9, 1)}
        return Contract("acme", "openai", currency, known_from=KNOWN, terms=terms, version="v1", **span | fields)

    def assess(
        self,
        agreed: Contract,
        *rows: dict[str, Any],
        now: str = "2026-10-01",
        exchange: ExchangeRates | None = None,
        catalogue: Catalogue = CATALOGUE,
        zone: str = "UTC",
    ) -> Assessment:
        """Return what the terms of a contract come to, where usage was charged by the prices of `CATALOGUE`."""
        totals = pa.Table.from_pylist(list(rows), schema=TOTALS_SCHEMA)
        moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
        charged = {CATALOGUE.version: ChargedPrices.of(PriceBook.of(CATALOGUE))}
        book, calendar = PriceBook.of(catalogue, exchange=exchange), BillingCalendar(zone)
        return assess(totals, [agreed], book, charged, now=moment, calendar=calendar)

    def charge(self, agreed: Contract, *rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        """Return the charges as rows of `charge/v1`, in the order they were made, with the month they are billed in."""
        charges = self.assess(agreed, *rows, **options).charges.to_pylist()
        return [charge | {"month": charge["billing_period_start"].month} for charge in charges]

    def columns(self, charges: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
        """Return some columns of charges."""
        return [tuple(charge[name] for name in names) for charge in charges]


@pytest.fixture(scope="session")
def desk() -> Desk:
    """See `Desk`."""
    return Desk()
