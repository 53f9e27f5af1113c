"""`prices show` tells the price in force, as the vendor publishes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tollbook.cli import prices
from tollbook.errors import MisuseError, ReferenceDataError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.explain import book_prices_in_force, instant, prices_in_force
from tollbook.rating.prices import Agreement, Price
from tollbook.rating.store import record
from tollbook.rating.words import words

CHANGE = datetime(2025, 6, 10, tzinfo=UTC)


def command_line() -> typer.Typer:
    """Return a command line with this noun alone."""
    app = typer.Typer()
    prices.register(app)
    app.callback()(lambda: None)
    return app


def test_the_price_in_force_changes_at_its_date(genai_catalogue: Catalogue) -> None:
    """o3 went from 10 to 2 USD a million input tokens on 2025-06-10: one question, two answers."""
    before, after = (
        prices_in_force(genai_catalogue, "o3", at, provider="openai")[0]
        for at in (CHANGE - timedelta(microseconds=1), CHANGE)
    )
    assert {rate.unit: rate.price for rate in before.rates}["uncached_input_tokens"] == Decimal(10)
    assert {rate.unit: rate.price for rate in after.rates}["uncached_input_tokens"] == Decimal(2)
    assert (before.valid_from, before.valid_to) == (None, CHANGE)
    assert (after.valid_from, after.valid_to, after.basis) == (CHANGE, None, "rated")


def test_a_price_is_told_by_tier_context_and_time_of_day(genai_catalogue: Catalogue) -> None:
    """One model has several prices at one instant; leaving one out would explain a charge by another."""
    at = datetime(2026, 6, 1, 17, tzinfo=UTC)
    told = prices_in_force(genai_catalogue, "gpt-5.4", at, provider="openai")
    assert [(each.price.service_tier, each.price.above_input_tokens, each.basis) for each in told] == [
        ("default", None, "rated"),
        ("default", 272_000, "rated"),
        ("batch", None, "estimated"),
        ("batch", 272_000, "estimated"),
        ("flex", None, "estimated"),
        ("flex", 272_000, "estimated"),
        ("priority", None, "estimated"),
        ("fast", None, "estimated"),
    ]
    (night,) = prices_in_force(genai_catalogue, "deepseek-chat", at, provider="deepseek")
    assert (f"{night.price.daily_from:%H:%M}", f"{night.daily_to:%H:%M}") == ("16:30", "00:00")


def test_without_a_provider_every_one_that_has_the_model_is_told(genai_catalogue: Catalogue) -> None:
    """Azure falls back to OpenAI's list, which is told once, under the provider whose price it is."""
    told = prices_in_force(genai_catalogue, "gpt-4o", CHANGE)
    providers = [each.price.provider for each in told if each.price.service_tier == "default"]
    assert "openai" in providers
    assert len(providers) == len(set(providers))
    (azure,) = prices_in_force(genai_catalogue, "gpt-4o", CHANGE, provider="azure.ai.openai")
    assert azure.price.provider == "openai"


