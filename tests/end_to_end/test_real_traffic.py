"""Real traffic through the whole book: a real Kafka, the meter, the gate, dbt and the published marts.

The traffic is that of `../shared/data`; expected totals are the authors' own, and costs are genai-prices' own
calculation for each request, summed.
"""

from __future__ import annotations

import csv
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from tollbook.contracts import shipped_folder
from tollbook.flink import FlinkCluster
from tollbook.flink.meter import run_on_flink
from tollbook.flink.target import FlinkTarget
from tollbook.senders.send import send_file
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SESSIONS = DATA / "claude-code-sessions" / "requests_0001_0480.csv.gz"
AUTHOR_TOTALS = DATA / "claude-code-sessions" / "author_totals_0001_0480.csv"
AZURE = DATA / "azure-llm-2023" / "AzureLLMInferenceTrace_conv.csv"
RUNS = DATA / "openhands-index" / "instance_costs.csv.gz"
RUNS_MAPPING = """
mapping: 1
input: {format: csv}
fields:
  source: {constant: openhands-index}
  event_id: {template: "{agent}/{model}/{benchmark}/{instance_id}"}
  occurred_at: {constant: 2026-06-01T12:00:00Z}
  provider: {constant: openhands}
  model: {column: model}
  team: {constant: research}
  workflow: {column: benchmark}
  release: {column: model}
  task_id: {template: "{agent}/{model}/{instance_id}"}
  agent: {column: agent}
  provider_cost: {column: cost_usd}
  provider_cost_currency: {constant: USD}
  outcome: {column: resolved, values: {"true": success, "false": failure}}
"""
MAPPINGS = shipped_folder("schemas") / "examples" / "mappings"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real data is not on this machine: expected ../shared/data beside the project"
)

SESSIONS_BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
CALLS, TASKS = 29_336, 451
INPUT_TOKENS, OUTPUT_TOKENS = 4_014_298_485, 13_265_189
LIST_COST = Decimal("3124.83577620")
COST_BY_MODEL = {
    "claude-haiku-4-5-20251001": Decimal("10.77332895"),
    "claude-opus-4-1-20250805": Decimal("66.23702475"),
    "claude-opus-4-5-20251101": Decimal("1252.86312425"),
    "claude-opus-4-6": Decimal("51.22520125"),
    "claude-sonnet-4-20250514": Decimal("154.56948495"),
    "claude-sonnet-4-5-20250929": Decimal("1589.16761205"),
}
SUMS = "sum(calls)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(list_cost)"


def _send(settings: Settings, topic: str, file: Path, mapping: str) -> None:
    send_file(settings, str(file), topic=topic, mapping_path=MAPPINGS / mapping)


def _meter(settings: Settings, topic: str) -> None:
    run_meter(MeterOptions(settings=settings, topics=(topic,)))


@pytest.fixture
def on_flink(flink_cluster: FlinkCluster) -> Callable[[Settings, str], None]:
    """Return the meter on Flink: what it reads must come out the same."""
    cluster = flink_cluster
    target = FlinkTarget(
        rest_url=cluster.rest_url,
        job_endpoint=cluster.job_endpoint,
        worker_pool=cluster.worker_pool,
        parallelism=2,
    )

    def meter(settings: Settings, topic: str) -> None:
        run_on_flink(MeterOptions(settings=settings, topics=(topic,)), target=target)

    return meter


def _totals(settings: Settings, mart: str) -> tuple[Any, ...]:
    return ask(settings, f"select {SUMS} from {mart}").rows[0]


def _assert_sessions(settings: Settings) -> None:
    expected = (CALLS, INPUT_TOKENS, OUTPUT_TOKENS, LIST_COST)
    for mart in (
        "finance.fct_chargeback_by_team",
        "finance.fct_chargeback_by_workflow",
        "engineering.fct_tasks",
        "engineering.fct_usage_daily",
    ):
        assert _totals(settings, mart) == expected, mart
    assert ask(settings, "select count(*) from engineering.fct_tasks").rows == [(TASKS,)]
    by_model = ask(settings, "select model, sum(list_cost) from engineering.fct_usage_daily group by model").rows
    assert dict(by_model) == COST_BY_MODEL
    assert ask(settings, "select count(*) from audit.fct_ledger_balance where difference <> 0").rows == [(0,)]


