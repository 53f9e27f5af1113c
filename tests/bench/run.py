"""`make bench`: Tollbook beside other engines on the same workload, measured in one run.

The machines are shared and noisy, so what counts is the ratio of figures that were measured in turn. The workload and
the other engines are those of `../shared/bench`; without them there is nothing to compare with, and this says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tollbook.broker import Broker
from tollbook.broker.topics import ensure_topics
from tollbook.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared" / "bench"
WORK = ROOT / ".bench"
HERE = Path(__file__).resolve().parent
MAPPING = ROOT / "schemas" / "examples" / "mappings" / "bench.mapping.yml"
TOPICS = {"llm.usage": "the peers' fields", "llm.usage.every_field": "every field"}
"""Topic to what its events hold. The peers keep some fields of the workload, a ledger keeps them all."""
NOT_KEPT_BY_PEERS = ("trace_id", "request_id", "streamed", "tags.sdk")
PEER_PACKAGES = ("duckdb>=2", "pyarrow", "numpy", "confluent-kafka")
PER_EVENT_SAMPLE = 20_000
PARTS = ("meter", "rating", "formats", "history", "freshness", "backlog", "flink", "exports", "insight")
NEED_WORKLOAD = {"meter", "rating", "backlog", "flink"}
BACKLOG_EVENTS = 2_000_000
FLINK_EVENTS = 400_000
INSIGHT_EVENTS = 1_000_000
ROLL_UP_EVENTS = 100_000_000
QUARTERS_ASKED = 5
PRICING_PACKAGES = ("litellm", "tokencost", "genai-prices", "orjson")
PRICING_SAMPLES = {"tokencost": 200_000, "genai_prices": 20_000, "litellm": 20_000}
"""Library to the events it prices, one at a time: about a second of work."""


def say(message: str) -> None:
    """Tell on stderr what happens."""
    print(message, file=sys.stderr, flush=True)


def run(command: list[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; end the benchmark with its errors when it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def last_json(printed: str) -> dict[str, Any]:
    """Return the last line of `printed` as JSON."""
    line: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return line


def make_peer_environment(name: str, packages: tuple[str, ...]) -> Path:
    """Return the Python of an environment of some peers' own: they follow newer engines than Tollbook pins."""
    python = WORK / name / "bin" / "python"
    if not python.exists():
        say(f"making the environment {name}")
        uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
        run([uv, "venv", "--quiet", "--python", sys.executable, str(python.parent.parent)])
        run([uv, "pip", "install", "--quiet", "--python", str(python), *packages])
    return python


def make_workload(python: Path, events: int, seed: int) -> Path:
    """Return the folder of the seeded workload and its truth."""
    folder = WORK / f"workload-{events}-{seed}"
    if not (folder / "truth.json").exists():
        say(f"generating {events:,} events")
        run([str(python), str(SHARED / "gen.py"), "--n", str(events), "--seed", str(seed), "--out", str(folder)])
    return folder


def load_topics(python: Path, settings: Settings, workload: Path, peers: Path) -> None:
    """Put the workload on two topics: as it is for the peers, as native events for Tollbook."""
    say("loading the peers' topic")
    run(
        [str(python), "kafka_load.py", "--in", str(workload), "--bootstrap", str(settings.bootstrap_servers)], cwd=peers
    )
    ensure_topics(settings, TOPICS)
    environment = {"TOLLBOOK_HOME": str(settings.home), "TOLLBOOK_BOOTSTRAP_SERVERS": str(settings.bootstrap_servers)}
    for (topic, held), mapping in zip(TOPICS.items(), (peers_mapping(), MAPPING), strict=True):
        say(f"sending native events with {held}")
        send = [sys.executable, "-m", "tollbook", "send", str(workload / "events.ndjson"), "--mapping", str(mapping)]
        run([*send, "--topic", topic], environment=environment)


