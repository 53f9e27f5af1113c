"""`prices show` tells the price in force, as the vendor publishes it."""

from __future__ import annotations

import json
from dataclasses import replace
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
    assert (f"{night.daily_from:%H:%M}", f"{night.daily_to:%H:%M}") == ("16:30", "00:30")


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
    with pytest.raises(MisuseError, match="expected a time such as"):
        instant("9999-12-31T23:59:59-10:00")


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


def of_contract(agreement: Agreement, rates: dict[str, Fraction | int], *, account: str = "a") -> PriceBook:
    """Return a book with one list price, and what a contract makes of it."""
    listed = Catalogue.from_rows([Price("p", "m", {"input_tokens": 4})], version="v")
    agreed = Price("p", "m", rates, contract_id="c", billing_account_id=account, agreement=agreement, price_list="c")
    return PriceBook.of(listed, contracted=listed.with_prices([*listed.prices, agreed], list_name="v+contracts"))


def test_a_discount_in_another_currency_is_not_said_to_lack_an_exchange_rate() -> None:
    """Half of a list price is half of it in any currency: 'there is no price' stood beside a price of 2."""
    book = of_contract(Agreement({"t": ("input_tokens",)}, "EUR", {}, None, None, "list"), {"input_tokens": 2})
    _, told = book_prices_in_force(book, "m", CHANGE)
    assert (told.basis, words(told)[1:]) == ("rated", ["the term t says input_tokens."])
    known = of_contract(Agreement({"t": ("input_tokens",)}, "EUR", {}, Fraction(9, 8), CHANGE, "list"), {})
    assert not any("One EUR is" in each for each in words(book_prices_in_force(known, "m", CHANGE)[1]))


def test_a_price_without_rates_is_not_said_to_be_rated() -> None:
    """Some models of the list have no rates: an empty table below `rated` promised a cost that no event gets."""
    (told,) = prices_in_force(Catalogue.from_rows([Price("p", "m", {})], version="v"), "m", CHANGE)
    assert told.basis == "unpriced"
    assert words(told) == ["This price has no rates, so usage by it has no cost."]
    agreement = Agreement({"t": ("input_tokens",)}, "EUR", {"input_tokens": Fraction(3)}, None, None, "list")
    _, agreed = book_prices_in_force(of_contract(agreement, {}), "m", CHANGE)
    assert agreed.basis == "unpriced"
    assert "This price has no rates, so usage by it has no cost." in words(agreed)
    assert "There is no exchange rate from EUR at this time, so there is no price." in words(agreed)


def test_a_real_price_without_rates_is_shown_as_unpriced() -> None:
    """github-copilot's gpt-4o has no rates in the list; usage by it is `unpriced` for `missing_rate`."""
    result = run("show", "gpt-4o", "--provider", "github-copilot", "--at", "2026-06-01")
    assert result.exit_code == 0
    assert "  unpriced, since ever" in result.stdout
    assert "  This price has no rates, so usage by it has no cost." in result.stdout
    assert "USD" not in result.stdout


def test_a_window_over_midnight_is_shown_whole(genai_catalogue: Catalogue) -> None:
    """The night of deepseek is from 16:30 to 00:30: whoever calls at 00:10 pays it too."""
    for hour, minute in ((17, 0), (0, 10)):
        at = datetime(2026, 6, 1, hour, minute, tzinfo=UTC)
        (night,) = prices_in_force(genai_catalogue, "deepseek-chat", at, provider="deepseek")
        told = night.as_dict()
        assert (told["daily_from"], told["daily_to"]) == ("16:30", "00:30")
    (daytime,) = prices_in_force(
        genai_catalogue, "deepseek-chat", datetime(2026, 6, 1, 12, tzinfo=UTC), provider="deepseek"
    )
    assert (daytime.as_dict()["daily_from"], daytime.as_dict()["daily_to"]) == ("00:30", "16:30")


def test_what_is_yet_to_come_is_not_told_as_past() -> None:
    """'It was superseded at 2027' was said in 2026."""
    start = datetime(2027, 1, 1, tzinfo=UTC)
    rows = [
        Price("p", "m", {"input_tokens": 2}, valid_to=start),
        Price("p", "m", {"input_tokens": 1}, valid_from=start),
    ]
    catalogue = Catalogue.from_rows(rows, version="v")
    (before,), (after,) = (prices_in_force(catalogue, "m", at) for at in (CHANGE, start))
    assert words(before, now=CHANGE) == [
        f"It will be superseded by {after.price.sku_price_id} at 2027-01-01T00:00:00Z."
    ]
    assert words(after, now=CHANGE) == [
        f"It will take the place of {before.price.sku_price_id} at 2027-01-01T00:00:00Z."
    ]
    assert words(before, now=start) == [f"It was superseded by {after.price.sku_price_id} at 2027-01-01T00:00:00Z."]
    assert words(after, now=start) == [f"It took the place of {before.price.sku_price_id} at 2027-01-01T00:00:00Z."]


