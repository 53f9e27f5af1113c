"""What is said when a connection to Kafka does not come about, and whether trying again can help."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Final

from kafka import errors as kafka_errors

from tollbook.connection.security import PREFIX

PROBE_SECONDS: Final = 2.0
MANY_CLOSED: Final = 5
"""So many closed connections in a row, each after the broker had answered, are no accident."""

_HOSTNAME_MISMATCH: Final = (62, 64)
_EXPIRED, _NOT_YET_VALID = 10, 9
"""Source: OpenSSL, x509_vfy.h, X509_V_ERR_*. Read 2026-11-26."""

_API_VERSIONS, _CORRELATION = 18, 1_953_459_316
"""Source: Apache Kafka protocol guide, ApiVersions; the second is a number of ours. Read 2026-11-26."""

_CERTIFICATE_ALERTS: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants one",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it is not taken",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it was revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it is not taken, perhaps because it has expired or its authority is not known",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it is of a kind that is not taken",
    "TLSV1_ALERT_UNKNOWN_CA": "its authority is not known there",
    "TLSV1_ALERT_ACCESS_DENIED": "it may not connect",
}
"""Source: RFC 8446, 6.2, and OpenSSL's names of the same. Read 2026-11-26."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection did not come about.

    Attributes:
        message: What was expected and what came, in words.
        final: Whether it stays so until someone changes a setting, a password or a certificate.
    """

    message: str
    final: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried.

    Attributes:
        host: Server, as it was named.
        port: Its port.
        protocol: One of `security.PROTOCOLS`.
        user: Who wanted to connect, or None without SASL.
        has_certificate: Whether this client has a certificate.
        reached: Whether the port took the connection.
        introduced: Whether the broker had answered on it.
        closed_before: How many connections it had closed like this before, each after it had answered.
    """

    host: str
    port: int
    protocol: str
    user: str | None
    has_certificate: bool
    reached: bool
    introduced: bool
    closed_before: int = 0

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


def explain(attempt: Attempt, error: BaseException) -> Failure:
    """Return why a connection failed, in words, and whether it will fail again.

    Where a plain connection was closed without an answer, the port is asked whether it speaks TLS, for at most
    `PROBE_SECONDS`.
    """
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Failure(_untrusted(attempt, cause), final=True)
    if isinstance(cause, kafka_errors.SaslAuthenticationFailedError):
        return Failure(
            f"expected Kafka at {attempt.place} to let the user {attempt.user!r} in, it refused: wrong user name or "
            f"password, or no such user for {PREFIX}SASL_MECHANISM ({_said(cause)})",
            final=True,
        )
    if isinstance(cause, kafka_errors.UnsupportedSaslMechanismError):
        return Failure(
            f"expected Kafka at {attempt.place} to offer the mechanism that {PREFIX}SASL_MECHANISM names, it offers "
            "others on this port",
            final=True,
        )
    if isinstance(cause, kafka_errors.IllegalSaslStateError):
        without = "SSL" if attempt.protocol == "SASL_SSL" else "PLAINTEXT"
        return Failure(
            f"expected Kafka at {attempt.place} to ask for a user, it does not on this port: set "
            f"{PREFIX}SECURITY_PROTOCOL to {without}, or name the port for {attempt.protocol}",
            final=True,
        )
    if attempt.protocol in ("SSL", "SASL_SSL"):
        return _tls_failure(attempt, cause)
    return _plain_failure(attempt, cause)


def _tls_failure(attempt: Attempt, cause: BaseException) -> Failure:
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    if reason in _CERTIFICATE_ALERTS:
        if attempt.has_certificate:
            why = f"it refused the one in {PREFIX}SSL_CERTFILE: {_CERTIFICATE_ALERTS[reason]}"
        else:
            why = f"there is none: set {PREFIX}SSL_CERTFILE and {PREFIX}SSL_KEYFILE"
        return Failure(f"expected Kafka at {attempt.place} to take a certificate of this client, {why}", final=True)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return Failure(_no_tls(attempt), final=True)
    if attempt.reached and not attempt.introduced:
        if isinstance(cause, ssl.SSLEOFError | ConnectionResetError):
            plain = speaks_plainly(attempt.host, attempt.port)
            how = "it answers without TLS" if plain else "it closed the connection during the handshake"
            return Failure(f"{_no_tls(attempt)} ({how})", final=plain)
        if isinstance(cause, kafka_errors.KafkaTimeoutError):
            return Failure(f"{_no_tls(attempt)} (nothing answered the handshake in time)", final=False)
    if isinstance(cause, ssl.SSLError):
        got = (reason or str(cause)).replace("_", " ").lower()
        return Failure(f"expected Kafka at {attempt.place} to agree on TLS, got {got}", final=False)
    return _closed(attempt, cause, wanted="SASL_SSL")


