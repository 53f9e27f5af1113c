"""The catalogue: what is compiled, what is refused, and that its version says what it holds."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TimeOfDateConstraint,
)

from tollbook.errors import ReferenceDataError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.lookup import FoundModel, Lookup
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate
from tollbook.rating.sources import genai

MakeEvents = Callable[..., pa.RecordBatch]

DAYS = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)]


def price(**told: Any) -> Price:
    """Return a price of one model, with what a test changes in it."""
    return Price(**{"provider": "p", "model": "m", "rates": {"input_tokens": 1}, **told})


def test_every_price_has_an_id_of_its_own(genai_catalogue: Catalogue) -> None:
    """An amount leads back to its price by this id; two prices with one id lead nowhere."""
    ids = [
        line.price.sku_price_id
        for line in genai_catalogue.schedule.lines
        if line.price is not None and not line.estimated
    ]
    assert len(ids) == len(set(ids)) > 3_000


def test_ids_name_the_price_list_the_tier_the_date_and_the_context(genai_catalogue: Catalogue) -> None:
    """The form is part of what people join on, so a change of it is seen here."""
    ids = {line.price.sku_price_id for line in genai_catalogue.schedule.lines if line.price is not None}
    assert {
        "genai-prices/openai/o3/default/2025-06-10/base",
        "genai-prices/openai/gpt-5.4/batch/2026-10-14/above-272000",
        "genai-prices/deepseek/deepseek-v4-pro/default/2026-08-17@04:00/base",
        "genai-prices/groq/openai/gpt-oss-120b/batch/2026-10-14/base",
    } <= ids
    assert price(valid_from=datetime(2026, 1, 1, 9, 30, tzinfo=UTC)).sku_price_id == (
        "own/p/m/default/2026-01-01T09:30:00Z/base"
    )


def test_the_version_is_the_same_in_every_process(genai_catalogue: Catalogue) -> None:
    """A version that changed with the order of a set would make every restart look like new prices."""
    script = "from tollbook.rating.catalogue import Catalogue; print(Catalogue.from_genai_prices().version)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == genai_catalogue.version
    assert genai_catalogue.version.startswith("genai-prices-0.2.3-")


def test_the_version_changes_with_what_is_charged_and_with_nothing_else() -> None:
    """The version stands beside every cost; the same version must mean the same prices."""
    rows = [price(), price(model="n")]
    version = Catalogue.from_rows(rows, version="v").version
    assert Catalogue.from_rows(rows[::-1], version="v").version == version
    changed = [
        price(rates={"input_tokens": 2}),
        price(rates={"input_tokens": 1, "output_tokens": 1}),
        price(valid_from=DAYS[0]),
        price(valid_to=DAYS[0]),
        price(minimum_quantities={"audio_seconds": 10}),
    ]
    versions = {Catalogue.from_rows([row, rows[1]], version="v").version for row in changed}
    assert len(versions - {version}) == len(changed)


def test_a_catalogue_survives_its_way_to_a_worker(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """Beam pickles what its steps hold; what was looked up meanwhile stays behind."""
    events = make_events([{"uncached_input_tokens": 7, "model": "gpt-4.1"}, {"model": "none"}])
    before = rate(events, genai_catalogue)
    again = pickle.loads(pickle.dumps(genai_catalogue))  # noqa: S301  # made a line above
    assert not again._remembered
    assert rate(events, again).equals(before)


def test_lookups_are_remembered_misses_too(monkeypatch: pytest.MonkeyPatch, make_events: MakeEvents) -> None:
    """A miss of the library's own lookup costs 92 us, and an unknown model comes with every event of it."""
    catalogue = Catalogue.from_rows([price()], version="v")
    asked: list[str] = []
    find = type(catalogue.lookup).find

    def listening(self: Lookup, provider: str, model: str) -> FoundModel | None:
        asked.append(model)
        return find(self, provider, model)

    monkeypatch.setattr(type(catalogue.lookup), "find", listening)
    events = make_events([{"provider": "p", "model": model, "uncached_input_tokens": 1} for model in ("m", "x")] * 3)
    for _ in range(2):
        rate(events, catalogue)
    assert sorted(asked) == ["m", "x"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([price(valid_to=DAYS[2]), price(valid_from=DAYS[1])], "overlap"),
        ([price(), price()], "twice"),
        ([price(), price(above_input_tokens=100), price(above_input_tokens=100)], "twice"),
        ([price(above_input_tokens=100)], "requests up to 100"),
        ([price(daily_from=time(8))], "midnight"),
        ([price(model="M"), price(model="m")], "one spelling"),
        ([price(provider="gemini"), price(provider="google")], "one spelling"),
    ],
)
def test_prices_that_contradict_each_other_are_refused(rows: list[Price], message: str) -> None:
    """Of two prices for one request, a table that just takes one takes the wrong one half the time."""
    with pytest.raises(ReferenceDataError, match=message):
        Catalogue.from_rows(rows, version="v")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"rates": {"inptu_tokens": 1}}, "inptu_tokens"),
        ({"rates": {"input_tokens": -1}}, "input_tokens"),
        ({"rates": {"input_tokens": 10**18}}, "input_tokens"),
        ({"rates": {"input_tokens": Fraction(1, 2**62)}}, "no finer"),
        ({"valid_from": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001  # the fault under test
        ({"valid_from": DAYS[1], "valid_to": DAYS[1]}, "before"),
    ],
)
def test_a_price_that_cannot_be_meant_is_refused_by_name(told: dict[str, Any], message: str) -> None:
    """A price table with a slip in it says where, before it charges anyone."""
    with pytest.raises(ReferenceDataError, match=message) as caught:
        price(**told)
    assert "price of p m" in str(caught.value)


