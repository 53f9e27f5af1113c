"""Reference files of every kind go through two commands, which know them by their first key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.book import PriceBook
from tollbook.rating.sources.contracts import read_contracts
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.reference.kinds import check_file, load_file
from tollbook.settings import Settings

EXAMPLES = shipped_folder("schemas") / "examples"
BEDROCK = """
contract: 1
contract_id: bedrock
provider: Amazon Bedrock
currency: USD
valid_from: 2026-01-01
known_from: 2026-01-01T00:00:00Z
author: a
reason: r
terms:
  - {term_id: off, discount: {percent: "50"}}
  - {term_id: fee, committed_use: {fee: "100", included_tokens: 1000}}
"""
CONTRACT = EXAMPLES / "contracts" / "openai-2026.contract.yml"


@pytest.mark.parametrize(
    ("path", "kind", "holds"),
    [
        (CONTRACT, "contract", "contract openai-2026 with openai, 4 terms"),
        (EXAMPLES / "exchange_rates" / "exchange_rates.yml", "exchange_rates", "3 exchange rates"),
        (
            EXAMPLES / "cost_policy" / "cost_policy.yml",
            "cost_policy",
            "cost policy that prefers rated, 1 provider named",
        ),
    ],
)
def test_a_file_is_known_by_its_first_key(path: Path, kind: str, holds: str, tmp_path: Path) -> None:
    """Nobody has to tell the command what the file says itself; what is loaded is where the book looks for it."""
    checked = check_file(path)
    assert (checked.kind, checked.path) == (kind, path)
    assert checked.holds.startswith(holds)
    settings = Settings(home=tmp_path)
    loaded = load_file(path, settings)
    assert loaded.path.read_bytes() == path.read_bytes()
    assert loaded.path.is_relative_to(settings.reference)
    assert PriceBook.load(settings).version != PriceBook.load(Settings(home=tmp_path / "empty")).version


def test_owner_rules_are_what_names_no_other_kind(tmp_path: Path) -> None:
    """Owner files were there first and name no kind."""
    path = tmp_path / "owners.yml"
    path.write_text("rules: []\n", encoding="utf-8")
    assert check_file(path).as_dict() | {"version": ""} == {
        "file": str(path),
        "kind": "owners",
        "rules": 0,
        "version": "",
        "notices": [],
    }
    assert load_file(path, Settings(home=tmp_path / "home")).path == tmp_path / "home" / "reference" / "owners.yml"


def test_a_price_overlay_has_a_command_of_its_own(tmp_path: Path) -> None:
    """It is checked against the price list, which `reference` does not do."""
    with pytest.raises(ReferenceDataError, match="use `tollbook prices load`"):
        load_file(EXAMPLES / "prices" / "corrections.yml", Settings(home=tmp_path))


def test_a_file_with_a_fault_leaves_what_is_in_use(tmp_path: Path) -> None:
    """Whole or not at all."""
    settings = Settings(home=tmp_path / "home")
    loaded = load_file(EXAMPLES / "exchange_rates" / "exchange_rates.yml", settings)
    before = loaded.path.read_bytes()
    broken = tmp_path / "broken.yml"
    broken.write_bytes(before.replace(b'usd: "1.1720"', b'usd: "-1"'))
    with pytest.raises(ReferenceDataError, match=r"broken\.yml:5: .*usd"):
        load_file(broken, settings)
    assert loaded.path.read_bytes() == before


def test_a_term_that_reaches_no_price_is_told(tmp_path: Path) -> None:
    """A misspelt model would else leave everyone at list price, in silence."""
    path = tmp_path / "contract.yml"
    path.write_bytes(CONTRACT.read_bytes().replace(b'models: [gpt-5, "gpt-5-2*"]', b'models: ["gtp-5*"]'))
    assert load_file(path, Settings(home=tmp_path / "home")).notices == (
        "openai-2026: term gpt-5-rates changes no list price of openai",
    )


@pytest.mark.parametrize(
    ("told", "notice"),
    [
        ("opnai", "there is no price list of opnai; its terms reach only what it tells the cost of"),
        ("litellm", "litellm passes calls on and bills none; name who bills behind it"),
    ],
)
def test_a_provider_that_nobody_knows_is_told(tmp_path: Path, told: str, notice: str) -> None:
    """A typo would else leave every call at list price and every promise unmet, in silence."""
    path = tmp_path / "contract.yml"
    path.write_bytes(CONTRACT.read_bytes().replace(b"provider: openai", f"provider: {told}".encode()))
    assert load_file(path, Settings(home=tmp_path / "home")).notices == (f"openai-2026: {notice}",)


def test_a_term_over_a_period_that_reaches_no_price_is_told(tmp_path: Path) -> None:
    """A fee for a misspelt model would include nothing."""
    path = tmp_path / "contract.yml"
    term = b"  - term_id: fee\n    applies_to: {models: [gtp-5]}\n    committed_use: {fee: '1', included_tokens: 1}\n"
    path.write_bytes(CONTRACT.read_bytes().rstrip() + b"\n" + term)
    assert load_file(path, Settings(home=tmp_path / "home")).notices == (
        "openai-2026: term fee reaches no list price of openai",
    )


def test_a_contract_holds_by_any_name_of_who_bills(tmp_path: Path) -> None:
    """The price list finds Bedrock by a rule and not by an alias; half off is half off all the same."""
    path = tmp_path / "contract.yml"
    path.write_text(BEDROCK, encoding="utf-8")
    settings = Settings(home=tmp_path / "home")
    loaded = load_file(path, settings)
    assert (loaded.notices, loaded.holds.split(",")[0]) == ((), "contract bedrock with aws")
    book = PriceBook.load(settings)
    assert book.contracted is not None
    agreed = {price.provider for price in book.contracted.prices if price.contract_id == "bedrock"}
    assert agreed == {"aws"}
    (contract,) = read_contracts(settings.contracts, book.list_prices.provider, as_of=datetime(2026, 7, 1, tzinfo=UTC))
    assert contract.provider == "aws"


def test_rates_without_an_exchange_rate_are_told(tmp_path: Path) -> None:
    """Usage that they price has no cost until the rate is given."""
    settings = Settings(home=tmp_path)
    (notice,) = load_file(EXAMPLES / "contracts" / "mistral-eu.contract.yml", settings).notices
    assert "dates without an exchange rate of EUR" in notice


def test_the_commands_print_what_a_file_holds(tmp_path: Path) -> None:
    """Exit 0 is well, 1 a finding."""
    runner = CliRunner()
    answer = runner.invoke(build_app(), ["reference", "check", str(CONTRACT)])
    assert (answer.exit_code, answer.stdout.count("contract openai-2026 with openai")) == (0, 1)
    answer = runner.invoke(build_app(), ["reference", "load", str(CONTRACT), "--home", str(tmp_path), "--json"])
    assert answer.exit_code == 0
    assert '"contract_id": "openai-2026"' in answer.stdout


EURO = """\
contract: 1
contract_id: euro
provider: openai
currency: EUR
valid_from: 2026-01-01
known_from: 2026-01-01T00:00:00Z
author: a
reason: r
terms:
  - {term_id: t, applies_to: {models: [gpt-4o]}, rates: {input_tokens: "2"}}
