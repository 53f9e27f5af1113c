"""What was used against the prices in force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.checks.usage import check_usage, used_models
from tollbook.rating.prices import Price
from tollbook.rating.used import UsedUnit

MakePrice = Callable[..., Price]


def used(unit: str = "uncached_input_tokens", quantity: int = 1_000, month: int = 6, **told: Any) -> UsedUnit:
    """Return usage of one month of 2026."""
    fields: dict[str, Any] = {"provider": "acme", "model": "model-a", "service_tier": "default"}
    return UsedUnit(
        period_start=datetime(2026, month, 1, tzinfo=UTC),
        period_end=datetime(2026, month + 1, 1, tzinfo=UTC),
        unit=unit,
        quantity=quantity,
        **{"unpriced_quantity": 0, **fields, **told},
    )


def test_usage_that_has_prices_has_no_finding(price: MakePrice) -> None:
    """A provider and a model are found by any of their names, as rating finds them."""
    catalogue = Catalogue.from_rows([price()], version="test")

    assert list(check_usage([used(), used("text_output_tokens"), used(model="MODEL-A")], catalogue)) == []


def test_a_model_in_use_without_a_price_is_told_once_with_all_its_tokens(price: MakePrice) -> None:
    """1,000 and 200 tokens in June and 30 in July, and 5 searches, which are no tokens."""
    catalogue = Catalogue.from_rows([price()], version="test")
    usage = [
        used(model="new"),
        used("text_output_tokens", 200, model="new"),
        used(quantity=30, month=7, model="new"),
        used("web_searches", 5, model="new"),
    ]

    (found,) = check_usage(usage, catalogue)

    assert (found.code, found.model, found.quantity) == ("usage_without_price", "new", 1_230)
    assert (found.valid_from, found.valid_to) == (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC))
    assert "(unknown_model)" in found.message


def test_reasons_are_told_apart(price: MakePrice) -> None:
    """What to do differs: another provider, another tier, another period."""
    catalogue = Catalogue.from_rows([price(until="2026-06-01")], version="test")
    usage = [used(provider="nobody"), used(service_tier="flex"), used(month=6), used(month=5)]

    reasons = [each.message.partition("(")[2].partition(")")[0] for each in check_usage(usage, catalogue)]

    assert sorted(reasons) == ["no_price_in_force", "unknown_provider", "unknown_service_tier"]


def test_a_unit_without_a_rate_is_told_with_its_quantity(price: MakePrice) -> None:
    """A cache read falls back to the input rate; a search and an unknown unit have none to fall back to."""
    catalogue = Catalogue.from_rows([price()], version="test")
    usage = [used("cache_read_tokens"), used("web_searches", 7), used("holograms", 3)]

    found = list(check_usage(usage, catalogue))

    assert [(each.code, each.unit, each.quantity) for each in found] == [
        ("usage_without_rate", "web_searches", 7),
        ("usage_without_rate", "holograms", 3),
    ]


def test_a_rate_in_a_part_of_the_period_is_a_rate(price: MakePrice) -> None:
    """Usage is known by month; only where no price of the month has the rate is it surely missing."""
    early = price(until="2026-06-15", rates={"input_tokens": "2"})
    late = price(since="2026-06-15", rates={"input_tokens": "2", "output_tokens": "8"})

    assert list(check_usage([used("text_output_tokens")], Catalogue.from_rows([early, late], version="test"))) == []


def test_unpriced_usage_in_a_month_with_a_gap_is_told(price: MakePrice) -> None:
    """The price ended on the 15th, and 400 of the month's 1,000 tokens came after it."""
    catalogue = Catalogue.from_rows([price(until="2026-06-15")], version="test")

    (found,) = check_usage([used(unpriced_quantity=400)], catalogue)

    assert (found.code, found.quantity) == ("usage_without_price", 400)
    assert list(check_usage([used()], catalogue)) == []


def test_usage_that_has_a_price_by_now_is_noted(price: MakePrice) -> None:
    """A price that came later does not change what was recorded; re-rating does."""
    catalogue = Catalogue.from_rows([price()], version="test")

    (found,) = check_usage([used(unpriced_quantity=400)], catalogue)

    assert (found.code, found.severity, found.quantity) == ("usage_not_rerated", "note", 400)


def test_used_models_are_named_as_the_price_list_names_them(price: MakePrice) -> None:
    """The check is of their prices; a unit that was not used names none."""
    catalogue = Catalogue.from_rows([price(), price("model-b")], version="test")

    assert used_models([used(model="MODEL-A"), used(model="model-b", quantity=0)], catalogue) == {("acme", "model-a")}
