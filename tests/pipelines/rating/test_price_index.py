"""Price indices of small baskets, worked by hand, and of the real history of prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.contracts import shipped_folder
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.rating.price_index import INDEX_KINDS, price_index
from tollbook.rating.prices import Price
from tollbook.rating.sources.price_table import read_price_table
from tollbook.rating.used import UsedUnit

Rows = dict[tuple[int, str], dict[str, Any]]
HUNDRED, QUARTER = Decimal(100), Decimal(25)


def month(number: int, year: int = 2026) -> datetime:
    """Return the first of a month, counted from January of a year."""
    return datetime(year + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def used(number: int, model: str, quantity: int, *, unit: str = "uncached_input_tokens", year: int = 2026) -> UsedUnit:
    """Return what was used of a model in a month."""
    start, end = month(number, year), month(number + 1, year)
    return UsedUnit(start, end, "openai", model, "default", unit, quantity)


def price(model: str, usd: str, *, since: int | None = None, until: int | None = None) -> Price:
    """Return a price of input in USD a million tokens, between two months of 2026."""
    return Price(
        provider="openai",
        model=model,
        rates={"input_tokens": Fraction(usd) * 1_000_000},
        valid_from=None if since is None else month(since),
        valid_to=None if until is None else month(until),
    )


def index(usage: Iterable[UsedUnit], prices: Sequence[Price], basket: str = "all") -> Rows:
    """Return the rows of a basket by month and kind."""
    table = price_index(usage, Catalogue.from_rows(prices, version="test"))
    rows = [row for row in table.to_pylist() if row["basket"] == basket]
    return {(row["billing_period_start"].month, row["index_kind"]): row for row in rows}


def values(rows: Rows, month: int) -> dict[str, Decimal | None]:
    """Return the index values of a month by kind."""
    return {kind: rows[month, kind]["index_value"] for kind in INDEX_KINDS}


TWO = [
    price("alpha", "10", until=2),
    price("alpha", "5", since=2),
    price("beta", "2", until=2),
    price("beta", "3", since=2),
]


def test_two_models_and_two_months_are_as_worked_by_hand() -> None:
    """Alpha falls from 10 to 5, beta rises from 2 to 3; usage moves from 3:1 to 1:3.

    Laspeyres: (3 x 5 + 1 x 3) / (3 x 10 + 1 x 2) = 18 / 32 = 56.25 %.
    Paasche: (1 x 5 + 3 x 3) / (1 x 10 + 3 x 2) = 14 / 16 = 87.5 %.
    Fisher: sqrt(0.5625 x 0.875) = sqrt(0.4921875) = 0.7015607...
    Unit value: 14 / 4 = 3.5 after 32 / 4 = 8: 43.75 %.
    """
    usage = [used(1, "alpha", 3), used(1, "beta", 1), used(2, "alpha", 1), used(2, "beta", 3)]

    rows = index(usage, TWO)

    assert values(rows, 1) == dict.fromkeys(INDEX_KINDS, Decimal(100))
    assert values(rows, 2) == {
        "laspeyres": Decimal("56.25"),
        "paasche": Decimal("87.5"),
        "fisher_chained": Decimal("70.156076"),
        "generation_chained": Decimal("70.156076"),
        "generation_shift": Decimal(100),
        "unit_value": Decimal("43.75"),
    }
    assert [rows[2, kind]["price_per_million_tokens"] for kind in INDEX_KINDS] == [
        Decimal("4.5"),  # 18 / 4
        Decimal("3.5"),  # 14 / 4
        Decimal("5.612486080161"),  # 8 x sqrt(63 / 128) = sqrt(31.5) = 5.6124860801609...
        Decimal("5.612486080161"),
        None,
        Decimal("3.5"),
    ]


def test_moving_to_a_cheaper_successor_is_no_fall_in_prices() -> None:
    """gpt-4-turbo costs 10 and gpt-4o 2.50 throughout; all usage moves from one to the other.

    No price changed: 100. By class it is 2.5 / 10 = 25, and all of that is the move.
    """
    prices = [price("gpt-4-turbo", "10"), price("gpt-4o-2024-08-06", "2.5")]

    rows = index([used(1, "gpt-4-turbo", 7), used(2, "gpt-4o-2024-08-06", 9)], prices)

    told = values(rows, 2)
    assert (told["laspeyres"], told["paasche"], told["fisher_chained"]) == (HUNDRED, HUNDRED, HUNDRED)
    assert (told["generation_chained"], told["generation_shift"], told["unit_value"]) == (QUARTER, QUARTER, QUARTER)
    assert rows[2, "generation_chained"]["price_per_million_tokens"] == Decimal("2.5")


def test_a_cut_within_one_name_is_a_fall_in_prices() -> None:
    """o3 went from 10 to 2 USD under the same name: 20, and nothing of it is a move."""
    rows = index([used(1, "o3", 5), used(2, "o3", 8)], [price("o3", "10", until=2), price("o3", "2", since=2)])

    assert values(rows, 2) == {**dict.fromkeys(INDEX_KINDS, Decimal(20)), "generation_shift": Decimal(100)}


def test_a_move_between_classes_is_neither() -> None:
    """From a small model to a large one: prices stand still, by class too; only the unit value rises."""
    prices = [price("claude-haiku-4-5", "1"), price("claude-opus-4-5", "5")]

    told = values(index([used(1, "claude-haiku-4-5", 4), used(2, "claude-opus-4-5", 4)], prices), 2)

    assert (told["fisher_chained"], told["unit_value"]) == (HUNDRED, 5 * HUNDRED)
    assert told["generation_chained"] is None, "no class was used in both months"


def test_a_model_without_a_price_is_named_and_counted_and_never_zero() -> None:
    """30 of 40 tokens have a price. The index is that of the 30."""
    rows = index(
        [used(1, "alpha", 3), used(2, "alpha", 30), used(2, "secret", 10)],
        [price("alpha", "10", until=2), price("alpha", "5", since=2)],
    )

    row = rows[2, "paasche"]
    assert row["index_value"] == 50
    assert (row["basket_tokens"], row["priced_tokens"], row["unpriced_models"]) == (40, 30, ["secret"])
    only = index([used(1, "secret", 3)], [price("alpha", "10")])
    assert {row["index_value"] for row in only.values()} == {None}
    assert {row["price_per_million_tokens"] for row in only.values()} == {None}


def test_a_model_that_comes_later_enters_the_chain_with_its_second_month() -> None:
    """A new model's first price is compared with nothing before it; the fixed basket never holds it.

    Beta has no price in January. Chain: January to February alpha alone (1), then alpha 10 to 10 and beta 4 to 2 with
    10 and 10 tokens in both months: L = P = 120 / 140 = 6 / 7.
    """
    prices = [price("alpha", "10"), price("beta", "1", since=None, until=1), price("beta", "4", since=2, until=3)]
    prices += [price("beta", "2", since=3)]
    usage = [used(1, "alpha", 10), *(used(each, model, 10) for each in (2, 3) for model in ("alpha", "beta"))]

    rows = index(usage, prices)

    assert rows[2, "fisher_chained"]["index_value"] == 100
    assert (rows[2, "fisher_chained"]["basket_tokens"], rows[2, "fisher_chained"]["priced_tokens"]) == (20, 10)
    assert rows[3, "fisher_chained"]["index_value"] == Decimal("85.714286")
    assert rows[3, "laspeyres"]["index_value"] == 100


def test_months_without_usage_do_not_break_the_chain() -> None:
    """An organisation may pause; prices of both months are known."""
    rows = index([used(1, "o3", 5), used(4, "o3", 5)], [price("o3", "10", until=3), price("o3", "2", since=3)])

    assert rows[4, "fisher_chained"]["index_value"] == 20


def test_a_class_is_a_basket_of_its_own() -> None:
    """Each class has its own base period."""
    usage = [used(1, "alpha", 1), used(2, "o3", 1), used(2, "alpha", 1)]

    rows = index(usage, [price("alpha", "1"), price("o3", "2")], basket="openai-reasoning")

    assert {row["base_period_start"] for row in rows.values()} == {date(2026, 2, 1)}
    assert values(rows, 2)["laspeyres"] == 100


def test_units_that_are_no_tokens_are_in_no_basket() -> None:
    """The index is of a million tokens; a search is none."""
    usage = [used(1, "alpha", 1), used(1, "alpha", 1_000, unit="web_searches")]

    assert index(usage, [price("alpha", "1")])[1, "unit_value"]["basket_tokens"] == 1


def test_free_models_do_not_divide_by_zero() -> None:
    """An index over nothing but free models does not exist; the tokens are priced all the same, at 0."""
    rows = index([used(1, "free", 5), used(2, "free", 5)], [price("free", "0")])

    assert rows[2, "laspeyres"]["index_value"] is None
    assert (rows[2, "unit_value"]["price_per_million_tokens"], rows[2, "unit_value"]["priced_tokens"]) == (0, 5)


def test_a_month_for_free_does_not_end_the_chain() -> None:
    """10 USD, a month's promotion at 0, then 5: from nothing no link leads on, so the chain goes on from January.

    By hand: 5 / 10 = 50; unit value 10 x 50 % = 5.
    """
    prices = [price("alpha", "10", until=2), price("alpha", "0", since=2, until=3), price("alpha", "5", since=3)]
    rows = index([used(each, "alpha", 7) for each in (1, 2, 3, 4)], prices)
    for kind in ("fisher_chained", "generation_chained"):
        assert [rows[each, kind]["index_value"] for each in (1, 2, 3, 4)] == [100, 0, 50, 50]
        assert [rows[each, kind]["price_per_million_tokens"] for each in (1, 2, 3, 4)] == [10, 0, 5, 5]
        assert {rows[each, kind]["base_period_start"] for each in (1, 2, 3, 4)} == {date(2026, 1, 1)}
    assert [rows[each, "generation_shift"]["index_value"] for each in (1, 2, 3, 4)] == [100, None, 100, 100]


def test_a_chain_that_free_months_cut_off_begins_anew_with_a_base_period_of_its_own() -> None:
    """Alpha was given away and withdrawn, beta is new in March: nothing of January can be compared ever again."""
    prices = [price("alpha", "10", until=2), price("alpha", "0", since=2, until=3)]
    prices += [price("beta", "4", since=3, until=4), price("beta", "2", since=4)]
    usage = [used(1, "alpha", 1), used(2, "alpha", 1), used(3, "beta", 1), used(4, "beta", 1)]
    # Before its first date a price is an estimate and no price: beta has none in January.
    rows = index(usage, [*prices, price("beta", "1", until=1)])
    chained = [rows[each, "fisher_chained"] for each in (1, 2, 3, 4)]
    assert [each["index_value"] for each in chained] == [100, 0, 100, 50]
    assert [each["price_per_million_tokens"] for each in chained] == [10, 0, 4, 2]
    assert [each["base_period_start"].month for each in chained] == [1, 1, 3, 3]
    assert {rows[each, "laspeyres"]["base_period_start"] for each in (1, 2, 3, 4)} == {date(2026, 1, 1)}


def test_a_basket_that_begins_for_free_has_its_base_where_it_first_costs_anything() -> None:
    """Against a base of 0 every later price is infinite, and no index of the basket ever came to be."""
    rows = index(
        [used(each, "alpha", 5) for each in (1, 2, 3)],
        [price("alpha", "0", until=2), price("alpha", "4", since=2, until=3), price("alpha", "2", since=3)],
    )
    for kind in ("laspeyres", "paasche", "unit_value"):
        assert [rows[each, kind]["index_value"] for each in (1, 2, 3)] == [0, 100, 50]
    assert [rows[each, "fisher_chained"]["index_value"] for each in (1, 2, 3)] == [None, 100, 50]
    assert {row["base_period_start"] for row in rows.values()} == {date(2026, 2, 1)}


AMOUNTS = st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)), min_size=3, max_size=3)


@given(AMOUNTS, st.lists(st.integers(1, 10**9), min_size=3, max_size=3))
def test_indices_stand_to_each_other_as_they_must(amounts: list[tuple[int, int]], rates: list[int]) -> None:
    """Fisher lies between Laspeyres and Paasche; with constant prices all three are 100; scaling usage changes none."""
    usage = [used(place + 1, model, count) for place in (0, 1) for model, count in _counts(amounts, place)]
    steady = [price(model, str(rate)) for model, rate in zip("abc", rates, strict=True)]
    told = values(index(usage, steady), 2)
    assert (told["laspeyres"], told["paasche"], told["fisher_chained"]) == (HUNDRED, HUNDRED, HUNDRED)

    moving = [
        part
        for model, rate in zip("abc", rates, strict=True)
        for part in (price(model, str(rate), until=2), price(model, str(rate * (ord(model) - 95)), since=2))
    ]
    rows = index(usage, moving)
    told = values(rows, 2)
    bounds = sorted([told["laspeyres"] or Decimal(0), told["paasche"] or Decimal(0)])
    assert bounds[0] <= (told["fisher_chained"] or Decimal(0)) <= bounds[1]
    doubled = [used(each.period_start.month, each.model, 2 * each.quantity) for each in usage]
    assert values(index(reversed(doubled), moving), 2) == told


def _counts(amounts: list[tuple[int, int]], place: int) -> list[tuple[str, int]]:
    return [(model, amount[place]) for model, amount in zip("abc", amounts, strict=True)]


@pytest.fixture(scope="module")
def history(shared_data: Callable[[str], Path]) -> list[Price]:
    """Return the real history of prices, 2023-11 to 2026-07."""
    mapping = shipped_folder("schemas") / "examples" / "price_tables" / "litellm-history.price_table.yml"
    return read_price_table(shared_data("price-history/price_history.csv"), mapping)


def of_openai(history: Sequence[Price], *models: str) -> list[Price]:
    """Return the default prices of some models."""
    return [
        each
        for each in history
        if each.provider == "openai" and each.model in models and each.service_tier == "default"
    ]


def test_75_percent_off_gpt_4_turbo_was_a_change_of_generation(history: list[Price]) -> None:
    """A million input tokens cost 10 USD with gpt-4-turbo and 2.50 with gpt-4o-2024-08-06, under constant names.

    Usage moves between December 2024 and January 2025. By name nothing changed; by class prices are at 25.
    """
    prices = of_openai(history, "gpt-4-turbo", "gpt-4o-2024-08-06")
    usage = [used(12, "gpt-4-turbo", 1_000, year=2024), used(13, "gpt-4o-2024-08-06", 1_000, year=2024)]

    rows = index(usage, prices)

    assert rows[12, "unit_value"]["price_per_million_tokens"] == 10
    assert rows[1, "unit_value"]["price_per_million_tokens"] == Decimal("2.5")
    assert rows[1, "fisher_chained"]["index_value"] == 100
    assert rows[1, "generation_shift"]["index_value"] == rows[1, "generation_chained"]["index_value"] == 25


def test_80_percent_off_o3_was_a_change_of_price(history: list[Price]) -> None:
    """O3 went from 10 to 2 USD under one name, in the snapshot of July 2025."""
    rows = index([used(6, "o3", 7, year=2025), used(7, "o3", 7, year=2025)], of_openai(history, "o3"))

    assert rows[6, "unit_value"]["price_per_million_tokens"] == 10
    assert rows[7, "fisher_chained"]["index_value"] == 20
    assert rows[7, "generation_shift"]["index_value"] == 100


@pytest.mark.parametrize(
    ("model", "until", "before", "after", "expected"),
    [
        ("deepseek/deepseek-chat", 3, "0.14", "0.27", "192.857143"),
        ("gemini/gemini-2.5-flash-preview-05-20", 7, "0.15", "0.3", "200"),
    ],
)
def test_some_prices_rose_within_one_name(
    history: list[Price], model: str, until: int, before: str, after: str, expected: str
) -> None:
    """DeepSeek ended its opening offer in February 2025; Gemini 2.5 Flash doubled when it left preview."""
    prices = [each for each in history if each.model == model]
    provider = prices[0].provider
    usage = [replace(used(each, model, 3, year=2025), provider=provider) for each in (until - 1, until)]

    rows = index(usage, prices, basket="all")

    assert rows[until - 1, "unit_value"]["price_per_million_tokens"] == Decimal(before)
    assert rows[until, "unit_value"]["price_per_million_tokens"] == Decimal(after)
    assert rows[until, "fisher_chained"]["index_value"] == Decimal(expected)
    assert rows[until, "generation_shift"]["index_value"] == 100


def test_months_of_another_zone_are_told_by_their_dates() -> None:
    """In Berlin February begins in January, UTC: a price that changes then changes with the month, from 100 to 50."""
    berlin = BillingCalendar("Europe/Berlin")
    january, february, march = (berlin.begins(date(2026, number, 1)) for number in (1, 2, 3))
    prices = [
        Price("openai", "a", {"input_tokens": Fraction(2_000_000)}, valid_to=february),
        Price("openai", "a", {"input_tokens": Fraction(1_000_000)}, valid_from=february),
    ]
    usage = [
        UsedUnit(start, end, "openai", "a", "default", "uncached_input_tokens", 1_000)
        for start, end in ((january, february), (february, march))
    ]
    rows = price_index(usage, Catalogue.from_rows(prices, version="test"), berlin).to_pylist()
    told = {
        (row["billing_period_start"], row["billing_period_end"], row["base_period_start"], row["index_value"])
        for row in rows
        if row["basket"] == "all" and row["index_kind"] == "laspeyres"
    }
    first, second, third = (date(2026, number, 1) for number in (1, 2, 3))
    assert told == {(first, second, first, Decimal(100)), (second, third, first, Decimal(50))}
