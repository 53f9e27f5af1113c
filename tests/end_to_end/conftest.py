"""What end-to-end tests share: commands in processes of their own, simulated traffic, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from kafka import KafkaProducer

from tollbook.broker import Broker, BrokerStatus
from tollbook.broker.connect import admin
from tollbook.demo.truth import compare
from tollbook.lake.layout import DATE_KEY, USAGE, unnamed_files
from tollbook.lake.manifest import newest
from tollbook.lake.snapshot import load_snapshot
from tollbook.settings import BOOTSTRAP_VARIABLE, HOME_VARIABLE, Settings
from tollbook.simulate.delivery import Shares
from tollbook.simulate.organisation import FEWEST_TEAMS
from tollbook.simulate.simulation import Plan, simulate
from tollbook.warehouse.query import ask

SERVER = Path(__file__).with_name("command_server.py")
READER = Path(__file__).with_name("reader_process.py")
_PATIENCE_SECONDS = 300.0
_LEFTOVERS = ("*.tmp", ".new-*", ".upkeep-*")
_EVENT_ID = re.compile(rb'"event_id":\s*"([^"]*)"')
_VOIDED = {
    "source": "openai",
    "event_id": "a-call-that-is-voided",
    "occurred_at": "2026-08-10T12:00:00Z",
    "provider": "openai",
    "model": "gpt-5",
    "input_tokens": 1_000,
    "output_tokens": 10,
}


@dataclass
class Running:
    """A command in a process of its own.

    Attributes:
        commands: Who started it.
        pid: Its process.
        output: File of its stdout and stderr.
    """

    commands: Commands
    pid: int
    output: Path

    def wait(self) -> int | None:
        """Wait until it ends or stops; return its exit code, -9 after a kill, None when it stopped."""
        told = self.commands.ask({"do": "wait", "pid": self.pid})
        return None if "stopped" in told else int(told["code"])

    def has_ended(self) -> bool:
        """Return whether it has ended, which a command that goes on until it is stopped must not."""
        assert self.commands.ask({"do": "look", "pid": self.pid}) == {}, self.told()
        return False

    def told(self) -> str:
        """Return what it has written so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def go_on(self) -> None:
        """Let it go on after it stopped."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """Kill it with -9, if it is there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@dataclass
class Commands:
    """Starts commands of Tollbook, each in a process of its own, by way of a server that has it imported."""

    server: subprocess.Popen[str]
    folder: Path
    started: int = 0

    def start(
        self, settings: Settings, *arguments: str, fault: dict[str, Any] | None = None, largest_file: int | None = None
    ) -> Running:
        """Start a command.

        Args:
            settings: Its home and its Kafka.
            arguments: What follows `tollbook`.
            fault: Arguments of a `Fault` of the server.
            largest_file: Beyond this size no file of it can grow. Unit: Bytes.
        """
        self.started += 1
        output = self.folder / f"{self.started}.txt"
        environment = {HOME_VARIABLE: str(settings.home), BOOTSTRAP_VARIABLE: settings.bootstrap_servers or ""}
        request = {"environment": environment, "output": str(output), "fault": fault, "largest_file": largest_file}
        return Running(self, self.ask({"do": "start", "arguments": arguments, **request})["pid"], output)

    def run(self, settings: Settings, *arguments: str, **options: Any) -> tuple[int | None, str]:
        """Run a command to its end, or until it stops; return its exit code and what it told."""
        running = self.start(settings, *arguments, **options)
        return running.wait(), running.told()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the server's answer."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"{json.dumps(request)}\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Start commands in processes of their own; see `Commands`."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TOLLBOOK_LOG_FORMAT": "text"},
    ) as server:
        yield Commands(server, tmp_path_factory.mktemp("commands"))
        assert server.stdin is not None
        server.stdin.close()


