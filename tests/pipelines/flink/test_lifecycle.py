"""The Flink cluster of one home starts, is left alone when it runs, and says why when it cannot."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tollbook import flink
from tollbook.errors import FlinkError, MisuseError
from tollbook.flink import FlinkCluster, jars, lifecycle
from tollbook.flink.components import JOB_SERVER
from tollbook.flink.rest import FlinkRest
from tollbook.services import process
from tollbook.services.java import Java
from tollbook.settings import Settings


def quiet(_message: str) -> None:
    """Take what happens without a word."""


def test_every_jar_of_the_cluster_is_pinned_by_its_hash() -> None:
    """An unpinned jar is code from the network that nobody looked at."""
    pinned = jars.pinned()

    assert len({jar.file_name for jar in pinned}) == len(pinned) == 165
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in pinned)
    assert [jar.coordinate for jar in pinned] == sorted(jar.coordinate for jar in pinned)
    names = {jar.coordinate for jar in pinned}
    assert f"org.apache.flink:flink-runtime:{jars.FLINK_VERSION}" in names
    assert f"org.apache.beam:beam-runners-flink-1.19:{jars.JOB_SERVER_BEAM_VERSION}" in names
    assert {name.split(":")[2] for name in names if re.match(r"org\.apache\.flink:flink-(?!shaded)", name)} == {
        jars.FLINK_VERSION
    }


def test_a_started_cluster_has_its_task_managers_and_slots(flink_cluster: FlinkCluster) -> None:
    """Ready means that a job can be submitted and finds its slots."""
    overview = FlinkRest(flink_cluster.rest_url).overview()

    assert (overview["taskmanagers"], overview["slots-total"]) == (2, 4) == (2, flink_cluster.slots)
    assert overview["flink-version"] == jars.FLINK_VERSION


def test_a_cluster_that_runs_is_left_as_it_is(flink_cluster: FlinkCluster, flink_home: Settings) -> None:
    """A script may call `up` before every job."""
    before = flink.status(flink_home)
    told: list[str] = []

    assert flink.up(flink_home, told.append) == flink_cluster

    assert before.ready
    assert [each.pid for each in flink.status(flink_home).processes] == [each.pid for each in before.processes]
    assert [message.split(" on ")[0] for message in told] == ["already running"]


def test_a_running_cluster_is_not_changed_under_its_jobs(flink_cluster: FlinkCluster, flink_home: Settings) -> None:
    """Other slots need a restart, which is the user's to decide."""
    with pytest.raises(MisuseError, match=r"expected --slots 2, with which the cluster runs.*tollbook flink down"):
        flink.up(flink_home, quiet, flink.FlinkOptions(slots=3))


def test_status_tells_processes_and_jobs_and_ends_with_0_when_all_is_well(
    flink_cluster: FlinkCluster, flink_home: Settings
) -> None:
    """A script waits for it."""
    command = [sys.executable, "-m", "tollbook", "flink", "status", "--json", "--home", str(flink_home.home)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    status = json.loads(told.stdout)

    assert (status["ready"], status["rest_url"]) == (True, flink_cluster.rest_url)
    names = ["zookeeper", "job manager", "task manager 1", "task manager 2", "worker pool", "job server"]
    assert [each["name"] for each in status["processes"]] == names
    assert all(isinstance(each["pid"], int) and Path(each["log"]).is_file() for each in status["processes"])


def test_a_home_that_never_had_a_cluster_ends_with_1(tmp_path: Path) -> None:
    """And neither `status` nor `down` makes its folder."""
    for command, code in (("status", 1), ("down", 0)):
        arguments = [sys.executable, "-m", "tollbook", "flink", command, "--home", str(tmp_path)]
        assert subprocess.run(arguments, capture_output=True, timeout=300, check=False).returncode == code
    assert list(tmp_path.iterdir()) == []


def test_only_beams_job_server_can_be_reached_from_other_machines(
    flink_cluster: FlinkCluster, flink_home: Settings
) -> None:
    """Whoever reaches a port of Flink runs code. Beam binds every address whatever it is told; infra/flink says so."""
    open_to_all: dict[str, set[bool]] = {}
    for each in flink.status(flink_home).processes:
        for port in each.ports.values():
            with socket.socket() as probe:
                reached = probe.connect_ex(("127.0.0.2", port)) == 0
            open_to_all.setdefault(each.name, set()).add(reached)

    assert open_to_all.pop(JOB_SERVER) == {True}
    assert set().union(*open_to_all.values()) == {False}


def test_a_machine_without_java_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither PATH nor the wheel has one."""
    nowhere = Java(tmp_path / "no" / "java", 25, bundled=True)
    monkeypatch.setattr(lifecycle, "find_java", lambda: nowhere)

    with pytest.raises(FlinkError, match=r"expected a Java 17 or newer on PATH.*Install one.*tollbook doctor"):
        flink.up(Settings(home=tmp_path / "home"), quiet)


def test_a_port_that_is_asked_for_and_taken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quietly taking another would leave the user's bookmark and script at a stranger."""
    monkeypatch.setattr(jars, "place", lambda _folder, _progress: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(MisuseError, match=f"expected --rest-port {port} to be free"):
            flink.up(Settings(home=tmp_path), quiet, flink.FlinkOptions(rest_port=port))


def test_a_process_that_dies_at_its_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason stands in its output alone; and nothing of the cluster is left running."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'Unrecognized VM option' >&2\nexit 1\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setattr(lifecycle, "find_java", lambda: Java(java, 17, bundled=False))
    monkeypatch.setattr(jars, "place", lambda _folder, _progress: None)
    home = Settings(home=tmp_path / "home")

    with pytest.raises(FlinkError) as caught:
        flink.up(home, quiet)

    assert "expected the zookeeper of the Flink cluster to run" in str(caught.value)
    assert str(home.flink / "logs" / "zookeeper.log") in str(caught.value)
    assert "Unrecognized VM option" in str(caught.value)
    assert [each.pid for each in flink.status(home).processes] == [None] * 6


def test_a_cluster_whose_state_cannot_be_read_is_stopped_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was full may leave no state; the processes are found by what they run."""
    home = Settings(home=tmp_path)
    tail = ("--configDir", str(home.flink / "conf"), "-D", "taskmanager.resource-id=tm-2")
    main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    home.flink.mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(600)", main, *tail]
    pid = process.start(command, output=tmp_path / "output", cwd=tmp_path)
    (home.flink / "state.json").write_text("{", encoding="utf-8")

    with pytest.raises(FlinkError, match=r"expected the ports of the running Flink cluster.*tollbook flink down"):
        flink.up(home, quiet)
    flink.down(home, quiet)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "expected --slots between 1 and 64, got 0"),
        ({"checkpoint_seconds": 0.01}, "expected --checkpoint-seconds between 0.1 and 3600, got 0.01"),
        ({"rest_port": 70_000}, "expected --rest-port between 1 and 65535, got 70000"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], message: str) -> None:
    """Flink itself would say so in a log, after half a minute."""
    with pytest.raises(MisuseError, match=message):
        flink.FlinkOptions(**options)
