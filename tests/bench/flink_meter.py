"""One measured run of the meter on a running Flink cluster: all of its processes, from the command to caught up."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import workload
from process_cpu import ProcessCpu, seconds_since_start
from tollbook_meter import totals

from tollbook import flink
from tollbook.errors import FlinkError
from tollbook.flink.meter import run_on_flink
from tollbook.flink.rest import FlinkRest
from tollbook.flink.target import target_told
from tollbook.lake.manifest import newest
from tollbook.settings import MAX_COMMIT_RECORDS, Settings
from tollbook.stream.options import MeterOptions

LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen at one moment: seconds since the command began, CPU by process, commits and records in the book."""

    at: float
    cpu: dict[str, float]
    commits: int
    records: int

    @property
    def cpu_s(self) -> float:
        return sum(self.cpu.values())


class _Watch(threading.Thread):
    """Looks at the book and at all processes again and again, and asks Flink about checkpoints."""

    def __init__(self, lake: Path, cpu: ProcessCpu, rest: FlinkRest, wanted: int, idle_s: float) -> None:
        super().__init__(daemon=True)
        self._lake, self._cpu, self._rest, self._wanted, self._idle_s = lake, cpu, rest, wanted, idle_s
        self._caught_up_at: float | None = None
        self.ended, self.is_over = threading.Event(), threading.Event()
        self.looks: list[_Look] = []
        self.checkpoints: dict[str, Any] = {}

    def run(self) -> None:
        while not self.ended.wait(LOOK_SECONDS):
            manifest = newest(self._lake)
            records = sum(sum(each.values()) for each in manifest.offsets.values()) if manifest is not None else 0
            commits = manifest.commit if manifest is not None else 0
            self.looks.append(_Look(seconds_since_start(), self._cpu.seconds(), commits, records))
            if self._wanted > records > 0 and not len(self.looks) % 5:
                self._ask_about_checkpoints()
            if records < self._wanted:
                continue
            if self._caught_up_at is None:
                self._ask_about_checkpoints()
                self._caught_up_at = self.looks[-1].at
            if self.looks[-1].at - self._caught_up_at >= self._idle_s:
                self.is_over.set()

    def _ask_about_checkpoints(self) -> None:
        try:
            running = [each.job_id for each in self._rest.jobs() if each.state == "RUNNING"]
            self.checkpoints = self._rest.checkpoints(running[0]) if running else self.checkpoints
        except FlinkError:
            return  # it is asked again


def measured(looks: list[_Look], checkpoints: dict[str, Any], wanted: int, idle_s: float) -> dict[str, Any]:
    """Return the figures of a run: running is from when the job took the book over until that has all records.

    Then it had nothing to do for `idle_s` seconds.
    """
    running = next(look for look in looks if look.commits)
    first = next(look for look in looks if look.records)
    last = next(look for look in looks if look.records >= wanted)
    cpu_s, wall_s = last.cpu_s - running.cpu_s, last.at - running.at
    rest = next((look for look in looks if idle_s and look.at - last.at >= idle_s), None)
    idle_by_process = {}
    if rest is not None:
        idle_by_process = {name: round((rest.cpu[name] - last.cpu[name]) / (rest.at - last.at), 3) for name in last.cpu}
    idle_cores = None if rest is None else round((rest.cpu_s - last.cpu_s) / (rest.at - last.at), 3)
    durations = checkpoints.get("summary", {}).get("end_to_end_duration", {})
    return {
        "events": last.records,
        "wall_s": round(wall_s, 3),
        "cpu_s": round(cpu_s, 3),
        "events_per_cpu_s": int(last.records / cpu_s),
        "events_per_s": int(last.records / wall_s),
        "cpu_s_by_process": {name: round(last.cpu[name] - running.cpu[name], 2) for name in last.cpu},
        "cpu_s_with_start": round(last.cpu_s - looks[0].cpu_s, 3),
        "idle_cores": idle_cores,
        "idle_cores_by_process": idle_by_process,
        "takeover_s": round(running.at, 2),
        "first_commit_s": round(first.at, 2),
        "commits": last.commits - running.commits,
        "checkpoints": checkpoints.get("counts", {}).get("completed", 0),
        "checkpoint_ms": {name: durations.get(name) for name in ("min", "avg", "max")},
    }


def main() -> None:
    """Run the meter once on a fresh lake and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--cluster-home", type=Path, required=True)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--records", type=int, required=True, help="How many the topic holds.")
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--max-commit-records", type=int, default=MAX_COMMIT_RECORDS)
    parser.add_argument("--idle-seconds", type=float, default=15.0, help="How long to go on when caught up.")
    arguments = parser.parse_args()
    settings = Settings(home=arguments.home.absolute(), bootstrap_servers=arguments.bootstrap_servers)
    workload.write_owners(settings.owners)
    cluster = Settings(home=arguments.cluster_home.absolute())
    target = target_told(
        cluster, master=None, job_server=None, workers=None, parallelism=arguments.parallelism, savepoint=None
    )
    processes = {
        each.name.replace("task manager ", "task managers/"): each.pid for each in flink.status(cluster).processes
    }
    cpu = ProcessCpu({"command": os.getpid(), **{name: pid for name, pid in processes.items() if pid is not None}})
    idle_s = arguments.idle_seconds if arguments.follow else 0.0
    watch = _Watch(settings.lake, cpu, FlinkRest(target.rest_url), arguments.records, idle_s)
    watch.start()
    options = MeterOptions(
        settings=settings,
        topics=(arguments.topic,),
        load_book=workload.book,
        follow=arguments.follow,
        max_commit_records=arguments.max_commit_records,
    )
    run_on_flink(options, target, should_stop=watch.is_over.is_set, tell=lambda notice: print(notice, file=sys.stderr))
    while not watch.is_over.is_set():
        time.sleep(LOOK_SECONDS)
    watch.ended.set()
    watch.join()
    print(json.dumps(measured(watch.looks, watch.checkpoints, arguments.records, idle_s) | totals(settings.lake)))


if __name__ == "__main__":
    main()
