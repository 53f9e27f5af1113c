"""The real history of a widely used price table, 2023-11 to 2026-07: every error it is known to hold is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tollbook.contracts import shipped_folder
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.check import check_prices
from tollbook.rating.checks.finding import Finding
from tollbook.rating.prices import Price
from tollbook.rating.sources.price_table import read_price_table

# The table's last snapshot is of the month before.
NOW = datetime(2026, 7, 15, tzinfo=UTC)
SharedData = Callable[[str], Path]


@pytest.fixture(scope="module")
def history(shared_data: SharedData) -> list[Price]:
    """Return the prices of the history."""
    mapping = shipped_folder("schemas") / "examples" / "price_tables" / "litellm-history.price_table.yml"
    return read_price_table(shared_data("price-history/price_history.csv"), mapping)


@pytest.fixture(scope="module")
def findings(history: list[Price], genai_catalogue: Catalogue) -> tuple[Finding, ...]:
    """Return what the check finds."""
    return check_prices(history, genai_catalogue, now=NOW).findings


def of(findings: tuple[Finding, ...], code: str, model: str = "") -> list[Finding]:
    """Return the findings of a code, of models whose name begins so."""
    return [each for each in findings if each.code == code and each.model.startswith(model)]


def day(year: int, month: int) -> datetime:
    """Return the first of a month."""
    return datetime(year, month, 1, tzinfo=UTC)


def test_the_history_is_read_whole(history: list[Price]) -> None:
    """2,486 models; of 3,250 rows 305 end a price. 111 prices are for long requests, 99 for batches."""
    assert len({each.model for each in history}) == 2_486
    assert len({each.source for each in history}) == 3_250 - 305
    assert sum(each.above_input_tokens is not None for each in history) == 111
    assert sum(each.service_tier == "batch" for each in history) == 99


def test_a_slip_by_100_000_is_found_at_once_and_when_it_is_mended(findings: tuple[Finding, ...]) -> None:
    """The models of wandb cost up to 135,000 USD a million tokens. All 14 are found by that, and by what others ask."""
    dear = {each.model for each in of(findings, "implausible_price", "wandb/")}
    assert len(dear) == 14
    (kimi,) = [
        each
        for each in of(findings, "implausible_price", "wandb/moonshotai/Kimi-K2-Instruct")
        if each.unit == "input_tokens"
    ]
    assert (kimi.value, kimi.valid_from, kimi.valid_to) == (Decimal(135_000), day(2025, 10), day(2026, 1))
    by_peers = {each.model for each in of(findings, "far_from_peers", "wandb/")}
    assert by_peers == dear
    assert {each.unit for each in of(findings, "price_jump", "wandb/")} == {"input_tokens", "output_tokens"}


def test_a_cache_read_of_eight_tenths_then_eight_hundredths_is_found(findings: tuple[Finding, ...]) -> None:
    """claude-3-5-haiku's cache read cost as much as its input for a month: by itself, on the way up and down."""
    model = "claude-3-5-haiku-20241022"
    (equal,) = of(findings, "cache_read_equals_input", model)
    assert (equal.value, equal.valid_from, equal.valid_to) == (Decimal("0.8"), day(2025, 4), day(2025, 5))
    (down,) = of(findings, "power_of_ten_jump", model)
    assert (down.expected, down.value, down.valid_from) == (Decimal("0.8"), Decimal("0.08"), day(2025, 5))
    (up,) = of(findings, "price_jump", model)
    assert (up.expected, up.value) == (Decimal("0.1"), Decimal("0.8"))


def test_a_price_of_a_tenth_is_found_when_it_is_mended(findings: tuple[Finding, ...]) -> None:
    """gemini-1.5-pro stood at 0.35 USD for a month, and at 3.50 afterwards."""
    found = of(findings, "power_of_ten_jump", "gemini/gemini-1.5-pro")
    told = [(each.model, each.unit, each.expected, each.value) for each in found]
    assert ("gemini/gemini-1.5-pro", "input_tokens", Decimal("0.35"), Decimal("3.5")) in told
    assert ("gemini/gemini-1.5-pro", "output_tokens", Decimal("1.05"), Decimal("10.5")) in told


def test_free_cache_writes_are_found(findings: tuple[Finding, ...]) -> None:
    """At deepseek what is written to the cache is input; at zero a third of a session would be free."""
    models = {each.model for each in of(findings, "zero_cache_write")}
    assert {"deepseek-chat", "deepseek/deepseek-chat", "deepseek/deepseek-v3"} <= models


def test_output_that_fell_to_zero_is_found(findings: tuple[Finding, ...]) -> None:
    """Two real slips: mpt-7b went from 0.50 USD to nothing in November 2024, gemini-1.5-flash from 0.30 in 2026."""
    told = {
        each.model: (each.unit, each.expected, each.value, each.valid_from)
        for each in of(findings, "price_fell_to_zero")
    }
    assert told == {
        "databricks/databricks-mpt-7b-instruct": ("output_tokens", Decimal("0.5"), Decimal(0), day(2024, 11)),
        "gemini/gemini-1.5-flash": ("output_tokens", Decimal("0.3"), Decimal(0), day(2026, 4)),
    }