def peers_mapping() -> Path:
    """Return a mapping of the fields that the other engines keep: who stores less has less to do."""
    told = yaml.safe_load(MAPPING.read_text(encoding="utf-8"))
    told["fields"] = {name: each for name, each in told["fields"].items() if name not in NOT_KEPT_BY_PEERS}
    path = WORK / "peers.mapping.yml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


def copy_peers(settings: Settings, pid: int) -> Path:
    """Return a working folder of the peers, which expect the broker's process and data beside them."""
    peers = WORK / "peers"
    shutil.rmtree(peers, ignore_errors=True)
    shutil.copytree(SHARED, peers, ignore=shutil.ignore_patterns("*.sh", "*.cpp", "*.c", "*.xml"))
    for path in peers.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    peers.chmod(0o755)
    (peers / "kafka").mkdir()
    (peers / "kafka" / "pid").write_text(str(pid))
    (peers / "kafka" / "data").symlink_to(settings.broker / "data")
    return peers


def measure_tollbook(settings: Settings, workload: Path, topic: str) -> dict[str, Any]:
    """Return one run of the meter over a topic on a fresh lake."""
    home = WORK / "home-run"
    shutil.rmtree(home, ignore_errors=True)
    command = [sys.executable, str(HERE / "tollbook_meter.py"), "--home", str(home), "--topic", topic]
    command += ["--bootstrap-servers", str(settings.bootstrap_servers)]
    measured = last_json(run(command, environment={"TOLLBOOK_BENCH_WORKLOAD": str(workload)}))
    truth = json.loads((workload / "truth.json").read_text())
    measured["exact"] = (
        measured["unique"] == truth["unique_events"]
        and measured["tokens"] == truth["total_tokens"]
        and measured["cost_pico_usd"] == truth["cost_pico_usd"]
    )
    return measured


def measure_duckdb(python: Path, settings: Settings, workload: Path, peers: Path) -> dict[str, Any]:
    """Return one run of confluent-kafka into DuckDB."""
    command = [str(python), "peer_kafka_duckdb.py", "--in", str(workload)]
    measured = last_json(run([*command, "--bootstrap", str(settings.bootstrap_servers)], cwd=peers))
    measured["peak_mib"] = measured["rss_mb"]
    measured["events"] = measured["lines"]
    measured["exact"] = all(measured["exact"])
    return measured


def measure_per_event(settings: Settings, workload: Path) -> dict[str, Any]:
    """Return one run of a Beam pipeline with an event an element."""
    out = WORK / "per-event"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, str(HERE / "beam_per_event.py"), "--out", str(out), "--topic", "usage"]
    command += ["--bootstrap-servers", str(settings.bootstrap_servers), "--events", str(PER_EVENT_SAMPLE)]
    return last_json(run(command, environment={"TOLLBOOK_BENCH_WORKLOAD": str(workload)})) | {"exact": None}


def measure_rating(python: Path, workload: Path, rounds: int) -> dict[str, list[int]]:
    """Return events per CPU-second of rating alone: Tollbook's by batch, the libraries' event by event, in turn."""
    folder = WORK / "pricing"
    folder.mkdir(exist_ok=True)
    # The libraries would fetch newer price maps if they could; all of them price by what they were installed with.
    alone = ["unshare", "--map-root-user", "--net"]
    can_be_alone = shutil.which(alone[0]) and not subprocess.run([*alone, "true"], check=False).returncode
    measured: dict[str, list[int]] = {}
    for number in range(rounds):
        ours = last_json(run([sys.executable, str(HERE / "rating.py"), "--events", str(workload / "events.ndjson")]))
        say(f"round {number + 1}: rating: {ours}")
        for kind, found in ours["rows"].items():
            name = f"Tollbook, {kind}, {ours['models']:,} models, batches of {ours['batch_rows']:,}"
            measured.setdefault(name, []).append(found["events_per_cpu_s"])
        for library, sample in PRICING_SAMPLES.items():
            command = [str(python), str(SHARED / "peer_pricing.py"), "--in", str(workload), "--lib", library]
            command += ["--limit", str(sample)]
            found = last_json(run([*(alone if can_be_alone else ()), *command], cwd=folder))
            say(f"round {number + 1}: {library}: {found}")
            measured.setdefault(f"{library}, an event at a time", []).append(found["events_per_cpu_s"])
    return measured


