"""Overlays over a price list: what changes, when and where, and that nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import ReferenceDataError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate
from tollbook.rating.sources.compose import compose, missing
from tollbook.rating.sources.entries import Overlay
from tollbook.rating.sources.overlays import read_overlay
from tollbook.rating.sources.timelines import split

MakeEvents = Callable[..., pa.RecordBatch]
RateOne = Callable[..., dict[str, Any]]
MakeOverlay = Callable[..., Overlay]

MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
TICK, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
USD = 1_000_000  # A dollar for a million tokens, in pico-USD for one.
BASE = [
    Price("p", "m", {"input_tokens": 4 * USD, "output_tokens": 8 * USD, "cache_read_tokens": USD}),
    Price("p", "m", {"input_tokens": 2 * USD, "output_tokens": 4 * USD}, service_tier="batch"),
    Price("p", "n", {"input_tokens": 3 * USD, "output_tokens": 5 * USD}, valid_from=MAY),
]


@pytest.fixture
def overlay(tmp_path: Path) -> MakeOverlay:
    """Return a function from prices, aliases and uplifts to an overlay that says so."""

    def make(*entries: dict[str, Any], **others: list[dict[str, Any]]) -> Overlay:
        told = {"known_from": "2026-04-01T00:00:00Z", "source": "s", "provider": "p"}
        kinds = {"entries": list(entries), **others} if entries else others
        document = {
            "price_overlay": 1,
            "name": "own",
            **{
                kind: [
                    {"entry_id": f"{kind[0]}{place}", **(told if kind != "withdrawals" else {}), **each}
                    for place, each in enumerate(each_kind)
                ]
                for kind, each_kind in kinds.items()
            },
        }
        path = tmp_path / "own.yml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return read_overlay(path)

    return make


def catalogue(*overlays: Overlay, base: list[Price] | None = None, **told: Any) -> Catalogue:
    """Return the base with overlays over it."""
    return compose(Catalogue.from_rows(base or BASE, version="v"), overlays, **told)


def cost(rate_one: RateOne, prices: Catalogue, at: datetime = JUNE, **told: Any) -> tuple[Any, Any]:
    """Return cost and basis of one call of model m, of one input and one output token unless told otherwise."""
    call = {
        "provider": "p",
        "model": "m",
        "occurred_at": at,
        "uncached_input_tokens": 1,
        "text_output_tokens": 1,
        **told,
    }
    outcome = rate_one(prices, **call)
    return outcome["list_cost_pico_usd"], outcome["cost_basis"]


def test_without_overlays_the_catalogue_is_the_same() -> None:
    """Nobody pays for what nobody uses."""
    base = Catalogue.from_rows(BASE, version="v")
    assert compose(base, []) is base


def test_a_partial_price_keeps_the_rates_that_it_does_not_name(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """Elsewhere a partial price wiped the other rates (litellm#15063, #25874, #21023; Helicone#5172)."""
    prices = catalogue(overlay({"model": "m", "rates": {"input_tokens": "1"}}))
    assert cost(rate_one, prices, cache_read_tokens=1) == (1 * USD + 8 * USD + USD, "rated")
    # Its batch tier is another price, which nobody named.
    assert cost(rate_one, prices, service_tier="batch") == (6 * USD, "rated")


def test_a_price_that_replaces_all_leaves_no_other_rate(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """Then a cache read is plain input, and output has no price: unknown, not the old one."""
    prices = catalogue(overlay({"model": "m", "rates": {"input_tokens": "1"}, "replace": True}))
    assert cost(rate_one, prices, cache_read_tokens=3, text_output_tokens=0) == (4 * USD, "rated")
    assert cost(rate_one, prices) == (None, "unpriced")


def test_stale_prices_are_superseded_from_their_date_on_and_history_keeps_its_own(
    overlay: MakeOverlay, rate_one: RateOne
) -> None:
    """Elsewhere a new price repriced history at today's rates (litellm#31868, #40360; PostHog#32189)."""
    prices = catalogue(
        overlay(
            {"model": "m", "rates": {"input_tokens": "1"}, "valid_from": JUNE.isoformat(), "valid_to": JULY.isoformat()}
        )
    )
    costs = [cost(rate_one, prices, at) for at in (MAY, JUNE - TICK, JUNE, JULY - TICK, JULY)]
    assert costs == [(each * USD, "rated") for each in (12, 12, 9, 9, 12)]
    ids = {price.sku_price_id for price in prices.prices if (price.model, price.service_tier) == ("m", "default")}
    # What stands before and after the entry is one price, as it was published.
    assert ids == {"v/p/m/default/undated/base".replace("v/", "own/"), "own:e0/p/m/default/2026-06-01/base"}


def test_of_two_entries_the_one_known_later_counts(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """A price is superseded by a later entry, and both stay: by what was known in May, May's price holds."""
    later = {"model": "m", "rates": {"input_tokens": "2"}, "known_from": "2026-06-01T00:00:00Z"}
    told = overlay(later, {"model": "m", "rates": {"input_tokens": "1", "output_tokens": "1"}})
    assert cost(rate_one, catalogue(told)) == (3 * USD, "rated")
    assert cost(rate_one, catalogue(told, known_at=MAY)) == (2 * USD, "rated")
    assert cost(rate_one, catalogue(told, known_at=datetime(2026, 3, 1, tzinfo=UTC))) == (12 * USD, "rated")


def test_a_model_that_is_named_goes_before_a_pattern(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """A rule for all, and one exception, are written down at one time."""
    told = overlay({"model": "m", "rates": {"input_tokens": "1"}}, {"models": ["*"], "rates": {"input_tokens": "2"}})
    assert cost(rate_one, catalogue(told)) == (9 * USD, "rated")
    assert cost(rate_one, catalogue(told), model="n") == (7 * USD, "rated")


def test_two_entries_that_became_known_together_may_not_contradict_each_other(overlay: MakeOverlay) -> None:
    """Of two prices for one call, a table that just takes one takes the wrong one half the time."""
    told = overlay({"model": "m", "rates": {"input_tokens": "1"}}, {"model": "m", "rates": {"input_tokens": "2"}})
    with pytest.raises(
        ReferenceDataError, match=r"own\.yml:1\d: expected one price of p m, default, .* own:e1 and own:e0"
    ):
        catalogue(told)
    apart = overlay(
        {"model": "m", "rates": {"input_tokens": "1"}, "valid_to": JUNE.isoformat()},
        {"model": "m", "rates": {"input_tokens": "2"}, "valid_from": JUNE.isoformat()},
        {"model": "m", "rates": {"output_tokens": "2"}},
    )
    assert len(catalogue(apart).prices) == 4


def test_a_withdrawn_entry_no_longer_holds(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """A price of the wrong model is taken back without touching what the file said."""
    told = overlay(
        {"model": "m", "rates": {"input_tokens": "1"}},
        withdrawals=[{"withdraws": "e0", "known_from": JUNE.isoformat(), "reason": "It was another model."}],
    )
    assert cost(rate_one, catalogue(told)) == (12 * USD, "rated")
    assert cost(rate_one, catalogue(told, known_at=MAY)) == (9 * USD, "rated")


def test_prices_by_time_of_day_hold_in_their_hours(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """A discount from 16:30 to 00:30 UTC is for the instant of the call, also beyond midnight."""
    told = overlay({"model": "m", "daily": [{"from": "16:30", "to": "00:30", "rates": {"input_tokens": "1"}}]})
    prices = catalogue(told)
    hours = [JUNE.replace(hour=hour, minute=minute) for hour, minute in ((0, 29), (0, 30), (16, 29), (16, 30))]
    assert [cost(rate_one, prices, at)[0] for at in hours] == [9 * USD, 12 * USD, 12 * USD, 9 * USD]


def test_a_tier_of_context_applies_to_a_request_and_a_rate_without_one_to_all(
    overlay: MakeOverlay, rate_one: RateOne
) -> None:
    """A rate is replaced whole: at every length, unless the entry itself tells lengths apart."""
    long = [*BASE, Price("p", "m", {"input_tokens": 6 * USD, "output_tokens": 9 * USD}, above_input_tokens=100)]
    flat = catalogue(overlay({"model": "m", "rates": {"input_tokens": "1"}}), base=long)
    assert [cost(rate_one, flat, uncached_input_tokens=n)[0] for n in (100, 101)] == [108 * USD, 110 * USD]
    tiered = catalogue(
        overlay({"model": "m", "above_input_tokens": [{"tokens": 200, "rates": {"input_tokens": "10"}}]}), base=long
    )
    counts = (100, 101, 200, 201)
    expected = [400 + 8, 606 + 9, 1_200 + 9, 2_010 + 9]
    assert [cost(rate_one, tiered, uncached_input_tokens=n)[0] for n in counts] == [each * USD for each in expected]


def test_an_entry_gives_a_price_to_a_model_that_had_none(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """The organisation's own machines are in no price list."""
    prices = catalogue(
        overlay({"provider": "on_prem", "model": "Llama", "rates": {"input_tokens": "0.2", "output_tokens": "0.8"}})
    )
    assert cost(rate_one, prices, provider="on_prem", model="llama") == (USD, "rated")
    assert cost(rate_one, prices, provider="elsewhere") == (None, "unpriced")


def test_a_partial_price_makes_no_price_where_there_was_none(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """Model n is known from May; an undated input rate must not turn April's estimate into a missing output rate."""
    prices = catalogue(overlay({"model": "n", "rates": {"input_tokens": "1"}}))
    assert cost(rate_one, prices, MAY - TICK, model="n") == (6 * USD, "estimated")
    whole = catalogue(overlay({"model": "n", "rates": {"input_tokens": "1", "output_tokens": "1"}}))
    assert cost(rate_one, whole, MAY - TICK, model="n") == (2 * USD, "rated")


def test_an_alias_means_one_model_until_a_date_and_another_from_it(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """An Azure deployment keeps its name when the model behind it is changed."""
    prices = catalogue(
        overlay(
            aliases=[
                {"alias": "Prod", "means": {"model": "m"}, "valid_to": JUNE.isoformat()},
                {"alias": "prod", "means": {"model": "n"}, "valid_from": JUNE.isoformat()},
            ]
        )
    )
    assert cost(rate_one, prices, JUNE - TICK, model="PROD") == (12 * USD, "rated")
    assert cost(rate_one, prices, JUNE, model="prod") == (8 * USD, "rated")
    # What it means since June has no batch price; what it meant before has.
    batch = [cost(rate_one, prices, at, model="prod", service_tier="batch") for at in (JUNE - TICK, JUNE)]
    assert batch == [(6 * USD, "rated"), (None, "unpriced")]
    ids = {price.sku_price_id for price in prices.prices if price.model.lower() == "prod"}
    assert "own/p/m/default/undated/base" in ids


def test_an_alias_has_the_price_that_an_entry_gives_to_what_it_means(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """Names are made up over prices, and a price may be for the made-up name alone."""
    entries = [
        {"model": "m", "rates": {"input_tokens": "1"}},
        {"model": "prod", "rates": {"output_tokens": "2"}, "valid_from": JULY.isoformat()},
    ]
    prices = catalogue(overlay(*entries, aliases=[{"alias": "prod", "means": {"model": "m"}}]))
    assert cost(rate_one, prices, model="prod") == (9 * USD, "rated")
    assert cost(rate_one, prices, JULY, model="prod") == (3 * USD, "rated")
    assert cost(rate_one, prices, JULY) == (9 * USD, "rated")


def test_a_region_is_uplifted_and_rounded_half_even_once(overlay: MakeOverlay, rate_one: RateOne) -> None:
    """5 pico-USD a token, 10 % more in the EU: one token is 5.5, which is 6; three are 16.5, which is 16 and not 18."""
    base = [Price("p", "m", {"input_tokens": 5})]
    uplift = {"models": ["m"], "regions": ["eu*"], "multiplier": "1.1"}
    prices = catalogue(overlay(region_uplifts=[uplift]), base=base)
    assert prices.needs_region

    def one(count: int, region: str | None) -> Any:
        return cost(rate_one, prices, uncached_input_tokens=count, text_output_tokens=0, region=region)[0]

    assert [one(1, "eu-west-1"), one(3, "EU-west-1")] == [6, 16]
    # A region that nobody named, and no region, have the price of all others.
    assert [one(1, "us-east-1"), one(1, None)] == [5, 5]
    ids = {price.sku_price_id for price in prices.prices}
    assert ids == {"own/p/m/default/undated/base", "own/p/m/default/undated/base@eu*:1.1:own:r0"}


def test_the_closest_uplift_counts_in_its_time_and_none_is_multiplied_by_another(
    overlay: MakeOverlay, rate_one: RateOne
) -> None:
    """Of `*`, `eu-*` and `eu-west-1` a region has one uplift; where the closest does not hold yet, the next does."""
    uplifts = [
        {"models": ["*"], "regions": ["*"], "multiplier": "2"},
        {"models": ["*"], "regions": ["eu-*"], "multiplier": "3", "valid_from": JUNE.isoformat()},
        {
            "models": ["*"],
            "regions": ["eu-west-1"],
            "multiplier": "5",
            "rates": ["output_tokens"],
            "valid_from": JULY.isoformat(),
        },
    ]
    prices = catalogue(overlay(region_uplifts=uplifts))
    costs = {
        (region, at): cost(rate_one, prices, at, region=region)[0]
        for region in ("us", "eu-north-1", "eu-west-1")
        for at in (MAY, JUNE, JULY)
    }
    assert costs == {
        ("us", MAY): 24 * USD,
        ("us", JUNE): 24 * USD,
        ("us", JULY): 24 * USD,
        ("eu-north-1", MAY): 24 * USD,
        ("eu-north-1", JUNE): 36 * USD,
        ("eu-north-1", JULY): 36 * USD,
        ("eu-west-1", MAY): 24 * USD,
        ("eu-west-1", JUNE): 36 * USD,
        ("eu-west-1", JULY): (4 + 40) * USD,
    }


def test_a_model_that_is_sold_by_another_gets_prices_of_its_own_there(
    overlay: MakeOverlay, rate_one: RateOne, genai_catalogue: Catalogue
) -> None:
    """Azure sells OpenAI's gpt-4o, by any of its names; what is agreed for Azure is not OpenAI's price."""
    told = overlay(
        {"provider": "azure", "model": "gpt-4o", "rates": {"input_tokens": "1"}},
        region_uplifts=[{"provider": "azure", "models": ["gpt-4.1"], "regions": ["eu*"], "multiplier": "1.1"}],
    )
    prices = compose(genai_catalogue, [told])
    call = {"occurred_at": JUNE, "text_output_tokens": 1}
    by_model = [
        rate_one(prices, provider=provider, model=model, region="eu", uncached_input_tokens=1, **call)[
            "list_cost_pico_usd"
        ]
        for provider, model in (
            ("azure", "gpt-4o"),
            ("azure", "gpt-4o-2024-08-06"),
            ("openai", "gpt-4o"),
            ("azure", "gpt-4.1"),
        )
    ]
    # Output 10 and 8 USD a million; input of OpenAI 2.50 and 2.
    assert by_model == [11 * USD, 11 * USD, 12_500_000, 11 * USD]


def test_a_name_that_the_price_list_only_matches_stands_for_itself(
    overlay: MakeOverlay, rate_one: RateOne, genai_catalogue: Catalogue
) -> None:
    """A price of one dated snapshot is not the price of the model's other names."""
    prices = compose(
        genai_catalogue, [overlay({"provider": "openai", "model": "gpt-4o-2024-11-20", "rates": {"input_tokens": "1"}})]
    )
    costs = [
        rate_one(
            prices, provider="openai", model=model, occurred_at=JUNE, uncached_input_tokens=1, text_output_tokens=1
        )
        for model in ("gpt-4o-2024-11-20", "gpt-4o")
    ]
    assert [each["list_cost_pico_usd"] for each in costs] == [11 * USD, 12_500_000]


def test_what_nothing_answers_to_is_told(overlay: MakeOverlay) -> None:
    """A misspelt pattern guards nothing."""
    told = overlay(
        {"models": ["m", "mm*"], "rates": {"input_tokens": "1"}},
        aliases=[{"alias": "a", "means": {"model": "x"}}],
        region_uplifts=[{"models": ["z*"], "regions": ["eu"], "multiplier": "1.1"}],
    )
    assert [(entry.entry, what) for entry, what in missing(Catalogue.from_rows(BASE, version="v"), told)] == [
        ("own:e0", "a model of p that 'mm*' stands for"),
        ("own:a0", "a model 'x' of p"),
        ("own:r0", "a model of p that 'z*' stands for"),
    ]


INSTANTS = st.integers(0, 4 * 365 * 24 * 3_600).map(lambda seconds: datetime(2023, 1, 1, tzinfo=UTC) + seconds * SECOND)


@given(st.lists(INSTANTS, max_size=4), st.lists(INSTANTS, min_size=1, max_size=8))
def test_a_split_of_validity_at_an_instant_changes_nothing_on_either_side(
    make_events: MakeEvents, genai_catalogue: Catalogue, cuts: list[datetime], occurred: list[datetime]
) -> None:
    """Neither cost nor identity of a price depends on where its table happens to be cut."""
    models = ("o3", "gpt-4o", "gpt-5.4")
    rows = [price for price in genai_catalogue.prices if price.provider == "openai" and price.model in models]
    whole = Catalogue.from_rows(rows, version="v")
    groups = {(price.model, price.service_tier) for price in rows}
    pieces = [
        piece
        for model, tier in sorted(groups)
        for piece in split([price for price in rows if (price.model, price.service_tier) == (model, tier)], cuts)
    ]
    instants = [each for at in (*occurred, *cuts) for each in (at - TICK, at)]
    events = make_events(
        [
            {"model": model, "occurred_at": at, "uncached_input_tokens": 300_000, "text_output_tokens": 7}
            for model in models
            for at in instants
        ]
    )
    cut = rate(events, Catalogue.from_rows(pieces, version="v"))
    assert cut.to_pylist() == rate(events, whole).to_pylist()
    ids = cut["sku_price_id"].dictionary.to_pylist()
    assert len(ids) == len(set(ids))


def test_two_uplifts_of_one_factor_that_raise_different_rates_have_identifiers_of_their_own(
    overlay: MakeOverlay, rate_one: RateOne
) -> None:
    """One identifier for two prices leads a charge back to the wrong one."""
    uplift = {"models": ["m"], "regions": ["eu"], "multiplier": "1.5"}
    prices = catalogue(
        overlay(region_uplifts=[uplift, {**uplift, "rates": ["input_tokens"], "valid_from": JUNE.isoformat()}])
    )
    call = {"provider": "p", "model": "m", "region": "eu", "uncached_input_tokens": 1, "text_output_tokens": 1}
    told = [rate_one(prices, **call, occurred_at=at) for at in (MAY, JUNE)]
    # 4 + 8 USD a million, both or the input alone half as much again.
    assert [each["list_cost_pico_usd"] for each in told] == [18 * USD, 14 * USD]
    assert [each["sku_price_id"] for each in told] == [
        "own/p/m/default/undated/base@eu:1.5:own:r0",
        "own/p/m/default/undated/base@eu:1.5:own:r1",
    ]


def test_times_of_day_that_differ_in_seconds_have_identifiers_of_their_own(
    overlay: MakeOverlay, rate_one: RateOne
) -> None:
    """10:00:00 and 10:00:30 are both `10:00` to one who drops seconds, and then two prices are one."""
    windows = [
        {"from": "10:00:00", "to": "10:00:30", "rates": {"input_tokens": "1"}},
        {"from": "10:00:30", "to": "11:00", "rates": {"input_tokens": "2"}},
    ]
    prices = catalogue(overlay({"model": "m", "daily": windows}))
    call = {"provider": "p", "model": "m", "uncached_input_tokens": 1, "text_output_tokens": 0}
    told = [rate_one(prices, **call, occurred_at=JUNE.replace(hour=10, second=each)) for each in (29, 30)]
    assert [(each["list_cost_pico_usd"], each["sku_price_id"]) for each in told] == [
        (1 * USD, "own:e0/p/m/default/undated@10:00/base"),
        (2 * USD, "own:e0/p/m/default/undated@10:00:30/base"),
    ]


def test_an_uplift_multiplies_exactly(overlay: MakeOverlay) -> None:
    """1.1 is eleven tenths, not the float beside it."""
    prices = catalogue(overlay(region_uplifts=[{"models": ["m"], "regions": ["eu"], "multiplier": "1.1"}]))
    (regional,) = [price for price in prices.prices if price.region and price.service_tier == "default"]
    assert regional.rates["cache_read_tokens"] == Fraction(11 * USD, 10)
    assert regional.uplift is not None
    assert regional.uplift.multiplier == Fraction(11, 10)
