"""Clients against a real Kafka with secured listeners: who gets in, and what is said to who does not."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from tollbook.broker.connect import admin, answers
from tollbook.broker.machine import examine
from tollbook.connection.clients import connect, last_failure
from tollbook.connection.cluster import KafkaCluster
from tollbook.connection.failures import MANY_CLOSED, explain
from tollbook.connection.security import HiddenText, KafkaSecurity, Secret
from tollbook.errors import KafkaRefusedError, KafkaUnavailableError, MisuseError
from tollbook.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipelines.connection.conftest import Authority, SecureKafka

Made = Callable[["SecureKafka", "Authority"], KafkaCluster]
CLIENTS = (KafkaAdminClient, KafkaConsumer, KafkaProducer)
WAIT_MS = 300_000
"""Far longer than any refusal takes: a test that waited for it would show."""


def _named_by_address(servers: str) -> str:
    return servers.replace("localhost", "127.0.0.1")


def _without_tls(kafka: SecureKafka, **changes: Any) -> KafkaSecurity:
    return kafka.by_password(protocol="SASL_PLAINTEXT", ssl_cafile=None, **changes)


LET_IN: dict[str, Made] = {
    "SCRAM-SHA-512": lambda kafka, _: KafkaCluster(kafka.scram, kafka.by_password()),
    "SCRAM-SHA-256": lambda kafka, _: KafkaCluster(kafka.scram, kafka.by_password(sasl_mechanism="SCRAM-SHA-256")),
    "PLAIN": lambda kafka, _: KafkaCluster(kafka.scram, kafka.by_plain_password()),
    "mTLS": lambda kafka, _: KafkaCluster(kafka.mtls, kafka.by_certificate()),
    "SCRAM without TLS": lambda kafka, _: KafkaCluster(kafka.clear, _without_tls(kafka)),
    "plain": lambda kafka, _: KafkaCluster(kafka.plain),
    "another name, not checked": lambda kafka, _: KafkaCluster(
        _named_by_address(kafka.scram), kafka.by_password(ssl_check_hostname=False)
    ),
    "one server of two refuses": lambda kafka, _: KafkaCluster(
        f"{kafka.expired}, {kafka.mtls}", kafka.by_certificate()
    ),
}

REFUSED: dict[str, tuple[Made, str]] = {
    "wrong password": (
        lambda kafka, _: KafkaCluster(
            kafka.scram, kafka.by_password(sasl_password=Secret("told", HiddenText("wrong-horse")))
        ),
        r"to let the user 'meter,eu=1' in, it refused: wrong user name or password",
    ),
    "wrong password, PLAIN": (
        lambda kafka, _: KafkaCluster(
            kafka.scram, kafka.by_plain_password(sasl_password=Secret("told", HiddenText("wrong-horse")))
        ),
        r"to let the user 'clear' in, it refused: wrong user name or password",
    ),
    "unknown user": (
        lambda kafka, _: KafkaCluster(kafka.scram, kafka.by_password(sasl_username="nobody")),
        r"to let the user 'nobody' in, it refused",
    ),
    "mechanism not offered": (
        lambda kafka, _: KafkaCluster(kafka.clear, _without_tls(kafka, sasl_mechanism="SCRAM-SHA-256")),
        r"to offer the mechanism that TOLLBOOK_KAFKA_SASL_MECHANISM names",
    ),
    "untrusted authority": (
        lambda kafka, stranger: KafkaCluster(kafka.scram, kafka.by_password(ssl_cafile=stranger.ca)),
        r"a certificate that is trusted, got one of an authority that is not: .*TOLLBOOK_KAFKA_SSL_CAFILE",
    ),
    "authorities of the system": (
        lambda kafka, _: KafkaCluster(kafka.scram, kafka.by_password(ssl_cafile=None)),
        r"a certificate that is trusted, got one of an authority that is not: .*TOLLBOOK_KAFKA_SSL_CAFILE",
    ),
    "wrong host name": (
        lambda kafka, _: KafkaCluster(_named_by_address(kafka.scram), kafka.by_password()),
        r"to have a certificate for 127\.0\.0\.1, it has one for other names",
    ),
    "expired certificate of the server": (
        lambda kafka, _: KafkaCluster(kafka.expired, kafka.by_certificate()),
        r"a certificate that is trusted, got one that has expired",
    ),
    "no certificate of the client": (
        lambda kafka, _: KafkaCluster(
            kafka.mtls, KafkaSecurity(protocol="SSL", ssl_cafile=kafka.authority.ca)
        ),
        r"to take a certificate of this client, there is none: set TOLLBOOK_KAFKA_SSL_CERTFILE",
    ),
    "a stranger's certificate of the client": (
        lambda kafka, stranger: KafkaCluster(kafka.mtls, kafka.by_certificate(**_issued(stranger, "guest"))),
        r"it refused the one in TOLLBOOK_KAFKA_SSL_CERTFILE: .*authority",
    ),
    "expired certificate of the client": (
        lambda kafka, _: KafkaCluster(
            kafka.mtls, kafka.by_certificate(**_issued(kafka.authority, "late", days=(-3, -1)))
        ),
        r"it refused the one in TOLLBOOK_KAFKA_SSL_CERTFILE: .*expired",
    ),
    "plain client at a port of TLS": (
        lambda kafka, _: KafkaCluster(kafka.mtls),
        r"connections without TLS, it speaks TLS only: set TOLLBOOK_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL",
    ),
    "user without TLS at a port of TLS": (
        lambda kafka, _: KafkaCluster(kafka.scram, _without_tls(kafka)),
        r"connections without TLS, it speaks TLS only: set TOLLBOOK_KAFKA_SECURITY_PROTOCOL to SASL_SSL",
    ),
    "TLS at a plain port": (
        lambda kafka, _: KafkaCluster(kafka.plain, kafka.by_certificate()),
        r"to speak TLS, it does not on this port: .*\(it answers without TLS\)",
    ),
    "TLS without a user at a port of SASL": (
        lambda kafka, _: KafkaCluster(
            kafka.scram, KafkaSecurity(protocol="SSL", ssl_cafile=kafka.authority.ca)
        ),
        r"a broker that asks for a user closes the connection so: then .* must be SASL_SSL, it is SSL",
    ),
    "plain client at a port of SASL": (
        lambda kafka, _: KafkaCluster(kafka.clear),
        r"a broker that asks for a user closes the connection so: then .* must be SASL_PLAINTEXT, it is PLAINTEXT",
    ),
    "user at a port without users": (
        lambda kafka, _: KafkaCluster(kafka.plain, _without_tls(kafka)),
        r"to ask for a user, it does not on this port: set TOLLBOOK_KAFKA_SECURITY_PROTOCOL to PLAINTEXT",
    ),
}  # fmt: skip


def _issued(authority: Authority, name: str, **options: Any) -> dict[str, Any]:
    certificate, key = authority.issue(name, **options)
    return {"ssl_certfile": certificate, "ssl_keyfile": key, "ssl_key_password": None}


def _network_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("kafka")]


@pytest.mark.parametrize("make", CLIENTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("case", LET_IN)
def test_every_client_gets_in_by_every_protocol(
    case: str, make: Callable[..., Any], secured: SecureKafka, stranger: Authority
) -> None:
    """The user's name has the two characters that SCRAM escapes; the key of the certificate is encrypted."""
    client = connect(make, LET_IN[case](secured, stranger), bootstrap_timeout_ms=WAIT_MS)
    failure = last_failure(client)
    client.close()

    assert failure is None