def test_free_output_is_found_and_112_embeddings_are_not(findings: tuple[Finding, ...], history: list[Price]) -> None:
    """Beside the two there are a list's default for embeddings and Azure's router, whose fee is on input alone."""
    free = {each.model for each in history if each.rates.get("input_tokens") and each.rates.get("output_tokens") == 0}
    assert len(free) == 116
    assert {each.model for each in of(findings, "zero_output")} == {
        "databricks/databricks-mpt-7b-instruct",
        "gemini/gemini-1.5-flash",
        "azure_ai/model_router",
        "fireworks_ai/accounts/fireworks/models/",
    }


def test_half_a_price_is_found(findings: tuple[Finding, ...]) -> None:
    """Bedrock bills pegasus' input by the second of video; the table has its output alone."""
    models = {f"{region}twelvelabs.pegasus-1-2-v1:0" for region in ("", "us.", "eu.")}
    assert {each.model for each in of(findings, "no_input_rate")} == models


def test_rates_that_vanished_are_noted(findings: tuple[Finding, ...]) -> None:
    """DeepInfra's cache reads left the table in November 2025; the models stayed."""
    assert {each.model for each in of(findings, "rate_vanished")} == {
        "deepinfra/Qwen/Qwen3-Coder-480B-A35B-Instruct-Turbo",
        "deepinfra/deepseek-ai/DeepSeek-V3-0324",
        "deepseek-chat",
    }


def test_a_name_that_was_not_lowered_is_found(findings: tuple[Finding, ...]) -> None:
    """gpt-3.5-turbo stayed at 1.50 and 2 USD for 18 months after its newest snapshot came at 0.50 and 1.50.

    The catalogue of today knows the price of 0.50 too, but not since when: that alone is a note.
    """
    behind = {
        each.unit: each
        for each in of(findings, "alias_behind_snapshot")
        if each.model == "gpt-3.5-turbo" and each.valid_from == day(2024, 4)
    }
    assert {unit: (each.value, each.expected) for unit, each in behind.items()} == {
        "input_tokens": (Decimal("1.5"), Decimal("0.5")),
        "output_tokens": (Decimal(2), Decimal("1.5")),
    }
    assert behind["input_tokens"].valid_to == day(2025, 10)
    late = [each for each in of(findings, "undated_catalogue_disagrees") if each.model == "gpt-3.5-turbo"]
    assert [(each.value, each.expected) for each in late if each.unit == "input_tokens"] == [
        (Decimal("1.5"), Decimal("0.5"))
    ]


def test_models_that_went_and_came_back_leave_gaps(findings: tuple[Finding, ...]) -> None:
    """A call in the gap has no price."""
    assert {each.model: (each.valid_from, each.valid_to) for each in of(findings, "validity_gap")} == {
        "azure/gpt-3.5-turbo": (day(2024, 2), day(2025, 3)),
        "claude-3-5-sonnet-latest": (day(2024, 12), day(2025, 3)),
        "claude-3-opus-latest": (day(2024, 12), day(2025, 3)),
        "deepseek-chat": (day(2025, 2), day(2025, 10)),
        "gemini-flash-latest": (day(2025, 11), day(2026, 3)),
        "gemini-flash-lite-latest": (day(2025, 11), day(2026, 3)),
    }


def test_real_price_cuts_are_no_jumps(findings: tuple[Finding, ...]) -> None:
    """o3 went from 10 to 2 USD and gpt-4o from 5 to 2.50; a check that cries wolf is switched off."""
    jumps = {each.model for code in ("power_of_ten_jump", "price_jump") for each in of(findings, code)}
    assert not jumps & {"o3", "o3-2025-04-16", "azure/o3", "gpt-4o", "gpt-4o-mini", "deepseek/deepseek-chat"}


def test_no_cache_read_of_the_history_is_above_input(findings: tuple[Finding, ...], genai_catalogue: Catalogue) -> None:
    """The table has equal ones. The catalogue of today has one above: 0.23 beside 0.225 USD, at OpenRouter."""
    assert of(findings, "cache_read_above_input") == []
    assert len(of(findings, "cache_read_equals_input")) == 3
    own = genai_catalogue.prices
    found = of(check_prices(own, genai_catalogue, now=NOW).findings, "cache_read_above_input")
    assert [(each.model, each.value, each.expected) for each in found] == [
        ("~deepseek/deepseek-pro-latest", Decimal("0.23"), Decimal("0.225"))
    ]


def test_the_findings_are_as_many_as_were_looked_at(findings: tuple[Finding, ...]) -> None:
    """The lists were read when they were written; a change of a bound shows here."""
    counted = Counter(each.code for each in findings if each.severity != "note" and "catalogue" not in each.code)
    assert counted == {
        "price_fell_to_zero": 2,
        "power_of_ten_jump": 25,
        "implausible_price": 32,
        "far_from_peers": 42,
        "zero_output": 4,
        "no_input_rate": 3,
        "price_jump": 86,
        "cache_read_equals_input": 3,
        "zero_cache_write": 29,
        "cache_write_below_input": 14,
        "cache_write_far_above_input": 7,
        "long_cache_write_below_short": 2,
        "output_far_above_input": 3,
        "alias_behind_snapshot": 43,
        "validity_gap": 6,
    }
