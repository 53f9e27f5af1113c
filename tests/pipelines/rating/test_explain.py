"""`prices show` tells the price in force, as the vendor publishes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import typer
from typer.testing import CliRunner

from tollbook.cli import prices
from tollbook.errors import MisuseError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.explain import instant, prices_in_force
from tollbook.rating.prices import Price

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
