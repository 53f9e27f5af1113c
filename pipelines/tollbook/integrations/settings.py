"""Settings of what runs inside another tool: that tool's environment is all there is to set them by."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tollbook.connection.security import PLAIN_CONNECTION, KafkaSecurity
from tollbook.errors import MisuseError
from tollbook.settings import BOOTSTRAP_VARIABLE, DEFAULT_HOME, HOME_VARIABLE, kafka_security_told

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How records reach Kafka, and where they wait while it is away.

    Attributes:
        topic: Where they go. `TOLLBOOK_TOPIC`.
        spool: Folder where they wait. `TOLLBOOK_SPOOL`, by default `spool/<topic>` in `TOLLBOOK_HOME`.
        bootstrap_servers: Kafka servers, `host:port,...`. `TOLLBOOK_BOOTSTRAP_SERVERS`. Without any, records wait in
            the spool for a process that knows them.
        queue_records: Most records in memory. `TOLLBOOK_QUEUE_RECORDS`.
        spool_bytes: Most bytes on disk; beyond it records are dropped, counted and logged. `TOLLBOOK_SPOOL_BYTES`.
        segment_bytes: Size at which a spool file is closed and the next begins.
        fsync_seconds: A spooled record is on the disk itself, safe from a power cut, after at most this long. A killed
            process loses none. `TOLLBOOK_SPOOL_FSYNC_SECONDS`.
        acknowledge_seconds: How long to wait for the broker before records go to the spool.
        retry_seconds: How long to leave a broker that is away alone.
        exit_seconds: How long the end of the process waits for the broker. `TOLLBOOK_EXIT_SECONDS`.
        kafka_security: How to connect, by the same variables as everywhere in Tollbook: `TOLLBOOK_KAFKA_...`.
        kafka_options: Further options of kafka-python's producer, which go before all others.
            `TOLLBOOK_KAFKA_OPTIONS`, a JSON object. They may hold a password and are not shown.
    """

    topic: str
    spool: Path
    bootstrap_servers: str | None = None
    queue_records: int = 10_000
    spool_bytes: int = 1024 * _MIB
    segment_bytes: int = 8 * _MIB
    fsync_seconds: float = 1.0
    acknowledge_seconds: float = 2.0
    retry_seconds: float = 1.0
    exit_seconds: float = 5.0
    kafka_security: KafkaSecurity = PLAIN_CONNECTION
    kafka_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, topic: str) -> DeliverySettings:
        """Return the settings of this process.

        Args:
            topic: Topic to use where the environment names none.

        Raises:
            MisuseError: A variable holds something else than it should.
        """
        topic = os.environ.get("TOLLBOOK_TOPIC") or topic
        home = Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().absolute()
        spool = os.environ.get("TOLLBOOK_SPOOL")
        return cls(
            topic=topic,
            spool=Path(spool).expanduser().absolute() if spool else home / "spool" / topic,
            bootstrap_servers=os.environ.get(BOOTSTRAP_VARIABLE) or None,
            queue_records=int(_number("TOLLBOOK_QUEUE_RECORDS", 10_000)),
            spool_bytes=int(_number("TOLLBOOK_SPOOL_BYTES", 1024 * _MIB)),
            fsync_seconds=_number("TOLLBOOK_SPOOL_FSYNC_SECONDS", 1.0),
            exit_seconds=_number("TOLLBOOK_EXIT_SECONDS", 5.0),
            kafka_security=kafka_security_told(),
            kafka_options=_options("TOLLBOOK_KAFKA_OPTIONS"),
        )


def _number(name: str, default: float) -> float:
    told = os.environ.get(name)
    try:
        number = float(told) if told else default
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise MisuseError(f"expected {name} to be a number of zero or more, got {told!r}")
    return number


def _options(name: str) -> dict[str, Any]:
    told = os.environ.get(name)
    try:
        options = json.loads(told) if told else {}
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise MisuseError(f"expected {name} to be a JSON object of kafka-python's options, got something else")
    return options
