"""One price against itself. Amounts are USD a million tokens."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tollbook.rating.checks.order import check_order
from tollbook.rating.prices import Price

MakePrice = Callable[..., Price]


def codes(*prices: Price) -> list[str]:
    """Return the codes that are found."""
    return [each.code for each in check_order(prices)]


def test_a_sound_price_has_no_finding(price: MakePrice) -> None:
    """Claude Haiku 4.5's own prices: whoever is told of nothing stops looking at findings."""
    rates = {"input_tokens": "1", "output_tokens": "5", "cache_read_tokens": "0.1"}
    rates |= {"cache_write_tokens": "1.25", "cache_write_1h_tokens": "2"}

    assert codes(price(rates=rates)) == []


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"cache_read_tokens": "2.01"}, "cache_read_above_input"),
        ({"cache_read_tokens": "2"}, "cache_read_equals_input"),
        ({"cache_read_tokens": "0"}, "zero_cache_read"),
        ({"cache_write_tokens": "0"}, "zero_cache_write"),
        ({"cache_write_tokens": "1"}, "cache_write_below_input"),
        ({"cache_write_1h_tokens": "6"}, "cache_write_far_above_input"),
        ({"cache_write_tokens": "4", "cache_write_1h_tokens": "3"}, "long_cache_write_below_short"),
        ({"output_tokens": "1"}, "output_below_input"),
        ({"output_tokens": "40.01"}, "output_far_above_input"),
        ({"input_tokens": "0"}, "zero_input"),
        ({"output_tokens": "0"}, "zero_output"),
        ({"input_tokens": "0", "cache_read_tokens": "0.5"}, "cache_read_above_input"),
        ({"input_tokens": "0", "cache_write_tokens": "0.5"}, "cache_write_far_above_input"),
        ({"input_tokens": "1001", "output_tokens": "1000"}, "implausible_price"),
    ],
)
def test_each_kind_of_slip_within_a_price_is_found(price: MakePrice, rates: dict[str, str], expected: str) -> None:
    """Each of them stood in a published price table for months."""
    assert expected in codes(price(rates={"input_tokens": "2", "output_tokens": "8", **rates}))


@pytest.mark.parametrize(
    "rates",
    [
        {"cache_read_tokens": "1.99"},
        {"cache_write_tokens": "2"},
        {"cache_write_1h_tokens": "4"},
        {"cache_write_tokens": "3", "cache_write_1h_tokens": "3"},
        {"output_tokens": "2"},
        {"output_tokens": "40"},
        {"input_tokens": "1000", "output_tokens": "1000"},
        {"input_tokens": "0", "output_tokens": "0", "cache_read_tokens": "0", "cache_write_tokens": "0"},
    ],
)
def test_what_is_at_a_bound_is_no_finding(price: MakePrice, rates: dict[str, str]) -> None:
    """Bounds are the dearest or cheapest that is really sold; a free model is free throughout."""
    assert codes(price(rates={"input_tokens": "2", "output_tokens": "8", **rates})) == []


def test_output_without_a_rate_for_input_leaves_input_without_a_cost(price: MakePrice) -> None:
    """A table that bills a model's input by the second has half a price for it: usage of the other half has none."""
    (found,) = check_order([price(rates={"output_tokens": "7.5"})])

    assert (found.code, found.severity, found.unit, found.value) == ("no_input_rate", "warning", "input_tokens", None)
    assert codes(price("whisper-1", rates={"audio_seconds": "100"}), price("unknown", rates={})) == []


@pytest.mark.parametrize(
    "model",
    [
        "text-embedding-3-large",
        "google/textembedding-gecko@003",
        "voyage/voyage-3",
        "BAAI/bge-m3",
        "rerank-v3.5",
        "qwen/qwen3:free",
    ],
)
def test_embeddings_and_free_models_may_have_no_price_for_output(price: MakePrice, model: str) -> None:
    """They write nothing, or are said to be free; a hundred such warnings would hide the two that are wrong."""
    assert codes(price(model, rates={"input_tokens": "0.1", "output_tokens": "0"})) == []


def test_a_dear_rate_and_a_cheap_long_request_are_told_by_name_and_readably(price: MakePrice) -> None:
    """'135000 USD for a million tokens' of which rate? Whoever mends the file must know which line."""
    (dear,) = check_order([price(rates={"input_tokens": "135000"})])
    long = price(rates={"input_tokens": "1"}, above_input_tokens=200_000)
    (cheap,) = check_order([price(), long])

    assert dear.message == "input_tokens costs 135,000 USD for a million tokens: no model costs 1,000 USD"
    assert cheap.message == (
        "input_tokens of requests above 200,000 input tokens (1 USD) costs less than that of shorter ones (2 USD)"
    )


def test_a_finding_tells_the_rate_and_what_it_should_compare_with(price: MakePrice) -> None:
    """A person must see what is wrong without opening the file."""
    rates = {"input_tokens": "0.14", "output_tokens": "0.28", "cache_write_tokens": "0"}

    (found,) = check_order([price("deepseek-chat", rates=rates)])

    assert (found.severity, found.unit, found.value, found.expected) == (
        "warning",
        "cache_write_tokens",
        Decimal(0),
        Decimal("0.14"),
    )
    assert found.as_dict()["expected_usd"] == "0.14"
    assert found.message == "a cache write is free beside input (0.14 USD): left out, it would be billed as input"


def test_a_batch_above_the_default_tier_is_found(price: MakePrice) -> None:
    """A batch is sold at a discount; half the price is usual."""
    default = price(until="2026-02-01")
    dear = price(rates={"input_tokens": "2.5", "output_tokens": "4"}, service_tier="batch")
    later = price(rates={"input_tokens": "2.5", "output_tokens": "4"}, service_tier="batch", since="2026-02-01")

    (found,) = check_order([default, dear])

    assert (found.code, found.unit, found.value, found.expected) == (
        "batch_above_default",
        "input_tokens",
        Decimal("2.5"),
        Decimal(2),
    )
    assert codes(default, later) == []


def test_the_cache_of_a_batch_may_save_nothing(price: MakePrice) -> None:
    """OpenAI bills the cached input of gpt-4o batches like their input: both at half of plain input."""
    rates = {"input_tokens": "1", "output_tokens": "4", "cache_read_tokens": "1"}

    assert codes(price(), price(rates=rates, service_tier="batch")) == []


def test_long_requests_that_cost_less_than_short_ones_are_found(price: MakePrice) -> None:
    """A tier by context length is a surcharge everywhere."""
    long = price(rates={"input_tokens": "1", "output_tokens": "16"}, above_input_tokens=200_000)
    longer = price(rates={"input_tokens": "3", "output_tokens": "12"}, above_input_tokens=400_000)

    found = list(check_order([price(), long, longer]))

    assert [(each.code, each.above_input_tokens, each.unit) for each in found] == [
        ("long_context_below_base", 200_000, "input_tokens"),
        ("long_context_below_base", 400_000, "output_tokens"),
    ]
