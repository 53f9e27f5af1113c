"""`prices history`: what held when, and what was known when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from tollbook.cli import main
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.store import record

MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
USD_PER_MILLION = 1_000_000


def price(usd: str, **told: object) -> Price:
    """Return a price of gpt-4o's input, in USD for a million tokens."""
    rates = {"input_tokens": Fraction(usd) * USD_PER_MILLION}
    return Price("openai", "gpt-4o", rates, **told)  # type: ignore[arg-type]  # fields of a price


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home whose price of 2.50 USD was found in July to have been 2.25 since June; a contract made it 2."""
    first = Catalogue.from_rows([price("2.50"), Price("acme", "gpt-4o", {"input_tokens": 1})], version="v")
    second = Catalogue.from_rows([price("2.50", valid_to=JUNE), price("2.25", valid_from=JUNE)], version="v")
    agreed = price("2", contract_id="c", billing_account_id="org-1", price_list="c")
    contracted = second.with_prices([*second.prices, agreed], list_name="contracts")
    record(tmp_path / "lake", PriceBook.of(first), MAY)
    record(tmp_path / "lake", PriceBook.of(second, contracted=contracted), JULY)
    return tmp_path


def test_what_was_known_when_can_be_asked_without_reading_parquet(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of both times was kept from the first day on, and no command showed it."""
    assert main(["prices", "history", "gpt-4o", "--provider", "OpenAI", "--home", str(home), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    times = ("valid_from", "valid_to", "known_from", "known_to")
    may, june, july = (f"2026-0{month}-01T00:00:00Z" for month in (5, 6, 7))
    assert [(each["price_usd"], each["contract_id"], *(each[name] for name in times)) for each in told] == [
        ("2.5", None, None, None, may, july),
        ("2.25", None, june, None, july, None),
        ("2.5", None, None, june, july, None),
        ("2", "c", None, None, july, None),
    ]
    assert (told[0]["rate"], told[0]["per"]) == ("input_tokens", 1_000_000)


def test_the_table_names_whom_a_price_is_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a provider every one is told; a contract's price beside a list price must not look like one."""
    assert main(["prices", "history", "GPT-4o", "--home", str(home)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:7] == ["provider", "model", "tier", "for", "rate", "USD", "per"]
    assert {line.split()[0] for line in lines[1:]} == {"acme", "openai"}
    (agreed,) = [line for line in lines if "contract" in line]
    assert "contract c for account org-1  input_tokens  2 " in agreed
    assert "ever" in agreed
    assert "further notice" in agreed


def test_a_model_without_a_recorded_price_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name must not look like a model that never changed."""
    assert main(["prices", "history", "no-such-model", "--home", str(tmp_path)]) == 1
    assert "no recorded price book has a price of no-such-model" in capsys.readouterr().err