def test_explicit_prices_are_found_by_any_name_of_the_provider(make_events: MakeEvents) -> None:
    """A price table that says `gemini` prices events that say `gcp.gemini`, whatever the case of the model."""
    row = price(provider="gemini", model="Gemini-2.5-Pro", rates={"input_tokens": 5})
    catalogue = Catalogue.from_rows([row], version="v")
    names = [("gemini", "gemini-2.5-pro"), ("gcp.gemini", "GEMINI-2.5-PRO"), ("google", "Gemini-2.5-Pro")]
    calls = [{"provider": provider, "model": model, "uncached_input_tokens": 2} for provider, model in names]
    assert rate(make_events(calls), catalogue)["list_cost_pico_usd"].to_pylist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("provider", "model", "found"),
    [
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("azure.ai.openai", "gpt-4o", "openai"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "google"),
        ("x_ai", "grok-4.3", "x-ai"),
        ("litellm", "openai/gpt-4o", "openai"),
        ("openrouter", "openai/gpt-5.4", "openrouter"),
    ],
)
def test_models_are_found_as_gateways_and_clouds_write_them(
    make_events: MakeEvents, genai_catalogue: Catalogue, provider: str, model: str, found: str
) -> None:
    """An alias that is not known is a model at no price; one that is guessed is a model at a wrong one."""
    rated = rate(make_events([{"provider": provider, "model": model, "uncached_input_tokens": 1}]), genai_catalogue)
    assert rated["unpriced_reason"].to_pylist() == [None]
    assert rated["sku_price_id"][0].as_py().split("/")[1] == found


def test_litellm_without_a_provider_in_the_model_is_unknown(
    make_events: MakeEvents, genai_catalogue: Catalogue
) -> None:
    """genai-prices would guess the provider from the model here; we do not."""
    rated = rate(make_events([{"provider": "litellm", "model": "gpt-4o"}]), genai_catalogue)
    assert rated["unpriced_reason"].to_pylist() == ["unknown_model"]