@dataclass
class Traffic:
    """Simulated traffic and the truth about it.

    Attributes:
        lines: Records in the order of arrival.
        truth: What must stand in the book when each was read once, or each as often.
        owners: The owner rules.
    """

    lines: list[bytes]
    truth: dict[str, Any]
    owners: Path

    def slices(self, count: int) -> list[list[bytes]]:
        """Return the lines cut into so many pieces, in order."""
        ends = [len(self.lines) * number // count for number in range(count + 1)]
        return [self.lines[begin:end] for begin, end in pairwise(ends)]


NewTraffic = Callable[..., Traffic]


@pytest.fixture(scope="session")
def new_traffic(tmp_path_factory: pytest.TempPathFactory) -> NewTraffic:
    """Return a function that simulates a month of so many events: `new_traffic(events=240, seed=1)`."""

    def make(*, events: int, seed: int) -> Traffic:
        folder = tmp_path_factory.mktemp("traffic")
        shares = Shares(duplicates=100_000, late=100_000, poison=50_000, conflicts=50_000)
        plan = Plan(events=events, seed=seed, months=1, team_count=FEWEST_TEAMS, shares=shares)
        owners = folder / "owners.yml"
        truth = simulate(plan, out=folder / "calls.jsonl", truth_path=folder / "truth.json", owners_path=owners)
        lines = (folder / "calls.jsonl").read_bytes().splitlines()
        # A call and, much later, the telling that voids it: two lines accepted, one superseded, one void, no event.
        lines.insert(5, json.dumps(_VOIDED).encode())
        void = {name: _VOIDED[name] for name in ("source", "event_id", "occurred_at")}
        lines.append(json.dumps(void | {"revision": 1, "action": "void", "action_reason": "credited"}).encode())
        more = {"lines": 2, "accepted": 2, "superseded": 1, "voids": 1}
        truth |= {name: truth[name] + count for name, count in more.items()}
        assert all(truth[name] for name in ("duplicates", "conflicts", "rejected", "superseded", "voids"))
        return Traffic(lines, truth, owners)

    return make


@pytest.fixture(scope="session")
def traffic(new_traffic: NewTraffic) -> Traffic:
    """Some 300 records of a month: calls, repeats, late ones, conflicts, streamed parts, a void, and bad ones."""
    return new_traffic(events=240, seed=20_261_126)


@dataclass
class Book:
    """A home with its topic, and what must hold of it whatever happened.

    Attributes:
        settings: Its home and its Kafka.
        topic: Topic that its meter reads.
        producer: Sends to it.
    """

    settings: Settings
    topic: str
    producer: KafkaProducer

    @property
    def meter(self) -> tuple[str, ...]:
        """The command that reads what the topic holds now."""
        return ("meter", "--until-caught-up", "--topic", self.topic, "--max-reject-share", "none")

    def send(self, lines: Sequence[bytes]) -> None:
        """Put records on the topic and wait until the broker has them; tellings of one call stay in order."""
        for line in lines:
            self.producer.send(self.topic, value=line, key=_event_id(line))
        self.producer.flush()

    @contextmanager
    def producing(self) -> Iterator[Book]:
        """Give the book a producer of its own, whose records the broker has when the block ends."""
        producer = KafkaProducer(bootstrap_servers=self.settings.bootstrap_servers)
        try:
            yield replace(self, producer=producer)
        finally:
            producer.close()

    def records(self) -> int:
        """Return how many records the newest commit has read."""
        manifest = newest(self.settings.lake)
        each = manifest.totals.values() if manifest is not None else ()
        return sum(total.records for totals in each for total in totals.values())

    def assert_whole(self, *, read: int) -> None:
        """Hold the lake against itself: every record has a place of its own, and nothing lies there that nobody names.

        Args:
            read: How many records the meter must have read.
        """
        lake = self.settings.lake
        snapshot = load_snapshot(lake)
        assert snapshot is not None
        totals = [total for each in snapshot.manifest.totals.values() for total in each.values()]
        assert sum(total.records for total in totals) == read
        assert sum(total.usage_rows + total.reject_rows for total in totals) == read
        named = {file.entry.path for file in snapshot.files} | {file.path for file in snapshot.retired}
        assert unnamed_files(lake, named) == []
        assert leftovers(self.settings.home) == []
        for table in DATE_KEY:
            assert all((lake / file.entry.path).is_file() for file in snapshot.of(table))
        paths = [str(lake / file.entry.path) for file in snapshot.of(USAGE)]
        rows: tuple[Any, ...] | None = (0, 0, 0, 0)
        if paths:
            with duckdb.connect() as connection:
                rows = connection.execute(
                    'select count(*), count(distinct (topic, partition, "offset", record_item)), '
                    "coalesce(sum(input_tokens), 0), coalesce(sum(list_cost), 0) * 1000000000000 "
                    "from read_parquet(?, hive_partitioning = false, union_by_name = true)",
                    [paths],
                ).fetchone()
        counted = sum(total.usage_rows for total in totals)
        sums = (sum(total.input_tokens for total in totals), sum(total.list_cost_pico_usd for total in totals))
        assert rows == (counted, counted, *sums)

    def assert_true(self, truth: dict[str, Any]) -> None:
        """Hold the published file against the truth: every amount, what became of every line, and the balance."""
        assert compare(self.settings, truth).differences == ()
        balance = "select count(*), count(*) filter (difference <> 0) from audit.fct_ledger_balance"
        ((compared, unequal),) = ask(self.settings, balance).rows
        assert compared > 0
        assert unequal == 0
        assert leftovers(self.settings.home) == []


@dataclass
class OwnBroker:
    """A broker that may be stopped and killed, with a topic of two partitions."""

    broker: Broker
    topic: str

    def settings_for(self, book: Book) -> Settings:
        """Return the settings of a book with this broker as its Kafka."""
        return replace(book.settings, bootstrap_servers=self.broker.status().bootstrap_servers)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[OwnBroker]:
    """Return a broker that may be stopped and killed: the session's is needed by others."""
    broker = Broker(Settings(home=tmp_path / "kafka"))
    servers = broker.up(lambda _message: None).bootstrap_servers
    assert servers is not None
    with admin(servers) as client:
        client.create_topics({"llm.usage": {"num_partitions": 2}}, wait_for_metadata=True)
    yield OwnBroker(broker, "llm.usage")
    broker.down(lambda _message: None)


Readers = Callable[[Book, int], AbstractContextManager[list[dict[str, Any]]]]
"""Lets so many processes read a book during a block; the list has what each saw once the block is over."""


@pytest.fixture
def readers() -> Readers:
    """Read a book from other processes; see `Readers` and reader_process.py."""

    @contextmanager
    def reading(book: Book, count: int) -> Iterator[list[dict[str, Any]]]:
        command = [sys.executable, "-W", "ignore", str(READER), str(book.settings.home)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        seen: list[dict[str, Any]] = []
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "reading\n"
            yield seen
        finally:
            told = [process.communicate()[0] for process in processes]
        seen.extend(json.loads(each) for each in told)

    return reading


Until = Callable[[Callable[[], bool]], None]
"""Waits until something holds, and fails when it does not for minutes."""


@pytest.fixture
def until() -> Until:
    """Wait for something that happens in another process; see `Until`."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.05)

    return wait


def leftovers(home: Path) -> list[str]:
    """Return the temporary files and folders below a home."""
    return sorted(path.relative_to(home).as_posix() for pattern in _LEFTOVERS for path in home.rglob(pattern))


@pytest.fixture
def book(settings: Settings, new_topic: Any, traffic: Traffic, producer: KafkaProducer) -> Book:
    """Return an empty book with the owner rules of the traffic, and a topic of its own."""
    settings.owners.parent.mkdir(parents=True)
    settings.owners.write_bytes(traffic.owners.read_bytes())
    return Book(settings, new_topic(partitions=2), producer)


@pytest.fixture(scope="session")
def producer(broker: BrokerStatus) -> Iterator[KafkaProducer]:
    """Sends records to the session's broker."""
    sending = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    yield sending
    sending.close()


def _event_id(line: bytes) -> bytes | None:
    """Return the id of the call that a record tells of, None for one that does not tell."""
    found = _EVENT_ID.search(line)
    return found[1] if found else None
