"""A simulation as a whole: its bytes, its lines, and its truth counted again."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.errors import MisuseError
from tollbook.formats.native import NativeDecoder
from tollbook.simulate.delivery import Shares
from tollbook.simulate.simulation import Plan, simulate

CLEAN = Shares(duplicates=0, late=0, poison=0, conflicts=0)
INPUT = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
CONTENT = ("provider", "model", "input_tokens", *INPUT, "output_tokens", "reasoning_tokens", "tool_calls", "action")


def run(folder: Path, plan: Plan, name: str = "events.jsonl") -> tuple[bytes, dict[str, Any]]:
    """Return the bytes and the truth of a simulation."""
    out = folder / name
    truth = simulate(plan, out=out, truth_path=folder / "truth.json", owners_path=folder / "owners.yml")
    return out.read_bytes(), truth


def standing(tellings: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the events that count and what became of the other tellings, by the ledger's rules.

    The first telling of an identity and revision is accepted; an equal one is a duplicate, another one a conflict. Of
    an identity's revisions the highest stands, unless it voids the call.
    """
    accepted: dict[tuple[str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    became: Counter[str] = Counter()
    for event in tellings:
        revisions = accepted[event["source"], event["event_id"]]
        first = revisions.setdefault(event.get("revision", 0), event)
        if first is not event:
            same = all(first.get(name) == event.get(name) for name in CONTENT)
            became["duplicates" if same else "conflicts"] += 1
    stands = []
    for revisions in accepted.values():
        became["superseded"] += len(revisions) - 1
        last = revisions[max(revisions)]
        if last.get("action") == "void":
            became["voids"] += 1
        else:
            stands.append(last)
    return stands, became


def input_of(event: dict[str, Any]) -> int:
    """Return all input tokens of an event, told as a whole or in parts."""
    told: int | None = event.get("input_tokens")
    return told if told is not None else sum(event.get(name, 0) for name in INPUT)


def cost_of(event: dict[str, Any]) -> int | None:
    """Return the list cost of an event as genai-prices has it, in pico-USD; None where it has none."""
    usage = Usage(
        input_tokens=input_of(event),
        cache_read_tokens=event.get("cache_read_tokens", 0),
        cache_write_tokens=event.get("cache_write_5m_tokens", 0) + event.get("cache_write_1h_tokens", 0),
        cache_write_1h_tokens=event.get("cache_write_1h_tokens", 0),
        output_tokens=event["output_tokens"],
        web_searches=event.get("tool_calls", {}).get("web_searches", 0),
    )
    try:
        price = calc_price(
            usage,
            event["model"],
            provider_id=event["provider"],
            genai_request_timestamp=datetime.fromisoformat(event["occurred_at"]),
            price_context={"processing": "batch"} if event.get("service_tier") == "batch" else None,
        )
    except LookupError:
        return None
    return int(price.total_price * 10**12)


def owner_of(event: dict[str, Any], owners: dict[str, Any]) -> tuple[str, str | None]:
    """Return team and cost centre of an event by the owners file, read one rule at a time."""
    moment = datetime.fromisoformat(event["occurred_at"])
    for dimension in owners["order"]:
        for rule in owners["rules"]:
            begins, ends = rule["valid_from"], rule.get("valid_to", "9999-12-31T00:00:00Z")
            in_force = datetime.fromisoformat(begins) <= moment < datetime.fromisoformat(ends)
            if in_force and rule["match"].get(dimension, object()) == event.get(dimension):
                return rule["team"], rule["cost_center"]
    return "unallocated", None


def test_the_truth_is_what_a_recount_of_the_lines_finds(simulated: Any) -> None:
    """Everything the truth says, counted again from the file by other code, with genai-prices' own prices."""
    truth = simulated.truth
    events, became = standing(simulated.tellings)
    assert truth["events"] == len(events) == 6_000
    assert truth["lines"] == len(simulated.lines)
    for name in ("duplicates", "conflicts", "superseded", "voids"):
        assert truth[name] == became[name] > 0, name
    assert truth["rejected"] == len(simulated.lines) - len(simulated.tellings) > 0
    assert truth["accepted"] == truth["events"] + truth["superseded"] + truth["voids"]
    assert truth["lines"] == sum(truth[name] for name in ("accepted", "duplicates", "conflicts", "rejected"))
    assert truth["input_tokens"] == sum(map(input_of, events))
    assert truth["output_tokens"] == sum(event["output_tokens"] for event in events)
    assert truth["reasoning_tokens"] == sum(event.get("reasoning_tokens", 0) for event in events)
    assert truth["cache_read_tokens"] == sum(event.get("cache_read_tokens", 0) for event in events)
    assert truth["tasks"] == len({event["task_id"] for event in events if "task_id" in event})
    costs = list(map(cost_of, events))
    assert truth["unpriced_events"] == costs.count(None) > 0
    assert truth["list_cost_pico_usd"] == sum(filter(None, costs))


def test_teams_and_workflows_get_what_the_owners_file_gives_them(simulated: Any) -> None:
    """The rule in force at the event decides, so the workflow that changed hands has two owners in one month."""
    owners = yaml.safe_load(simulated.owners.read_text(encoding="utf-8"))
    events, _ = standing(simulated.tellings)
    teams: dict[tuple[str, str, str | None], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    workflows: dict[tuple[str, str, str | None], int] = defaultdict(int)
    for event in events:
        month, (team, cost_center) = event["occurred_at"][:7], owner_of(event, owners)
        cost = cost_of(event)
        added = (1, input_of(event), event["output_tokens"], cost or 0)
        teams[month, team, cost_center] = [
            old + new for old, new in zip(teams[month, team, cost_center], added, strict=True)
        ]
        workflows[month, team, event.get("workflow")] += cost or 0
    sums = ("events", "input_tokens", "output_tokens", "list_cost_pico_usd")
    assert dict(teams) == {
        (row["month"], row["team"], row["cost_center"]): [row[name] for name in sums]
        for row in simulated.truth["by_team"]
    }
    assert dict(workflows) == {
        (row["month"], row["team"], row["workflow"]): row["list_cost_pico_usd"]
        for row in simulated.truth["by_workflow"]
    }
    september = {team for month, team, workflow in workflows if (month, workflow) == ("2026-09", "support-chat")}
    assert september == {"customer-care", "digital-channels"}
    assert {cost_center for _, team, cost_center in teams if team == "platform-engineering"} == {"CC-1100", "CC-1150"}
    assert any(team == "unallocated" for _, team, _ in teams)


def test_the_breakdowns_add_up_to_the_total(simulated: Any) -> None:
    """By month, by team and by workflow the same events are told."""
    for part in ("by_month", "by_team", "by_workflow"):
        for name in ("events", "input_tokens", "output_tokens", "list_cost_pico_usd", "unpriced_events"):
            assert sum(row[name] for row in simulated.truth[part]) == simulated.truth[name]


def test_the_decoder_rejects_exactly_the_bad_lines(simulated: Any) -> None:
    """What the truth calls rejected must be what the meter rejects, reason by reason."""
    decoded = NativeDecoder().decode(pa.array(simulated.lines, pa.binary()), now=datetime(2026, 11, 24, tzinfo=UTC))
    assert Counter(rejected.error.reason for rejected in decoded.rejected) == simulated.truth["rejected_by_reason"]
    assert decoded.unknown_fields == {}


def test_prices_fall_while_agents_multiply_and_the_bill_rises(tmp_path: Path) -> None:
    """It is the story that the demo tells; a change of a table must not turn it round."""
    content, truth = run(tmp_path, Plan(events=20_000, seed=3, shares=CLEAN))
    months = truth["by_month"]
    assert [row["month"] for row in months] == ["2026-08", "2026-09", "2026-10"]
    unit_prices = [row["list_cost_pico_usd"] / (row["input_tokens"] + row["output_tokens"]) for row in months]
    assert unit_prices == sorted(unit_prices, reverse=True)
    costs = [row["list_cost_pico_usd"] for row in months]
    assert costs == sorted(costs)
    called: Counter[str] = Counter()
    tasks, calls = defaultdict(set), Counter[str]()
    for event in map(json.loads, content.splitlines()):
        month = event["occurred_at"][:7]
        called[month] += event.get("agent", "").startswith(("explorer", "helper"))
        if "task_id" in event:
            tasks[month].add(event["task_id"])
            calls[month] += 1
    assert called["2026-08"] < called["2026-09"] < called["2026-10"]
    assert [calls[month] / len(tasks[month]) for month in sorted(calls)] == sorted(
        calls[month] / len(tasks[month]) for month in calls
    )


def test_a_call_tree_reaches_its_root(simulated: Any) -> None:
    """Each parent is a call of the same task, and agents that are called by agents lie deeper."""
    parents = {
        event["call_id"]: (event.get("task_id"), event.get("parent_call_id"))
        for event in simulated.tellings
        if "call_id" in event
    }
    deepest = 0
    for call, (task, parent) in parents.items():
        depth, at = 0, parent
        while at is not None:
            assert parents[at][0] == task, call
            at = parents[at][1]
            depth += 1
        deepest = max(deepest, depth)
    assert deepest >= 2


def test_retries_share_an_operation_and_the_failed_ones_are_told(simulated: Any) -> None:
    """A failed attempt costs what it used; it is the hidden part of a bill."""
    attempts: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for event in simulated.tellings:
        if "operation_id" in event:
            attempts[event["operation_id"]][event["attempt"]] = event
    retried = [each for each in attempts.values() if len(each) > 1]
    assert retried
    for each in retried:
        assert sorted(each) == list(range(1, len(each) + 1))
        assert all(each[number]["status"] in ("error", "timeout") for number in range(1, len(each)))
    timeouts = [event for event in simulated.tellings if event.get("status") == "timeout"]
    assert timeouts
    assert all(input_of(event) > 0 and event["usage_basis"] == "estimated" for event in timeouts)


def test_batch_is_used_only_where_it_has_a_price(simulated: Any) -> None:
    """Before 2026-10-14 no batch price is known, and a truth that guessed one would be none."""
    batch = [event for event in simulated.tellings if event.get("service_tier") == "batch"]
    assert batch
    assert min(event["occurred_at"] for event in batch) >= "2026-10-14"


def test_calls_tell_products_customers_and_seats(simulated: Any) -> None:
    """What is sold, and what is paid by the seat, can be told apart from the rest."""
    told: defaultdict[str | None, set[tuple[str | None, str | None]]] = defaultdict(set)
    customers = set()
    for event in simulated.tellings:
        told[event.get("workflow")].add((event.get("product"), event.get("subscription_id")))
        assert ("customer_id" in event) == (event.get("workflow") == "market-research")
        customers.add(event.get("customer_id", "northwind"))
    assert told.pop("code-assistant") == {(None, "assistant")}
    assert told.pop("market-research") == {("research-desk", None)}
    assert told.pop("shopping-advisor") == {("shop", None)}
    assert told.pop("contract-review") == {("contract-check", None)}
    assert set().union(*told.values()) == {(None, None)}
    assert customers <= {"northwind", "contoso", "fabrikam", "initech", "umbrella", "globex"}
    assert len(customers) > 1
    seats = {event["principal_id"] for event in simulated.tellings if event.get("subscription_id")}
    assert 1 < len(seats) <= 44


def test_some_tasks_fail_and_their_last_call_tells(simulated: Any) -> None:
    """Then a task that succeeded costs more than a task. Agents that are called tell nothing of the task."""
    told = [event for event in simulated.tellings if event.get("outcome") and "status" in event]
    outcomes = {event["task_id"]: event["outcome"] for event in told}
    assert set(outcomes.values()) == {"success", "failure"}
    failed = sum(outcome == "failure" for outcome in outcomes.values())
    assert 0 < failed < len(outcomes) / 3
    assert all(event["status"] == "ok" or event["attempt"] == 3 for event in told)
    assert not any(event["agent"].startswith(("explorer", "helper")) for event in told)


def test_a_seed_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Hash seeds, sets and clocks must have no part in it. The digest is that of every machine."""
    plan = Plan(events=500, seed=42)
    content, _ = run(tmp_path, plan)
    program = (
        "import sys, pathlib\n"
        "from tollbook.simulate.simulation import Plan, simulate\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "simulate(Plan(events=500, seed=42), out=folder / 'again.jsonl', truth_path=folder / 'again.json')\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=300)
    assert (tmp_path / "again.jsonl").read_bytes() == content
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "truth.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "bf58d349235fa21d03f8d762a2cd0db6872bce701e513d3115de146aca49424b"
    truth = (tmp_path / "truth.json").read_bytes()
    assert hashlib.sha256(truth).hexdigest() == "34bac42c47459865656abeca52f24c130b230bb1b3034de5f9d96ae5da53cdaf"


def test_another_seed_gives_other_traffic_and_other_shares_the_same_calls(tmp_path: Path) -> None:
    """The calls come from the seed; what goes wrong on their way does not change them."""
    clean, _ = run(tmp_path, Plan(events=300, seed=1, shares=CLEAN))
    rough, _ = run(tmp_path, Plan(events=300, seed=1, shares=Shares(duplicates=300_000, late=0, poison=0)))
    other, _ = run(tmp_path, Plan(events=300, seed=2, shares=CLEAN))
    ids = [{json.loads(line)["event_id"] for line in content.splitlines()} for content in (clean, rough, other)]
    assert len(ids[0] & ids[1]) > 290
    assert not ids[0] & ids[2]


def test_a_gzip_file_holds_the_same_lines_and_no_clock(tmp_path: Path) -> None:
    """Its bytes are the same for a seed too."""
    plan = Plan(events=50, seed=1)
    plain, _ = run(tmp_path, plan)
    packed, _ = run(tmp_path, plan, "events.jsonl.gz")
    assert gzip.decompress(packed) == plain
    assert run(tmp_path, plan, "events.jsonl.gz")[0] == packed


@settings(max_examples=15, deadline=None)
@given(
    events=st.integers(1, 60),
    seed=st.integers(-(2**40), 2**40),
    start=st.dates(date(2024, 1, 1), date(2026, 9, 1)).map(lambda day: day.replace(day=min(day.day, 28))),
    months=st.integers(1, 5),
    teams=st.integers(3, 8),
    share=st.sampled_from([0, 200_000, 1_000_000]),
)
def test_any_plan_gives_so_many_events_in_its_months(
    tmp_path_factory: pytest.TempPathFactory,
    events: int,
    seed: int,
    start: date,
    months: int,
    teams: int,
    share: int,
) -> None:
    """However small or rough, the truth keeps its identities and a recount agrees."""
    plan = Plan(events, seed, start, months, teams, Shares(share, share, share, share))
    content, truth = run(tmp_path_factory.mktemp("plan"), plan)
    lines = content.splitlines()
    assert truth["events"] == events
    assert truth["lines"] == len(lines)
    assert truth["accepted"] == events + truth["superseded"] + truth["voids"]
    decoded = NativeDecoder().decode(pa.array(lines, pa.binary()), now=plan.end)
    assert len(decoded.rejected) == truth["rejected"]
    good = [json.loads(lines[row]) for row in decoded.rows]
    counted, became = standing(good)
    assert len(counted) == events
    assert {name: truth[name] for name in ("duplicates", "conflicts", "superseded", "voids")} == {
        name: became[name] for name in ("duplicates", "conflicts", "superseded", "voids")
    }
    begins, ends = plan.month_starts[0], plan.end
    assert all(begins <= datetime.fromisoformat(event["occurred_at"]) < ends for event in counted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"events": 0}, "--events of 1 or more"),
        ({"months": 0}, "--months from 1 to 36"),
        ({"team_count": 2}, "--teams from 3 to 8"),
        ({"start": date(2026, 1, 31)}, "--start on a day that every month has"),
    ],
)
def test_a_plan_that_cannot_be_is_misuse(changes: dict[str, Any], message: str) -> None:
    """It ends with exit code 2 before anything is written."""
    with pytest.raises(MisuseError, match=message):
        Plan(**({"events": 10, "seed": 1} | changes))


def test_a_folder_that_is_not_there_is_misuse(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(MisuseError, match="nowhere"):
        simulate(Plan(events=1, seed=1), out=tmp_path / "nowhere" / "e", truth_path=tmp_path / "t")


def test_the_command_writes_its_files_and_prints_the_truth(tmp_path: Path) -> None:
    """Shares are decimals, so that `0.02` is exactly one in fifty."""
    files = [
        "--out",
        str(tmp_path / "e.jsonl"),
        "--truth",
        str(tmp_path / "t.json"),
        "--owners",
        str(tmp_path / "o.yml"),
    ]
    command = [sys.executable, "-m", "tollbook", "simulate", "--events", "40", "--seed", "5", *files]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300, check=True)
    truth = json.loads(done.stdout)
    assert truth == json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert truth["simulation"]["duplicates_ppm"] == 20_000
    assert truth["lines"] == len((tmp_path / "e.jsonl").read_bytes().splitlines())
    assert (tmp_path / "o.yml").read_text(encoding="utf-8").startswith("# Shape: schemas/documents/owners")
    assert "ahead of this machine's clock" not in done.stderr
    ahead = subprocess.run([*command, "--start", "2101-01-01"], capture_output=True, text=True, timeout=300, check=True)
    assert "ahead of this machine's clock" in ahead.stderr
    wrong = subprocess.run([*command, "--late", "2"], capture_output=True, text=True, timeout=300, check=False)
    assert wrong.returncode == 2
    assert "expected --late as a share from 0 to 1" in wrong.stderr