def test_real_sessions_come_out_the_same_on_flink(
    settings: Settings, new_topic: Any, on_flink: Callable[[Settings, str], None]
) -> None:
    """The same files by another runner, which is nothing to the warehouse; sent twice, too."""
    topic = new_topic()
    for _ in range(2):
        _send(settings, topic, SESSIONS, "claude-code-sessions.mapping.yml")
        on_flink(settings, topic)
    build(settings)
    _assert_sessions(settings)
    _assert_tasks_agree_with_the_authors(settings)
    _assert_percentiles_are_those_of_the_file(settings)


def test_real_sessions_come_out_to_the_last_token_and_pico_dollar(settings: Settings, new_topic: Any) -> None:
    """The promise of the book, on real agentic work; sent twice and built twice, it is the same."""
    topic = new_topic()
    _send(settings, topic, SESSIONS, "claude-code-sessions.mapping.yml")
    _meter(settings, topic)
    build(settings)
    _assert_sessions(settings)
    assert len(ask(settings, "select distinct team from finance.fct_chargeback_by_team").rows) > 1
    _assert_tasks_agree_with_the_authors(settings)
    _assert_percentiles_are_those_of_the_file(settings)

    _send(settings, topic, SESSIONS, "claude-code-sessions.mapping.yml")
    _meter(settings, topic)
    assert build(settings).new_files > 0
    _assert_sessions(settings)

    assert build(settings).new_files == 0
    build(settings, full_refresh=True)
    _assert_sessions(settings)


def _assert_tasks_agree_with_the_authors(settings: Settings) -> None:
    with AUTHOR_TOTALS.open() as file:
        authors = {
            row["trace_id"]: (
                int(row["parent_input"]) + int(row["subagent_input"]),
                int(row["parent_output"]) + int(row["subagent_output"]),
            )
            for row in csv.DictReader(file)
        }
    ours = {
        task: (inputs, outputs)
        for task, inputs, outputs in ask(
            settings, "select task_id, input_tokens, output_tokens from engineering.fct_tasks"
        ).rows
    }
    assert ours == authors


def _assert_percentiles_are_those_of_the_file(settings: Settings) -> None:
    """Each workflow's cost per task at the median and at 99 %, against prices of the file's rows and a sort."""
    cost_of: dict[str, Decimal] = defaultdict(Decimal)
    with gzip.open(SESSIONS, "rt") as file:
        for row in csv.DictReader(file):
            read, total = int(row["reusable_prefix_tokens"]), int(row["input_tokens"])
            used = Usage(
                input_tokens=total,
                cache_read_tokens=read,
                cache_write_tokens=total - read,
                output_tokens=int(row["output_tokens"]),
            )
            price = calc_price(used, row["model"], provider_id="anthropic", genai_request_timestamp=SESSIONS_BEGIN)
            cost_of[row["trace_id"]] += price.total_price
    costs = defaultdict(list)
    for workflow, task in ask(settings, "select workflow, task_id from engineering.fct_tasks").rows:
        costs[workflow].append(cost_of[task])
    told = ask(
        settings,
        "select workflow, tasks, priced_cost, cost_p50, cost_p99, largest_task_cost "
        "from engineering.fct_task_economics where cohort_kind = 'workflow'",
    ).rows
    assert {workflow: facts for workflow, *facts in told} == {
        workflow: [len(each), sum(each), _percentile(each, 50), _percentile(each, 99), max(each)]
        for workflow, each in costs.items()
    }


def _percentile(costs: Sequence[Decimal], percent: int) -> Decimal:
    """Return the smallest cost that so many percent do not exceed."""
    return sorted(costs)[ceil(len(costs) * percent / 100) - 1]


