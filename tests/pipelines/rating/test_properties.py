"""What holds for every batch: an event's cost is its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate, rate_by_book
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.rating.sources.policy import CostPolicy

MakeEvents = Callable[..., pa.RecordBatch]

NAMES = [
    ("openai", "gpt-4o"),
    ("openai", "o3"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("anthropic", "claude-sonnet-4-5"),
    ("deepseek", "deepseek-v4-pro"),
    ("groq", "whisper-large-v3"),
    ("perplexity", "sonar"),
    ("huggingface_together", "Qwen/Qwen3-VL-8B-Instruct"),
    ("openai", "not-a-model"),
    (None, None),
]
COUNTS = st.one_of(st.none(), st.integers(0, 300_000), st.sampled_from([-1, 10**9, 10**16, 2**63 - 1]))
UNIT_MAPS = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["web_searches", "audio_seconds", "code_executions", "strange"]),
        st.integers(0, 10**9),
        max_size=3,
    ),
)
EVENTS = st.fixed_dictionaries(
    {
        "names": st.sampled_from(NAMES),
        "service_tier": st.sampled_from([None, "default", "batch", "flex", "scale"]),
        "occurred_at": st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001  # strategy
            lambda moment: moment.replace(tzinfo=UTC)
        ),
        "uncached_input_tokens": COUNTS,
        "cache_read_tokens": COUNTS,
        "cache_write_1h_tokens": COUNTS,
        "text_output_tokens": COUNTS,
        "reasoning_tokens": COUNTS,
        "tool_calls": UNIT_MAPS,
        "other_units": UNIT_MAPS,
        "gateway_cache_hit": st.sampled_from([None, None, None, False, True]),
        "action": st.sampled_from([None, None, None, "record", "void"]),
        "usage_basis": st.sampled_from([None, "reported", "estimated"]),
    }
)
BATCHES = st.lists(EVENTS, min_size=1, max_size=12)
ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


def as_rows(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return drawn events as rows; a total that int64 does not hold is left out, as no event can tell it."""
    rows = []
    for event in drawn:
        provider, model = event["names"]
        row = {**event, "provider": provider, "model": model}
        del row["names"]
        counts = [event[name] or 0 for name in event if name.endswith("_tokens")]
        if sum(map(abs, counts)) > 2**62:
            row |= {"input_tokens": None, "output_tokens": None}
        rows.append(row)
    return rows


@ONCE
@given(drawn=BATCHES, seed=st.integers())
def test_order_does_not_matter(
    make_events: MakeEvents, genai_catalogue: Catalogue, drawn: list[dict[str, Any]], seed: int
) -> None:
    """A replay reads partitions in another order; a cost that changed with it would be no cost."""
    rows = as_rows(drawn)
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    straight = rate(make_events(rows), genai_catalogue, buckets=True).to_pylist()
    shuffled = rate(make_events([rows[place] for place in order]), genai_catalogue, buckets=True).to_pylist()
    assert shuffled == [straight[place] for place in order]


@ONCE
@given(drawn=BATCHES, cut=st.integers(0, 12))
def test_slices_cost_what_the_whole_costs(
    make_events: MakeEvents, genai_catalogue: Catalogue, drawn: list[dict[str, Any]], cut: int
) -> None:
    """Batches are cut by size and by date on their way, and a slice shares the buffers of its whole."""
    events = make_events(as_rows(drawn))
    whole = rate(events, genai_catalogue, buckets=True)
    parts = [rate(events.slice(0, cut), genai_catalogue, buckets=True)]
    parts.append(rate(events.slice(cut), genai_catalogue, buckets=True))
    assert [row for part in parts for row in part.to_pylist()] == whole.to_pylist()
    assert [rate(events.slice(row, 1), genai_catalogue, buckets=True).to_pylist()[0] for row in range(len(drawn))] == (
        whole.to_pylist()
    )


@ONCE
@given(drawn=BATCHES)
def test_every_event_has_a_cost_or_a_reason_and_buckets_add_up(
    make_events: MakeEvents, genai_catalogue: Catalogue, drawn: list[dict[str, Any]]
) -> None:
    """A null without a reason is a loss that nobody sees; buckets that do not add up cannot be explained."""
    for row, outcome in zip(
        drawn, rate(make_events(as_rows(drawn)), genai_catalogue, buckets=True).to_pylist(), strict=True
    ):
        cost, reason = outcome["list_cost_pico_usd"], outcome["unpriced_reason"]
        assert (cost is None) == (reason is not None) == (outcome["sku_price_id"] is None)
        assert (reason == "void") == (outcome["cost_basis"] is None) == (row["action"] == "void")
        assert (outcome["cost_basis"] == "unpriced") == (cost is None and reason != "void")
        if cost is not None:
            assert 0 <= cost < 10**18
            assert sum(outcome["bucket_cost_pico_usd"].values()) == cost


