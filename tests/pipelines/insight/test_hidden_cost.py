"""What usage costs beside raw inference: splits worked by hand, and sums that hold whatever comes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tollbook.insight.hidden_cost import CLASSES_SCHEMA, hidden_cost
from tollbook.rating.unit_prices import UNIT_PRICES_SCHEMA

JUNE = date(2026, 6, 1)
PRICES = {
    "uncached_input_tokens": "4",
    "cache_read_tokens": "0.4",
    "cache_write_tokens": "5",
    "output_tokens": "20",
}
NO_TOKENS = {name: 0 for name in CLASSES_SCHEMA.names if name.endswith("_tokens")}


def unit_prices(prices: Mapping[str, str | None]) -> pa.Table:
    """Return one unit for each kind of token."""
    common = {"billing_period_start": JUNE, "provider": "p", "model": "m", "service_tier": "default"}
    rows = [
        common
        | {
            "unit": bucket,
            "token_bucket": bucket,
            "consumed_quantity": 1,
            "unit_price_pico_usd": None if price is None else Decimal(price),
        }
        for bucket, price in prices.items()
    ]
    return pa.Table.from_pylist(rows, schema=UNIT_PRICES_SCHEMA)


def calls(purpose: str, cost: str | None, **told: Any) -> dict[str, Any]:
    """Return a class of calls of one workflow and model."""
    return {
        "billing_period_start": JUNE,
        "team": "search",
        "workflow": "answers",
        "billing_currency": "USD",
        "provider": "p",
        "model": "m",
        "service_tier": "default",
        "call_purpose": purpose,
        "call_rule": "purpose_told",
        "calls": 1,
        "unpriced_calls": 0,
        **NO_TOKENS,
        **told,
        "effective_cost": None if cost is None else Decimal(cost),
    }


def split(classes: list[dict[str, Any]], prices: Mapping[str, str | None] = PRICES) -> dict[str, dict[str, Any]]:
    """Return the rows by purpose."""
    table = hidden_cost(pa.Table.from_pylist(classes, schema=CLASSES_SCHEMA), unit_prices(prices))
    return {row["purpose"]: row for row in table.to_pylist()}


def test_generation_is_split_over_what_its_tokens_were_for() -> None:
    """By list prices of 4, 0.4, 5 and 20 for a token, of a cost that is half the list's.

    First sent: 100 x 4, 40 written x 5, 30 output x 20, and 60 of unread writes at 4: 400 + 200 + 600 + 240 = 1,440.
    Carried: 50 x 4, 20 written x 5, 500 read x 0.4 = 500. Unread writes above plain input: 60 x 1 = 60. In all 2,000.
    """
    told = {
        "total_tokens": 800,
        "first_uncached_tokens": 100,
        "first_written_tokens": 40,
        "unread_written_tokens": 60,
        "output_tokens": 30,
        "carried_uncached_tokens": 50,
        "carried_written_tokens": 20,
        "carried_read_tokens": 500,
    }
    rows = split([calls("generation", "0.000001", **told)])
    assert {purpose: row["effective_cost"] for purpose, row in rows.items()} == {
        "generation": Decimal("0.000000720000"),
        "context": Decimal("0.000000250000"),
        "cache_write_unread": Decimal("0.000000030000"),
    }
    assert {purpose: row["total_tokens"] for purpose, row in rows.items()} == {
        "generation": 230,
        "context": 570,
        "cache_write_unread": 0,
    }
    assert [rows[name]["calls"] for name in ("generation", "context", "cache_write_unread")] == [1, 0, 0]
    assert rows["context"]["rule"] == "carried_again"


def test_without_a_price_every_token_bears_the_same() -> None:
    """Of 10 tokens 4 were carried again; nothing is known of what writing costs above plain input."""
    told = {"total_tokens": 10, "first_uncached_tokens": 3, "unread_written_tokens": 3, "carried_read_tokens": 4}
    rows = split(
        [calls("generation", "1", **told)], PRICES | {"cache_write_tokens": None, "uncached_input_tokens": None}
    )
    assert {purpose: row["effective_cost"] for purpose, row in rows.items()} == {
        "generation": Decimal("0.6"),
        "context": Decimal("0.4"),
    }
    assert rows["context"]["rule"] == "carried_again_by_tokens"


def test_what_was_for_something_else_is_that_as_a_whole() -> None:
    """Costs of classes add up; a class without a known cost adds calls and tokens and no amount."""
    rows = split(
        [
            calls("retry", "0.25", calls=2, total_tokens=7),
            calls("retry", "0.5", calls=3, total_tokens=1, call_rule="repeats_an_attempt"),
            calls("evaluation", None, calls=4, unpriced_calls=4, unpriced_tokens=9, total_tokens=9),
            calls("generation", None, calls=1, unpriced_calls=1, total_tokens=5),
        ]
    )
    assert (rows["retry"]["calls"], rows["retry"]["effective_cost"]) == (5, Decimal("0.75"))
    assert rows["retry"]["rule"] == "purpose_told, repeats_an_attempt"
    assert (rows["evaluation"]["unpriced_tokens"], rows["evaluation"]["effective_cost"]) == (9, None)
    assert (rows["generation"]["total_tokens"], rows["generation"]["effective_cost"]) == (5, None)


def test_a_cost_without_tokens_is_generation() -> None:
    """Such as that of searches that a model made."""
    rows = split([calls("generation", "3")])
    assert {purpose: row["effective_cost"] for purpose, row in rows.items()} == {"generation": Decimal(3)}


COUNTS = st.integers(0, 10**9)
COST = st.integers(-(10**18), 10**18).map(lambda pico: str(Decimal(pico).scaleb(-12)))
PRICE = st.none() | st.integers(0, 10**8).map(str)


@given(
    st.lists(
        st.fixed_dictionaries(
            {name: COUNTS for name in NO_TOKENS if name not in ("total_tokens", "unpriced_tokens")}
            | {"cost": st.none() | COST, "purpose": st.sampled_from(["generation", "generation", "retry"])}
        ),
        min_size=1,
        max_size=4,
    ),
    st.fixed_dictionaries(dict.fromkeys(PRICES, PRICE)),
)
def test_purposes_sum_to_what_usage_costs(drawn: list[dict[str, Any]], prices: dict[str, str | None]) -> None:
    """To the pico-dollar and the token, whatever was used, and whatever is known of prices."""
    classes = []
    for each in drawn:
        told = {name: count for name, count in each.items() if name not in ("cost", "purpose")}
        classes.append(calls(each["purpose"], each["cost"], **told, total_tokens=sum(told.values())))
    rows = split(classes, prices).values()
    known = [Decimal(each["cost"]) for each in drawn if each["cost"] is not None]
    assert sum(row["effective_cost"] for row in rows if row["effective_cost"] is not None) == sum(known)
    assert sum(row["total_tokens"] for row in rows) == sum(row["total_tokens"] for row in classes)
    assert sum(row["calls"] for row in rows) == len(drawn)
