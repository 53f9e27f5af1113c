"""Recorded books: what was used is kept whole, and any past one can be had again."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tollbook.errors import CorruptManifestError
from tollbook.rating import store
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Agreement, Origin, Price, Uplift
from tollbook.rating.rate import rate_by_book
from tollbook.rating.recorded import read_catalogue, read_price, write_catalogue
from tollbook.rating.sources.compose import compose
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.rating.sources.overlays import read_overlay
from tollbook.rating.sources.policy import CostPolicy

MakeEvents = Callable[..., pa.RecordBatch]
MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
EXAMPLE = Path(__file__).parents[3] / "schemas" / "examples" / "prices" / "corrections.yml"


def catalogue(rate: int, **told: Any) -> Catalogue:
    """Return a catalogue of one model at a rate."""
    return Catalogue.from_rows([Price("p", "m", {"input_tokens": rate}, **told)], version="v")


def test_what_is_in_use_is_recorded_once(tmp_path: Path) -> None:
    """The meter records before each commit; the log grows when prices change, and when they change back."""
    one, two = catalogue(1), catalogue(2)
    numbers = [
        store.record(tmp_path, each, at).number
        for each, at in ((one, MAY), (one, JUNE), (catalogue(1), JUNE), (two, JUNE), (one, JULY))
    ]
    assert numbers == [1, 1, 1, 2, 3]
    entries = store.versions(tmp_path)
    assert [(each.version, each.recorded_at) for each in entries] == [
        (one.version, MAY),
        (two.version, JUNE),
        (one.version, JULY),
    ]
    # What was kept before is named again, not written again.
    assert entries[0].files == entries[2].files
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_the_catalogue_of_a_past_knowledge_date_is_rebuilt_exactly(
    tmp_path: Path, genai_catalogue: Catalogue, make_events: MakeEvents
) -> None:
    """Elsewhere history was repriced at today's price (litellm#31868); here a charge of then can be computed again."""
    composed = compose(genai_catalogue, [read_overlay(EXAMPLE)])
    store.record(tmp_path, genai_catalogue, MAY)
    store.record(tmp_path, composed, JUNE)
    store.record(tmp_path, catalogue(1), JULY)
    for book, at in ((genai_catalogue, JUNE - timedelta(microseconds=1)), (composed, JUNE)):
        again = store.as_of(tmp_path, at)
        assert again is not None
        prices = again.list_prices
        assert again.version == prices.version == book.version
        # The digest over all that decides a cost, computed anew from what was read.
        rebuilt = Catalogue.of(
            prices.prices, prices.lookup, list_name=prices.list_name, names=prices.names, units=prices.units
        )
        assert rebuilt.version == book.version
        assert prices.prices == book.prices
        events = make_events(
            [
                {"provider": provider, "model": model, "region": "eu", "uncached_input_tokens": 7, "occurred_at": JULY}
                for provider, model in (
                    ("openai", "gpt-4o-2024-08-06"),
                    ("azure", "assistant-prod"),
                    ("on_prem", "llama-3.3-70b"),
                    ("openai", "gpt-5"),
                    ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro"),
                    ("x", "y"),
                )
            ]
        )
        assert rate_by_book(events, again).to_pylist() == rate_by_book(events, PriceBook.of(book)).to_pylist()
    assert store.as_of(tmp_path, MAY - timedelta(days=1)) is None


def test_a_book_with_contracts_rates_and_policy_is_rebuilt_exactly(tmp_path: Path) -> None:
    """All that decides a cost is kept, not list prices alone."""
    listed = catalogue(4, minimum_quantities={"audio_seconds": 10}, daily_from=time(0), above_input_tokens=None)
    (price,) = listed.prices
    agreement = Agreement(
        {"t": ("input_tokens",)}, "EUR", {"input_tokens": Fraction(7, 3)}, Fraction(9, 8), MAY, "list"
    )
    agreed = Price(
        "p",
        "m",
        {"input_tokens": Fraction(21, 8)},
        contract_id="c",
        billing_account_id="a",
        region="eu*",
        valid_from=MAY,
        published_id="x",
        agreement=agreement,
        origin=Origin("o:e", ("input_tokens",), MAY, None, "why", "list"),
        uplift=Uplift("eu*", Fraction(11, 10), "o:u"),
    )
    book = PriceBook.of(
        listed,
        contracted=listed.with_prices([price, agreed], list_name="v+contracts"),
        exchange=ExchangeRates.of([ExchangeRate("EUR", Fraction(9, 8), MAY, None, "bank", "2026-05-01")]),
        policy=CostPolicy("rated", {"openrouter": "provider_reported"}),
    )
    entry = store.record(tmp_path, book, MAY)
    again = store.read_book(tmp_path, entry)
    assert again.version == book.version
    assert again.contracted is not None
    assert again.contracted.prices == (price, agreed)
    assert again.exchange.rates == book.exchange.rates
    assert again.policy == book.policy


