"""Published cases: their parameters, their traffic, and what the truth says of it, worked by hand."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.errors import MisuseError
from tollbook.rating.load import installed_catalogue
from tollbook.rating.sources.loading import load_overlay
from tollbook.reference.kinds import check_file
from tollbook.simulate.delivery import Shares
from tollbook.simulate.scenarios.catalogue import SCENARIOS, choose
from tollbook.simulate.scenarios.decomposition import Side, effects_of
from tollbook.simulate.simulation import Plan, simulate

CLEAN = Shares(duplicates=0, late=0, poison=0, conflicts=0)
ROUGH = Shares(duplicates=100_000, late=50_000, poison=30_000, conflicts=30_000)
Truth = dict[str, Any]


def run(folder: Path, name: str, *assignments: str, shares: Shares = CLEAN, **plan: Any) -> tuple[list[bytes], Truth]:
    """Return the lines and the truth of a scenario."""
    chosen = choose(name, assignments)
    told = {"events": 0, "seed": 3, "months": chosen.scenario.fewest_months} | plan
    truth = simulate(
        Plan(**told, shares=shares, chosen=chosen),
        out=folder / "calls.jsonl",
        truth_path=folder / "truth.json",
        reference_path=folder / f"reference-{name}",
    )
    return (folder / "calls.jsonl").read_bytes().splitlines(), truth


def rows_of(truth: Truth, mart: str) -> list[dict[str, Any]]:
    """Return the rows that a mart must hold."""
    (expected,) = [each for each in truth["scenario"]["expected"] if each["mart"] == mart]
    rows: list[dict[str, Any]] = expected["rows"]
    return rows


def figures(truth: Truth) -> dict[str, Decimal]:
    """Return the case in numbers."""
    return {name: Decimal(value) for name, value in truth["scenario"]["figures"].items()}


def test_published_case_of_prices_that_fall(tmp_path: Path) -> None:
    """A quarter of the price for twelve times the tokens is three times the bill, and each factor has its share.

    240 calls of 2,000 tokens: 1,200 fresh at 10 USD a million, 400 read at 1, 400 of output at 50: 0.0324 USD each,
    7.776 in all. Later 1,440 calls of 4,000 tokens at a quarter: 0.0162 each, 23.328. The logarithmic mean is
    15.552 / ln 3, of which tasks and tokens did ln 2 each, calls ln 3, prices -ln 4; ln 2 / ln 3 is 0.630929753571457.
    """
    _, truth = run(tmp_path, "price-fall")

    assert figures(truth) == {
        "token_price_last_over_first": Decimal("0.25"),
        "tokens_last_over_first": 12,
        "bill_last_over_first": 3,
    }
    assert [row["effective_cost"] for row in rows_of(truth, "insight.fct_cost_drivers")] == [
        "7.776000000000",
        "23.328000000000",
    ]
    effects = {row["effect"]: Decimal(row["effect_cost"]) for row in rows_of(truth, "insight.fct_price_volume_mix")}
    assert effects == {
        "task_volume": Decimal("9.812219527543"),
        "calls_per_task": Decimal("15.552000000000"),
        "tokens_per_call": Decimal("9.812219527543"),
        "price": Decimal("-19.624439055086"),
    }
    assert sum(effects.values()) == Decimal("15.552")


def test_published_case_of_tokens_of_a_task(tmp_path: Path) -> None:
    """2,000 tokens against 50,000 to 500,000, counted again from the lines."""
    lines, truth = run(tmp_path, "agent-tokens")

    assert figures(truth) == {
        "tokens_per_question": 2_000,
        "tokens_per_agent_task_least": 50_000,
        "tokens_per_agent_task_most": 500_000,
    }
    tokens: Counter[tuple[str, str]] = Counter()
    for event in standing(lines):
        tokens[event["workflow"], event["task_id"]] += tokens_of(event)
    told = rows_of(truth, "engineering.fct_tasks")
    assert {(row["workflow"], row["task_id"]): row["total_tokens"] for row in told} == tokens
    # A question: 720 fresh tokens at 3 USD a million, 1,080 read at 0.3, 200 of output at 15.
    (questions,) = [
        row for row in rows_of(truth, "engineering.fct_task_economics") if row["workflow"] == "agent-tokens-questions"
    ]
    assert questions["cost_per_task"] == questions["cost_p99"] == "0.005484000000"
    (agents,) = [
        row for row in rows_of(truth, "engineering.fct_task_economics") if row["workflow"] == "agent-tokens-agents"
    ]
    assert (agents["tasks"], agents["failed_tasks"], agents["calls"]) == (40, 4, 800)
    # From 50,000 to 500,000 in forty even steps: the mean is 275,000.
    assert abs(agents["total_tokens"] - 40 * 275_000) < 40


def test_published_case_of_hidden_cost(tmp_path: Path) -> None:
    """Generation is 20 USD; beside it 8, 2, 20, 5, 5, 4, 3 and 3 percent of it, but for parts of a token."""
    _, truth = run(tmp_path, "hidden-cost")

    assert abs(figures(truth)["hidden_over_generation"] - Decimal("0.5")) < Decimal("0.0000001")
    shares = {row["purpose"]: row["share_of_generation"] for row in rows_of(truth, "engineering.fct_hidden_cost")}
    assert shares == {
        "generation": "1.000000",
        "retrieval": "0.080000",
        "embedding": "0.020000",
        "context": "0.200000",
        "retry": "0.050000",
        "guardrail": "0.050000",
        "evaluation": "0.040000",
        "aborted": "0.030000",
        "cache_write_unread": "0.030000",
    }


def test_published_case_of_a_flat_plan(tmp_path: Path) -> None:
    """35,000 USD on a seat of 200 is 175 to 1; the next uses 70 % of it, 24,500."""
    lines, truth = run(tmp_path, "flat-plan", "persons=2", "unused_seats=1", "call_usd=175")

    assert figures(truth) == {"list_cost_of_the_largest_usd": 35_000, "multiple_of_the_largest": 175}
    first, second, nobody = rows_of(truth, "insight.fct_subsidies")
    assert (first["list_cost"], first["subsidy_multiple"]) == ("35000.000000000000", "175.000000000000")
    assert (second["list_cost"], second["subsidy_multiple"]) == ("24500.000000000000", "122.500000000000")
    assert (nobody["usage_rank"], nobody["fee_cost"]) == (None, "200.000000000000")
    # (35,000 - 24,500) / (2 x 59,500), and 59,500 for three seats of 200.
    assert (first["gini"], first["plan_multiple"]) == ("0.088235294118", "99.166666666667")
    assert {first["cheapest_plan"], second["cheapest_plan"]} == {"flat-plan-3-flat"}
    used: Counter[str] = Counter()
    for event in standing(lines):
        used[event["principal_id"]] += event["uncached_input_tokens"] * 10 + event["output_tokens"] * 50
    assert sorted(used.values()) == [24_500 * 10**6, 35_000 * 10**6]


def test_published_case_of_margins(tmp_path: Path) -> None:
    """Ten points of 50,000 USD are 5,000; the largest of five customers has 1 of 2.3056 parts, of 10,000 revenue."""
    _, truth = run(tmp_path, "margin")

    assert figures(truth) == {"points_lost_first": 0, "points_lost_last": 10, "points_lost_change": 10}
    rows = rows_of(truth, "insight.fct_margins")
    october = [row for row in rows if row["billing_period_start"] == "2026-09-01"]
    assert sum(Decimal(row["ai_cost"]) for row in october) == 5_000
    assert {row["revenue"] for row in rows} == {"10000.000000000000"}
    assert october[0]["points_lost"] == "21.686329"
    assert {row["product_points_lost_change"] for row in october} == {"10.000000"}


def test_where_a_model_or_a_price_vanishes_one_factor_takes_the_change() -> None:
    """A model that was not used before is mix, and prices that fall to nothing are price; logarithms know neither."""
    before = Side(2, 4, Counter(main=100), Counter(main=1_000))
    moved = Side(2, 4, Counter(small=100), Counter(small=200))
    free = Side(2, 4, Counter(main=100), Counter(main=0))
    assert {name: cost for name, cost in effects_of(before, moved).items() if cost} == {"model_mix": -800}
    assert {name: cost for name, cost in effects_of(before, free).items() if cost} == {"price": -1_000}
    assert {name: cost for name, cost in effects_of(free, before).items() if cost} == {"price": 1_000}


@given(
    counts=st.tuples(*[st.integers(1, 10**6)] * 4),
    tokens=st.tuples(*[st.integers(0, 10**9)] * 4),
    costs=st.tuples(*[st.integers(1, 10**15)] * 4),
)
def test_effects_sum_to_the_change_and_turn_around_with_time(
    counts: tuple[int, ...], tokens: tuple[int, ...], costs: tuple[int, ...]
) -> None:
    """An oracle that did not sum would find fault with a mart that does."""
    used = [each + 1 for each in tokens]
    first = Side(counts[0], counts[1], Counter(a=used[0], b=used[1]), Counter(a=costs[0], b=costs[1]))
    last = Side(counts[2], counts[3], Counter(a=used[2], b=used[3]), Counter(a=costs[2], b=costs[3]))
    there, back = effects_of(first, last), effects_of(last, first)
    assert sum(there.values()) == last.cost - first.cost
    assert back == {name: -cost for name, cost in there.items()}
    assert not any(effects_of(first, first).values())


@pytest.mark.parametrize("name", SCENARIOS)
def test_delivery_goes_wrong_and_what_counts_stays_the_same(tmp_path: Path, name: str) -> None:
    """Duplicates, late lines, bad ones, conflicts and voids change no expected amount: they are the story's own."""
    few = ["call_usd=200"] if name == "flat-plan" else []
    clean, told = run(tmp_path, name, *few)
    rough, also = run(tmp_path, name, *few, shares=ROUGH)

    assert also["scenario"] == told["scenario"]
    assert also["list_cost_pico_usd"] == told["list_cost_pico_usd"] > 0
    assert (also["events"], also["unpriced_events"]) == (told["events"], 0)
    for what in ("duplicates", "conflicts", "rejected", "superseded"):
        assert also[what] > 0, what
    assert len(rough) == also["lines"] > len(clean)