def rating_table(measured: dict[str, list[int]]) -> str:
    """Return the medians of rating alone as a Markdown table, ratios to Tollbook at list prices."""
    ours = statistics.median(next(iter(measured.values())))
    lines = ["| rating alone | events per CPU-second (median, range) | Tollbook at list prices is |", "|---|---|---|"]
    for name, speeds in measured.items():
        middle = statistics.median(speeds)
        ratio = f"{ours / middle:,.1f} times"
        lines.append(f"| {name} | {middle:,.0f} ({min(speeds):,} to {max(speeds):,}) | {ratio} |")
    return "\n".join(lines)


def measure_formats(rounds: int) -> str:
    """Return what decoding alone takes, format by format, as a Markdown table: medians, ratios to the native format."""
    measured: dict[str, list[int]] = {}
    sizes: dict[str, int] = {}
    for number in range(rounds):
        found = last_json(run([sys.executable, str(HERE / "formats.py")]))["rows"]
        say(f"round {number + 1}: formats: {found}")
        for name, row in found.items():
            measured.setdefault(name, []).append(row["events_per_cpu_s"])
            sizes[name] = row["bytes"]
    native = statistics.median(next(iter(measured.values())))
    lines = [
        "| decoding alone | bytes an event | events per CPU-second (median, range) | of native |",
        "|---|---|---|---|",
    ]
    for name, speeds in measured.items():
        middle = statistics.median(speeds)
        among = f"{middle:,.0f} ({min(speeds):,} to {max(speeds):,})"
        lines.append(f"| {name} | {sizes[name]:,} | {among} | {middle / native:.2f} |")
    return "\n".join(lines)


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Return the medians of all runs as a Markdown table, ratios to the first."""
    ours = statistics.median(run["events_per_cpu_s"] for run in next(iter(rows.values())))
    lines = [
        "| what | events | events per CPU-second (median, range) | the first is | peak MiB | exact |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in rows.items():
        speeds = [run["events_per_cpu_s"] for run in runs]
        middle = statistics.median(speeds)
        exact = {True: "yes", False: "NO", None: "not checked"}[
            None if runs[0]["exact"] is None else all(run["exact"] for run in runs)
        ]
        lines.append(
            f"| {name} | {runs[0]['events']:,} | {middle:,.0f} ({min(speeds):,} to {max(speeds):,}) | "
            f"{ours / middle:.2f} times | {max(run['peak_mib'] for run in runs)} | {exact} |"
        )
    return "\n".join(lines)


def measure_meter(workload: Path, python: Path, rounds: int, *, per_event: bool = True) -> str:
    """Return the meter beside the other engines, run in turn on one broker, as a Markdown table.

    Args:
        workload: The workload, which the topics are filled with first: each engine works off a backlog.
        python: Python of the peers' environment.
        rounds: How often each runs.
        per_event: Whether a Beam pipeline with an event an element runs too, on a sample.
    """
    shutil.rmtree(WORK / "home", ignore_errors=True)
    broker = Broker(Settings(home=WORK / "home"))
    status = broker.up(say)
    settings = Settings(home=WORK / "home", bootstrap_servers=status.bootstrap_servers)
    try:
        peers = copy_peers(settings, int(status.pid or 0))
        load_topics(python, settings, workload, peers)
        runs: dict[str, Callable[[], dict[str, Any]]] = {
            **{
                f"Tollbook, {held}": partial(measure_tollbook, settings, workload, topic)
                for topic, held in TOPICS.items()
            },
            "confluent-kafka into DuckDB": lambda: measure_duckdb(python, settings, workload, peers),
        }
        if per_event:
            runs["Beam, an event an element"] = lambda: measure_per_event(settings, workload)
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
        for number in range(rounds):
            for name, measure in runs.items():
                measured[name].append(measure())
                say(f"round {number + 1}: {name}: {measured[name][-1]}")
    finally:
        broker.down(say)
    return table(measured)


def measure_freshness(rounds: int) -> str:
    """Return how fresh the book is under a meter that follows, as a Markdown table with a row a round."""
    lines = [
        "| events a second | to committed: p50, p95, p99 | to live: p50, p95, p99 | commits | SIGTERM to exit |",
        "|---|---|---|---|---|",
    ]
    for number in range(rounds):
        found = last_json(run([sys.executable, str(HERE / "freshness.py"), "--work", str(WORK)]))
        say(f"round {number + 1}: freshness: {found}")
        told = [", ".join(f"{found[kind][f'p{q}_s']:.2f} s" for q in (50, 95, 99)) for kind in ("committed", "live")]
        lines.append(
            f"| {found['events_per_second']:,} | {told[0]} | {told[1]} | {found['commits']} | {found['sigterm_s']} s |"
        )
    return "\n".join(lines)


def measure_flink(workload: Path) -> str:
    """Return the meter on Flink beside the embedded runner, on one topic, as a Markdown table with a row a run."""
    command = [sys.executable, str(HERE / "flink.py"), "--work", str(WORK / "flink"), "--workload", str(workload)]
    rows = last_json(run(command))["rows"]
    ours = rows[0]["events_per_cpu_s"]
    lines = [
        "| runner | events per CPU-second | the first is | events/s | first commit | checkpoints | idle | exact |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        say(f"flink: {row}")
        name, first, checkpoint, idle = "embedded", "", "", ""
        if row["runner"] == "flink":
            took = [f"{row['checkpoint_ms'][kind] or 0:,}" for kind in ("min", "avg", "max")]
            name, first = f"Flink, parallelism {row['parallelism']}", f"{row['first_commit_s']} s"
            checkpoint, idle = f"{row['checkpoint_seconds']:g} s: {', '.join(took)} ms", f"{row['idle_cores']}"
        speed = row["events_per_cpu_s"]
        lines.append(
            f"| {name} | {speed:,} | {ours / speed:.2f} times | {row['events'] / row['wall_s']:,.0f} | {first} | "
            f"{checkpoint} | {idle} | {'yes' if row['exact'] else 'NO'} |"
        )
    return "\n".join(lines)


def measure_history() -> str:
    """Return what one more day's build costs after 30 and after 300 days, as a Markdown table."""
    say("one more day of the warehouse after 30 and after 300 days of history")
    history = last_json(run([sys.executable, str(HERE / "history.py"), "--work", str(WORK)]))
    rows = [f"| {days} | {seconds:.2f} |" for days, seconds in history["cpu_seconds_by_days"].items()]
    head = ["| days of history | CPU seconds of one more day's build (median) |", "|---|---|"]
    return "\n".join([*head, *rows, "", f"ratio {history['ratio']}"])


