"""What is told of a contracted price is what a charge by it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import Contract, Discount, Term
from tollbook.rating.explain import book_prices_in_force
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate_by_book
from tollbook.rating.sources.contracted import contracted_catalogue
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.rating.words import words

JANUARY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 6, 7))


def test_a_contracted_price_over_a_list_price_that_is_only_estimated_is_told_as_an_estimate(
    make_events: Callable[..., pa.RecordBatch],
) -> None:
    """The charge says estimated; whoever asked before it was told that the price was known."""
    listed = Catalogue.from_rows([Price("p", "m", {"input_tokens": 4}, valid_from=JULY)], version="v")
    half = Contract(
        contract_id="c",
        provider="p",
        currency="USD",
        valid_from=JANUARY.date(),
        known_from=JANUARY,
        terms=(Term("t", Discount(Fraction(1, 2)), JANUARY.date()),),
        version="1",
    )
    book = PriceBook.of(listed, contracted=contracted_catalogue(listed, [half], ExchangeRates()))
    call = {"provider": "p", "model": "m", "uncached_input_tokens": 10, "text_output_tokens": 0}
    for at, basis in ((JUNE, "estimated"), (JULY, "rated")):
        told = book_prices_in_force(book, "m", at)
        assert [(each.price.contract_id, each.basis) for each in told] == [(None, basis), ("c", basis)]
        rated = rate_by_book(make_events([{**call, "occurred_at": at}]), book).to_pylist()[0]
        # Half of 10 x 4 pico-USD.
        assert (rated["cost_basis"], rated["contracted_cost_pico_usd"]) == (basis, 20)
        estimate = "No list price is known for this time; it lies over the earliest known one"
        assert any(each.startswith(estimate) for each in words(told[1])) is (basis == "estimated")
