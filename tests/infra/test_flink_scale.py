"""The figures of `infra/flink/scale.md` are those of the model, and the model is the arithmetic that it claims."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCALE = (ROOT / "infra" / "flink" / "scale.md").read_text(encoding="utf-8")


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale_model", ROOT / "tests" / "bench" / "scale_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


model = _module()


def measured(**changed: float) -> object:
    """Return round figures, by which the expected ones are worked by hand."""
    told: dict[str, float] = {
        "event_us": 20.0,
        "idle_cores": 0.2,
        "way_s": 0.5,
        "committer_base_s": 0.5,
        "committer_chunk_s": 0.01,
        "log_bytes": 300,
        "lake_bytes": 90,
        "kept_bytes": 80,
        "batch_s": 5.0,
        "used_share": 0.6,
    }
    return model.Measured(**(told | changed))


def test_the_table_is_what_the_model_gives() -> None:
    """Whoever measures anew has to write the table anew."""
    table = model.table(model.MEASURED, model.Prices(), model.Kafka(), model.RATES)
    assert table in SCALE
    assert "| 1,000,000 events/s |" in table


def test_the_rates_by_parallelism_are_what_the_model_gives() -> None:
    """The same for the formula's own table."""
    for parallelism in (1, 2, 4, 8, 16):
        rates = (
            model.events_per_s(model.MEASURED, parallelism=parallelism, partitions=8, checkpoint_s=each, stall_s=0.3)
            for each in (1, 2, 10)
        )
        assert f"| {parallelism} | {' | '.join(f'{rate:,.0f}' for rate in rates)} |" in SCALE


def test_costs_that_runs_were_made_with_are_found_again() -> None:
    """20 us an event, 3 s a task, half a core: 40 s of time and two tasks use 20 + 6 + 20 s for a million events."""
    runs = [
        model.Run(events=1_000_000, tasks=2, checkpoint_s=2, wall_s=40, cpu_s=46),
        model.Run(events=1_000_000, tasks=1, checkpoint_s=2, wall_s=60, cpu_s=53),
        model.Run(events=1_000_000, tasks=4, checkpoint_s=2, wall_s=20, cpu_s=42),
    ]
    costs = model.fitted(runs, event_us=20)
    assert costs.task_s == pytest.approx(3)
    assert costs.idle_cores == pytest.approx(0.5)
    assert model.largest_error(costs, runs) == pytest.approx(0, abs=1e-9)


def test_the_fit_misses_its_runs_by_no_more_than_is_told() -> None:
    """-10 to +19 %."""
    costs = model.fitted(model.RUNS, event_us=model.EVENT_US)
    assert model.largest_error(costs, model.RUNS) == pytest.approx(0.19, abs=0.005)
    assert costs.task_s == pytest.approx(3.4, abs=0.05)
    assert costs.idle_cores == pytest.approx(0.46, abs=0.005)


def test_tasks_without_a_partition_of_their_own_bring_nothing() -> None:
    """A core does 50,000 events/s; less a fifth when idle, a tenth for the way, a tenth for checkpoints: 32,400."""

    def rate(parallelism: int) -> float:
        found = model.events_per_s(measured(), parallelism=parallelism, partitions=4, checkpoint_s=2, stall_s=0.2)
        return float(found)

    assert rate(1) == pytest.approx(32_400)
    assert rate(4) == pytest.approx(129_600)
    assert rate(9) == rate(4)


def test_workers_rest_while_the_committer_works() -> None:
    """100 chunks in 5 s: the commit takes 0.5 + 1 s, the way 0.5 s, so 13.1072 cores' work is done in 3 of 5 s.

    That is 21.8 cores, of which each worker gives 0.6 - 0.2: 55 workers.
    """
    rate = 100 * 32_768 // 5
    assert model.committer_ceiling(measured(), batch_events=100 * 32_768) == pytest.approx(100 * 32_768 / 1.5)
    assert model.workers_for(measured(), rate) == 55


def test_a_rate_that_one_committer_cannot_commit_is_refused() -> None:
    """More workers would not help."""
    with pytest.raises(ValueError, match=r"expected a commit of 3,276,800 events within 5\.0 s"):
        model.workers_for(measured(committer_chunk_s=0.05), 655_360)