def measure_exports() -> str:
    """Return what it takes to close and export a year, as a Markdown table with a row a step."""
    found = last_json(run([sys.executable, str(HERE / "exports.py"), "--work", str(WORK)]))
    say(f"exports: {found}")
    lines = [f"| a year of {found['charges']:,} charges | seconds | CPU seconds |", "|---|---|---|"]
    for name, step in (*found["steps"].items(), ("counted", found["total"])):
        lines.append(f"| {name} | {step['seconds']:,.1f} | {step['cpu_seconds']:,.1f} |")
    return "\n".join([*lines, "", f"{found['files']:,} files, {found['bytes'] / 1e6:,.0f} MB"])


def measure_explaining() -> str:
    """Return what it takes to explain a year's bills, as a Markdown table with a row a step."""
    found = last_json(run([sys.executable, str(HERE / "insight.py")]))["steps"]
    say(f"insight: {found}")
    told = {True: "yes", False: "NO", None: ""}
    lines = ["| 13 months of 200 teams, 3 workflows, 5 models | rows | CPU seconds | exact |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {step['rows']:,} | {step['cpu_seconds']:,.1f} | {told[step['exact']]} |"
        for name, step in found.items()
    ]
    return "\n".join(lines)


def measure_insight(events: int, roll_up_events: int) -> str:
    """Return what insight costs: its arithmetic, its marts, and questions to large ones, as Markdown tables.

    Args:
        events: Events of the book that is built.
        roll_up_events: Events that the marts which are asked are as large as for; about, a multiple of the book's.
    """
    explained = measure_explaining()
    say(f"a book of {events:,} events, one more day, and a few calls more")
    book, large = WORK / "insight-book", WORK / "insight-large.duckdb"
    built = last_json(
        run([sys.executable, str(HERE / "insight_builds.py"), "--work", str(WORK), "--events", str(events)])
    )
    say(built["table"])
    organisations = max(1, round(roll_up_events / built["events"] / QUARTERS_ASKED))
    say(f"{QUARTERS_ASKED} quarters of {organisations} such organisations")
    command = [sys.executable, str(HERE / "insight_queries.py"), "--events", str(built["events"])]
    command += ["--published", str(book / "serve" / "tollbook.duckdb"), "--marts", str(large)]
    command += ["--quarters", str(QUARTERS_ASKED), "--organisations", str(organisations)]
    asked = last_json(run(command))
    shutil.rmtree(book)
    large.unlink()
    return "\n\n".join([explained, built["table"], asked["table"]])