def _plain_failure(attempt: Attempt, cause: BaseException) -> Failure:
    late = isinstance(cause, kafka_errors.KafkaTimeoutError | kafka_errors.RequestTimedOutError)
    if attempt.reached and not attempt.introduced and not late and speaks_tls(attempt.host, attempt.port):
        secured = "SASL_SSL" if attempt.protocol == "SASL_PLAINTEXT" else "SSL or SASL_SSL"
        return Failure(
            f"expected Kafka at {attempt.place} to take connections without TLS, it speaks TLS only: set "
            f"{PREFIX}SECURITY_PROTOCOL to {secured}, got {attempt.protocol}",
            final=True,
        )
    return _closed(attempt, cause, wanted="SASL_PLAINTEXT")


def _closed(attempt: Attempt, cause: BaseException, *, wanted: str) -> Failure:
    """Return what is said of a connection that broke: not more than is known of it."""
    message = f"expected Kafka at {attempt.place} to answer, got {_said(cause)}"
    if nobody_listens(cause):
        return Failure(message, final=False)
    if attempt.introduced and attempt.user is None:
        message += (
            f"; a broker that asks for a user closes the connection so: then {PREFIX}SECURITY_PROTOCOL must be "
            f"{wanted}, it is {attempt.protocol}"
        )
        return Failure(message, final=attempt.closed_before + 1 >= MANY_CLOSED)
    return Failure(message, final=False)


def _untrusted(attempt: Attempt, cause: ssl.SSLCertVerificationError) -> str:
    expected = f"expected Kafka at {attempt.place} to have a certificate that is trusted"
    if cause.verify_code in _HOSTNAME_MISMATCH:
        return (
            f"expected Kafka at {attempt.place} to have a certificate for {attempt.host}, it has one for other names: "
            f"name the server as its certificate does ({cause.verify_message})"
        )
    if cause.verify_code == _EXPIRED:
        return f"{expected}, got one that has expired"
    if cause.verify_code == _NOT_YET_VALID:
        return f"{expected}, got one that is not valid yet; look at this machine's clock too"
    return (
        f"{expected}, got one of an authority that is not: {cause.verify_message}. Set {PREFIX}SSL_CAFILE to the "
        "certificates of the authority that signed it"
    )


def _no_tls(attempt: Attempt) -> str:
    plain = "SASL_PLAINTEXT" if attempt.protocol == "SASL_SSL" else "PLAINTEXT"
    return (
        f"expected Kafka at {attempt.place} to speak TLS, it does not on this port: name the port for "
        f"{attempt.protocol}, or set {PREFIX}SECURITY_PROTOCOL to {plain}"
    )


def speaks_tls(host: str, port: int) -> bool:
    """Return whether the port answers a TLS handshake. Nothing is sent but the handshake, and nobody is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it refused by the rules of TLS
    except (OSError, ValueError):
        return False


def speaks_plainly(host: str, port: int) -> bool:
    """Return whether the port is Kafka's and answers without TLS. It is asked what it can do, the first thing asked."""
    question = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION, -1)
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as plain:
            plain.sendall(struct.pack(">i", len(question)) + question)
            answer = plain.recv(8)
    except OSError:
        return False
    return answer[4:8] == struct.pack(">i", _CORRELATION)


def nobody_listens(error: BaseException) -> bool:
    """Return whether the port refused the connection, as it does while the broker is down."""
    return "ECONNREFUSED" in str(_cause(error))


def _said(cause: BaseException) -> str:
    """Return the kind and the text of an error; kafka-python's own text begins with its kind, some twice."""
    kind = type(cause).__name__
    return f"{kind}: {str(cause).rpartition(f'{kind}: ')[2]}".removesuffix(": ")


def _cause(error: BaseException) -> BaseException:
    """Return what lies at the bottom: kafka-python wraps errors of the socket, as text or as an argument."""
    known: BaseException = error
    for _ in range(8):
        inner = next((each for each in known.args if isinstance(each, BaseException)), None) or known.__cause__
        if inner is None:
            return known
        known = inner
    return known
