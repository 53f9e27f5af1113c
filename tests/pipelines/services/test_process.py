"""A process is recognised by what it runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollbook.services import process

MAIN_CLASS = "kafka.Kafka"


def tail(properties: Path) -> tuple[str, str]:
    """Return the last arguments of a broker."""
    return MAIN_CLASS, str(properties)


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Run a program with a broker's last two arguments, detached; return its pid and its properties."""
    properties = tmp_path / "a folder" / "server.properties"
    command = [sys.executable, "-c", "import time; time.sleep(600)", MAIN_CLASS, str(properties)]
    pid = process.start(command, output=tmp_path / "output", cwd=tmp_path)
    yield pid, properties
    assert process.stop(pid, tail(properties), timeout_seconds=300)


def wait_for(properties: Path) -> int | None:
    """Return the pid once the process table shows it; just after its start it may not."""
    deadline = time.monotonic() + 300
    while (pid := process.find(tail(properties))) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return pid


def test_a_broker_is_found_by_its_properties_alone(impostor: tuple[int, Path]) -> None:
    """An `up` that was killed wrote no pid down, and its broker must be found all the same."""
    pid, properties = impostor

    assert wait_for(properties) == pid
    assert process.find(tail(properties.with_name("other.properties"))) is None


def test_a_broker_is_found_without_proc(
    impostor: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where there is no /proc, as on macOS, `ps` tells, with a path that may hold spaces."""
    pid, properties = impostor
    wait_for(properties)
    listed = f"    1 /sbin/init\n{pid:>7} java -Xmx512m {MAIN_CLASS} {properties}\n    9 ps -axww\n"
    monkeypatch.setattr(process, "_PROC", tmp_path / "no proc here")
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, stdout=listed))
        assert process.find(tail(properties)) == pid


def test_a_stopped_child_is_not_left_as_a_zombie(tmp_path: Path) -> None:
    """A long-lived caller, such as a test session, would collect them."""
    properties = tmp_path / "server.properties"
    command = [sys.executable, "-c", "input()", MAIN_CLASS, str(properties)]
    pid = process.start(command, output=tmp_path / "output", cwd=tmp_path)

    assert process.stop(pid, tail(properties), timeout_seconds=300)
    assert not Path(f"/proc/{pid}").exists()
    assert process.stop(pid, tail(properties), timeout_seconds=300), "stopping what is gone is well"
