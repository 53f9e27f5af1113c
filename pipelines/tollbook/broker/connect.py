"""Where Kafka is, and whether it answers."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.settings import BOOTSTRAP_VARIABLE, Settings

ADMIN_TIMEOUT_SECONDS = 15.0
_POLL_SECONDS = 0.1
_SERVER = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\]:(?P<port6>\d+)|(?P<host>[^\s:\[\]]+):(?P<port>\d+)")


def bootstrap(settings: Settings) -> str:
    """Return the Kafka servers to use, `host:port,...`: the named ones, else the embedded broker.

    Args:
        settings: Which home, and perhaps which servers.

    Raises:
        KafkaUnavailableError: None were named and the embedded broker does not run, or does not answer.
    """
    if settings.bootstrap_servers is not None:
        return settings.bootstrap_servers
    from tollbook.broker.lifecycle import Broker

    status = Broker(settings).status()
    if status.ready and status.bootstrap_servers is not None:
        return status.bootstrap_servers
    seen = f"it runs (pid {status.pid}) but does not answer yet" if status.running else "it does not"
    raise KafkaUnavailableError(
        f"expected the embedded broker of {settings.home} to run, {seen}. "
        "Start it with `tollbook broker up`, or name another Kafka by --bootstrap-servers "
        f"or {BOOTSTRAP_VARIABLE}."
    )


def cluster_of(settings: Settings) -> KafkaCluster:
    """Return the Kafka to use and how to connect to it: the named one, else the embedded broker.

    The security settings are those of the named servers; the embedded broker listens plainly, on loopback.

    Raises:
        KafkaUnavailableError: None was named and the embedded broker does not run, or does not answer.
    """
    servers = bootstrap(settings)
    return (
        KafkaCluster(servers) if settings.bootstrap_servers is None else KafkaCluster(servers, settings.kafka_security)
    )


@contextlib.contextmanager
def admin(cluster: KafkaCluster | str, *, timeout_seconds: float = ADMIN_TIMEOUT_SECONDS) -> Iterator[Any]:
    """Give a connected `kafka.KafkaAdminClient`, and close it.

    Args:
        cluster: Where Kafka is, and how to connect; servers alone mean a plain connection.
        timeout_seconds: How long to wait for the first answer.

    Raises:
        KafkaRefusedError: Certificates, credentials or protocols do not fit.
        KafkaUnavailableError: No server answered in time.
        MisuseError: The servers are not a list of `host:port`, or a file of the security settings is not as it should.
    """
    cluster = KafkaCluster(cluster) if isinstance(cluster, str) else cluster
    deadline = time.monotonic() + timeout_seconds
    _wait_until_reachable(cluster.servers, timeout_seconds)
    from kafka import KafkaAdminClient

    from tollbook.connection.clients import connect

    remaining_ms = max(1, int((deadline - time.monotonic()) * 1000))
    client = connect(KafkaAdminClient, cluster, bootstrap_timeout_ms=remaining_ms)
    try:
        yield client
    finally:
        client.close()


def answers(cluster: KafkaCluster | str, *, timeout_seconds: float, cluster_id: str | None = None) -> bool:
    """Return whether a cluster answers with a controller and a broker, the sign that records can be sent.

    Args:
        cluster: Where Kafka is, and how to connect; servers alone mean a plain connection.
        timeout_seconds: How long to wait for the first answer.
        cluster_id: The cluster that is meant; another one's answer does not count. None takes any.
    """
    from kafka.errors import KafkaError

    try:
        with admin(cluster, timeout_seconds=timeout_seconds) as client:
            told = client.describe_cluster()
    except (KafkaUnavailableError, KafkaError):
        return False
    if cluster_id is not None and told["cluster_id"] != cluster_id:
        return False
    return bool(told["brokers"]) and told["controller_id"] >= 0


def addresses(servers: str) -> tuple[tuple[str, int], ...]:
    """Return host and port of each of `servers`.

    Raises:
        MisuseError: One of them is not `host:port`.
    """
    found = []
    for server in servers.split(","):
        match = _SERVER.fullmatch(server.strip())
        if match is None:
            raise MisuseError(
                f"expected Kafka servers as host:port,... (--bootstrap-servers or {BOOTSTRAP_VARIABLE}), "
                f"got {servers!r}"
            )
        found.append((match["v6"] or match["host"], int(match["port6"] or match["port"])))
    return tuple(found)


def _wait_until_reachable(servers: str, timeout_seconds: float) -> None:
    """Return once one of the servers accepts connections.

    kafka-python would wait as well, but it says only that time ran out, and leaks a socket at each refusal.
    """
    deadline = time.monotonic() + timeout_seconds
    targets = addresses(servers)
    while True:
        failures = []
        for host, port in targets:
            remaining = max(0.1, deadline - time.monotonic())
            try:
                socket.create_connection((host, port), timeout=remaining).close()
            except OSError as error:
                failures.append(f"{host}:{port}: {error.strerror or error}")
            else:
                return
        if time.monotonic() > deadline:
            raise KafkaUnavailableError(
                f"expected a Kafka broker at {servers}, none accepted a connection "
                f"within {timeout_seconds:g} s ({'; '.join(failures)})"
            )
        time.sleep(_POLL_SECONDS)
