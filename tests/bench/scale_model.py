"""What hardware a rate of events needs, computed from what was measured: the table of `infra/flink/scale.md`.

Run `python tests/bench/scale_model.py`. Measured constants and assumed prices are kept apart; to see what other ones
make of it, change them here. The words to the formulas are in `infra/flink/scale.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

import numpy as np

CHUNK_RECORDS = 32_768
SECONDS_A_MONTH = 730 * 3_600
"""As cloud price lists count a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of `tests/bench/flink.py` used, from when the job took the book over until that had all records.

    Attributes:
        events: Records read.
        tasks: Tasks of each step.
        checkpoint_s: Time from one checkpoint to the next. Unit: Seconds.
        wall_s: How long it took. Unit: Seconds.
        cpu_s: CPU of all processes. Unit: Seconds.
    """

    events: int
    tasks: int
    checkpoint_s: float
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a run uses: CPU = `event_us` · events + `task_s` · tasks + `idle_cores` · time.

    Attributes:
        event_us: CPU of one event, read to committed. Unit: Microseconds.
        task_s: CPU of a task's first records: its JVM compiles, its worker fills its memory. Unit: Seconds.
        idle_cores: CPU of the whole cluster when there is nothing to do. Unit: Cores.
    """

    event_us: float
    task_s: float
    idle_cores: float

    def cpu_s(self, run: Run) -> float:
        """Return what a run should use. Unit: Seconds."""
        return self.event_us * 1e-6 * run.events + self.task_s * run.tasks + self.idle_cores * run.wall_s


def fitted(runs: Sequence[Run], *, event_us: float) -> Costs:
    """Return the costs that fit runs best by least squares.

    Runs of one benchmark read the same events, so the cost of an event cannot be told from them: that of the embedded
    runner in the same benchmark is taken, whose steps are the same.
    """
    left = np.array([run.cpu_s - event_us * 1e-6 * run.events for run in runs])
    terms = np.array([[run.tasks, run.wall_s] for run in runs])
    task_s, idle_cores = np.linalg.lstsq(terms, left, rcond=None)[0].tolist()
    return Costs(event_us=event_us, task_s=task_s, idle_cores=idle_cores)


