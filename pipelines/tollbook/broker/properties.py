"""The broker's settings: what every Tollbook Kafka shares, and what only the embedded one needs."""

from __future__ import annotations

from tollbook.services.ports import HOST

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

COMMON: dict[str, str] = {
    "auto.create.topics.enable": "false",
    "controller.listener.names": "CONTROLLER",
    "default.replication.factor": "1",
    "group.initial.rebalance.delay.ms": "0",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    "min.insync.replicas": "1",
    "node.id": "1",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "process.roles": "broker,controller",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
}
"""Settings of a single broker, the same in `infra/compose`; a test compares the two."""

SMALL: dict[str, str] = {
    "background.threads": "2",
    "broker.heartbeat.interval.ms": "1000",
    "broker.session.timeout.ms": "5000",  # killed, it registers again only after its old session ended
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "num.io.threads": "4",
    "num.network.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
}
"""Settings that keep the embedded broker small and its return after a kill quick."""

JVM_OPTIONS: tuple[str, ...] = (
    "-Xmx512m",
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.io.tmpdir=tmp",
    "-Dlog4j2.configurationFile=log4j2.properties",
)
"""About 170 MiB resident and 3 s to start. A broker out of memory exits: half dead it would be worse."""


def server_properties(*, log_dirs: str, port: int, controller_port: int) -> str:
    """Return `server.properties` of the embedded broker.

    Args:
        log_dirs: Folder of Kafka's log segments, relative to the broker's working folder: Kafka splits this
            setting at commas and reads the file as Latin-1, so no path of the user's may stand in it.
        port: Port of the client listener on loopback.
        controller_port: Port of the KRaft controller listener on loopback.
    """
    client, controller = f"{HOST}:{port}", f"{HOST}:{controller_port}"
    own = {
        "advertised.listeners": f"PLAINTEXT://{client}",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "log.dirs": log_dirs,
    }
    lines = [f"{key}={value}" for key, value in sorted((COMMON | SMALL | own).items())]
    return "\n".join(["# Written by `tollbook broker up`; changes are lost at the next one.", *lines, ""])


LOG4J = """\
# Written by `tollbook broker up`. One file of at most 10 MB, three old ones kept.
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = logs/server.log
appender.file.filePattern = logs/server.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %p %m (%c{1})%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""
