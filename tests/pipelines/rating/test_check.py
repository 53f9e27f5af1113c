"""The check of the book in force, and of prices that are not in force yet."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.check import check_book, check_overlay, check_prices
from tollbook.rating.checks.finding import CODES, SEVERITIES, Finding, merged
from tollbook.rating.prices import Price
from tollbook.rating.sources.genai import PRICE_LIST
from tollbook.rating.sources.overlays import read_overlay
from tollbook.rating.used import UsedUnit

NOW = datetime(2026, 11, 24, tzinfo=UTC)
BROKEN = {"input_tokens": Fraction(1_000_000), "cache_read_tokens": Fraction(2_000_000)}


def used(model: str, provider: str = "acme") -> UsedUnit:
    """Return usage of a model."""
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    return UsedUnit(start, end, provider, model, "default", "uncached_input_tokens", 10, 0)


@pytest.fixture
def book() -> PriceBook:
    """Return a book with two broken prices of the package and one of our own."""
    rows = [
        Price(provider="acme", model="in-use", rates=BROKEN, price_list=PRICE_LIST),
        Price(provider="acme", model="not-in-use", rates=BROKEN, price_list=PRICE_LIST),
        Price(provider="acme", model="our-own", rates=BROKEN),
    ]
    return PriceBook.of(Catalogue.from_rows(rows, version="test"))


def test_the_packages_prices_are_checked_where_they_are_used_and_our_own_always(book: PriceBook) -> None:
    """A list of the oddities of 2,300 models that nobody uses would hide the one that is used."""
    models = [each.model for each in check_book(book, [used("in-use")], now=NOW).findings]

    assert models == ["in-use", "our-own"]
    assert [each.model for each in check_book(book, [], now=NOW).findings] == ["our-own"]


def test_a_model_that_is_used_through_a_gateway_is_checked_too(book: PriceBook) -> None:
    """All that an organisation uses may come through LiteLLM, and then the check was clean whatever the prices were."""
    for told in (used("acme/in-use", "litellm"), used("acme/in-use")):
        assert [each.model for each in check_book(book, [told], now=NOW).findings] == ["in-use", "our-own"]


def test_every_price_is_checked_when_asked_for(book: PriceBook) -> None:
    """Before a model is chosen its price is of interest too."""
    result = check_book(book, [], now=NOW, every_price=True)

    assert [each.model for each in result.findings] == ["in-use", "not-in-use", "our-own"]
    assert (result.prices, result.counts, result.is_clean) == (3, {"error": 3, "warning": 0, "note": 0}, False)


def test_notes_alone_are_clean() -> None:
    """A note is worth a look; a scheduled check must not fail for it."""
    rates = {"input_tokens": Fraction(2_000_000), "output_tokens": Fraction(1_000_000)}
    price = Price(provider="acme", model="m", rates=rates)

    result = check_prices([price], Catalogue.from_rows([], version="empty"), now=NOW)

    assert [each.code for each in result.findings] == ["output_below_input"]
    assert result.is_clean


def test_a_contract_is_checked_with_the_list_prices(book: PriceBook) -> None:
    """A contract rate above the list price is found; the contract's price is checked by itself too."""
    rates = {"input_tokens": Fraction(3_000_000), "cache_read_tokens": Fraction(2_000_000)}
    contracted = Price(provider="acme", model="in-use", rates=rates, contract_id="acme-2026")
    both = PriceBook.of(book.list_prices, contracted=Catalogue.from_rows([contracted], version="contracts"))

    found = [(each.code, each.model) for each in check_book(both, [], now=NOW).findings]

    assert ("contract_above_list", "in-use") in found


def test_the_same_finding_of_periods_that_follow_each_other_is_one() -> None:
    """A price that was broken for three periods is one thing to mend."""
    periods = [(1, 2), (2, 3), (4, 5)]
    each = [
        Finding(
            "zero_cache_write",
            "deepseek",
            "deepseek-chat",
            "a cache write is free",
            valid_from=datetime(2026, first, 1, tzinfo=UTC),
            valid_to=datetime(2026, last, 1, tzinfo=UTC),
        )
        for first, last in periods
    ]

    assert [(one.valid_from, one.valid_to) for one in merged(each)] == [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)),
    ]


def test_codes_are_listed_the_gravest_first_and_say_what_they_mean() -> None:
    """Findings come in the order of the list."""
    severities = [severity for severity, _ in CODES.values()]

    assert severities == sorted(severities, key=SEVERITIES.index)
    assert all(meaning.endswith(".") for _, meaning in CODES.values())


OVERLAY = """\
price_overlay: 1
name: ours
entries:
  - entry_id: too-dear
    provider: acme
    model: base
    rates: {cache_read_tokens: "2.50"}
    valid_from: 2026-06-01T00:00:00Z
    known_from: 2026-05-01T00:00:00Z
    source: a letter
    checked_on: 2026-05-01
"""


def test_an_overlay_is_checked_by_the_prices_it_makes(tmp_path: Path) -> None:
    """It names one rate; what is wrong is how that stands to the rates beneath, which it does not name."""
    rates = {"input_tokens": Fraction(2_000_000), "cache_read_tokens": Fraction(250_000)}
    base = Catalogue.from_rows(
        [
            Price(provider="acme", model="base", rates=rates),
            Price(provider="acme", model="other", rates=BROKEN),
        ],
        version="test",
    )
    path = tmp_path / "ours.yml"
    path.write_text(OVERLAY)

    result = check_overlay(read_overlay(path), [], base, now=NOW)

    # 2.50 is above the input's 2.00 and ten times what the price list says; from 1 May to 24 November are 207 days.
    assert [(each.code, each.model) for each in result.findings] == [
        ("power_of_ten_jump", "base"),
        ("cache_read_above_input", "base"),
        ("not_checked_lately", "base"),
        ("undated_catalogue_disagrees", "base"),
    ]
    assert (result.prices, result.compared_with) == (1, base.version)