@pytest.mark.parametrize("name", SCENARIOS)
def test_reference_files_are_ready_to_be_loaded(tmp_path: Path, name: str) -> None:
    """Everything in the folder passes the checks of `tollbook reference load`, and the prices those of their own."""
    few = ["call_usd=1000"] if name == "flat-plan" else []
    run(tmp_path, name, *few)
    folder = tmp_path / f"reference-{name}"
    for path in folder.glob("*.yml"):
        check_file(path)
    (overlay,) = folder.glob("prices/*.yml")
    loaded = load_overlay(overlay, tmp_path / "in use", installed_catalogue(), now=datetime(2026, 11, 26, tzinfo=UTC))
    assert len(loaded.overlay.told) == (4 if name == "price-fall" else 1)
    owners = yaml.safe_load((folder / "owners.yml").read_text(encoding="utf-8"))
    assert {rule["team"] for rule in owners["rules"]} == {name}
    (folder / "budgets.yml").write_text("budgets: 1\n", encoding="utf-8")
    with pytest.raises(MisuseError, match=r"a folder for this simulation alone, .* has budgets.yml"):
        run(tmp_path, name, *few)


def test_a_seed_gives_the_same_lines_and_truth_on_every_machine(tmp_path: Path) -> None:
    """Neither logarithms of floats nor an order of sets take part; the digest is over all five."""
    digest = hashlib.sha256()
    for name in SCENARIOS:
        run(tmp_path, name, *(["call_usd=1000"] if name == "flat-plan" else []), seed=42, shares=Shares())
        for file in ("calls.jsonl", "truth.json"):
            digest.update((tmp_path / file).read_bytes())
    assert digest.hexdigest() == "a6961e6ec46baec7b5aebee0c436ec29d5723a8e2a4a8a3c750f2f02eea85494"


