"""How fresh the book is under `meter --follow`: produce to committed Parquet, and to published live aggregates.

A producer, the broker and the meter are processes of their own on one machine. An event counts as committed when its
manifest is there, and as live when the file of live aggregates holds its commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.broker import Broker
from tollbook.broker.topics import ensure_topics
from tollbook.lake.manifest import commits_after, manifest_path, newest, oldest_commit
from tollbook.settings import Settings

TOPIC = "llm.usage"
WARM_UP_SECONDS = 6.0
_LOOK_SECONDS = 0.05
_HERE = Path(__file__).resolve().parent


class LiveWatch(threading.Thread):
    """Notes when which commit is in the published live aggregates."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self.ended = threading.Event()
        self.seen: list[tuple[float, int]] = []

    def run(self) -> None:
        """Look until `ended` is set."""
        while not self.ended.wait(_LOOK_SECONDS):
            try:
                told = pq.read_schema(self._path).metadata or {}
            except FileNotFoundError:
                continue
            commit = int(told[b"tollbook.commit"])
            if not self.seen or self.seen[-1][1] != commit:
                self.seen.append((time.time(), commit))


def produced_and_committed(lake: Path) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield each commit with when it was there and when its events were produced, in seconds since 1970."""
    for manifest in commits_after(lake, oldest_commit(lake) - 1):
        times = [
            pq.read_table(lake / entry.path, columns=["occurred_at"], partitioning=None)["occurred_at"]
            .cast(pa.int64())
            .to_numpy()
            for entry in manifest.files
            if entry.table == "usage"
        ]
        if times:
            # The name of a manifest is made by a link, which changes the status of the file.
            made = manifest_path(lake, manifest.commit).stat().st_ctime
            yield manifest.commit, made, np.concatenate(times) / 1e6


def percentiles(seconds: np.ndarray) -> dict[str, float]:
    """Return p50, p95, p99 and the highest of latencies."""
    told = {f"p{q}_s": round(float(np.percentile(seconds, q)), 3) for q in (50, 95, 99)}
    return told | {"max_s": round(float(seconds.max()), 3)}


@contextmanager
def following_meter(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Run `meter --follow` until it has made its first commit, and kill it at the end if it still runs."""
    command = [sys.executable, "-m", "tollbook", "meter", "--follow", "--topic", TOPIC]
    environment = os.environ | {
        "TOLLBOOK_HOME": str(settings.home),
        "TOLLBOOK_BOOTSTRAP_SERVERS": str(settings.bootstrap_servers),
    }
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run_producer(settings: Settings, seconds: float, rate: int, seed: int) -> dict[str, Any]:
    """Send `rate` events a second for some seconds, from a process of its own, and return what it told."""
    command = [sys.executable, str(_HERE / "steady_producer.py"), "--topic", TOPIC, "--seed", str(seed)]
    command += ["--bootstrap-servers", str(settings.bootstrap_servers)]
    command += ["--events-per-second", str(rate), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def wait_until_read(settings: Settings, events: int) -> None:
    """Wait until the book holds `events` records."""
    while True:
        manifest = newest(settings.lake)
        if manifest and sum(each.records for each in manifest.totals.get(TOPIC, {}).values()) >= events:
            return
        time.sleep(_LOOK_SECONDS)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(settings: Settings, seconds: float, rate: int, seed: int) -> dict[str, object]:
    """Return latencies of one run."""
    ensure_topics(settings, [TOPIC])
    watch = LiveWatch(settings.serve / "live" / "usage_by_minute.parquet")
    with following_meter(settings) as meter:
        # What starts a meter and compiles its prices is over when it has read the first events.
        first = run_producer(settings, 0.1, rate, seed + 1)
        wait_until_read(settings, first["sent"])
        watch.start()
        told = run_producer(settings, seconds + WARM_UP_SECONDS, rate, seed)
        wait_until_read(settings, first["sent"] + told["sent"])
        time.sleep(2.5)  # until the last live aggregates are there
        watch.ended.set()
        watch.join()
        used = cpu_seconds(meter.pid)
        asked = time.perf_counter()
        meter.send_signal(signal.SIGTERM)
        meter.wait()
        stopped = time.perf_counter() - asked
    commits = list(produced_and_committed(settings.lake))
    commits = commits[1:]
    begin = min(produced.min() for _, _, produced in commits) + WARM_UP_SECONDS
    committed, live = [], []
    for number, made, produced in commits:
        steady = produced[produced >= begin]
        committed.append(made - steady)
        shown = next((at for at, held in watch.seen if held >= number), None)
        if shown is not None:
            live.append(shown - steady)
    return {
        "events_per_second": round(told["sent"] / told["seconds"]),
        "events": told["sent"],
        "commits": len(commits),
        "committed": percentiles(np.concatenate(committed)),
        "live": percentiles(np.concatenate(live)) if live else None,
        "meter_cpu_s": round(used, 1),
        "sigterm_s": round(stopped, 2),
        "exit_code": meter.returncode,
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--events-per-second", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    home = arguments.work.absolute() / "freshness"
    shutil.rmtree(home, ignore_errors=True)
    broker = Broker(Settings(home=home))
    status = broker.up(lambda message: print(message, file=sys.stderr, flush=True))
    settings = Settings(home=home, bootstrap_servers=status.bootstrap_servers)
    try:
        measured = measure(settings, arguments.seconds, arguments.events_per_second, arguments.seed)
    finally:
        broker.down(lambda message: print(message, file=sys.stderr, flush=True))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