def largest_error(costs: Costs, runs: Sequence[Run]) -> float:
    """Return by how much the model misses the run that it fits worst, as a share of what that used."""
    return max(abs(costs.cpu_s(run) / run.cpu_s - 1) for run in runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured, and how the cluster is run.

    Attributes:
        event_us: CPU of one event on all processes, read to committed. Unit: Microseconds.
        idle_cores: CPU of a task manager and its worker with nothing to do. Unit: Cores.
        way_s: Time that a micro-batch takes besides its work: ticks, bundles, plan; assumed. Unit: Seconds.
        committer_base_s: Time of one commit without parts. Unit: Seconds.
        committer_chunk_s: Time of the parts of one chunk at the committer. Unit: Seconds.
        log_bytes: An event on Kafka's disk, one replica, as `tollbook send` packs it. Unit: Bytes.
        lake_bytes: An event in the lake, not compacted. Unit: Bytes.
        kept_bytes: An event in the lake, compacted. Unit: Bytes.
        batch_s: Length of a micro-batch at the full rate. Unit: Seconds.
        used_share: Share of a worker's core that is planned for; the rest is for peaks and catching up.
        requests_a_commit: Requests to the object store that a commit makes besides its files of events.
    """

    event_us: float
    idle_cores: float
    way_s: float
    committer_base_s: float
    committer_chunk_s: float
    log_bytes: int
    lake_bytes: int
    kept_bytes: int
    batch_s: float = 5.0
    used_share: float = 0.6
    requests_a_commit: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """List prices, all assumptions: AWS us-east-1, on demand, as known in 2025. Look them up before you rely on them.

    Attributes:
        core_hour: A vCPU of general purpose with 4 GiB, m7i. Unit: USD.
        disk_gb_month: gp3. Unit: USD.
        disk_mb_s_month: gp3, a MB/s above the 125 of each volume. Unit: USD.
        object_gb_month: S3 Standard, first 50 TB. Unit: USD.
        puts_1000: A thousand PUT requests, S3 Standard. Unit: USD.
        zone_gb: A GB from one zone to another, both directions' charges together. Unit: USD.
    """

    core_hour: Decimal = Decimal("0.0504")
    disk_gb_month: Decimal = Decimal("0.08")
    disk_mb_s_month: Decimal = Decimal("0.04")
    object_gb_month: Decimal = Decimal("0.023")
    puts_1000: Decimal = Decimal("0.005")
    zone_gb: Decimal = Decimal("0.02")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """How Kafka is run, all assumptions.

    Attributes:
        replicas: Copies of each record.
        broker_mb_s: What a broker writes, replicas included, with room to catch up. Unit: MB/s.
        broker_cores: vCPUs of a broker.
        retention_hours: How long records stay.
        fewest_brokers: One in each of three zones.
    """

    replicas: int = 3
    broker_mb_s: float = 150.0
    broker_cores: int = 4
    retention_hours: int = 24
    fewest_brokers: int = 3


EVENT_US = 22.7
"""The embedded runner's, in the same benchmark as `RUNS`: 9.268 s for 408,000 records."""

RUNS = (
    Run(events=408_000, tasks=1, checkpoint_s=2, wall_s=26.588, cpu_s=23.74),
    Run(events=408_000, tasks=2, checkpoint_s=2, wall_s=25.633, cpu_s=26.82),
    Run(events=408_000, tasks=4, checkpoint_s=2, wall_s=32.591, cpu_s=38.96),
    Run(events=408_000, tasks=2, checkpoint_s=1, wall_s=16.701, cpu_s=19.87),
    Run(events=408_000, tasks=2, checkpoint_s=10, wall_s=27.005, cpu_s=31.55),
)
"""`tests/bench/flink.py` on 2026-11-26: two cores with a load of 12 to 15 from other work, four partitions."""

MEASURED = Measured(
    event_us=EVENT_US,
    idle_cores=0.26,  # task managers 0.295 and workers 0.218 in 15 s after the run of 10 s, two of each
    way_s=0.4,
    committer_base_s=0.006,
    committer_chunk_s=0.0036,  # 3.7 s for 1,024 chunks at a load of 13, of which 0.76 s are CPU
    log_bytes=306,
    lake_bytes=88,
    kept_bytes=79,
)
RATES = (50_000, 200_000, 1_000_000)


def events_per_s(
    measured: Measured, *, parallelism: int, partitions: int, checkpoint_s: float, stall_s: float
) -> float:
    """Return the rate that tasks with a core each sustain while the meter is behind.

    Args:
        measured: What was measured.
        parallelism: Tasks of each step.
        partitions: Partitions that have more to read.
        checkpoint_s: Time from one checkpoint to the next. Unit: Seconds.
        stall_s: How long a checkpoint keeps the tasks from work. Unit: Seconds.
    """
    reading = min(parallelism, partitions)
    work_s = measured.batch_s - measured.way_s
    free = (1 - measured.idle_cores) * max(0.0, 1 - stall_s / checkpoint_s)
    return reading * free * 1e6 / measured.event_us * work_s / measured.batch_s


def committer_ceiling(measured: Measured, *, batch_events: int) -> float:
    """Return the events a second that one committer, busy with nothing else, commits in micro-batches of a size."""
    chunks = batch_events / CHUNK_RECORDS
    return batch_events / (measured.committer_base_s + measured.committer_chunk_s * chunks)


def workers_for(measured: Measured, rate: int) -> int:
    """Return how many task managers of one slot, with a core for each worker, a rate needs.

    A micro-batch is read, then committed, then the next one is planned: workers rest while the committer works.
    """
    batch_events = rate * measured.batch_s
    rest_s = measured.way_s + batch_events / committer_ceiling(measured, batch_events=round(batch_events))
    if rest_s >= measured.batch_s:
        raise ValueError(f"expected a commit of {batch_events:,.0f} events within {measured.batch_s} s, got {rest_s} s")
    cores = rate * measured.event_us * 1e-6 * measured.batch_s / (measured.batch_s - rest_s)
    return max(1, ceil(cores / (measured.used_share - measured.idle_cores)))


def table(measured: Measured, prices: Prices, kafka: Kafka, rates: Sequence[int]) -> str:
    """Return what rates of events need, and what that costs a month, as a Markdown table."""
    columns = [_needs(measured, prices, kafka, rate) for rate in rates]
    head = ["| | " + " | ".join(f"{rate:,} events/s" for rate in rates) + " |", "|---" * (len(rates) + 1) + "|"]
    return "\n".join(
        [*head, *(f"| {name} | " + " | ".join(each[name] for each in columns) + " |" for name in columns[0])]
    )


def _needs(measured: Measured, prices: Prices, kafka: Kafka, rate: int) -> dict[str, str]:
    workers = workers_for(measured, rate)
    batch_events = round(rate * measured.batch_s)
    log_mb_s = rate * measured.log_bytes / 1e6
    brokers = max(kafka.fewest_brokers, ceil(log_mb_s * kafka.replicas / kafka.broker_mb_s))
    disk_gb = log_mb_s * kafka.replicas * kafka.retention_hours * 3.6
    commits_per_s = 1 / measured.batch_s
    # A chunk ends with its range, so each lane has at least one in a micro-batch.
    chunks = max(workers, ceil(batch_events / CHUNK_RECORDS))
    puts_per_s = commits_per_s * (chunks + measured.requests_a_commit)
    kept_tb = rate * measured.kept_bytes * SECONDS_A_MONTH / 1e12
    zone_gb = log_mb_s * (kafka.replicas - 1 + 2 * 2 / 3) * SECONDS_A_MONTH / 1e3
    month = {
        "workers": workers * 730 * prices.core_hour,
        "brokers": brokers * kafka.broker_cores * 730 * prices.core_hour,
        "Kafka's disks": _decimal(disk_gb) * prices.disk_gb_month
        + _decimal(max(0.0, log_mb_s * kafka.replicas - 125 * brokers)) * prices.disk_mb_s_month,
        "between zones": _decimal(zone_gb) * prices.zone_gb,
        "PUT requests": _decimal(puts_per_s * SECONDS_A_MONTH / 1000) * prices.puts_1000,
        "lake, for each month kept": _decimal(kept_tb * 1000) * prices.object_gb_month,
    }
    return {
        "Kafka log, one replica, MB/s": f"{log_mb_s:,.1f}",
        f"brokers of {kafka.broker_cores} cores": f"{brokers}",
        "Kafka's disks, TB": f"{disk_gb / 1000:,.1f}",
        "partitions, at least": f"{workers}",
        "workers: task managers of one slot, a core each": f"{workers}",
        "records a commit (`--max-commit-records`)": f"{batch_events:,}",
        "files of events a second": f"{commits_per_s * chunks:,.1f}",
        "PUT requests a second": f"{puts_per_s:,.1f}",
        "lake, MB/s written": f"{rate * measured.lake_bytes / 1e6:,.1f}",
        "lake, TB a month, compacted": f"{kept_tb:,.1f}",
        "committer, share of its time": f"{rate / committer_ceiling(measured, batch_events=batch_events):.0%}",
        **{f"USD a month: {name}": f"{usd:,.0f}" for name, usd in month.items()},
        "USD a month, all": f"{sum(month.values()):,.0f}",
        "USD for a thousand million events": f"{sum(month.values()) / _decimal(rate * SECONDS_A_MONTH / 1e9):,.2f}",
    }


def _decimal(amount: float) -> Decimal:
    """Return an estimate as a Decimal, so that it goes with prices."""
    return Decimal(str(amount))


def main() -> None:
    """Print the fit and the table."""
    costs = fitted(RUNS, event_us=EVENT_US)
    print(f"{costs}, off by {largest_error(costs, RUNS):.0%} at most\n")
    print(table(MEASURED, Prices(), Kafka(), RATES))


if __name__ == "__main__":
    main()