@ONCE
@given(
    first=st.integers(0, 10**9),
    second=st.integers(0, 10**9),
    rates=st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)),
)
def test_whole_rates_are_additive(make_events: MakeEvents, first: int, second: int, rates: tuple[int, int]) -> None:
    """Two halves of a call cost what the call costs, where nothing has to be rounded and no tier is passed."""
    catalogue = Catalogue.from_rows(
        [Price("p", "m", {"input_tokens": rates[0], "output_tokens": rates[1]})], version="additive"
    )
    calls = [
        {"provider": "p", "model": "m", "uncached_input_tokens": count, "text_output_tokens": count // 2}
        for count in (first, second)
    ]
    both = {
        "provider": "p",
        "model": "m",
        "uncached_input_tokens": first + second,
        "text_output_tokens": first // 2 + second // 2,
    }
    costs = rate(make_events([*calls, both]), catalogue)["list_cost_pico_usd"].to_pylist()
    assert costs[2] is None or costs[0] + costs[1] == costs[2]
    assert costs[2] is not None or (first + second) * rates[0] + (first // 2 + second // 2) * rates[1] >= 10**18


@ONCE
@given(
    counts=st.lists(st.integers(0, 300_000), min_size=1, max_size=20),
    at=st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 30)),  # noqa: DTZ001  # a strategy takes none
)
def test_a_split_of_validity_changes_nothing_on_either_side(
    make_events: MakeEvents, counts: list[int], at: datetime
) -> None:
    """A price that is confirmed at some instant, and not changed, is written as two periods and costs the same."""
    split = at.replace(tzinfo=UTC)
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    rates = {"input_tokens": 3_000_000}
    one = Catalogue.from_rows([Price("p", "m", rates, valid_from=start, valid_to=end)], version="one")
    two = Catalogue.from_rows(
        [
            Price("p", "m", rates, valid_from=start, valid_to=split),
            Price("p", "m", rates, valid_from=split, valid_to=end),
        ],
        version="two",
    )
    shifts = (timedelta(microseconds=-1), timedelta(0), timedelta(days=-400), timedelta(days=400))
    events = make_events(
        [
            {"provider": "p", "model": "m", "uncached_input_tokens": count, "occurred_at": split + shift}
            for count in counts
            for shift in shifts
        ]
    )
    columns = ["list_cost_pico_usd", "cost_basis", "unpriced_reason"]
    assert rate(events, one).select(columns).to_pylist() == rate(events, two).select(columns).to_pylist()


def test_a_batch_costs_the_sum_of_its_events(make_events: MakeEvents, genai_catalogue: Catalogue) -> None:
    """Totals of a day must not depend on how it was cut into batches."""
    seed = random.Random(7)
    rows = [
        {"uncached_input_tokens": seed.randint(0, 9_999), "model": seed.choice(("gpt-4o", "o3"))} for _ in range(500)
    ]
    together = rate(make_events(rows), genai_catalogue)["list_cost_pico_usd"]
    apart = [rate(make_events([row]), genai_catalogue)["list_cost_pico_usd"][0].as_py() for row in rows]
    assert pc.sum(together).as_py() == sum(apart)


LIST_RATES: dict[str, Fraction | int] = {
    "input_tokens": Fraction(5_000_001, 2),
    "cache_read_tokens": 250_000,
    "output_tokens": 10_000_000,
}
CONTRACT_RATES: dict[str, Fraction | int] = {**LIST_RATES, "input_tokens": Fraction(4_000_001, 3)}
MID_2025 = datetime(2025, 7, 1, tzinfo=UTC)
BOOKS = [
    PriceBook.of(
        list_prices,
        contracted=Catalogue.from_rows(
            [
                Price("openai", "gpt-4o", LIST_RATES, valid_to=MID_2025),
                Price("openai", "gpt-4o", CONTRACT_RATES, valid_from=MID_2025, contract_id="c"),
                Price("openai", "o3", CONTRACT_RATES, contract_id="d", billing_account_id="account", price_list="d"),
                Price("openai", "o3", LIST_RATES),
            ],
            version="contracted",
        ),
        exchange=ExchangeRates.of([ExchangeRate("EUR", Fraction("1.172"), MID_2025)]),
        policy=policy,
    )
    for list_prices in [
        Catalogue.from_rows([Price("openai", model, LIST_RATES) for model in ("gpt-4o", "o3")], version="list")
    ]
    for policy in (CostPolicy(), CostPolicy(providers={"openai": "provider_reported"}))
]
TOLD_COSTS = st.one_of(st.none(), st.decimals(0, 2_000_000, places=12), st.just(Decimal(10**26 - 1)))
BOOKED = st.lists(
    st.tuples(
        EVENTS,
        TOLD_COSTS,
        st.sampled_from(["USD", "EUR", "GBP"]),
        st.sampled_from([None, "account", "another"]),
    ),
    min_size=1,
    max_size=12,
)