"""
RATE = """\
exchange_rates: 1
rates:
  - {currency: EUR, usd: "1.125", valid_from: 2026-01-01T00:00:00Z, valid_to: 2026-02-01T00:00:00Z, source: s}
"""


def test_rates_that_end_before_a_contract_does_are_told_when_they_are_loaded(tmp_path: Path) -> None:
    """Of the two files that belong together the one that was loaded last was silent, and a month had no cost."""
    (tmp_path / "euro.yml").write_text(EURO)
    (tmp_path / "rates.yml").write_text(RATE)
    settings = Settings(home=tmp_path / "home")
    load_file(tmp_path / "euro.yml", settings)

    loaded = load_file(tmp_path / "rates.yml", settings)

    told = "euro: there are dates without an exchange rate of EUR; usage that it prices on them has no cost"
    assert loaded.notices == (told,)
    (tmp_path / "rates.yml").write_text(RATE.replace(", valid_to: 2026-02-01T00:00:00Z", ""))
    assert load_file(tmp_path / "rates.yml", settings).notices == ()


def test_one_is_not_told_as_many(tmp_path: Path) -> None:
    """'1 exchange rates' and '1 terms' read like a fault of the file."""
    (tmp_path / "euro.yml").write_text(EURO)
    (tmp_path / "rates.yml").write_text(RATE)
    assert ", 1 term, version" in check_file(tmp_path / "euro.yml").holds
    assert check_file(tmp_path / "rates.yml").holds.startswith("1 exchange rate, version")


def test_the_billing_calendar_is_loaded_and_says_what_follows(tmp_path: Path) -> None:
    """Its first loading moves calls between months; the same zone again moves none."""
    example, settings = EXAMPLES / "billing_calendar" / "billing_calendar.yml", Settings(home=tmp_path)
    assert billing_calendar(settings).time_zone == "UTC"
    loaded = load_file(example, settings)
    assert (loaded.kind, loaded.holds) == ("billing_calendar", "billing periods as months in Europe/Berlin")
    assert loaded.path == tmp_path / "reference" / "billing_calendar.yml"
    assert loaded.notices == (
        "calls move between billing periods: the next `tollbook warehouse build` makes every date anew",
    )
    assert billing_calendar(settings).time_zone == "Europe/Berlin"
    assert load_file(example, settings).notices == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("time_zone: Europe/Berln", r"calendar\.yml:2: time_zone: .*perhaps Europe/Berlin, got 'Europe/Berln'"),
        ("time_zone: america/new york", r"calendar\.yml:2: time_zone.*perhaps America/New_York"),
        ("time_zone: Middle Earth", r"such as Europe/Berlin or America/New_York"),
        ("time_zone: +01:00", r"expected the IANA name of a time zone"),
        ("time_zone: ../etc/passwd", r"expected the IANA name of a time zone"),
        ("time_zone: 1", r"calendar\.yml:2: time_zone"),
        ("timezone: UTC", r"timezone"),
    ],
)
def test_a_zone_that_does_not_exist_is_refused(tmp_path: Path, line: str, words: str) -> None:
    """Billing by UTC because a zone was misspelt would go unnoticed until the books are closed."""
    path = tmp_path / "calendar.yml"
    path.write_text(f"billing_calendar: 1\n{line}\nauthor: a\nreason: r\n", encoding="utf-8")
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(ReferenceDataError, match=words):
        load_file(path, settings)
    assert not settings.billing_calendar.exists()


def test_a_sound_billing_calendar_takes_the_place_of_a_broken_one(tmp_path: Path) -> None:
    """Who edits the file in use by hand can mend it by the command."""
    settings = Settings(home=tmp_path)
    settings.reference.mkdir()
    settings.billing_calendar.write_text("billing_calendar: 1\ntime_zone: Mars\n", encoding="utf-8")
    with pytest.raises(ReferenceDataError, match=r"billing_calendar\.yml:1: .*author"):
        billing_calendar(settings)
    load_file(EXAMPLES / "billing_calendar" / "billing_calendar.yml", settings)
    assert billing_calendar(settings).time_zone == "Europe/Berlin"