def test_agents_cost_more_for_each_task_that_they_solve(settings: Settings, new_topic: Any, tmp_path: Path) -> None:
    """27,574 real agent runs: cost for each task, for each solved one, and on those that were not, by model.

    What a run cost is told by who ran it; a run without a cost has none here either. The three amounts of
    DeepSeek-V3.2-Reasoner on swe-bench are those of the published file.
    """
    mapping = tmp_path / "openhands.yml"
    mapping.write_text(RUNS_MAPPING, "utf-8")
    settings.cost_policy.parent.mkdir(parents=True, exist_ok=True)
    settings.cost_policy.write_text("cost_policy: 1\nprefer: provider_reported\n", "utf-8")
    topic = new_topic()
    send_file(settings, str(RUNS), topic=topic, mapping_path=mapping)
    _meter(settings, topic)
    build(settings)

    with gzip.open(RUNS, "rt") as file:
        runs = list(csv.DictReader(file))
    by_cohort = defaultdict(list)
    for run in runs:
        by_cohort[run["benchmark"], run["model"]].append(run)
    told = ask(
        settings,
        "select workflow, release, tasks, priced_tasks, succeeded_tasks, unjudged_tasks, priced_cost, "
        "priced_cost - coalesce(succeeded_cost, 0), cost_per_task, cost_per_successful_task "
        "from engineering.fct_task_economics where cohort_kind = 'release'",
    ).rows
    assert {(workflow, model): tuple(facts) for workflow, model, *facts in told} == {
        cohort: _economics(each) for cohort, each in by_cohort.items()
    }
    deepseek = {tuple(row[:2]): row for row in told}["swe-bench", "DeepSeek-V3.2-Reasoner"]
    assert [round(deepseek[place], 4) for place in (8, 9)] == [Decimal("0.1546"), Decimal("0.2160")]
    assert round(deepseek[7] / deepseek[6], 4) == Decimal("0.3359")


def _economics(runs: Sequence[dict[str, str]]) -> tuple[Any, ...]:
    costs = [round(Decimal(run["cost_usd"]), 12) for run in runs if run["cost_usd"]]
    solved = [round(Decimal(run["cost_usd"]), 12) for run in runs if run["cost_usd"] and run["resolved"] == "true"]
    spent = sum(costs, Decimal()) if costs else None
    return (
        len(runs),
        len(costs),
        sum(run["resolved"] == "true" for run in runs),
        sum(run["resolved"] == "" for run in runs),
        spent,
        None if spent is None else spent - sum(solved),
        None if spent is None else _divided(spent, len(costs)),
        None if spent is None or not solved else _divided(spent, len(solved)),
    )


def _divided(amount: Decimal, count: int) -> Decimal:
    return (amount / count).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def test_the_azure_trace_goes_through_by_another_mapping(settings: Settings, new_topic: Any) -> None:
    """Any CSV of calls is a source, by a mapping file alone."""
    topic = new_topic()
    _send(settings, topic, AZURE, "azure-llm-2023.mapping.yml")
    _meter(settings, topic)
    build(settings)
    calls, inputs, outputs, _ = _totals(settings, "finance.fct_chargeback_by_workflow")
    assert (calls, inputs, outputs) == (19_366, 22_361_870, 4_088_665)


@pytest.mark.slow
def test_meter_and_build_killed_at_random_moments_come_to_the_same_totals(settings: Settings, new_topic: Any) -> None:
    """Kill -9 anywhere is nothing: run again, and the book is the same, with no orphan left."""
    topic = new_topic()
    _send(settings, topic, SESSIONS, "claude-code-sessions.mapping.yml")
    moments = random.Random(20261124)
    environment = os.environ | {
        "TOLLBOOK_HOME": str(settings.home),
        "TOLLBOOK_BOOTSTRAP_SERVERS": str(settings.bootstrap_servers),
    }
    meter = ["meter", "--until-caught-up", "--topic", topic, "--max-commit-records", "3000"]
    for arguments, longest_seconds in ((meter, 12.0), (meter, 12.0), (["warehouse", "build"], 20.0)):
        process = subprocess.Popen(
            [sys.executable, "-m", "tollbook", *arguments], env=environment, stderr=subprocess.DEVNULL
        )
        time.sleep(3.0 + moments.random() * (longest_seconds - 3.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    _meter(settings, topic)
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "tollbook", "warehouse", "build"], env=environment, stderr=subprocess.DEVNULL
        )
        time.sleep(5.0 + moments.random() * 15.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    build(settings)
    _assert_sessions(settings)
    assert list(settings.lake.rglob("*.tmp")) == []
