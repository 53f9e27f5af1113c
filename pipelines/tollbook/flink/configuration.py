"""What Flink's processes are told: configuration, memory, and how they log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tollbook.services.ports import HOST

HEARTBEAT_MILLISECONDS = 2_000
HEARTBEAT_TIMEOUT_MILLISECONDS = 10_000
SESSION_TIMEOUT_MILLISECONDS = 5_000
ZOOKEEPER_TICK_MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class TaskManagerMemory:
    """Memory of one task manager, in MiB; what Flink's own start scripts would compute. 736 MiB in all."""

    framework_heap: int = 64
    task_heap: int = 320
    framework_off_heap: int = 64
    task_off_heap: int = 32
    network: int = 32
    managed: int = 32
    metaspace: int = 128
    overhead: int = 64


MEMORY = TaskManagerMemory()

_OPENED = (
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
)
"""Source: `env.java.opts.all` of the `config.yaml` that Flink 1.19 ships for Java 17. Read 2026-11-26."""

_SMALL_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of the cluster, all on loopback.

    Attributes:
        rest: Flink's REST interface and its web page.
        rpc: Where task managers find the job manager.
        zookeeper: Where both find who leads.
        job: Beam's job service, which takes pipelines.
        artifact: Beam's artifact service, beside it.
        worker_pool: Where task managers ask for Python workers.
    """

    rest: int
    rpc: int
    zookeeper: int
    job: int
    artifact: int
    worker_pool: int


def flink_configuration(folder: Path, ports: Ports, *, slots: int, checkpoint_milliseconds: int) -> str:
    """Return `config.yaml`, the same for every process and for Beam's job server.

    Args:
        folder: The cluster's folder, absolute.
        ports: Its ports.
        slots: How many tasks of each step one task manager runs at once.
        checkpoint_milliseconds: How often a job's state is checkpointed.
    """
    mib = {name: f"{getattr(MEMORY, name)}m" for name in TaskManagerMemory.__slots__}
    settings: dict[str, object] = {
        "blob.storage.directory": str(folder / "tmp"),
        "classloader.resolve-order": "parent-first",  # else IllegalAccessError between copies of Beam's own gRPC
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.interval": f"{checkpoint_milliseconds} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.timeout": "2 min",
        "heartbeat.interval": HEARTBEAT_MILLISECONDS,
        "heartbeat.timeout": HEARTBEAT_TIMEOUT_MILLISECONDS,
        "high-availability.cluster-id": "/tollbook",
        "high-availability.storageDir": f"file://{folder}/ha",
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.client.session-timeout": SESSION_TIMEOUT_MILLISECONDS,
        "high-availability.zookeeper.quorum": f"{HOST}:{ports.zookeeper}",
        "high-availability.jobmanager.port": str(ports.rpc),
        "io.tmp.dirs": str(folder / "tmp"),
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.enable-jvm-direct-memory-limit": False,
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": ports.rpc,
        "parallelism.default": 1,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.bind-port": str(ports.rest),
        "rest.port": ports.rest,
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        "restart-strategy.type": "exponential-delay",
        "state.backend.type": "hashmap",
        "state.checkpoints.dir": f"file://{folder}/checkpoints",
        "state.checkpoints.num-retained": 3,
        "state.savepoints.dir": f"file://{folder}/savepoints",
        "taskmanager.bind-host": HOST,
        "taskmanager.cpu.cores": float(slots),
        "taskmanager.host": HOST,
        "taskmanager.memory.framework.heap.size": mib["framework_heap"],
        "taskmanager.memory.framework.off-heap.size": mib["framework_off_heap"],
        "taskmanager.memory.jvm-metaspace.size": mib["metaspace"],
        "taskmanager.memory.jvm-overhead.max": mib["overhead"],
        "taskmanager.memory.jvm-overhead.min": mib["overhead"],
        "taskmanager.memory.managed.size": mib["managed"],
        "taskmanager.memory.network.max": mib["network"],
        "taskmanager.memory.network.min": mib["network"],
        "taskmanager.memory.task.heap.size": mib["task_heap"],
        "taskmanager.memory.task.off-heap.size": mib["task_off_heap"],
        "taskmanager.numberOfTaskSlots": slots,
        "web.tmpdir": str(folder / "tmp"),
        "zookeeper.sasl.disable": True,
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in sorted(settings.items())]
    return "\n".join(["# Written by `tollbook flink up`; changes are lost at the next one.", *lines, ""])


def zookeeper_configuration(folder: Path, port: int) -> str:
    """Return `zoo.cfg` of a single ZooKeeper on loopback.

    Args:
        folder: Where it keeps its data, relative to its working folder: the file is read as Latin-1.
        port: Its client port.
    """
    return "\n".join(
        [
            "# Written by `tollbook flink up`; changes are lost at the next one.",
            "admin.enableServer=false",
            "autopurge.purgeInterval=1",
            "autopurge.snapRetainCount=3",
            f"clientPort={port}",
            f"clientPortAddress={HOST}",
            f"dataDir={folder}",
            f"tickTime={ZOOKEEPER_TICK_MILLISECONDS}",
            "",
        ]
    )


def jvm_options(
    *, class_path: str, log: str, heap_mib: int, direct_mib: int | None = None, metaspace_mib: int = 128
) -> list[str]:
    """Return the options of one JVM of the cluster, which runs in the cluster's folder.

    Args:
        class_path: Its class path, relative to the cluster's folder.
        log: Name of its log file, without the ending.
        heap_mib: Its largest heap.
        direct_mib: Most memory outside of the heap that it may ask for itself; None leaves that to the JVM.
        metaspace_mib: Most memory for classes.
    """
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED]
    direct = [] if direct_mib is None else [f"-XX:MaxDirectMemorySize={direct_mib}m"]
    return [
        f"-Xmx{heap_mib}m",
        f"-XX:MaxMetaspaceSize={metaspace_mib}m",
        *direct,
        *_SMALL_JVM,
        *opened,
        "-Djava.awt.headless=true",
        "-Djava.io.tmpdir=tmp",
        "-Dlog4j2.configurationFile=conf/log4j2.properties",
        f"-Dlog.file=logs/{log}.log",
        "-cp",
        class_path,
    ]


LOG4J = """\
# Written by `tollbook flink up`. Files of at most 10 MB, three old ones kept of each process.
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %p %m (%c{1})%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
logger.zookeeper.name = org.apache.flink.shaded.zookeeper3
logger.zookeeper.level = warn
logger.curator.name = org.apache.flink.shaded.curator5
logger.curator.level = warn
"""
