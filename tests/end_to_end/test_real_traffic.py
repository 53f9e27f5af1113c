"""Real traffic through the whole book: a real Kafka, the meter, the gate, dbt and the published marts.

The traffic is that of `../shared/data`; expected totals are the authors' own, and costs are genai-prices' own
calculation for each request, summed.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

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
MAPPINGS = shipped_folder("schemas") / "examples" / "mappings"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real data is not on this machine: expected ../shared/data beside the project"
)

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


@pytest.fixture(params=["embedded", "flink"])
def meter(request: pytest.FixtureRequest) -> Callable[[Settings, str], None]:
    """Return the meter on each runner in turn: what it reads must come out the same."""
    if request.param == "embedded":
        return _meter
    cluster: FlinkCluster = request.getfixturevalue("flink_cluster")
    target = FlinkTarget(
        rest_url=cluster.rest_url,
        job_endpoint=cluster.job_endpoint,
        worker_pool=cluster.worker_pool,
        parallelism=2,
    )

    def on_flink(settings: Settings, topic: str) -> None:
        run_on_flink(MeterOptions(settings=settings, topics=(topic,)), target=target)

    return on_flink


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


def test_real_sessions_come_out_to_the_last_token_and_pico_dollar(
    settings: Settings, new_topic: Any, meter: Callable[[Settings, str], None]
) -> None:
    """The promise of the book, on real agentic work; sent twice and built twice, it is the same."""
    topic = new_topic()
    _send(settings, topic, SESSIONS, "claude-code-sessions.mapping.yml")
    meter(settings, topic)
    build(settings)
    _assert_sessions(settings)
    assert len(ask(settings, "select distinct team from finance.fct_chargeback_by_team").rows) > 1
    _assert_tasks_agree_with_the_authors(settings)

    _send(settings, topic, SESSIONS, "claude-code-sessions.mapping.yml")
    meter(settings, topic)
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
