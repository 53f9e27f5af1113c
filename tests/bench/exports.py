"""What it takes to close and export a year: 12 months of 200 teams, each with 60 models in 3 workflows.

A lake is written as the meter would write it and a warehouse is built of it. Then every month is closed, softly, by a
proposal and by its approval; the warehouse is built again, which takes the closed months from their frozen files; and
every export of every month is written whole, as many months side by side as there are cores. Both builds are shown and
not counted: the close and the exports are.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tollbook.settings import Settings

YEAR = 2025
DAY_OF_MONTH = 15
CALLS_SQL = """
select
    'openai' as source, 'resp_' || $day || '_' || i as event_id, 0::int as revision, 'record' as action,
    1::int as schema_version, $day::timestamptz + to_microseconds((i * 86400000000 // $rows)::bigint) as occurred_at,
    'openai' as provider, 'model-' || i % {models} as model, 'production' as environment,
    'reported' as usage_basis, 'workflow-' || i % 3 as workflow, 'task-' || $day || '-' || i // {models} as task_id,
    'agent-' || i % 5 as agent, 'ok' as status, 100000 + i % 7919 as input_tokens,
    99500 + i % 7919 as uncached_input_tokens, 500 as cache_read_tokens, 100 + i % 997 as output_tokens,
    100 + i % 997 as text_output_tokens, 'llm.usage' as topic, 0::int as partition, $first + i as offset,
    false as stream_repeat, 'team-' || i // {models} as owner_team,
    'cost-center-' || i // {models} % 40 as owner_cost_center, 'rated' as cost_basis,
    ((100000 + i % 7919) * 2500001)::bigint as pico
from range($rows) as numbers (i)
"""
"""One call a month of each team for each model, with an amount to the millionth of a millionth."""


def build_year(settings: Settings, months: int, teams: int, models: int) -> None:
    """Write a lake with a day of calls in each month, and build and publish the warehouse of it."""
    from history import add_day

    from tollbook.warehouse.build import build

    for month in range(1, months + 1):
        add_day(settings.lake, date(YEAR, month, DAY_OF_MONTH), teams * models, CALLS_SQL.format(models=models))
    build(settings)


def close_month(settings: Settings, period: str) -> None:
    """Close a month: ana softly and by a proposal, ben for good."""
    from tollbook.closing.close import CloseRequest, approve_close, propose_close, soft_close

    for step, author in ((soft_close, "ana"), (propose_close, "ana"), (approve_close, "ben")):
        step(settings, CloseRequest(period, author, "month end"))


def export_month(home: Path, period: str) -> dict[str, float]:
    """Write every export of a month and return the seconds of each."""
    from tollbook.exports.focus.export import export_focus
    from tollbook.exports.journal import export_journal
    from tollbook.exports.statements import export_statements

    settings = Settings(home=home)
    exports: dict[str, Callable[[], object]] = {
        "statements": lambda: export_statements(settings, period),
        "journal": lambda: export_journal(settings, period),
        "focus 1.2": lambda: export_focus(settings, period, "1.2"),
        "focus 1.4": lambda: export_focus(settings, period, "1.4"),
    }
    seconds = {}
    for name, export in exports.items():
        begun = time.perf_counter()
        export()
        seconds[name] = time.perf_counter() - begun
    return seconds


def export_year(settings: Settings, periods: list[str]) -> dict[str, float]:
    """Write every export of every month, side by side; return the seconds of each, summed over months."""
    seconds: Counter[str] = Counter()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for taken in pool.map(export_month, [settings.home] * len(periods), periods):
            seconds.update(taken)
    return dict(seconds)


def own_cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it began and that ended, user and system."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def measured(name: str, steps: dict[str, dict[str, float]]) -> Iterator[None]:
    """Note the wall time and the CPU of a step, that of processes which it began and ended included."""
    begun, cpu = time.perf_counter(), own_cpu_seconds()
    yield
    steps[name] = {
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(own_cpu_seconds() - cpu, 1),
    }
    print(f"{name}: {steps[name]}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print seconds by step as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--teams", type=int, default=200)
    parser.add_argument("--models", type=int, default=60)
    options = parser.parse_args()
    home = options.work.absolute() / "exports"
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings(home=home)
    periods = [f"{YEAR}-{month:02}" for month in range(1, options.months + 1)]
    steps: dict[str, dict[str, float]] = {}
    with measured("first build, not counted", steps):
        build_year(settings, options.months, options.teams, options.models)
    with measured("close", steps):
        for period in periods:
            close_month(settings, period)
    with measured("build of the closed months, not counted", steps):
        from tollbook.warehouse.build import build

        build(settings)
    with measured("export", steps):
        exports = export_year(settings, periods)
    print(json.dumps(told(settings, steps, exports)))


def told(settings: Settings, steps: dict[str, dict[str, float]], exports: dict[str, float]) -> dict[str, Any]:
    """Return what was measured, and what was made."""
    from tollbook.warehouse.query import ask

    counted = [step for name, step in steps.items() if "not counted" not in name]
    files = [path for path in settings.exports.rglob("*") if path.is_file()]
    ((charges,),) = ask(settings, "select count(*) from finance.fct_charges").rows
    return {
        "charges": charges,
        "steps": steps,
        "total": {name: round(sum(step[name] for step in counted), 1) for name in ("seconds", "cpu_seconds")},
        "export_seconds": {name: round(each, 1) for name, each in exports.items()},
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }


if __name__ == "__main__":
    main()