def test_scenarios_of_one_seed_share_no_call(tmp_path: Path) -> None:
    """In a book that has them all, a call that was made again under an id of another scenario would be a conflict."""
    ids: Counter[str] = Counter()
    for name in ("margin", "agent-tokens", "hidden-cost"):
        lines, truth = run(tmp_path, name, seed=9)
        assert truth["voids"] == 1
        ids.update({event["event_id"] for event in standing(lines)})
    assert set(ids.values()) == {1}


def test_a_scenario_goes_beside_the_organisation(tmp_path: Path) -> None:
    """What is expected does not change; owner rules and totals are of both, and lines stand in the order of arrival."""
    _, alone = run(tmp_path, "price-fall")
    lines, both = run(tmp_path, "price-fall", events=500)

    assert both["scenario"] == alone["scenario"]
    assert both["events"] == 500 + alone["events"]
    teams = {row["team"] for row in both["by_team"]}
    assert {"price-fall", "customer-care"} < teams
    assert both["lines"] == len(lines)
    plain, organisation = tmp_path / "plain.jsonl", tmp_path / "plain.json"
    simulate(Plan(events=500, seed=3, months=2, shares=CLEAN), out=plain, truth_path=organisation)
    of_organisation = [line for line in lines if b"price-fall" not in line and b'"source":"example"' not in line]
    assert of_organisation == plain.read_bytes().splitlines()