def test_the_history_has_valid_time_and_knowledge_time(tmp_path: Path) -> None:
    """What held when, and what we thought when: two questions of one charge."""
    first = Price("p", "m", {"input_tokens": 4, "output_tokens": 8})
    store.record(tmp_path, Catalogue.from_rows([first], version="v"), MAY)
    closed = Price("p", "m", first.rates, valid_to=JUNE)
    cut = Price("p", "m", {"input_tokens": Fraction(5, 3), "output_tokens": 8}, valid_from=JUNE)
    store.record(tmp_path, Catalogue.from_rows([closed, cut], version="v"), JULY)
    history = store.price_history(tmp_path)
    assert history.schema == store.HISTORY_SCHEMA
    told = {
        (
            row["valid_from"],
            row["valid_to"],
            row["rate_key"],
            f"{row['pico_usd_numerator']}/{row['pico_usd_denominator']}",
            row["known_from"],
            row["known_to"],
        )
        for row in history.to_pylist()
    }
    assert told == {
        (None, None, "input_tokens", "4/1", MAY, JULY),
        (None, None, "output_tokens", "8/1", MAY, JULY),
        (None, JUNE, "input_tokens", "4/1", JULY, None),
        (None, JUNE, "output_tokens", "8/1", JULY, None),
        (JUNE, None, "input_tokens", "5/3", JULY, None),
        (JUNE, None, "output_tokens", "8/1", JULY, None),
    }
    assert history.num_rows == len(told)


def test_a_rate_that_was_dropped_and_came_again_has_two_rows(tmp_path: Path) -> None:
    """In between it was not known."""
    for prices, at in ((catalogue(1), MAY), (catalogue(2), JUNE), (catalogue(1), JULY)):
        store.record(tmp_path, prices, at)
    rows = [row for row in store.price_history(tmp_path).to_pylist() if row["pico_usd_numerator"] == "1"]
    assert [(row["known_from"], row["known_to"]) for row in rows] == [(MAY, JUNE), (JULY, None)]


def test_a_clock_that_goes_back_does_not_reorder_what_was_known(tmp_path: Path) -> None:
    """Knowledge time is that of the log."""
    store.record(tmp_path, catalogue(1), JUNE)
    assert store.record(tmp_path, catalogue(2), MAY).recorded_at == JUNE


def test_a_file_that_was_touched_is_refused(tmp_path: Path) -> None:
    """Prices of the past are evidence."""
    entry = store.record(tmp_path, catalogue(1), MAY)
    path = tmp_path / entry.files[0].path
    content = path.read_bytes()
    path.write_bytes(write_catalogue(catalogue(2)))
    with pytest.raises(CorruptManifestError, match="its digest differs"):
        store.as_of(tmp_path, MAY)
    path.unlink()
    with pytest.raises(CorruptManifestError, match="found nothing"):
        store.as_of(tmp_path, MAY)
    with pytest.raises(CorruptManifestError, match="the file of a price catalogue"):
        read_catalogue(content[:-9])


def test_two_writers_record_one_book_once(tmp_path: Path) -> None:
    """The meter and a re-rating may begin with new prices in one second."""
    book = catalogue(1)
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: store.record(tmp_path, book, MAY), range(16)))
    assert {each.number for each in entries} == {1}
    assert len(store.versions(tmp_path)) == 1


def test_a_recorded_book_is_read_once_a_process(tmp_path: Path) -> None:
    """A worker asks for it with every batch."""
    book = PriceBook.of(catalogue(1))
    number = store.record(tmp_path, book, MAY).number
    assert store.recorded_book(tmp_path, number) is book
    store._IN_USE.clear()
    again = store.recorded_book(tmp_path, number)
    assert again.version == book.version
    assert store.recorded_book(tmp_path, number) is again


def test_the_file_can_be_read_without_us(tmp_path: Path, genai_catalogue: Catalogue) -> None:
    """An auditor reads Parquet and JSON; the rates are there as fractions, in pico-USD for one unit."""
    entry = store.record(tmp_path, genai_catalogue, MAY)
    rows = pq.read_table(tmp_path / entry.files[0].path).to_pylist()
    (row,) = [
        row
        for row in rows
        if row["sku_price_id"] == "genai-prices/openai/o3/default/2025-06-10/base" and row["rate_key"] == "input_tokens"
    ]
    assert (row["pico_usd_numerator"], row["pico_usd_denominator"]) == ("2000000", "1")
    log = json.loads((tmp_path / "reference" / "prices" / "commits" / f"{1:020d}.json").read_text())
    assert log["version"] == genai_catalogue.version


def test_the_prices_of_one_identity_are_read_without_the_others() -> None:
    """A price that is cut at an instant has one identity on both sides of it."""
    cut = [
        Price("p", "m", {"input_tokens": 3, "output_tokens": 4}, valid_to=JUNE, published_id="one"),
        Price("p", "other", {"input_tokens": 9}),
        Price("p", "m", {"input_tokens": 3, "output_tokens": 4}, valid_from=JUNE, published_id="one"),
    ]
    content = write_catalogue(Catalogue.from_rows(cut, version="v"))
    assert [(each.valid_from, each.valid_to, each.rates) for each in read_price(content, "one").prices] == [
        (None, JUNE, {"input_tokens": 3, "output_tokens": 4}),
        (JUNE, None, {"input_tokens": 3, "output_tokens": 4}),
    ]
    assert read_price(content, "two").prices == ()
