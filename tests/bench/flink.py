"""The meter on Flink beside the embedded runner, on one topic in one run: parallelism, then checkpoint intervals.

Each task manager has one slot, and so one Python worker. Each run reads the same backlog into a fresh lake, which is
held against the workload's exact truth.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tollbook import flink
from tollbook.broker import Broker
from tollbook.broker.connect import admin
from tollbook.broker.topics import definition
from tollbook.settings import Settings

HERE = Path(__file__).resolve().parent
MAPPING = HERE.parents[1] / "schemas" / "examples" / "mappings" / "bench.mapping.yml"
TOPIC = "llm.usage.flink"


def say(message: str) -> None:
    """Tell on stderr what happens."""
    print(message, file=sys.stderr, flush=True)


def fill_topic(settings: Settings, workload: Path, partitions: int) -> None:
    """Put the workload on a topic with so many partitions."""
    with admin(str(settings.bootstrap_servers)) as client:
        topic = {"num_partitions": partitions, "configs": definition(TOPIC).kafka_settings()}
        client.create_topics({TOPIC: topic}, wait_for_metadata=True)
    command = [sys.executable, "-m", "tollbook", "send", str(workload / "events.ndjson"), "--mapping", str(MAPPING)]
    environment = {"TOLLBOOK_HOME": str(settings.home), "TOLLBOOK_BOOTSTRAP_SERVERS": str(settings.bootstrap_servers)}
    subprocess.run([*command, "--topic", TOPIC], env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)


def run_once(script: str, work: Path, truth: dict[str, Any], *arguments: str) -> dict[str, Any]:
    """Return what one run of a meter into a fresh home printed, and whether its totals are the workload's."""
    home = work / "home-run"
    shutil.rmtree(home, ignore_errors=True)
    command = [sys.executable, str(HERE / script), "--home", str(home), "--topic", TOPIC, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    told = {"unique": "unique_events", "tokens": "total_tokens", "cost_pico_usd": "cost_pico_usd"}
    return found | {"exact": all(found[ours] == truth[theirs] for ours, theirs in told.items())}


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="Folder for the broker, the cluster and the lakes.")
    parser.add_argument("--workload", type=Path, required=True)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--parallelism", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--checkpoint-seconds", type=float, nargs="+", default=[2.0, 1.0, 10.0])
    parser.add_argument("--interval-parallelism", type=int, default=2, help="At which intervals after the first run.")
    parser.add_argument(
        "--with-commits-of", type=int, nargs="*", default=[], help="Measure these sizes of commits too."
    )
    arguments = parser.parse_args()
    # Workers import the workload's price book by its module's name.
    os.environ["TOLLBOOK_BENCH_WORKLOAD"] = str(arguments.workload.absolute())
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    work = arguments.work.absolute()
    truth = json.loads((arguments.workload / "truth.json").read_text())
    shutil.rmtree(work, ignore_errors=True)
    home = Settings(home=work / "home")
    broker = Broker(home)
    settings = Settings(home=home.home, bootstrap_servers=broker.up(say).bootstrap_servers)
    rows: list[dict[str, Any]] = []
    try:
        fill_topic(settings, arguments.workload, arguments.partitions)
        servers = ("--bootstrap-servers", str(settings.bootstrap_servers))

        def note(found: dict[str, Any], **setting: Any) -> None:
            rows.append(setting | found | {"load": os.getloadavg()[0]})
            say(f"{rows[-1]}")

        note(run_once("tollbook_meter.py", work, truth, *servers), runner="embedded")
        for number, seconds in enumerate(arguments.checkpoint_seconds):
            widths = arguments.parallelism if number == 0 else [arguments.interval_parallelism]
            flink.up(home, say, flink.FlinkOptions(task_managers=max(widths), slots=1, checkpoint_seconds=seconds))
            on_flink = ("--cluster-home", str(home.home), "--records", str(truth["lines"]), *servers)
            sizes = arguments.with_commits_of if number == 0 else []
            runs: list[tuple[int, tuple[str, ...], dict[str, int]]] = [
                *((width, ("--follow",), {}) for width in widths),
                *((widths[-1], ("--max-commit-records", f"{size}"), {"commit_records": size}) for size in sizes),
            ]
            for width, more, setting in runs:
                told = [*on_flink, "--parallelism", str(width), *more]
                found = run_once("flink_meter.py", work, truth, *told)
                note(found, runner="flink", parallelism=width, checkpoint_seconds=seconds, **setting)
            flink.down(home, say)
    finally:
        flink.down(home, say)
        broker.down(say)
    print(json.dumps({"partitions": arguments.partitions, "rows": rows}))


if __name__ == "__main__":
    main()
