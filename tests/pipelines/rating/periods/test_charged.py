"""The rates of usage come from the book that was recorded when it was charged."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollbook.errors import CorruptManifestError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import Contract, NegotiatedRates, Term
from tollbook.rating.periods.charged import charged_prices
from tollbook.rating.periods.totals import TOTALS_SCHEMA
from tollbook.rating.prices import Price
from tollbook.rating.sources.contracted import contracted_catalogue
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.rating.store import newest_book, record

MAY, NOON = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 15, 12, tzinfo=UTC)


def hours(day: int) -> tuple[datetime, datetime]:
    """Return a day of June, UTC, from its first instant to the first after it."""
    return datetime(2026, 6, day, tzinfo=UTC), datetime(2026, 6, day + 1, tzinfo=UTC)


def listed(rate: int) -> Catalogue:
    """Return a list of one price, whose identity is the same whatever it charges."""
    return Catalogue.from_rows([Price("openai", "gpt", {"input_tokens": rate})], version="list")


SKU = listed(1).prices[0].sku_price_id


def totals(*rows: dict[str, Any]) -> pa.Table:
    """Return days of usage that name a version, a price and a contract."""
    return pa.Table.from_pylist(list(rows), schema=TOTALS_SCHEMA)


def test_each_version_of_a_price_has_its_own_rates(tmp_path: Path) -> None:
    """The price was doubled under the same identity; a version that was never recorded is not known."""
    books = [PriceBook.of(listed(rate)) for rate in (1_000_000, 2_000_000)]
    for book in books:
        record(tmp_path, book, MAY)
    used = [{"catalogue_version": book.version, "sku_price_id": SKU} for book in books]
    charged = charged_prices(tmp_path, totals(*used, {"catalogue_version": "never", "sku_price_id": SKU}))
    assert set(charged) == {book.version for book in books}
    (first, *_), (second, *_) = (charged[book.version].bucket_rates(SKU, None, hours(15)) or () for book in books)
    assert (first, second) == (
        ("uncached_input_tokens", "input_tokens", 1_000_000),
        ("uncached_input_tokens", "input_tokens", 2_000_000),
    )
    assert charged[books[0].version].bucket_rates("another", None, hours(15)) is None
    assert charged_prices(tmp_path / "none", totals()) == {}


def test_rates_of_a_contract_are_those_of_its_day(tmp_path: Path) -> None:
    """2 EUR a million at 1 USD until noon of 15 June, at 1.50 from then on; on the 15th itself it is not one price."""
    exchange = ExchangeRates.of(
        [ExchangeRate("EUR", Fraction(1), MAY, NOON), ExchangeRate("EUR", Fraction(3, 2), NOON, None)]
    )
    term = Term("rates", NegotiatedRates({"input_tokens": Fraction(2, 10**6)}), date(2026, 5, 1))
    agreed = Contract("acme", "openai", "EUR", date(2026, 5, 1), MAY, (term,), "v")
    book = PriceBook.of(
        listed(5_000_000), contracted=contracted_catalogue(listed(5_000_000), [agreed], exchange), exchange=exchange
    )
    record(tmp_path, book, MAY)
    used = totals({"catalogue_version": book.version, "sku_price_id": SKU, "contract_id": "acme"})
    prices = charged_prices(tmp_path, used)[book.version]
    rates = [prices.bucket_rates(SKU, "acme", hours(day)) for day in (14, 15, 16)]
    assert [None if each is None else each[0][2] for each in rates] == [2_000_000, None, 3_000_000]
    listed_rates = prices.bucket_rates(SKU, None, hours(15))
    assert listed_rates is not None
    assert listed_rates[0][2] == 5_000_000


def test_a_damaged_recorded_book_stops_the_second_pass(tmp_path: Path) -> None:
    """Rates that nobody can prove are none."""
    book = PriceBook.of(listed(1_000_000))
    record(tmp_path, book, MAY)
    entry = newest_book(tmp_path)
    assert entry is not None
    (tmp_path / entry.files[0].path).write_bytes(b"")
    with pytest.raises(CorruptManifestError, match="its digest differs"):
        charged_prices(tmp_path, totals({"catalogue_version": book.version, "sku_price_id": SKU}))
