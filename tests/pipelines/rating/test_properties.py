"""What holds for every batch: an event's cost is its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rate import rate

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
ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


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
