"""What the image of the meter on Flink runs beside `tollbook`: jars, left jobs, the pool of Python workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tollbook.flink.jars import pinned
from tollbook.flink.rest import FlinkJob
from tollbook.services.ports import any_free

FLINK = Path(__file__).parents[2] / "infra" / "flink"


def test_the_distribution_gets_the_runner_and_no_second_flink() -> None:
    """Two copies of a class in `lib/` are found in the order of the folder."""
    module = _image_script("runner_jars")
    groups = {jar.coordinate.split(":")[0] for jar in module.chosen("cluster")}

    assert "org.apache.beam" in groups
    assert not groups & {"org.apache.flink", "org.apache.logging.log4j", "org.slf4j"}
    assert module.chosen("job-server") == pinned()


class RecordedFlink:
    """A cluster that tells its jobs as they are after each look, and remembers what was cancelled."""

    def __init__(self, *looks: list[tuple[str, str, str]]) -> None:
        self.cancelled: list[str] = []
        self._looks = [[FlinkJob(*job, 1, 1) for job in look] for look in looks]

    def jobs(self) -> list[FlinkJob]:
        return self._looks.pop(0)

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)


def test_jobs_that_a_meter_left_are_cancelled_and_no_others() -> None:
    """They have the slots that the next meter needs; another program's job on the cluster is none of ours."""
    flink = RecordedFlink(
        [("1", "tollbook-meter-aa", "RUNNING"), ("2", "another", "RUNNING"), ("3", "tollbook-meter-bb", "FAILED")],
        [("1", "tollbook-meter-aa", "CANCELED"), ("2", "another", "RUNNING")],
    )

    assert _image_script("cancel_left_jobs").cancel_left_jobs(flink) == 1
    assert flink.cancelled == ["1"]


@pytest.fixture
def pool() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The pool as the sidecar starts it, on a port that is free."""
    port = any_free(1)[0]
    command = [*_sidecar()[:-1], str(port)]
    process = subprocess.Popen(
        [sys.executable, *command[1:]], stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONWARNINGS": ""}
    )
    assert process.stderr is not None
    yield process, port
    process.kill()
    process.wait()
    process.stderr.close()


def test_the_sidecar_listens_and_ends_when_it_is_told(pool: tuple[subprocess.Popen[str], int]) -> None:
    """A pod that does not end holds up every upgrade for its grace period."""
    process, port = pool
    assert process.stderr is not None

    said = next(line for line in process.stderr if "listening" in line)
    process.send_signal(signal.SIGTERM)

    assert said.rstrip().endswith(f"listening on 127.0.0.1:{port}")
    assert process.wait(timeout=300) == 0


def test_a_sidecar_without_a_port_says_what_it_expected() -> None:
    """Its log is all that there is to see of it."""
    command = [sys.executable, "-m", "tollbook.flink.worker_pool", "--port", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "expected --port between 1 and 65535, got 'none'" in done.stderr


def _image_script(name: str) -> ModuleType:
    spec = util.spec_from_file_location(name, FLINK / "image" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _sidecar() -> list[str]:
    """Return the command of the pool, as the pod of a task manager has it."""
    cluster = yaml.safe_load((FLINK / "kubernetes" / "cluster.yaml").read_text(encoding="utf-8"))
    sidecars = cluster["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
    command: list[str] = next(each["command"] for each in sidecars if each["name"] == "worker-pool")
    return command
