"""A price against the same model elsewhere. Amounts are USD a million tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.checks.peers import check_against, check_contracts, check_peers, check_snapshots
from tollbook.rating.prices import Price

MakePrice = Callable[..., Price]
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_factor_of_100_000_at_one_provider_is_found(price: MakePrice) -> None:
    """The models of wandb stood at 135,000 USD a million tokens for months; every other provider asked about one."""
    prices = [
        price("wandb/moonshotai/Kimi-K2-Instruct", provider="wandb", rates={"input_tokens": "135000"}),
        price("groq/moonshotai/kimi-k2-instruct", provider="groq", rates={"input_tokens": "1"}),
        price("moonshotai/Kimi-K2-Instruct", provider="together", rates={"input_tokens": "2"}),
    ]

    (found,) = check_peers(prices)

    assert (found.code, found.provider, found.expected) == ("far_from_peers", "wandb", Decimal("1.5"))
    assert "2 other providers of kimi-k2-instruct ask 1 to 2: the nearest is 67,500 times away" in found.message


def test_one_near_peer_is_enough_and_one_far_peer_is_not(price: MakePrice) -> None:
    """Prices of open models differ widely between hosts; with one peer nobody knows who is wrong."""
    cheap = price(provider="a", rates={"input_tokens": "0.1"})
    others = [price(provider="b", rates={"input_tokens": "1"}), price(provider="c", rates={"input_tokens": "0.9"})]

    assert list(check_peers([cheap, *others])) == []
    assert list(check_peers([cheap, others[0]])) == []


def test_only_prices_of_the_same_time_are_peers(price: MakePrice) -> None:
    """A price of two years ago says nothing of one of today."""
    prices = [
        price(provider="a", rates={"input_tokens": "100"}, until="2026-02-01"),
        price(provider="b", rates={"input_tokens": "1"}, since="2026-02-01"),
        price(provider="c", rates={"input_tokens": "1"}, since="2026-02-01"),
    ]

    assert list(check_peers(prices)) == []


def test_a_name_that_was_not_lowered_with_its_snapshot_is_found(price: MakePrice) -> None:
    """gpt-3.5-turbo stood at 1.50 USD for 18 months after its snapshot of January 2024 came at 0.50."""
    prices = [
        price("gpt-3.5-turbo", since="2023-11-01", until="2025-10-01", rates={"input_tokens": "1.5"}),
        price("gpt-3.5-turbo", since="2025-10-01", rates={"input_tokens": "0.5"}),
        price("gpt-3.5-turbo-0613", since="2023-11-01", rates={"input_tokens": "1.5"}),
        price("gpt-3.5-turbo-0125", since="2024-04-01", rates={"input_tokens": "0.5"}),
    ]

    (found,) = check_snapshots(prices)

    assert (found.code, found.model, found.value, found.expected) == (
        "alias_behind_snapshot",
        "gpt-3.5-turbo",
        Decimal("1.5"),
        Decimal("0.5"),
    )
    assert (found.valid_from, found.valid_to) == (datetime(2024, 4, 1, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC))


def test_an_older_snapshot_that_a_list_learns_of_late_is_not_the_newest(price: MakePrice) -> None:
    """gpt-4o-2024-05-13 was listed after gpt-4o-2024-08-06: the name costs what the later one costs, and is right."""
    prices = [
        price("gpt-4o", since="2024-09-01", rates={"input_tokens": "2.5"}),
        price("gpt-4o-2024-08-06", since="2024-09-01", rates={"input_tokens": "2.5"}),
        price("gpt-4o-2024-05-13", since="2025-01-01", rates={"input_tokens": "5"}),
    ]

    assert list(check_snapshots(prices)) == []
    late = [price("gpt-4o", since="2024-09-01", rates={"input_tokens": "5"}), *prices[1:]]
    (found,) = check_snapshots(late)
    assert "the newest snapshot, gpt-4o-2024-08-06, costs 2.5" in found.message
    assert found.valid_to is None


def test_a_snapshot_at_another_provider_or_route_is_no_measure(price: MakePrice) -> None:
    """Azure lowers its prices in its own time, and its regions have prices of their own."""
    prices = [
        price("azure/gpt-4o", provider="azure", rates={"input_tokens": "5"}),
        price("azure/us/gpt-4o-2024-08-06", provider="azure", rates={"input_tokens": "2.75"}),
        price("gpt-4o-2024-08-06", provider="openai", rates={"input_tokens": "2.5"}),
    ]

    assert list(check_snapshots(prices)) == []


def test_another_list_that_dates_its_change_shows_who_is_late(price: MakePrice) -> None:
    """A dated list says since when the price holds: the disagreement has bounds, and is a warning."""
    reference = Catalogue.from_rows(
        [
            price("o3", since=None, until="2025-06-10", rates={"input_tokens": "10"}),
            price("o3", since="2025-06-10", rates={"input_tokens": "2"}),
        ],
        version="reference",
    )
    prompt = price("o3", since="2025-07-01", rates={"input_tokens": "2"})
    late = [price("o3", since=None, until="2025-10-01", rates={"input_tokens": "10"}), prompt]

    found = list(check_against(late, reference, now=NOW))

    assert [(each.code, each.value, each.expected, each.valid_from, each.valid_to) for each in found] == [
        (
            "catalogue_disagrees",
            Decimal(10),
            Decimal(2),
            datetime(2025, 6, 10, tzinfo=UTC),
            datetime(2025, 10, 1, tzinfo=UTC),
        )
    ]


def test_a_month_late_is_within_grace_and_the_future_is_not_compared(price: MakePrice) -> None:
    """Tables are cut once a month. What a list says of next year may still change."""
    reference = Catalogue.from_rows(
        [
            price(since=None, until="2026-10-15", rates={"input_tokens": "3"}),
            price(since="2026-10-15", until="2027-01-01", rates={"input_tokens": "2"}),
            price(since="2027-01-01", rates={"input_tokens": "4"}),
        ],
        version="reference",
    )

    assert list(check_against([price(rates={"input_tokens": "3"})], reference, now=NOW)) == []


def test_an_undated_list_gives_a_note(price: MakePrice) -> None:
    """It may simply not know that the price was another before."""
    reference = Catalogue.from_rows([price(since=None, rates={"input_tokens": "0.5"})], version="reference")

    (found,) = check_against([price(rates={"input_tokens": "1.5"})], reference, now=NOW)

    assert (found.code, found.severity) == ("undated_catalogue_disagrees", "note")


def test_a_contract_above_the_list_price_is_found(price: MakePrice) -> None:
    """Nobody negotiates a price up: the list price fell below it, or it was typed wrong."""
    contracted = price(rates={"input_tokens": "3", "output_tokens": "4"}, contract_id="acme-2026")

    (found,) = check_contracts([contracted, price()], [price()])

    assert (found.code, found.unit, found.value, found.expected) == (
        "contract_above_list",
        "input_tokens",
        Decimal(3),
        Decimal(2),
    )
