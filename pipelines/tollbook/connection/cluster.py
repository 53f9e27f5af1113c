"""A Kafka to connect to: where it is, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tollbook.connection.security import PLAIN_CONNECTION, KafkaSecurity


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """Where a Kafka is and how to connect to it. It can be compared, hashed and pickled; its text is its servers.

    Attributes:
        servers: Kafka servers, `host:port,...`.
        security: How to connect.
    """

    servers: str
    security: KafkaSecurity = PLAIN_CONNECTION

    def __str__(self) -> str:
        return self.servers

    def client_options(self) -> dict[str, Any]:
        """Return kafka-python's options: servers and security. They hold the password and are not kept.

        Raises:
            MisuseError: A file of the security settings does not hold what it should.
        """
        servers = [server.strip() for server in self.servers.split(",")]
        return {"bootstrap_servers": servers, **self.security.client_options()}
