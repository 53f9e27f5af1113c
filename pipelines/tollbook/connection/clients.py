"""Clients of kafka-python, made in one place: with the cluster's security, and with words for what goes wrong.

kafka-python tries a connection again until its time is over, whatever is wrong, and then says only that. Here a
refusal that trying again cannot mend ends the wait at once, and every other end names the last failure. A TLS
handshake that nobody answers ends in time too, and a client that could not be made leaves no thread or socket behind.
This rests on names that are not public (`_connect`, `_build_transport`, `_do_bootstrap`), so the version is pinned and
the tests hold each of them against a real broker.
"""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from tollbook.connection.cluster import KafkaCluster
from tollbook.connection.failures import Attempt, Failure, explain, nobody_listens
from tollbook.errors import KafkaRefusedError, KafkaUnavailableError

_WIRE_LOGGERS: Final = (
    "kafka.net.connection",
    "kafka.protocol.parser",
    "kafka.producer.kafka",
    "kafka.producer.sender",
)


def connect(make: Callable[..., Any], cluster: KafkaCluster, **options: Any) -> Any:
    """Return a connected client of a cluster.

    Args:
        make: `KafkaConsumer`, `KafkaProducer` or `KafkaAdminClient`.
        cluster: Where it is, and how to connect.
        options: Further options of kafka-python.

    Raises:
        KafkaRefusedError: Certificates, credentials or protocols do not fit.
        KafkaUnavailableError: No broker answered in time.
        MisuseError: A file of the security settings does not hold what it should.
    """
    made: list[KafkaNetClient] = []
    security = cluster.security

    def network_client(**configs: Any) -> KafkaNetClient:
        net = NetworkSelector(**configs)
        manager = _ConnectionManager(net, security.ssl_certfile is not None, security.sasl_username, **configs)
        made.append(KafkaNetClient(net=net, manager=manager, **configs))
        return made[-1]

    for name in _WIRE_LOGGERS:
        logging.getLogger(name).addFilter(_without_wire_traces)
    try:
        return make(**{**cluster.client_options(), "kafka_client": network_client, **options})
    except BaseException as failed:
        for each in made:  # a constructor that raises leaves its sockets and its network thread behind
            each.close()
        if isinstance(failed, kafka_errors.KafkaError):
            raise unavailable(cluster, failed) from failed
        raise


def unavailable(cluster: KafkaCluster, failed: BaseException) -> KafkaUnavailableError:
    """Return the error that says why a cluster cannot be used."""
    if isinstance(failed, _RefusedError):
        return KafkaRefusedError(failed.failure.message)
    if isinstance(failed, _LateError):
        return KafkaUnavailableError(
            f"expected a Kafka broker at {cluster}, none answered in time; {failed.failure.message}"
        )
    return KafkaUnavailableError(f"expected a Kafka broker at {cluster}, got {type(failed).__name__}: {failed}")


def last_failure(client: Any) -> Failure | None:
    """Return why the newest connection of a client failed, or None where it did not.

    Args:
        client: What `connect` returned.
    """
    network_client = client._client if hasattr(client, "_client") else client._sender._client
    failure: Failure | None = network_client._manager.failure
    return failure


def _without_wire_traces(record: logging.LogRecord) -> bool:
    """Keep what kafka-python traces of the wire out of every log: passwords are in it, and records."""
    return record.levelno > logging.DEBUG