def test_a_contract_does_not_take_the_place_of_a_price_that_begins_later() -> None:
    """Before July the list price is an estimate; a contract since January was said to have superseded it."""
    january, july = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 7))
    listed = Catalogue.from_rows([Price("p", "m", {"input_tokens": 4}, valid_from=july)], version="v")
    (price,) = listed.prices
    estimate = replace(price.held(None, january), billing_account_id="*")
    agreed = Price(
        "p", "m", {"input_tokens": 2}, valid_from=january, contract_id="c", billing_account_id="*", price_list="c"
    )
    book = PriceBook.of(listed, contracted=listed.with_prices([price, estimate, agreed], list_name="v+contracts"))
    told = book_prices_in_force(book, "m", january)[-1]
    assert (told.price.contract_id, told.superseded) == ("c", None)


CONTRACT = """\
contract: 1
contract_id: acme-2026
provider: openai
billing_accounts: [org-1]
currency: USD
valid_from: 2026-01-01
known_from: 2025-12-01T00:00:00Z
author: finance
reason: Renewed for two years.
terms:
  - term_id: half
    discount: {percent: "50"}
"""


def under_contract(tmp_path: Path) -> str:
    """Put the contract into use and return its home."""
    folder = tmp_path / "reference" / "contracts"
    folder.mkdir(parents=True)
    (folder / "acme-2026@20251201T000000Z.yml").write_text(CONTRACT)
    return str(tmp_path)


def test_a_contracted_price_names_its_account_and_who_wrote_the_contract(tmp_path: Path) -> None:
    """Two accounts of one contract looked alike, and 'source: not known' was all there was about it."""
    home = under_contract(tmp_path)
    result = run("show", "gpt-4o", "--provider", "openai", "--at", "2026-06-01", "--tier", "default", "--home", home)
    _, agreed = result.stdout.strip().split("\n\n")
    assert agreed.splitlines()[0] == "openai gpt-4o, default, contract acme-2026 for account org-1"
    assert "  source: contract acme-2026, which names none" in agreed
    assert "  The contract is written by finance; its reason: Renewed for two years." in agreed


def test_one_service_tier_can_be_asked_for(tmp_path: Path) -> None:
    """Eight prices of gpt-5.4 hide the one that was asked for."""
    asked = ("show", "gpt-5.4", "--provider", "openai", "--at", "2026-06-01", "--json")
    told = json.loads(run(*asked, "--tier", "batch").stdout)["prices"]
    assert {each["service_tier"] for each in told} == {"batch"}
    wrong = run(*asked, "--tier", "cheap")
    assert isinstance(wrong.exception, MisuseError)
    assert "expected a service tier of default, " in wrong.exception.message


def test_which_book_answers_for_a_past_time_is_said(tmp_path: Path) -> None:
    """Around the first recorded book files answer on one side and the book on the other, and may differ."""
    book = PriceBook.of(Catalogue.from_rows([Price("p", "m", {"input_tokens": 1})], version="v"))
    record(tmp_path / "lake", book, CHANGE)
    after = run("show", "m", "--as-of", "2025-06-11", "--home", str(tmp_path))
    assert after.stdout.startswith("By price book 1, in use since 2025-06-10T00:00:00Z: what was charged by.\n\n")
    before = run("show", "o3", "--provider", "openai", "--as-of", "2025-06-09", "--home", str(tmp_path))
    assert before.stdout.startswith("No price book was recorded by 2025-06-09T00:00:00Z: this is what the files of now")
    told = json.loads(run("show", "m", "--as-of", "2025-06-11", "--home", str(tmp_path), "--json").stdout)
    assert told["knowledge"] == {
        "as_of": "2025-06-11T00:00:00Z",
        "answered_by": "recorded_book",
        "number": 1,
        "since": "2025-06-10T00:00:00Z",
    }
    asked = ("show", "o3", "--as-of", "2025-06-09", "--home", str(tmp_path), "--json")
    assert json.loads(run(*asked).stdout)["knowledge"]["answered_by"] == "files"
