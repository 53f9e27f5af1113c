"""What insight and engineering marts cost to build: of a large book, of one more day, and of a few more calls.

Three builds, each a process of its own with one dbt thread, so that the CPU time of the process between the start and
the end of a node is that node's. The first makes every day; the second finds one more day; the third finds a few calls
on yet another day, so what it takes is what history costs however little is new. Intermediate models count for the
marts that are made of them and of nothing else. Beside it the same questions are asked of the lake's Parquet in DuckDB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
from insight_book import BOOK_DAYS, Book

from tollbook.settings import Settings
from tollbook.warehouse import project
from tollbook.warehouse.build import build
from tollbook.warehouse.publish import PUBLISHED

BOOK = "insight-book"
FEW_CALLS = 24
NEW_DATA_TIMES = 3
"""A mart is out of proportion where one more day costs more than so many times its share of the events."""

BELOW_NOTICE_CPU_SECONDS = 0.5
"""About what dbt and Python take for the models of a mart; less is not held against it."""

MARTS = {
    "engineering.fct_tasks": ("int_call_trees_walked", "int_task_days_summed", "fct_tasks"),
    "engineering.fct_task_economics": ("fct_task_economics",),
    "engineering.fct_agent_costs": ("fct_agent_costs",),
    "engineering.fct_agent_calls": ("fct_agent_calls",),
    "engineering.fct_hidden_cost": ("int_hidden_days_summed", "int_hidden_cost_computed", "fct_hidden_cost"),
    "engineering.fct_usage_daily": ("int_usage_days_summed", "fct_usage_daily"),
    "insight.fct_unit_usage": ("int_unit_days_summed", "fct_unit_usage"),
    "insight.fct_price_index": ("int_price_index_computed", "fct_price_index"),
    "insight.fct_cost_drivers": ("int_tasks_owned_summed", "int_tasks_counted", "fct_cost_drivers"),
    "insight.fct_price_volume_mix": (
        *("int_unit_prices_computed", "int_usage_nodes_summed", "int_price_volume_mix_computed"),
        "fct_price_volume_mix",
    ),
    "insight.fct_subsidies, fct_plan_mixes": (
        *("int_person_days_summed", "int_subsidies_computed", "fct_subsidies", "fct_plan_mixes"),
    ),
    "insight.fct_margins": ("int_product_days_summed", "int_product_revenue_read", "fct_margins"),
    "insight.fct_customer_concentration": ("int_customer_concentration_computed", "fct_customer_concentration"),
    "insight.fct_unit_cost_paths": (*("int_path_days_summed", "int_unit_cost_paths_computed", "fct_unit_cost_paths"),),
    "insight.fct_forecast": ("int_forecast_computed", "fct_forecast"),
}
"""Mart to the models that are made for it; what several share stands with the first."""

QUESTIONS = {
    "cost by team and month": (
        "select date_trunc('month', occurred_at), owner_team, count(*), sum(contracted_cost) from calls group by all",
        "select billing_period_start, team, sum(calls), sum(effective_cost) from insight.fct_cost_drivers group by all",
    ),
    "p50 and p99 of a task by workflow": (
        """with tasks as (
            select workflow, task_id, min(occurred_at) as started_at, sum(contracted_cost) as cost
            from calls where task_id is not null group by all
        )
        select workflow, quantile_disc(cost, [0.5, 0.99]) from tasks
        where started_at >= '2026-08-01' group by all""",
        """select workflow, cost_p50, cost_p99 from engineering.fct_task_economics
        where billing_period_start = '2026-08-01' and cohort_kind = 'workflow'""",
    ),
    "cost by purpose and month": (
        "select date_trunc('month', occurred_at), purpose, sum(contracted_cost) from calls group by all",
        "select billing_period_start, purpose, sum(effective_cost) from engineering.fct_hidden_cost group by all",
    ),
    "cost of products' customers by month": (
        """select date_trunc('month', occurred_at), product, customer_id, sum(contracted_cost)
        from calls where product is not null group by all""",
        """select billing_period_start, product, customer_id, ai_cost from insight.fct_margins
        where margin_level = 'customer'""",
    ),
    "persons under a plan by month": (
        """select date_trunc('month', occurred_at), principal_id, sum(list_cost) as cost
        from calls where subscription_id is not null group by all order by cost desc limit 20""",
        """select billing_period_start, person, list_cost from insight.fct_subsidies
        where person not in ('unallocated') order by list_cost desc nulls last limit 20""",
    ),
}
"""Question to how it is asked of the lake's Parquet, and of the marts. The lake's answer knows no duplicates."""


class NodeClock:
    """Hears dbt's events and notes the CPU and wall seconds of each node, of runs with one thread."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, float]] = {}
        self._began = (0.0, 0.0)

    def hear(self, event: Any) -> None:
        """Note when a node starts and what it took when it ends."""
        now = (time.process_time(), time.perf_counter())
        if event.info.name == "LogStartLine":
            self._began = now
        elif event.info.name in {"LogModelResult", "LogTestResult"}:
            cpu, wall = (after - before for before, after in zip(self._began, now, strict=True))
            self.nodes[event.data.node_info.node_name] = {"cpu_seconds": cpu, "seconds": wall}


def build_here(home: Path) -> dict[str, Any]:
    """Build in this process, and return what it took as a whole and by node."""
    clock, run_dbt = NodeClock(), project.run_dbt

    def with_one_thread(folder: Any, arguments: Any, **options: Any) -> Any:
        return run_dbt(folder, [*arguments, "--threads", "1"], **options)

    started = time.perf_counter()
    with (
        patch.object(project, "_listener", lambda _tell: clock.hear),
        patch("tollbook.warehouse.build.run_dbt", with_one_thread),
    ):
        result = build(Settings(home=home))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "event_dates": result.event_dates,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
        "load": round(os.getloadavg()[0], 1),
        "nodes": clock.nodes,
    }


