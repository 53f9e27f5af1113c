"""`tollbook doctor` tells what is missing, and changes nothing."""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path

import pytest

from tollbook.broker import BrokerStatus, machine
from tollbook.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def find(settings: Settings, check: str) -> machine.Finding:
    """Return what one check found."""
    return next(finding for finding in machine.examine(settings) if finding.check == check)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Kafka that runs take its time to answer."""
    monkeypatch.setattr(machine, "ANSWER_SECONDS", 300.0)


def test_this_machine_lacks_nothing(settings: Settings, patience: None) -> None:
    """The tests run here, so every check must pass; the jars of a fresh home are only a note."""
    findings = machine.examine(settings)

    assert [finding for finding in findings if finding.state == "missing"] == []
    assert all(finding.advice for finding in findings if finding.state != "ok")


def test_nothing_is_made_or_started(tmp_path: Path) -> None:
    """Asking what is wrong must not change what is asked about."""
    machine.examine(Settings(home=tmp_path / "fresh"))

    assert not (tmp_path / "fresh").exists()


def test_a_checksum_in_python_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """kafka-python falls back without a word and reads at a tenth of the speed."""
    from kafka.record import util

    monkeypatch.setattr(util, "_crc32c", util.crc32c_py)

    assert find(settings, "crc32c").state == "missing"


def test_a_kafka_that_does_not_answer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named Kafka is meant to be there; the embedded one may rest."""
    monkeypatch.setattr(machine, "ANSWER_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held, so that no other program listens there meanwhile
        servers = f"127.0.0.1:{silent.getsockname()[1]}"

        assert find(Settings(home=tmp_path, bootstrap_servers=servers), "kafka").state == "missing"
    assert find(Settings(home=tmp_path), "kafka").state == "note"


def test_a_kafka_that_answers_is_found(broker: BrokerStatus, settings: Settings, patience: None) -> None:
    """The good case tells which Kafka it was."""
    assert find(settings, "kafka").found == f"{broker.bootstrap_servers} answers"


def test_a_full_disk_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka and DuckDB both fail late and obscurely without space."""
    monkeypatch.setattr(machine, "MINIMUM_FREE_BYTES", 2**62)

    finding = find(settings, "disk")

    assert finding.state == "missing"
    assert finding.advice is not None
    assert "--home" in finding.advice


def test_the_pythons_are_those_that_the_package_allows() -> None:
    """Two lists of versions drift apart unless something compares them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, after_last = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()  # type: ignore[union-attr]

    assert machine.FIRST_PYTHON == (3, int(first))
    assert machine.AFTER_LAST_PYTHON == (3, int(after_last))
