"""What was used under contracts in other currencies, against the exchange rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.check import check_book
from tollbook.rating.checks.finding import Finding
from tollbook.rating.contract_terms import Contract, NegotiatedRates, Term
from tollbook.rating.prices import Price
from tollbook.rating.sources.contracted import contracted_catalogue
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.rating.used import UsedUnit

MakePrice = Callable[..., Price]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
KNOWN = datetime(2025, 12, 1, tzinfo=UTC)


def used(month: int = 6, **told: object) -> UsedUnit:
    """Return 1,000 tokens of a month of 2026, all of them recorded without a cost."""
    start, end = datetime(2026, month, 1, tzinfo=UTC), datetime(2026, month + 1, 1, tzinfo=UTC)
    usage = UsedUnit(start, end, "acme", "model-a", "default", "uncached_input_tokens", 1_000, 1_000)
    return replace(usage, **told)  # type: ignore[arg-type]  # values of the fields


def book(price: MakePrice, *rates: ExchangeRate, accounts: frozenset[str] | None = None) -> PriceBook:
    """Return a book with a contract over 2026 at 1 EUR, and some exchange rates."""
    term = Term("t", NegotiatedRates({"input_tokens": Fraction(1, 1_000_000)}), date(2026, 1, 1))
    contract = Contract("acme-2026", "acme", "EUR", date(2026, 1, 1), KNOWN, (term,), "v", billing_accounts=accounts)
    listed = Catalogue.from_rows([price()], version="test")
    exchange = ExchangeRates.of(rates)
    return PriceBook.of(listed, contracted=contracted_catalogue(listed, [contract], exchange), exchange=exchange)


def euro(since: str | None, until: str | None = None) -> ExchangeRate:
    """Return a rate of 1.125 USD between dates."""
    first, end = (None if text is None else datetime.fromisoformat(f"{text}T00:00:00Z") for text in (since, until))
    return ExchangeRate("EUR", Fraction(9, 8), valid_from=first, valid_to=end)


def found(book: PriceBook, *usage: UsedUnit) -> list[Finding]:
    """Return what lacks a cost."""
    codes = {"contract_without_exchange_rate", "usage_not_rerated", "usage_without_price"}
    return [each for each in check_book(book, usage, now=NOW).findings if each.code in codes]


def test_usage_that_lost_its_price_for_want_of_an_exchange_rate_is_an_error(price: MakePrice) -> None:
    """The list price is there, so the check said nothing, and the cost of a month was unknown."""
    (lack,) = found(book(price, euro("2026-07-01")), used(), used(unit="web_searches", quantity=5))

    assert (lack.code, lack.severity, lack.quantity) == ("contract_without_exchange_rate", "error", 1_000)
    assert (lack.valid_from, lack.valid_to) == (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    assert lack.message == (
        "contract acme-2026 prices usage in EUR, and no exchange rate is known from 2026-06-01 to 2026-07-01: what was "
        "used then has no cost, of 1,000 tokens in those billing periods"
    )


def test_a_part_of_a_month_without_an_exchange_rate_is_told_with_its_days_and_account(price: MakePrice) -> None:
    """A rates file that ends on the 20th leaves ten days of June without a cost, of one account alone."""
    (lack,) = found(book(price, euro(None, "2026-06-20"), accounts=frozenset({"a"})), used())

    assert (lack.valid_from, lack.valid_to) == (datetime(2026, 6, 20, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    assert "from 2026-06-20 to 2026-07-01: what the account a used then has no cost" in lack.message


def test_usage_without_an_exchange_rate_is_not_said_to_have_a_price_by_now(price: MakePrice) -> None:
    """A rerate would leave it without a cost; only what it would price is noted."""
    assert [each.code for each in found(book(price), used())] == ["contract_without_exchange_rate"]
    both = found(book(price, euro("2026-07-01")), used(), used(month=7))
    assert [(each.code, each.quantity) for each in both] == [
        ("contract_without_exchange_rate", 1_000),
        ("usage_not_rerated", 1_000),
    ]


def test_usage_that_the_foreign_rate_does_not_touch_has_no_finding(price: MakePrice) -> None:
    """The contract names input in euros: a month of output alone has its price, beside input it may lack it."""
    output = used(unit="text_output_tokens", quantity=300, unpriced_quantity=0)
    assert found(book(price), output) == []
    assert [each.quantity for each in found(book(price), output, used())] == [1_300]


def test_a_model_that_no_such_contract_prices_has_no_finding(price: MakePrice) -> None:
    """With a rate for every day, or with no usage, nothing is lost."""
    assert found(book(price, euro(None)), used(unpriced_quantity=0)) == []
    assert found(book(price), used(quantity=0)) == []
