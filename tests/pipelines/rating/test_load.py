"""The book of a home: what its files say, once a process, and again when they change."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tollbook.errors import ReferenceDataError
from tollbook.rating import store
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.load import load_book
from tollbook.settings import Settings

MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
OVERLAY = """\
price_overlay: 1
name: own
entries:
  - {entry_id: a, provider: p, model: m, rates: {input_tokens: "2"}, known_from: 2026-05-15T00:00:00Z, source: s}
  - {entry_id: b, provider: p, model: m, rates: {input_tokens: "3"}, known_from: 2026-06-15T00:00:00Z, source: s}
"""

CONTRACT = """
contract: 1
contract_id: half
provider: p
currency: USD
valid_from: 2026-05-01
known_from: 2026-07-01T00:00:00Z
author: a
reason: r
terms:
  - {term_id: off, discount: {percent: "50"}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a home of its own."""
    return Settings(home=tmp_path)


def write(path: Path, text: str) -> None:
    """Write a reference file in a state of its own, however coarse the clock of the file system is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    if path.stat().st_mtime_ns == before:
        os.utime(path, ns=(before + 1, before + 1))


def rate_of(book: PriceBook) -> int:
    """Return the input rate of model m."""
    rates = [price.rates["input_tokens"] for price in book.list_prices.prices if price.provider == "p"]
    return int(rates[0]) if rates else 0


def test_a_home_without_files_has_the_installed_price_list(settings: Settings, genai_catalogue: Catalogue) -> None:
    """Nothing needs to be written to begin."""
    book = PriceBook.load(settings)
    assert (book.version, book.contracted) == (genai_catalogue.version, None)
    assert PriceBook.load(settings) is book


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(settings: Settings) -> None:
    """The meter asks before each commit; a price loaded meanwhile counts from the next."""
    write(settings.price_overlays / "own.yml", OVERLAY)
    book = PriceBook.load(settings)
    assert PriceBook.load(settings) is book
    assert rate_of(book) == 3_000_000
    write(settings.price_overlays / "own.yml", OVERLAY.replace('"3"', '"4"'))
    assert rate_of(PriceBook.load(settings)) == 4_000_000


def test_a_file_with_a_fault_is_refused_whole(settings: Settings) -> None:
    """Prices that stand beside a fault are not taken either."""
    write(settings.price_overlays / "own.yml", OVERLAY.replace('"3"', "3.0"))
    with pytest.raises(
        ReferenceDataError, match=r"own\.yml:5: entries/1/rates/input_tokens: .*write \"3\.0\", got 3\.0"
    ):
        PriceBook.load(settings)


def test_contracts_rates_and_policy_are_part_of_the_book(settings: Settings) -> None:
    """Each of them decides costs, so each changes the version."""
    versions = [PriceBook.load(settings).version]
    examples = Path(__file__).parents[3] / "schemas" / "examples"
    for target, folder in (
        (settings.exchange_rates, "exchange_rates"),
        (settings.cost_policy, "cost_policy"),
        (settings.contracts / "c.yml", "contracts"),
    ):
        write(target, min((examples / folder).glob("*.yml")).read_text())
        versions.append(PriceBook.load(settings).version)
    book = PriceBook.load(settings)
    assert len(set(versions)) == 4
    assert book.contracted is not None
    assert book.contract_lines is not None
    entry = store.record(settings.lake, book, JUNE)
    assert store.read_book(settings.lake, entry).version == book.version


def test_the_book_of_a_past_knowledge_time_is_the_recorded_one(settings: Settings) -> None:
    """What was in use then counts, not what the files say today of then."""
    empty = PriceBook.load(settings)
    store.record(settings.lake, empty, JULY)
    write(settings.price_overlays / "own.yml", OVERLAY)
    now = PriceBook.load(settings)
    later = datetime(2026, 7, 15, tzinfo=UTC)
    store.record(settings.lake, now, later)
    assert PriceBook.load(settings, as_of=JULY).version == empty.version
    assert PriceBook.load(settings, as_of=later).version == now.version


def test_before_the_first_recorded_book_the_entries_known_by_then_count(settings: Settings) -> None:
    """A home that has not metered yet can still be asked."""
    write(settings.price_overlays / "own.yml", OVERLAY)
    assert [rate_of(PriceBook.load(settings, as_of=at)) for at in (MAY, JUNE, JULY)] == [0, 2_000_000, 3_000_000]


def test_what_becomes_known_tomorrow_is_not_in_the_book_of_today(settings: Settings) -> None:
    """A price list or contract that was put there ahead of its time waits for it, without a change of the file."""
    write(settings.price_overlays / "own.yml", OVERLAY)
    write(settings.contracts / "half.yml", CONTRACT)
    book = load_book(settings, now=datetime(2026, 6, 14, tzinfo=UTC))
    assert (rate_of(book), book.contracted) == (2_000_000, None)
    assert load_book(settings, now=datetime(2026, 6, 15, tzinfo=UTC) - timedelta(microseconds=1)) is book
    after = load_book(settings, now=datetime(2026, 6, 15, tzinfo=UTC))
    assert (rate_of(after), after.contracted) == (3_000_000, None)
    under = load_book(settings, now=JULY).contracted
    assert under is not None
    # Half of 3 USD a million.
    assert [price.rates for price in under.prices if price.contract_id == "half"] == [{"input_tokens": 1_500_000}]


def test_another_billing_calendar_moves_the_dates_of_contracts(settings: Settings) -> None:
    """Stored calls around midnight are priced by it only after a rerate, so the version of the book tells."""
    write(settings.price_overlays / "own.yml", OVERLAY)
    write(settings.contracts / "half.yml", CONTRACT)
    august = datetime(2026, 8, 1, tzinfo=UTC)
    before = load_book(settings, now=august)
    write(settings.billing_calendar, "{billing_calendar: 1, time_zone: Asia/Kolkata, author: a, reason: r}")
    after = load_book(settings, now=august)
    assert before.version != after.version
    assert after.contracted is not None
    starts = {price.valid_from for price in after.contracted.prices if price.contract_id == "half"}
    assert starts == {datetime(2026, 4, 30, 18, 30, tzinfo=UTC)}