def test_hours_of_the_day_without_a_price_of_the_tier_have_none(
    monkeypatch: pytest.MonkeyPatch, make_events: MakeEvents
) -> None:
    """Out of its hours genai-prices answers with the default tier's price, silently and in full."""
    nightly = PriceVariant(
        {"processing": "batch"}, ModelPrice(input_mtok=Decimal(1)), TimeOfDateConstraint(time(22), time(6))
    )
    model = ModelInfo("m", ClauseEquals("m"), prices=ModelPrice(input_mtok=Decimal(4)), price_variants=[nightly])
    monkeypatch.setattr(genai, "installed", lambda: ([Provider("p", "P", "p", models=[model])], "v"))
    catalogue = Catalogue.from_genai_prices()
    calls = [
        {
            "provider": "p",
            "model": "m",
            "service_tier": tier,
            "uncached_input_tokens": 1,
            "occurred_at": DAYS[0].replace(hour=hour),
        }
        for tier in ("batch", None)
        for hour in (5, 6, 21, 22)
    ]
    rated = rate(make_events(calls), catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [1_000_000, None, None, 1_000_000] + [4_000_000] * 4
    assert rated["unpriced_reason"].to_pylist()[1:3] == ["missing_rate"] * 2


def test_a_price_that_is_stated_again_unchanged_keeps_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """A price's id names the day from which it held; a confirmation is no new price."""
    dated = [
        ConditionalPrice(StartDateConstraint(day.date()), prices=ModelPrice(input_mtok=Decimal(usd)))
        for day, usd in ((DAYS[1], 3), (DAYS[2], 3), (DAYS[3], 4))
    ]
    model = ModelInfo(
        "m", ClauseEquals("m"), prices=[ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(2))), *dated]
    )
    monkeypatch.setattr(genai, "installed", lambda: ([Provider("p", "P", "p", models=[model])], "v"))
    lines = Catalogue.from_genai_prices().schedule.lines
    assert [line.price.sku_price_id.split("/")[4] for line in lines if line.price] == [
        "undated",
        "2026-02-01",
        "2026-04-01",
    ]


def test_a_published_snapshot_of_the_price_list_makes_a_catalogue(
    make_events: MakeEvents, shared_data: Callable[[str], Path]
) -> None:
    """Prices of another day than the installed package's: o3 costs 2 USD a million from 2025-06-10, 10 before."""
    catalogue = Catalogue.from_genai_prices(shared_data("genai-prices/data.json.gz"))
    assert catalogue.version.startswith("genai-prices-")
    assert not catalogue.version.startswith("genai-prices-0.")
    call = {"model": "o3", "uncached_input_tokens": 1}
    days = [datetime(2025, 6, day, tzinfo=UTC) for day in (9, 10)]
    rated = rate(make_events([{**call, "occurred_at": day} for day in days]), catalogue)
    assert rated["list_cost_pico_usd"].to_pylist() == [10_000_000, 2_000_000]


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8bnot gzip", b'[{"id": "p"}]', b"[1]"])
def test_what_is_no_snapshot_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    """A download that was cut short prices nothing."""
    (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(ReferenceDataError, match=r"a snapshot of genai-prices at .*data\.json, got"):
        Catalogue.from_genai_prices(tmp_path / "data.json")
    with pytest.raises(ReferenceDataError, match="found nothing"):
        Catalogue.from_genai_prices(tmp_path / "absent.json")


def test_prices_of_an_account_count_for_it_and_those_of_any_account_for_all(make_events: MakeEvents) -> None:
    """What was agreed for one account is nobody else's price; what was agreed for all is also a call's without."""
    rows = [
        price(),
        price(billing_account_id="*", rates={"input_tokens": 2}, price_list="for all"),
        price(billing_account_id="a", rates={"input_tokens": 3}, price_list="for a"),
    ]
    scoped = Catalogue.from_rows(rows, version="v")
    accounts = ["a", "b", None]
    calls = [
        {"provider": "p", "model": "m", "uncached_input_tokens": 1, "billing_account_id": each} for each in accounts
    ]
    assert (scoped.needs_account, scoped.needs_region) == (True, False)
    assert rate(make_events(calls), scoped)["list_cost_pico_usd"].to_pylist() == [3, 2, 2]
    unscoped = Catalogue.from_rows(rows[:2], version="v")
    assert not unscoped.needs_account
    assert rate(make_events(calls), unscoped)["list_cost_pico_usd"].to_pylist() == [2, 2, 2]


def test_two_prices_under_one_identifier_are_refused() -> None:
    """A contract that bears the price list's name would give its prices the identifiers of list prices."""
    first = Price("p", "m", {"input_tokens": 1}, valid_to=datetime(2026, 6, 1, tzinfo=UTC))
    after = replace(first, valid_from=first.valid_to, valid_to=None, published_id=first.sku_price_id)
    assert len(Catalogue.from_rows([first, after], version="v").prices) == 2
    with pytest.raises(ReferenceDataError, match="expected one price for each identifier, got two for own/p/m"):
        Catalogue.from_rows([first, replace(after, rates={"input_tokens": 2})], version="v")