ALONE: dict[str, Callable[[], str]] = {"history": measure_history, "exports": measure_exports}
"""Part to its measure, of those that neither the workload nor a number of rounds is for."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backlog-events", type=int, default=BACKLOG_EVENTS)
    parser.add_argument("--flink-events", type=int, default=FLINK_EVENTS)
    parser.add_argument("--insight-events", type=int, default=INSIGHT_EVENTS, help="Events of the book that is built.")
    parser.add_argument("--roll-up-events", type=int, default=ROLL_UP_EVENTS, help="Events that larger marts are of.")
    parser.add_argument("--only", choices=PARTS, action="append", help="Measure this part; may be given again.")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    if set(parts) & NEED_WORKLOAD and not SHARED.is_dir():
        sys.exit(f"expected the peers and their workload at {SHARED}; without them there is nothing to measure beside")
    WORK.mkdir(exist_ok=True)
    if set(parts) & NEED_WORKLOAD:
        python = make_peer_environment("peers-venv", PEER_PACKAGES)
    if set(parts) & {"meter", "rating"}:
        workload = make_workload(python, arguments.events, arguments.seed)
    if "meter" in parts:
        print(measure_meter(workload, python, arguments.rounds), flush=True)
    if "rating" in parts:
        pricing = make_peer_environment("pricing-venv", PRICING_PACKAGES)
        print(f"\n{rating_table(measure_rating(pricing, workload, arguments.rounds))}", flush=True)
    if "formats" in parts:
        print(f"\n{measure_formats(arguments.rounds)}", flush=True)
    if "freshness" in parts:
        print(f"\n{measure_freshness(arguments.rounds)}", flush=True)
    if "backlog" in parts:
        backlog = make_workload(python, arguments.backlog_events, arguments.seed)
        print(f"\n{measure_meter(backlog, python, 1, per_event=False)}", flush=True)
    if "flink" in parts:
        print(f"\n{measure_flink(make_workload(python, arguments.flink_events, arguments.seed))}", flush=True)
    insight = partial(measure_insight, arguments.insight_events, arguments.roll_up_events)
    alone: dict[str, Callable[[], str]] = ALONE | {"insight": insight}
    for part in parts:
        if part in alone:
            print(f"\n{alone[part]()}", flush=True)


if __name__ == "__main__":
    main()