def as_booked_rows(drawn: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return drawn events with what else a book looks at."""
    rows = as_rows([event for event, *_ in drawn])
    return [
        {
            **row,
            "provider_cost": cost,
            "provider_cost_currency": None if cost is None else currency,
            "billing_account_id": account,
        }
        for row, (_, cost, currency, account) in zip(rows, drawn, strict=True)
    ]


@ONCE
@given(drawn=BOOKED, seed=st.integers(), book=st.sampled_from(BOOKS))
def test_by_the_whole_book_a_batch_equals_its_events_one_by_one_in_any_order(
    make_events: MakeEvents, drawn: list[tuple[Any, ...]], seed: int, book: PriceBook
) -> None:
    """Contracts and the providers' figures are laid over parts of a batch; no event may get another's."""
    rows = as_booked_rows(drawn)
    together = rate_by_book(make_events(rows), book, buckets=True).to_pylist()
    apart = [rate_by_book(make_events([row]), book, buckets=True).to_pylist()[0] for row in rows]
    assert together == apart
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    shuffled = rate_by_book(make_events([rows[place] for place in order]), book, buckets=True).to_pylist()
    assert shuffled == [together[place] for place in order]


@ONCE
@given(drawn=BOOKED, book=st.sampled_from(BOOKS))
def test_by_the_whole_book_each_cost_is_the_one_that_plain_arithmetic_gives(
    make_events: MakeEvents, drawn: list[tuple[Any, ...]], book: PriceBook
) -> None:
    """The same rules once more, an event at a time and in fractions: list, contract, policy and currency."""
    rows = as_booked_rows(drawn)
    events = make_events(rows)
    ours = rate(events, book.list_prices).to_pylist()
    assert book.contracted is not None
    agreed = rate(events, book.contracted).to_pylist()
    for row, own, contracted, outcome in zip(rows, ours, agreed, rate_by_book(events, book).to_pylist(), strict=True):
        list_cost, reason = own["list_cost_pico_usd"], own["unpriced_reason"]
        told, refused = told_cost(row)
        taken = told is not None and reason != "void" and not row["gateway_cache_hit"]
        taken = taken and (list_cost is None or "openai" in book.policy.providers)
        if taken and row["action"] != "void":
            assert outcome["cost_basis"] == "provider_reported"
            assert outcome["list_cost_pico_usd"] == outcome["contracted_cost_pico_usd"] == told
            assert (outcome["rated_list_cost_pico_usd"], outcome["contract_id"]) == (list_cost, None)
            continue
        assert outcome["list_cost_pico_usd"] == list_cost
        assert outcome["contracted_cost_pico_usd"] == contracted["list_cost_pico_usd"]
        assert outcome["unpriced_reason"] == (refused if refused and reason not in {None, "void"} else reason)
        assert outcome["cost_basis"] == own["cost_basis"]
        assert outcome["rated_list_cost_pico_usd"] is None
        applies = row["model"] == "gpt-4o" and row["occurred_at"] >= MID_2025
        applies = applies or (row["model"] == "o3" and row["billing_account_id"] == "account")
        free = list_cost is None or bool(row["gateway_cache_hit"])
        contract = {"gpt-4o": "c", "o3": "d"}.get(row["model"]) if applies and not free else None
        assert outcome["contract_id"] == contract


def told_cost(row: dict[str, Any]) -> tuple[int | None, str | None]:
    """Return the provider's figure of a row in pico-USD, or the reason for which it cannot be taken."""
    if row["provider_cost"] is None:
        return None, None
    worth = {"USD": Fraction(1), "EUR": Fraction("1.172") if row["occurred_at"] >= MID_2025 else None}.get(
        row["provider_cost_currency"]
    )
    if worth is None:
        return None, "no_exchange_rate"
    pico = round(Fraction(row["provider_cost"]) * worth * 10**12)
    return (pico, None) if pico < 10**18 else (None, "cost_out_of_range")


@ONCE
@given(drawn=BATCHES, larger=st.integers(0, 10**6))
def test_a_part_never_costs_more_than_the_whole(
    make_events: MakeEvents, genai_catalogue: Catalogue, drawn: list[dict[str, Any]], larger: int
) -> None:
    """More tokens of one bucket never make a call cheaper, and no bucket costs more than its call."""
    rows = as_rows(drawn)
    # More output, because more input may reach a longer context, which some price lists sell cheaper.
    more = [{**row, "text_output_tokens": min(row["text_output_tokens"] or 0, 10**15) + larger} for row in rows]
    for less, greater in zip(
        rate(make_events(rows), genai_catalogue, buckets=True).to_pylist(),
        rate(make_events(more), genai_catalogue, buckets=True).to_pylist(),
        strict=True,
    ):
        if less["list_cost_pico_usd"] is None:
            continue
        assert max(less["bucket_cost_pico_usd"].values()) <= less["list_cost_pico_usd"]
        if greater["list_cost_pico_usd"] is not None:
            assert less["list_cost_pico_usd"] <= greater["list_cost_pico_usd"]
