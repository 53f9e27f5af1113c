"""What a contract covers: days of usage cut by rate key, exact to the last pico."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import Contract, Discount, NegotiatedRates, Reach, SpendCommitment, Term
from tollbook.rating.periods.charged import ChargedPrices
from tollbook.rating.periods.totals import TOTALS_SCHEMA, Usage, usage_of
from tollbook.rating.prices import Price
from tollbook.rating.sources.contracted import contracted_catalogue
from tollbook.rating.sources.exchange import ExchangeRates

if TYPE_CHECKING:
    from tests.pipelines.rating.periods.conftest import Desk

KNOWN = datetime(2026, 1, 1, tzinfo=UTC)
LIST = Price("openai", "gpt", {"input_tokens": 1_000_000, "output_tokens": 4_000_000})
CATALOGUE = Catalogue.from_rows([LIST], version="list")
# Makes the parts of input and of all else worth telling apart.
CUT = SpendCommitment(Fraction(0), "billing_period", ())
INPUT = Reach(rate_keys=frozenset({"input_tokens"}))


def read(agreed: Contract, *rows: dict[str, Any], catalogue: Catalogue = CATALOGUE) -> Usage:
    """Return the usage that a contract covers, charged by a catalogue and by that contract."""
    totals = pa.Table.from_pylist(list(rows), schema=TOTALS_SCHEMA)
    contracted = contracted_catalogue(catalogue, [agreed], ExchangeRates())
    book = PriceBook.of(catalogue, contracted=contracted)
    # Rows bear the version of the desk's own catalogue.
    return usage_of(agreed, totals, book, {rows[0]["catalogue_version"]: ChargedPrices.of(book)})


def parts(usage: Usage) -> list[tuple[str | None, Any, Any]]:
    """Return rate key, tokens and what is left to pay of each part."""
    return sorted(((part.rate_key, part.tokens, part.payable) for part in usage.parts), key=str)


def test_parts_of_a_day_add_up_to_its_cost_exactly(desk: Desk) -> None:
    """1,000 input at 1 and 10 output at 4 are 1,040 micro-dollars; the 7 picos beside them are no token's."""
    row = desk.usage("2026-06-01", "0.001040000007", input=1000, output=10)
    assert parts(read(desk.contract(desk.term(CUT, reach=INPUT)), row)) == [
        ("input_tokens", 1000, 1_000_000_000),
        ("output_tokens", 10, 40_000_000),
        (None, 0, 7),
    ]


def test_usage_that_a_contract_priced_is_cut_at_its_rates(desk: Desk) -> None:
    """Input was agreed at 0.50 a million, output is 10 % off: 3.60."""
    span = (date(2026, 6, 1), date(2026, 9, 1))
    rates = Term("rates", NegotiatedRates({"input_tokens": Fraction("0.0000005")}), *span)
    agreed = desk.contract(rates, Term("off", Discount(Fraction(1, 10)), *span), desk.term(CUT, reach=INPUT))
    row = desk.usage("2026-06-01", "0.000536", input=1000, output=10, contract_id="acme")
    assert parts(read(agreed, row)) == [
        ("input_tokens", 1000, 500_000_000),
        ("output_tokens", 10, 36_000_000),
    ]


def test_usage_whose_price_is_not_known_stands_whole(desk: Desk) -> None:
    """A book that was not recorded, another contract, or the provider's own figure: what a token cost is not known.

    Nor is it where tokens would have cost 1,040 micro-dollars and 500 were charged: rounding takes no more than half a
    pico off a bucket.
    """
    agreed = desk.contract(desk.term(CUT, reach=INPUT))
    for unknown in ({"sku_price_id": "gone"}, {"contract_id": "other"}, {"cost_basis": "provider_reported"}):
        usage = read(agreed, desk.usage("2026-06-01", input=1000, output=10, **unknown))
        assert parts(usage) == [(None, 1010, 1_040_000_000)]
        assert usage.within(agreed.terms[0], date(2026, 6, 1), date(2026, 7, 1)) == []
        assert usage.unknown_within(agreed.terms[0], date(2026, 6, 1), date(2026, 7, 1)) == (0, 1010)
    known = desk.usage("2026-06-01", input=1000, output=10)
    for version in ("another", None):
        row = known | {"catalogue_version": version}
        assert (None, 1010, 1_040_000_000) in parts(read(agreed, known, row))
    assert parts(read(agreed, desk.usage("2026-06-01", "0.0005", input=1000, output=10))) == [(None, 1010, 500_000_000)]


def test_models_are_found_by_the_names_that_events_use(desk: Desk) -> None:
    """An event says `azure` and `gpt-4.1-2025-04-14`, the contract `gpt-4.1`; OpenAI's contract does not cover it."""
    catalogue = Catalogue.from_genai_prices()
    reach = Reach(models=("gpt-4.1",))
    for provider, covered in (("azure", 1), ("openai", 0)):
        term = Term("t", CUT, date(2026, 6, 1), reach=reach)
        agreed = Contract("c", provider, "USD", date(2026, 6, 1), KNOWN, (term,), "v")
        row = desk.usage("2026-06-01", input=5, provider="azure", model="gpt-4.1-2025-04-14", sku_price_id="unknown")
        assert len(read(agreed, row, catalogue=catalogue).within(term, date(2026, 6, 1), date(2026, 7, 1))) == covered


def test_usage_through_a_gateway_is_not_lost_to_the_terms_of_who_bills_it(desk: Desk) -> None:
    """LiteLLM passes a call on to Azure, which sells OpenAI's model: the promise to Azure counts it, OpenAI's does not.

    The price list is OpenAI's, and Bedrock is found by a rule: the name in the event is nobody's alias.
    """
    catalogue = Catalogue.from_genai_prices()
    for provider, model, sold_by in (
        ("litellm", "azure/gpt-4o", "azure"),
        ("litellm", "openai/gpt-4o", "openai"),
        ("azure", "gpt-4o", "azure"),
        ("Amazon Bedrock", "amazon.nova-lite-v1:0", "aws"),
        ("litellm", "azure/no-such-model", "azure"),
    ):
        for contractor in ("azure", "openai", "aws"):
            term = Term("t", CUT, date(2026, 6, 1))
            agreed = Contract("c", contractor, "USD", date(2026, 6, 1), KNOWN, (term,), "v")
            row = desk.usage("2026-06-05", "1.25", input=5, provider=provider, model=model, sku_price_id="unknown")
            spent = [part.payable for part in read(agreed, row, catalogue=catalogue).parts]
            assert spent == ([1_250_000_000_000] if contractor == sold_by else []), (provider, model, contractor)


def test_models_that_every_term_treats_alike_are_one_part(desk: Desk) -> None:
    """Terms work in proportion, so a year of sixty models is no more work than a year of one."""
    prices = [Price("openai", name, {"input_tokens": 1_000_000}) for name in ("one", "two", "three")]
    agreed = desk.contract(desk.term(CUT, reach=Reach(models=("one", "two"))))
    rows = [
        desk.usage("2026-06-01", input=count, model=price.model, sku_price_id=price.sku_price_id)
        for price, count in zip(prices, (1, 10, 100), strict=True)
    ]
    usage = read(agreed, *rows, catalogue=Catalogue.from_rows(prices, version="list"))
    assert sorted(part.tokens for part in usage.parts) == [11, 100]
    assert sum(row["contracted_cost"] for row in rows) == Decimal("0.000111")
