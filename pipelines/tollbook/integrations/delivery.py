"""Records from a tool's process to Kafka: the tool only puts them into memory, one thread of ours does the rest.

While the broker is away, or memory is full, they wait in the spool and go out later, oldest first. A record may reach
Kafka twice, when an acknowledgement was late; the ledger counts it once by its identity. `put` neither waits for the
broker nor raises. A process killed outright loses what its thread has not taken from memory yet, some milliseconds'
worth, and what it has handed to a broker that has not answered yet; the spool it does not lose.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from tollbook.errors import KafkaRefusedError, MisuseError
from tollbook.integrations.settings import DeliverySettings
from tollbook.integrations.spool import Spool

FORMAT_HEADER: Final = "tollbook-format"
_BATCH_RECORDS: Final = 1_000
_WAKE_SECONDS: Final = 0.2
_ADOPT_SECONDS: Final = 30.0
_TELL_EVERY_SECONDS: Final = 10.0
_CONNECT_MS: Final = 10_000
_LINGER_MS: Final = 5
_GRACE_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.05
_log: Final = logging.getLogger("tollbook.integrations")


class Delivery:
    """Delivers the records of one process to one topic. Any thread may put.

    Attributes:
        delivered: Records that the broker acknowledged.
        spooled: Records that had to wait on disk.
    """

    def __init__(self, settings: DeliverySettings, *, format_name: str) -> None:
        self.delivered = 0
        self.spooled = 0
        self._settings = settings
        self._headers = [(FORMAT_HEADER, format_name.encode())]
        self._queue: deque[bytes] = deque()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Condition()
        self._pid = os.getpid()
        self._in_hand = False
        self._producer: Any = None
        self._connector: threading.Thread | None = None
        self._told_error_at: float | None = None
        self._away_until = 0.0
        self._told_away = False
        self._told_refusal = ""
        self._adopted_at = time.monotonic()
        self.spool = Spool(
            settings.spool,
            most_bytes=settings.spool_bytes,
            segment_bytes=settings.segment_bytes,
            fsync_seconds=settings.fsync_seconds,
        )
        self._thread = threading.Thread(target=self._run, name="tollbook-delivery", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def is_ours(self) -> bool:
        """Whether this process made it; a forked child needs one of its own."""
        return self._pid == os.getpid()

    @property
    def dropped(self) -> int:
        """Records that were lost for want of room on disk."""
        return self.spool.dropped

    def put(self, value: bytes) -> None:
        """Take a record. It returns at once: at most it writes to a file."""
        if self._stop.is_set() or len(self._queue) >= self._settings.queue_records:
            self.spooled += 1
            self.spool.append([value])
            return
        self._queue.append(value)
        if not self._wake.is_set():
            self._wake.set()

    def settle(self, timeout_seconds: float) -> bool:
        """Wait until nothing is in memory or in the spool, and say whether it came to that."""
        deadline = time.monotonic() + timeout_seconds
        with self._idle:
            return self._idle.wait_for(self._settled, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Deliver what is in memory within the bounded wait of the settings, and spool the rest."""
        if not self.is_ours:
            return
        atexit.unregister(self.close)
        self._stop.set()
        self._wake.set()
        self._thread.join(self._settings.exit_seconds + self._settings.acknowledge_seconds)
        self._to_spool(self._taken())
        self.spool.close()

    def _settled(self) -> bool:
        return not self._queue and not self._in_hand and not self.spool.waiting

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_WAKE_SECONDS)
            self._wake.clear()
            try:
                self._step()
            except Exception:  # noqa: BLE001 - the thread must outlive whatever a broker or a disk does
                now = time.monotonic()
                if self._told_error_at is None or now - self._told_error_at > _TELL_EVERY_SECONDS:
                    self._told_error_at = now
                    _log.exception("tollbook: delivery goes on after an error")
        with contextlib.suppress(Exception):
            self._finish(time.monotonic() + self._settings.exit_seconds)
        self._to_spool(self._taken())
        self._disconnect(1.0)

    def _finish(self, deadline: float) -> None:
        """Deliver what is left, unless the broker is known to be away; a short program has not met it yet."""
        while (self._queue or self.spool.waiting) and not self._told_away and time.monotonic() < deadline:
            if not self._reachable():
                self._wake.wait(_POLL_SECONDS)
                self._wake.clear()
            elif self.spool.waiting:
                self._to_spool(self._taken())
                self._drain_file()
            else:
                self._deliver(self._taken(), max(_POLL_SECONDS, deadline - time.monotonic()))

    def _step(self) -> None:
        """Take what is in memory to Kafka or the spool, then let the spool go out, oldest first."""
        while self._queue:
            values = self._taken()
            if self.spool.waiting or not self._reachable():
                self._to_spool(values)
            else:
                self._deliver(values, self._settings.acknowledge_seconds)
        self.spool.sync()
        if time.monotonic() - self._adopted_at > _ADOPT_SECONDS:
            self._adopted_at = time.monotonic()
            self.spool.adopt()
        while not self._stop.is_set() and self.spool.waiting and self._reachable() and self._drain_file():
            while self._queue and self.spool.waiting:
                self._to_spool(self._taken())
        with self._idle:
            if self._settled():
                self._idle.notify_all()

    def _taken(self) -> list[bytes]:
        """Return a batch from memory. It is in hand until `_to_spool` has what is left of it."""
        self._in_hand = True
        return [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_RECORDS))]

    def _to_spool(self, values: Sequence[bytes]) -> None:
        if values:
            self.spooled += len(values)
            self.spool.append(values)
        self._in_hand = False

    def _deliver(self, values: Sequence[bytes], timeout_seconds: float) -> None:
        """Send records; those that are not acknowledged in time wait in the spool."""
        self._to_spool(self._send(values, timeout_seconds))

    def _drain_file(self) -> bool:
        """Send a spool file's records and delete it if all of them arrived. Say whether they did."""
        oldest = self.spool.oldest()
        if oldest is None:
            return False
        file, values = oldest
        for start in range(0, len(values), _BATCH_RECORDS):
            if self._send(values[start : start + _BATCH_RECORDS], self._settings.acknowledge_seconds):
                return False
            self._to_spool(self._taken())
        self.spool.delivered(file)
        return True

    def _send(self, values: Sequence[bytes], timeout_seconds: float) -> list[bytes]:
        """Send records and return those that were not acknowledged, in order."""
        from kafka.errors import KafkaError, MessageSizeTooLargeError

        deadline = time.monotonic() + timeout_seconds
        futures: list[Any] = []
        waiting: list[bytes] = []
        failure: Exception | None = None
        for value in values:
            try:
                futures.append(self._producer.send(self._settings.topic, value=value, headers=self._headers))
            except MessageSizeTooLargeError as error:
                futures.append(None)
                self.spool.refuse(value, str(error))
            except KafkaError as error:
                failure = error
                break
        for value, future in zip(values, futures, strict=False):
            if future is None:
                continue
            if failure is not None and not future.is_done:
                waiting.append(value)
                continue
            try:
                future.get(timeout=max(0.001, deadline - time.monotonic()))
            except MessageSizeTooLargeError as error:
                self.spool.refuse(value, str(error))
            except KafkaError as error:
                failure = error
                waiting.append(value)
            else:
                self.delivered += 1
        if failure is not None:
            self._lost(failure)
        return [*waiting, *values[len(futures) :]]

    def _reachable(self) -> bool:
        """Say whether there is a producer to send by. If not, another thread looks for the broker, now and then."""
        if self._producer is not None:
            return True
        if self._settings.bootstrap_servers is None:
            if not self._told_away:
                self._told_away = True
                _log.warning("tollbook: no Kafka is named, so records wait in %s", self._settings.spool)
        elif time.monotonic() >= self._away_until and (self._connector is None or not self._connector.is_alive()):
            self._connector = threading.Thread(target=self._connect, name="tollbook-connect", daemon=True)
            self._connector.start()
            self._connector.join(_GRACE_SECONDS)
        return self._producer is not None

    def _connect(self) -> None:
        """Make a producer, once the topic's partitions are known."""
        from kafka import KafkaProducer

        from tollbook.connection.clients import connect
        from tollbook.connection.cluster import KafkaCluster

        servers = self._settings.bootstrap_servers or ""
        options = {
            "bootstrap_timeout_ms": _CONNECT_MS,
            "max_block_ms": _CONNECT_MS,
            "request_timeout_ms": _CONNECT_MS,
            "delivery_timeout_ms": 2 * _CONNECT_MS,
            "linger_ms": _LINGER_MS,
            "batch_size": 256 * 1024,
            "max_request_size": 16 * 1024 * 1024,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            **self._settings.kafka_options,
        }
        producer = None
        try:
            cluster = KafkaCluster(servers, self._settings.kafka_security)
            producer = connect(KafkaProducer, cluster, acks="all", enable_idempotence=True, **options)
            producer.partitions_for(self._settings.topic)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, records wait and it is tried again
            self._away(error)
            if producer is not None:
                _close(producer, 0.0)
            return
        if self._told_away:
            _log.warning("tollbook: Kafka at %s answers again", servers)
        self._told_away = False
        with contextlib.suppress(RuntimeError):  # at the end of the process it is too late to register, and of no use
            atexit.unregister(self.close)
            atexit.register(self.close)  # last registered, first called: before kafka-python closes the producer
        self._producer = producer
        self._wake.set()

    def _away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + self._settings.retry_seconds
        refused = str(error) if isinstance(error, KafkaRefusedError | MisuseError) else ""
        if not self._told_away or (refused and refused != self._told_refusal):
            self._told_away, self._told_refusal = True, refused
            where, what = self._settings.bootstrap_servers, type(error).__name__
            _log.warning(
                "tollbook: Kafka at %s is away (%s: %s); records wait in %s", where, what, error, self._settings.spool
            )

    def _lost(self, error: Exception) -> None:
        """Let go of the producer, with what it still holds: those records go to the spool."""
        self._away(error)
        self._disconnect(0.0)

    def _disconnect(self, timeout_seconds: float) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _close(producer, timeout_seconds)


def _close(producer: Any, timeout_seconds: float) -> None:
    """Close a producer, also one whose records cannot be delivered: there kafka-python 3.0.12 gives up and stays."""
    from kafka.errors import KafkaError

    try:
        producer.close(timeout=timeout_seconds)
    except KafkaError:
        producer._sender.force_close()
        producer._closed = True
