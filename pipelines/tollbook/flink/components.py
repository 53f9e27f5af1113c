"""The processes of the cluster: what each is, how it is started, and by what it is found again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tollbook.flink.configuration import (
    LOG4J,
    MEMORY,
    Ports,
    flink_configuration,
    jvm_options,
    zookeeper_configuration,
)
from tollbook.services.ports import HOST

ZOOKEEPER = "zookeeper"
JOB_MANAGER = "job manager"
WORKER_POOL = "worker pool"
JOB_SERVER = "job server"

JARS = Path("gradle", "wrapper")
"""Folder of the jars below the cluster's. Beam's job server uploads its class path with every job, 165 MB in half a
minute, although the cluster has the same jars; only what has `gradle/wrapper` in its path is left out (Source: Beam,
`PipelineResources.isStageable`. Read 2026-11-26)."""

_ZOOKEEPER_MAIN = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.ZooKeeperServerMain"
_JOB_MANAGER_MAIN = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER_MAIN = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_JOB_SERVER_MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"


@dataclass(frozen=True, slots=True)
class Component:
    """One process of the cluster.

    Attributes:
        name: What it is, in words.
        arguments: Its command line after the Java, or after the Python; the last ones are its alone.
        python: Whether it is Python.
        log: Its log file.
        output: What it prints; of the worker pool, its log.
        ports: The ports that it listens on, by what they are for.
        unique: How many of the last arguments no other process ends with.
    """

    name: str
    arguments: tuple[str, ...]
    python: bool
    log: Path
    output: Path
    ports: Mapping[str, int]
    unique: int

    @property
    def tail(self) -> tuple[str, ...]:
        """The last arguments, by which the process is found."""
        return self.arguments[-self.unique :]

    def command(self, java: Path) -> list[str]:
        """Return the whole command, to be run in the cluster's folder.

        Class path and temporary folder are relative, as a home may have a colon in its name, and the locale is UTF-8,
        as it may have letters outside ASCII.
        """
        program = sys.executable if self.python else str(java)
        conf = self.log.parents[1] / "conf"
        return ["/usr/bin/env", "LC_ALL=C.UTF-8", f"FLINK_CONF_DIR={conf}", program, *self.arguments]


def task_manager(number: int) -> str:
    """Return the name of the task manager with a number, from 1."""
    return f"task manager {number}"


def task_manager_number(name: str) -> int | None:
    """Return the number of the task manager with this name, or None when it names another process."""
    before, _, number = name.rpartition(" ")
    return int(number) if before == "task manager" else None


def components(folder: Path, ports: Ports, *, task_managers: int) -> tuple[Component, ...]:
    """Return every process of the cluster in the order in which they are started.

    Args:
        folder: The cluster's folder, absolute, without symlinks.
        ports: Its ports.
        task_managers: How many task managers it has.
    """

    def of_java(name: str, main: str, arguments: tuple[str, ...], *, unique: int, **options: int) -> Component:
        log = name.replace(" ", "-")
        return Component(
            name=name,
            arguments=(*jvm_options(class_path=f"{JARS}/*", log=log, **options), main, *arguments),
            python=False,
            log=folder / "logs" / f"{log}.log",
            output=folder / "logs" / f"{log}.out",
            ports=listening.get(name, {}),
            unique=unique,
        )

    listening = {
        ZOOKEEPER: {"ZooKeeper": ports.zookeeper},
        JOB_MANAGER: {"REST": ports.rest, "RPC": ports.rpc},
        JOB_SERVER: {"job": ports.job, "artifact": ports.artifact},
        WORKER_POOL: {"worker pool": ports.worker_pool},
    }
    job_server_arguments = (
        "--job-host", HOST, "--job-port", str(ports.job), "--artifact-port", str(ports.artifact),
        "--expansion-port", "-1", "--flink-master", f"{HOST}:{ports.rest}", "--flink-conf-dir", str(folder / "conf"),
        "--artifacts-dir", str(folder / "artifacts"),
    )  # fmt: skip
    conf = folder / "conf"
    log = folder / "logs" / "worker-pool.log"
    direct = MEMORY.framework_off_heap + MEMORY.task_off_heap + MEMORY.network
    heap = MEMORY.framework_heap + MEMORY.task_heap
    return (
        of_java(ZOOKEEPER, _ZOOKEEPER_MAIN, (str(conf / "zoo.cfg"),), unique=2, heap_mib=64, metaspace_mib=64),
        of_java(JOB_MANAGER, _JOB_MANAGER_MAIN, ("--configDir", str(conf)), unique=3, heap_mib=320),
        *(
            of_java(
                task_manager(number),
                _TASK_MANAGER_MAIN,
                ("--configDir", str(conf), "-D", f"taskmanager.resource-id=tm-{number}"),
                unique=5, heap_mib=heap, direct_mib=direct,
            )
            for number in range(1, task_managers + 1)
        ),
        Component(
            name=WORKER_POOL,
            arguments=("-m", "tollbook.flink.worker_pool", str(folder)),
            python=True,
            log=log,
            output=log,
            ports=listening[WORKER_POOL],
            unique=3,
        ),
        of_java(JOB_SERVER, _JOB_SERVER_MAIN, job_server_arguments, unique=2, heap_mib=256),
    )  # fmt: skip


def write_configuration(folder: Path, ports: Ports, *, slots: int, checkpoint_milliseconds: int) -> None:
    """Write what the processes read when they start, and make their folders."""
    for name in ("conf", "logs", "tmp", "ha", "checkpoints", "savepoints", "artifacts", "zookeeper"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = flink_configuration(folder, ports, slots=slots, checkpoint_milliseconds=checkpoint_milliseconds)
    (folder / "conf" / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "conf" / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
    zookeeper = zookeeper_configuration(Path("zookeeper"), ports.zookeeper)
    (folder / "conf" / "zoo.cfg").write_text(zookeeper, encoding="ascii")