class _RefusedError(kafka_errors.KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """Ends kafka-python's wait for a first connection."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure

    def __str__(self) -> str:
        return self.failure.message


class _LateError(kafka_errors.KafkaTimeoutError):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's wait for a first connection is over; it knows why the last one failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Receiving:
    """Receives in larger pieces than kafka-python, and keeps what a broker says before it closes a connection.

    kafka-python drops bytes that come together with the end of a connection, and with them why it was closed.
    """

    _received_bytes = 256 * 1024
    _sock: Any
    _held: Exception | None = None

    def _sock_recv(self) -> tuple[bytes, Exception | None]:
        """Return what has come, and the error that ended the connection once there is nothing before it."""
        if self._held is not None:
            return b"", self._held
        pieces: list[bytes] = []
        while True:
            try:
                piece = self._sock.recv(self._received_bytes)
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                self._held = kafka_errors.KafkaConnectionError(error)
                break
            if not piece:
                self._held = kafka_errors.KafkaConnectionError("the broker closed the connection")
                break
            pieces.append(piece)
        return b"".join(pieces), None if pieces else self._held


class _PlainTransport(_Receiving, KafkaTCPTransport):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's, which receives as we do."""

    async def handshake_until(self, _timeout_at: float | None) -> None:
        """Do nothing: there is no handshake."""


class _TlsTransport(_Receiving, KafkaSSLTransport):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's, which receives as we do and ends the wait for a handshake."""

    _received_bytes = 16 * 1024  # OpenSSL gives one record of TLS at a time, and Python allocates all that is asked for

    async def handshake_until(self, timeout_at: float | None) -> None:
        """Shake hands.

        Raises:
            KafkaTimeoutError: The other side did not, in time.
            OSError: It, or we, refused.
        """
        while True:
            try:
                self._sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._net.wait_read(self._sock, timeout_at=timeout_at)
            except ssl.SSLWantWriteError:
                await self._net.wait_write(self._sock, timeout_at=timeout_at)
            else:
                return


class _ConnectionManager(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's, with a memory of why connections failed.

    Attributes:
        failure: Why the newest connection failed; None once one came about.
    """

    def __init__(self, net: NetworkSelector, has_certificate: bool, user: str | None, **configs: Any) -> None:
        super().__init__(net, **configs)
        self.failure: Failure | None = None
        self._has_certificate, self._user = has_certificate, user
        self._refused: dict[Any, Failure] = {}
        self._reached: set[Any] = set()
        self._closed: Counter[Any] = Counter()

    def get_connection(self, node_id: Any, *arguments: Any, **options: Any) -> Any:
        """Return a connection; of the servers named at first one that has not refused this client.

        Raises:
            _RefusedError: All of them refused it.
            NodeNotReadyError: This one did.
        """
        if node_id in self._refused:
            named = {broker.node_id for broker in self.cluster.bootstrap_brokers()}
            if named <= self._refused.keys():
                raise _RefusedError(self._refused[node_id])
            self.update_backoff(node_id)
            raise kafka_errors.NodeNotReadyError(node_id)
        return super().get_connection(node_id, *arguments, **options)

    async def _do_bootstrap(self, deadline: float | None) -> Any:
        try:
            connected = await super()._do_bootstrap(deadline)
        except kafka_errors.KafkaTimeoutError as late:
            if self.failure is None:
                raise
            raise _LateError(self.failure) from late
        self.failure = None
        return connected

    async def _connect(self, node: Any, conn: Any, **options: Any) -> None:
        await super()._connect(node, conn, **options)
        if self.closed or not conn.init_future.is_done:
            return
        if conn.init_future.failed():
            self._note(node, conn, conn.init_future.exception)
            return
        if not self.cluster.is_bootstrap(node.node_id):
            self.failure = None
            self._closed.clear()
        conn.close_future.add_errback(partial(self._note, node, conn))

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        options, proxy = self.config["socket_options"], self.config["proxy_url"]
        sock = await create_connection(self._net, node.host, node.port, options, proxy_url=proxy, timeout_at=timeout_at)
        self._reached.add(node.node_id)
        transport = None
        try:
            if self.ssl_enabled:
                transport = _TlsTransport(self._net, sock, host=node.host, ssl_context=self.config["ssl_context"])
            else:
                transport = _PlainTransport(self._net, sock, host=node.host)
            await transport.handshake_until(timeout_at)
        except BaseException as error:
            (transport or sock).close()
            if isinstance(error, OSError | ValueError | kafka_errors.KafkaTimeoutError):
                raise kafka_errors.KafkaConnectionError(error) from error
            raise
        return transport

    def _note(self, node: Any, conn: Any, error: BaseException) -> None:
        """Remember why a connection failed, and that its server refused this client if it did."""
        if self.closed:
            return
        attempt = Attempt(
            host=node.host,
            port=node.port,
            protocol=self.config["security_protocol"],
            user=self._user,
            has_certificate=self._has_certificate,
            reached=node.node_id in self._reached,
            introduced=conn.broker_version_data is not None,
            closed_before=self._closed[node.node_id],
        )
        if attempt.introduced and not conn.sasl_enabled and not nobody_listens(error):
            self._closed[node.node_id] += 1
        self.failure = explain(attempt, error)
        if self.failure.final and self.cluster.is_bootstrap(node.node_id):
            self._refused[node.node_id] = self.failure