@settings(max_examples=25)
@given(data=st.data(), name=st.sampled_from(sorted(SCENARIOS)))
def test_any_parameters_give_the_calls_that_they_ask_for(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    """A recount of the lines finds the truth's cost, and expected amounts of the marts sum to it."""
    chosen = [f"{one}={data.draw(values, label=one)}" for one, values in SMALL[name].items()]
    lines, truth = run(tmp_path_factory.mktemp("any"), name, *chosen, shares=ROUGH)
    events = standing(lines)
    assert len(events) == truth["events"]
    assert sum(map(tokens_of, events)) == truth["input_tokens"] + truth["output_tokens"]
    mart, column = SUMMED[name]
    costs = [row.get(column) for row in rows_of(truth, mart)]
    assert sum(Decimal(cost) for cost in costs if cost is not None) == Decimal(truth["list_cost_pico_usd"]).scaleb(-12)


PERCENT = st.decimals(0, 100, places=2)
SMALL: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "price-fall": {
        "tasks": st.integers(1, 12),
        "calls_per_task": st.decimals(1, 4, places=2),
        "tokens_per_call": st.integers(10, 5_000),
        "price_usd": st.decimals("0.01", 100, places=2),
        "price_fall_percent": st.decimals(-1000, 100, places=4),
        "task_growth": st.decimals("0.1", 3, places=2),
        "call_growth": st.decimals("0.1", 3, places=2),
        "token_growth": st.decimals("0.1", 3, places=2),
        "small_calls_percent": PERCENT,
        "small_calls_later_percent": PERCENT,
    },
    "agent-tokens": {
        "questions": st.integers(1, 20),
        "question_tokens": st.integers(1, 10_000),
        "agent_tasks": st.integers(1, 12),
        "agent_tokens_least": st.integers(30, 1_000),
        "agent_tokens_most": st.integers(1_000, 10**7),
        "agent_calls": st.integers(6, 30),
        "helpers": st.integers(0, 5),
        "failed_percent": PERCENT,
    },
    "hidden-cost": {
        "tasks": st.integers(1, 20),
        "generation_usd": st.decimals(1, 100, places=2),
        "context_percent": st.decimals(0, 300, places=2),
        "cached_context_percent": PERCENT,
        "cache_write_percent": st.decimals(0, 10, places=2),
        "retry_percent": PERCENT,
        "aborted_percent": PERCENT,
    },
    "flat-plan": {
        "fee_usd": st.decimals("0.01", 300, places=2),
        "multiple": st.decimals("0.01", 20, places=2),
        "persons": st.integers(1, 12),
        "next_percent": PERCENT,
        "unused_seats": st.integers(0, 3),
        "call_usd": st.decimals(20, 1_000, places=2),
    },
    "margin": {
        "revenue_usd": st.decimals(100, 10_000, places=2),
        "points_before": st.decimals(0, 30, places=4),
        "points_after": st.decimals(0, 30, places=4),
        "customers": st.integers(0, 8),
        "next_percent": PERCENT,
        "call_usd": st.decimals(20, 1_000, places=2),
    },
}
SUMMED = {
    "price-fall": ("insight.fct_cost_drivers", "effective_cost"),
    "agent-tokens": ("engineering.fct_tasks", "effective_cost"),
    "hidden-cost": ("engineering.fct_hidden_cost", "effective_cost"),
    "flat-plan": ("insight.fct_subsidies", "list_cost"),
    "margin": ("insight.fct_margins", "ai_cost"),
}


def standing(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the events that count: the first telling of the highest revision of each call that is not voided."""
    told: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for line in lines:
        try:
            event = json.loads(line)
        except (UnicodeDecodeError, json.JSONDecodeError):
            continue
        if isinstance(event, dict) and not str(event.get("event_id", "-bad")).endswith("-bad"):
            told[event["event_id"]].setdefault(event.get("revision", 0), event)
    last = [revisions[max(revisions)] for revisions in told.values()]
    return [event for event in last if event.get("action") != "void"]


def tokens_of(event: dict[str, Any]) -> int:
    """Return all tokens of an event that tells the parts of its input."""
    parts = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "output_tokens")
    return sum(event[name] for name in parts)