def build_apart(home: Path) -> dict[str, Any]:
    """Build in a process of its own."""
    command = [sys.executable, __file__, "--build", str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    taken: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print({key: value for key, value in taken.items() if key != "nodes"}, file=sys.stderr, flush=True)
    return taken


def cpu_of(taken: dict[str, Any], models: tuple[str, ...]) -> float:
    """Return the CPU seconds of models in a build, those that it does not have left out."""
    return sum(float(taken["nodes"][name]["cpu_seconds"]) for name in models if name in taken["nodes"])


def ask_cpu(connection: duckdb.DuckDBPyConnection, question: str) -> tuple[float, int]:
    """Return the CPU seconds of a question, the median of three, and how many rows it has."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        rows = len(connection.execute(question).fetchall())
        taken.append(time.process_time() - began)
    return sorted(taken)[1], rows


def questions(settings: Settings) -> dict[str, dict[str, float]]:
    """Return what each question takes of the lake's Parquet and of the published marts."""
    found = {}
    usage = settings.lake / "usage" / "**" / "*.parquet"
    with (
        duckdb.connect() as lake,
        duckdb.connect((settings.serve / PUBLISHED).resolve(), read_only=True) as marts,
    ):
        for connection in (lake, marts):
            connection.execute("set TimeZone = 'UTC'")
        lake.execute(f"create view calls as select * from read_parquet('{usage}', hive_partitioning = true)")
        for name, (of_lake, of_marts) in QUESTIONS.items():
            lake_seconds, _ = ask_cpu(lake, of_lake)
            mart_seconds, rows = ask_cpu(marts, of_marts)
            found[name] = {"lake_cpu_seconds": lake_seconds, "mart_cpu_seconds": mart_seconds, "rows": rows}
    return found


def measure(home: Path, events: int) -> dict[str, Any]:
    """Return what three builds of a book took, by mart, and what questions cost of the lake and of the marts."""
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings(home=home)
    began = time.process_time()
    book = Book(settings, events)
    held = sum(book.add_day(number) for number in range(BOOK_DAYS))
    say(f"{held:,} events of {BOOK_DAYS} days, {book.copies} organisations: {time.process_time() - began:.0f} s of CPU")
    first = build_apart(home)
    new = book.add_day(BOOK_DAYS)
    say(f"one more day of {new:,} events")
    day = build_apart(home)
    book.add_day(BOOK_DAYS + 1, FEW_CALLS)
    few = build_apart(home)
    book.close()
    marts = {
        name: {key: cpu_of(taken, models) for key, taken in (("first", first), ("day", day), ("few", few))}
        for name, models in MARTS.items()
    }
    builds = {
        name: {key: value for key, value in taken.items() if key != "nodes"}
        for name, taken in (("first", first), ("day", day), ("few", few))
    }
    nodes = {
        name: [taken["nodes"].get(name, {}).get("cpu_seconds") for taken in (first, day, few)]
        for name in first["nodes"]
    }
    return {
        "events": held,
        "new_events": new,
        "builds": builds,
        "marts": marts,
        "nodes": nodes,
        "questions": questions(settings),
    }


def is_out_of_proportion(mart: dict[str, float], share: float) -> bool:
    """Return whether one more day costs a mart more than `NEW_DATA_TIMES` times its share of the events."""
    return mart["day"] > max(BELOW_NOTICE_CPU_SECONDS, NEW_DATA_TIMES * share * mart["first"])


def tables(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown tables."""
    share = found["new_events"] / found["events"]
    head = f"{found['events']:,} events, then {found['new_events']:,} more ({share:.2%}), then {FEW_CALLS}"
    lines = [
        f"| CPU seconds: {head} | first build | one more day | of the first | {FEW_CALLS} calls more | in proportion |",
        "|---|---|---|---|---|---|",
    ]
    for name, mart in found["marts"].items():
        ratio = mart["day"] / mart["first"] if mart["first"] else 0
        fits = "NO" if is_out_of_proportion(mart, share) else "yes"
        lines.append(f"| {name} | {mart['first']:.2f} | {mart['day']:.2f} | {ratio:.1%} | {mart['few']:.2f} | {fits} |")
    whole = [found["builds"][key] for key in ("first", "day", "few")]
    cpu = [each["cpu_seconds"] for each in whole]
    lines.append(
        f"| the whole build, process and gate too | {cpu[0]} | {cpu[1]} | {cpu[1] / cpu[0]:.1%} | {cpu[2]} | |"
    )
    memory = ", ".join(f"{each['peak_memory_mb']:,}" for each in whole)
    load = ", ".join(str(each["load"]) for each in whole)
    lines += ["", f"peak memory {memory} MB; load at the end {load}", ""]
    lines += ["| one question, CPU seconds | of the lake's Parquet | of the marts | times |", "|---|---|---|---|"]
    for name, told in found["questions"].items():
        lake, mart = told["lake_cpu_seconds"], told["mart_cpu_seconds"]
        lines.append(f"| {name} | {lake:.3f} | {mart:.4f} | {lake / mart:,.0f} |")
    return "\n".join(lines)


def say(message: str) -> None:
    """Tell on stderr what happens."""
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--build", type=Path, help="build this home and end")
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if arguments.build:
        print(json.dumps(build_here(arguments.build)))
        return
    if not arguments.work:
        parser.error("expected --work, a folder for the book that is built")
    found = measure(arguments.work.absolute() / BOOK, arguments.events)
    print(json.dumps(found | {"table": tables(found)}))


if __name__ == "__main__":
    main()