def test_a_gap_has_no_price_to_show() -> None:
    """Between two periods nothing is in force, and nothing is made up."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    catalogue = Catalogue.from_rows(
        [Price("p", "m", {"input_tokens": 1}, valid_from=day, valid_to=CHANGE.replace(year=2026))], version="v"
    )
    assert [each.basis for each in prices_in_force(catalogue, "m", day - timedelta(days=1))] == ["estimated"]
    assert prices_in_force(catalogue, "m", CHANGE.replace(year=2026)) == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T09:00:00", datetime(2026, 6, 1, 9, tzinfo=UTC)),
        ("2026-06-01T09:00:00+02:00", datetime(2026, 6, 1, 7, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, meant: datetime) -> None:
    """The zone of the machine decides nothing."""
    assert instant(text) == meant


def test_a_time_that_is_none_is_misuse() -> None:
    """The message shows what was expected."""
    with pytest.raises(MisuseError, match="2026-06-01T09:00:00Z"):
        instant("yesterday")


def test_the_command_prints_prices_as_published() -> None:
    """Data on stdout: the rate, its amount, and the units that it prices."""
    result = CliRunner().invoke(
        command_line(), ["prices", "show", "claude-sonnet-4-5", "--at", "2026-06-01", "--provider", "anthropic"]
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "anthropic claude-sonnet-4-5, default"
    written = next(line.split() for line in lines if line.startswith("  cache_write_1h_tokens"))
    assert written == ["cache_write_1h_tokens", "6", "1,000,000", "Tokens", "cache_write_1h_tokens"]
    assert "anthropic claude-sonnet-4-5, default, requests above 200,000 input tokens" in lines


def test_the_command_prints_json_with_decimals_as_text() -> None:
    """A reader of JSON gets every digit, and the version of the catalogue that answered."""
    result = CliRunner().invoke(
        command_line(), ["prices", "show", "o3", "--at", "2025-06-10", "--provider", "openai", "--json"]
    )
    document = json.loads(result.stdout)
    assert (document["at"], result.exit_code) == ("2025-06-10T00:00:00Z", 0)
    assert document["catalogue_version"].startswith("genai-prices-0.2.3-")
    first = document["prices"][0]
    assert (first["valid_from"], first["valid_to"]) == ("2025-06-10T00:00:00Z", None)
    assert first["rates"][0] == {
        "unit": "uncached_input_tokens",
        "price_usd": "2",
        "per": 1_000_000,
        "consumed_unit": "Tokens",
        "priced_as": "input_tokens",
    }


def test_a_model_without_a_price_is_a_finding() -> None:
    """Exit 1 and a word on stderr, so that a script notices."""
    result = CliRunner().invoke(command_line(), ["prices", "show", "no-such-model", "--at", "2026-06-01"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "no-such-model" in result.stderr


OVERLAY = """\
price_overlay: 1
name: own
entries:
  - entry_id: june
    provider: openai
    model: gpt-4o
    rates: {input_tokens: "2.25"}
    daily: [{from: "22:00", to: "06:00", rates: {input_tokens: "2.00"}}]
    valid_from: 2026-06-01T00:00:00Z
    known_from: 2026-06-03T08:00:00Z
    source: https://openai.com/api/pricing
    checked_on: 2026-06-03
    author: finance
    reason: The list was late.
region_uplifts:
  - entry_id: eu
    provider: openai
    models: [gpt-4o]
    regions: ["eu*"]
    multiplier: "1.1"
    known_from: 2026-06-03T08:00:00Z
    source: https://openai.com/eu
