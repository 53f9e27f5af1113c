"""The price index and the usage by unit, from the lake to the published file."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.cli import main
from tollbook.rating.price_index import INDEX_SCHEMA
from tollbook.rating.units import load_units
from tollbook.warehouse.build import build
from tollbook.warehouse.used_units import read_used_units

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

KINDS = ("fisher_chained", "generation_chained", "generation_shift", "unit_value")


def index(lake: LakeBuilder, month: str) -> dict[str, Decimal]:
    """Return the published indices of all usage in a month."""
    rows = lake.query(
        "select index_kind, index_value from insight.fct_price_index "
        f"where basket = 'all' and billing_period_start = date '{month}-01'"
    )
    return dict(rows)


def test_a_move_to_a_cheaper_model_is_published_as_one(lake: LakeBuilder, event: Any) -> None:
    """In June a million tokens of gpt-4-turbo are read for 10 USD, in July of gpt-4o for 2.50. No price changed."""
    july = {"model": "gpt-4o", "output_tokens": None}
    lake.commit([event("a", model="gpt-4-turbo", output_tokens=None), event("b", "2026-07-01", **july)])

    build(lake.settings)

    assert {kind: index(lake, "2026-07")[kind] for kind in KINDS} == dict(
        zip(KINDS, (Decimal(100), Decimal(25), Decimal(25), Decimal(25)), strict=True)
    )


def test_a_build_of_new_dates_gives_the_same_as_a_full_one(lake: LakeBuilder, event: Any) -> None:
    """Usage is summed by date and the index is made of all of it, whatever came when."""
    lake.commit([event("a", model="gpt-4-turbo"), event("b", "2026-07-01", model="gpt-4o")])
    build(lake.settings)
    searches = {"tool_calls": [("web_searches", 2)]}
    lake.commit([event("c", "2026-07-02", model="gpt-4-turbo", **searches), event("d", "2026-08-01", list_cost=None)])
    build(lake.settings)
    before = lake.everything()

    build(lake.settings, full_refresh=True)

    assert lake.everything() == before
    assert lake.query("select sum(consumed_quantity) from insight.fct_unit_usage where unit = 'web_searches'") == [(2,)]


def test_used_units_are_read_from_the_published_file(lake: LakeBuilder, event: Any) -> None:
    """110 tokens a call, of which one call has no price. Repeats count once."""
    assert read_used_units(lake.settings) is None
    lake.commit([event("a"), event("a"), event("b", list_cost=None, input_tokens=50, output_tokens=0)])
    build(lake.settings)

    used = read_used_units(lake.settings)

    assert used is not None
    assert sorted((each.unit, each.quantity, each.unpriced_quantity) for each in used) == [
        ("text_output_tokens", 10, 0),
        ("uncached_input_tokens", 150, 50),
    ]


def test_what_a_gateway_answered_from_its_own_cache_is_in_no_basket(lake: LakeBuilder, event: Any) -> None:
    """It cost nothing and was bought from nobody; weighed in, a gateway's cache moves the index of what is bought."""
    hit = {"sku_price_id": "tollbook/gateway_cache_hit", "list_cost": 0}
    lake.commit([event("a"), event("b", **hit), event("c", model="of-the-gateway-alone", **hit)])
    build(lake.settings)

    used = read_used_units(lake.settings)

    assert used is not None
    assert sorted((each.unit, each.quantity) for each in used) == [
        ("text_output_tokens", 10),
        ("uncached_input_tokens", 100),
    ]
    tokens = "select distinct basket_tokens from insight.fct_price_index where basket = 'all'"
    assert lake.query(tokens) == [(110,)]
    # They stay in the usage that people look at.
    assert lake.query("select sum(total_tokens) from engineering.fct_usage_daily") == [(330,)]


def test_columns_are_those_that_are_computed(lake: LakeBuilder, event: Any) -> None:
    """The mart's contract, and the table that Python makes, have the same columns."""
    lake.commit([event("a")])
    build(lake.settings)

    columns = lake.query("select column_name from (describe insight.fct_price_index)")

    assert [name for (name,) in columns] == INDEX_SCHEMA.names


def test_token_units_of_the_models_are_those_of_units_yml(lake: LakeBuilder, event: Any) -> None:
    """A bucket that dbt does not know would be in no basket."""
    buckets = {unit.name: place + 1 for place, unit in enumerate(load_units().buckets)}
    lake.commit(
        [
            event(
                "a",
                input_tokens=36,
                uncached_input_tokens=1,
                output_tokens=42,
                **{k: v for k, v in buckets.items() if v > 1},
            )
        ]
    )
    build(lake.settings)

    rows = lake.query("select unit, consumed_quantity from insight.fct_unit_usage")

    assert dict(rows) == buckets


def test_the_check_tells_what_was_used_and_has_no_price(
    lake: LakeBuilder, event: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two models in use one is not in the price list: its 110 tokens are told, and nothing of the other."""
    lake.commit([event("a"), event("b", model="our-own-model", list_cost=None)])
    build(lake.settings)

    code = main(["prices", "check", "--home", str(lake.settings.home), "--json"])

    (result,) = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [(each["code"], each["model"], each["quantity"]) for each in result["findings"]] == [
        ("usage_without_price", "our-own-model", 110)
    ]