@pytest.mark.parametrize("make", CLIENTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("case", REFUSED)
def test_who_is_refused_is_told_why_at_once(
    case: str, make: Callable[..., Any], secured: SecureKafka, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """kafka-python would try for the whole minute and say that time ran out. No thread or socket stays behind."""
    caplog.set_level(logging.DEBUG)
    before = _network_threads()
    make_cluster, message = REFUSED[case]

    with pytest.raises(KafkaRefusedError, match=message) as caught:
        connect(make, make_cluster(secured, stranger), bootstrap_timeout_ms=WAIT_MS)

    assert _network_threads() == before
    for secret in (secured.password, secured.plain_password, "wrong-horse"):
        assert secret not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize("case", ["SCRAM-SHA-512", "PLAIN"])
def test_passwords_are_in_no_log_at_any_level(
    case: str, secured: SecureKafka, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """kafka-python logs its options and each request at DEBUG; with PLAIN the request is the password."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "kafka")
    for make in CLIENTS:
        connect(make, LET_IN[case](secured, stranger)).close()

    assert "Starting KafkaAdminClient with configuration" in caplog.text
    assert "'sasl_plain_password': '***'" in caplog.text
    assert secured.password not in caplog.text
    assert secured.plain_password not in caplog.text


def test_a_port_that_never_answers_ends_in_time(secured: SecureKafka) -> None:
    """A firewall that swallows packets, or a proxy without a broker: the handshake of TLS would wait for ever."""
    before = _network_threads()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        cluster = KafkaCluster(f"127.0.0.1:{mute.getsockname()[1]}", secured.by_password())
        with pytest.raises(KafkaUnavailableError, match="nothing answered the handshake in time"):
            connect(KafkaAdminClient, cluster, bootstrap_timeout_ms=3_000)

    assert _network_threads() == before


def test_a_broker_that_is_away_is_not_a_refusal(secured: SecureKafka) -> None:
    """A wrong port and a wrong certificate are mended in different places; a broker that is away may come back."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held, so that no other program listens there meanwhile
        cluster = KafkaCluster(f"127.0.0.1:{silent.getsockname()[1]}", secured.by_password())
        with pytest.raises(KafkaUnavailableError, match="ECONNREFUSED") as caught:
            connect(KafkaConsumer, cluster, bootstrap_timeout_ms=3_000)

    assert not isinstance(caught.value, KafkaRefusedError)


def test_one_closed_connection_is_not_taken_for_a_refusal(
    secured: SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that stops closes connections too: only many in a row say that it wants a user."""
    closed: list[int] = []

    def counted(attempt: Any, error: BaseException) -> Any:
        closed.append(attempt.closed_before)
        return explain(attempt, error)

    monkeypatch.setattr("tollbook.connection.clients.explain", counted)
    with pytest.raises(KafkaRefusedError):
        connect(KafkaConsumer, KafkaCluster(secured.clear), bootstrap_timeout_ms=WAIT_MS)

    assert closed == list(range(MANY_CLOSED))


def test_a_refusal_after_the_first_connection_is_known(secured: SecureKafka) -> None:
    """A password is changed while the meter runs: its next connection is refused, and it can say why."""
    cluster = KafkaCluster(secured.scram, secured.by_password())
    consumer = connect(KafkaConsumer, cluster, reconnect_backoff_max_ms=100)
    try:
        secured.set_password("another-horse")
        manager = consumer._client._manager
        for connection in list(manager._conns.values()):
            connection.close()
        for _ in range(20):  # the connections that were closed here fail first
            with contextlib.suppress(KafkaError):
                manager.run(manager.wait_for, manager.cluster.request_update(), 3_000)
            failure = last_failure(consumer)
            if failure is not None and failure.final:
                break
    finally:
        secured.set_password(secured.password)
        consumer.close()

    assert failure is not None
    assert failure.final
    assert "to let the user 'meter,eu=1' in, it refused" in failure.message


def test_admin_and_doctor_say_the_same_words(
    secured: SecureKafka, stranger: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tollbook doctor` is where one looks first."""
    monkeypatch.setattr("tollbook.broker.machine.ANSWER_SECONDS", 300.0)
    wrong = Settings(
        home=tmp_path,
        bootstrap_servers=secured.scram,
        kafka_security=secured.by_password(ssl_cafile=stranger.ca),
    )
    right = replace(wrong, kafka_security=secured.by_password())

    with pytest.raises(KafkaRefusedError) as caught, admin(KafkaCluster(secured.scram, wrong.kafka_security)):
        pass
    found = {each.check: each for each in examine(wrong)}["kafka"]

    assert not answers(KafkaCluster(secured.scram, wrong.kafka_security), timeout_seconds=5)
    assert (found.state, found.found) == ("missing", caught.value.message)
    found = {each.check: each for each in examine(right)}["kafka"]
    assert (found.state, found.found) == ("ok", f"{secured.scram} answers, SASL_SSL")


def test_a_file_that_went_missing_is_misuse_not_an_outage(secured: SecureKafka, tmp_path: Path) -> None:
    """A follower would wait for ever for a broker that is there."""
    file = tmp_path / "password"
    file.write_text(secured.password, encoding="utf-8")
    cluster = KafkaCluster(secured.scram, secured.by_password(sasl_password=Secret("told", file=file)))
    connect(KafkaAdminClient, cluster).close()
    file.unlink()

    with pytest.raises(MisuseError, match="expected told to name a file that can be read"):
        connect(KafkaAdminClient, cluster)