"""


def run(*arguments: str) -> Result:
    """Run a command of `prices`."""
    return CliRunner().invoke(command_line(), ["prices", *arguments])


def loaded(tmp_path: Path) -> str:
    """Put the overlay into use and return its home."""
    (tmp_path / "own.yml").write_text(OVERLAY)
    result = run("load", str(tmp_path / "own.yml"), "--home", str(tmp_path / "home"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "own.yml now holds 2 entries, 2 of them new" in result.stderr
    return str(tmp_path / "home")


def test_a_price_is_explained_in_words_with_its_source(tmp_path: Path) -> None:
    """Whoever disputes a charge reads which price held, since when, by whose word, and what it superseded."""
    home = loaded(tmp_path)
    result = run("show", "gpt-4o", "--provider", "openai", "--at", "2026-06-10T12:00:00Z", "--home", home)
    published = "genai-prices/openai/gpt-4o/default/undated/base"
    kept = "cache_read_tokens, output_tokens, storage_searches, web_searches"
    day, european = result.stdout.split("\n\n")[:2]
    assert day.splitlines()[:8] == [
        "openai gpt-4o, default",
        "  rated, since 2026-06-01T00:00:00Z, until further notice, daily 06:00 to 22:00 UTC",
        "  own:june/openai/gpt-4o/default/2026-06-01@06:00/base",
        "  source: https://openai.com/api/pricing, checked on 2026-06-03",
        f"  It took the place of {published} at 2026-06-01T00:00:00Z.",
        "  The entry own:june, known from 2026-06-03T08:00:00Z, by finance, says input_tokens.",
        "  Its reason: The list was late.",
        f"  It lies over {published}; {kept} are those of that price.",
    ]
    assert day.splitlines()[9].split()[:2] == ["input_tokens", "2.25"]
    assert european.splitlines()[0] == "openai gpt-4o, default, eu*"
    assert "  In the region eu* rates are 1.1 times the others, by own:eu (source: https://openai.com/eu)." in european
    assert next(line for line in european.splitlines() if line.startswith("  input_tokens")).split()[1] == "2.475"


def test_what_was_known_before_an_entry_was_is_explained_without_it(tmp_path: Path) -> None:
    """The same instant by the knowledge of the day before."""
    home = loaded(tmp_path)
    asked = ("show", "gpt-4o", "--provider", "openai", "--at", "2026-06-10", "--home", home, "--json")
    told = json.loads(run(*asked, "--as-of", "2026-06-03T07:59:59Z").stdout)["prices"]
    assert {each["sku_price_id"] for each in told if each["service_tier"] == "default"} == {
        "genai-prices/openai/gpt-4o/default/undated/base"
    }
    before, after = (
        json.loads(run(*asked[:5], "2026-05-31", *asked[6:]).stdout)["prices"][0],
        json.loads(run(*asked).stdout)["prices"][0],
    )
    assert before["superseded_by"] == "own:june/openai/gpt-4o/default/2026-06-01/base"
    assert after["superseded"] == before["sku_price_id"]
    assert (before["valid_to"], after["valid_from"]) == ("2026-06-01T00:00:00Z",) * 2


def test_a_wrong_overlay_is_a_finding_and_changes_nothing(tmp_path: Path) -> None:
    """The message has the line; the overlay in use stays."""
    home = loaded(tmp_path)
    (tmp_path / "own.yml").write_text(OVERLAY.replace('"2.25"', "2.25"))
    result = run("load", str(tmp_path / "own.yml"), "--home", home)
    assert isinstance(result.exception, ReferenceDataError)
    assert "own.yml:7: entries/0/rates/input_tokens" in result.exception.message
    assert (tmp_path / "home" / "reference" / "prices" / "own.yml").read_text() == OVERLAY


def test_recorded_books_are_listed_with_when_they_came_into_use(tmp_path: Path) -> None:
    """Which prices were charged by when is one question to the log."""
    book = PriceBook.of(Catalogue.from_rows([Price("p", "m", {"input_tokens": 1})], version="v"))
    record(tmp_path / "lake", book, CHANGE)
    result = run("versions", "--home", str(tmp_path))
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["number", "since", "catalogue_version", "list_prices", "contracted_prices"],
        ["1", "2025-06-10T00:00:00Z", book.version, "1", "-"],
    ]
    (told,) = json.loads(run("versions", "--home", str(tmp_path), "--json").stdout)
    assert told == {
        "number": 1,
        "since": "2025-06-10T00:00:00Z",
        "catalogue_version": book.version,
        "list_prices": 1,
        "contracted_prices": None,
    }


def test_a_contracted_price_is_told_behind_the_list_price() -> None:
    """What was agreed, with whom, and over which price."""
    listed = Catalogue.from_rows([Price("p", "m", {"input_tokens": 4})], version="v")
    agreement = Agreement(
        {"t1": ("input_tokens",)}, "EUR", {"input_tokens": Fraction(3)}, Fraction(9, 8), CHANGE, "list"
    )
    agreed = Price(
        "p",
        "m",
        {"input_tokens": Fraction(27, 8)},
        price_list="c",
        contract_id="c",
        billing_account_id="a",
        agreement=agreement,
    )
    book = PriceBook.of(listed, contracted=listed.with_prices([*listed.prices, agreed], list_name="v+contracts"))
    first, second = book_prices_in_force(book, "m", CHANGE)
    assert first.price.contract_id is None
    assert words(second) == [
        "Agreed for the account a by the contract c, over list:",
        "the term t1 says input_tokens.",
        "One EUR is 1.125 USD since 2025-06-10T00:00:00Z.",
    ]
