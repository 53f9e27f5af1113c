"""An Apache Kafka with secured listeners, and the certificates of its clients; all made anew for a session of tests."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from tollbook.broker import Broker
from tollbook.broker.connect import admin
from tollbook.connection.cluster import KafkaCluster
from tollbook.connection.security import HiddenText, KafkaSecurity, Secret
from tollbook.settings import Settings

USER, PASSWORD = "meter,eu=1", "correct-horse"
"""Comma and equals sign are special to SCRAM: a client that does not escape them is refused."""

PLAIN_USER, PLAIN_PASSWORD = "clear", "staple-battery"
KEY_PASSWORD = "key-of-the-key"
REAUTHENTICATE_MS = 1_500
_HOST = "127.0.0.1"
_NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs whatever it is asked to.

    Attributes:
        folder: Where its files are; `ca.pem` is its own certificate.
    """

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """Return a new authority."""
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        certificate = (
            _builder(name, name, key, days=(-1, 2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate)

    @property
    def ca(self) -> Path:
        """Its own certificate, in PEM."""
        return self.folder / "ca.pem"

    def issue(
        self, name: str, *, days: tuple[int, int] = (-1, 2), hosts: tuple[str, ...] = (), password: str | None = None
    ) -> tuple[Path, Path]:
        """Return PEM files of a new certificate and its key.

        Args:
            name: Whose it is.
            days: From when until when it is valid, from now.
            hosts: Names and addresses that it is for.
            password: What the key is encrypted with, or None.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self.certificate.subject, key, days=days)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(list(map(_general_name, hosts))), critical=False
            )
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        encryption = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password.encode())
        )
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return certificate, key_file


@dataclass(frozen=True)
class SecureKafka:
    """Where the broker listens, as `host:port`, and who may connect.

    Attributes:
        scram: SASL_SSL with SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN.
        mtls: SSL, a client's certificate is required.
        expired: SSL, with a server's certificate that has expired.
        clear: SASL_PLAINTEXT with SCRAM-SHA-512; whoever is connected proves the password again and again.
        plain: PLAINTEXT.
        authority: Who signed the server's certificates, and whose clients it takes.
        password: Password of the user of SCRAM.
        plain_password: Password of the user of PLAIN.
    """

    scram: str
    mtls: str
    expired: str
    clear: str
    plain: str
    authority: Authority
    password: str = PASSWORD
    plain_password: str = PLAIN_PASSWORD

    def by_password(self, **changes: Any) -> KafkaSecurity:
        """Return the settings of a user of SCRAM over TLS, with changes."""
        told: dict[str, Any] = {
            "protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": USER,
            "sasl_password": Secret("told", HiddenText(self.password)),
            "ssl_cafile": self.authority.ca,
        }
        return KafkaSecurity(**told | changes)

    def by_plain_password(self, **changes: Any) -> KafkaSecurity:
        """Return the settings of a user of PLAIN over TLS, with changes."""
        password = Secret("told", HiddenText(self.plain_password))
        told = {"sasl_mechanism": "PLAIN", "sasl_username": PLAIN_USER, "sasl_password": password}
        return self.by_password(**told | changes)

    def by_certificate(self, **changes: Any) -> KafkaSecurity:
        """Return the settings of a client with a certificate, with changes."""
        certificate, key = self.authority.issue("client", password=KEY_PASSWORD)
        told: dict[str, Any] = {
            "protocol": "SSL",
            "ssl_cafile": self.authority.ca,
            "ssl_certfile": certificate,
            "ssl_keyfile": key,
            "ssl_key_password": Secret("told", HiddenText(KEY_PASSWORD)),
        }
        return KafkaSecurity(**told | changes)

    def set_password(self, password: str) -> None:
        """Give the user of SCRAM a password for both mechanisms, as an operator does."""
        with admin(KafkaCluster(self.plain)) as client:
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
                told = UserScramCredentialUpsertion(USER, mechanism, password.encode(), iterations=4096)
                client.alter_user_scram_credentials([told])


class SecureBroker(Broker):
    """The embedded broker with four secured listeners beside its own."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        super().__init__(settings)
        self._authority = authority
        self._secured = dict(zip(("SCRAM", "MTLS", "EXPIRED", "CLEAR"), _free_ports(4), strict=True))
        self._server = _key_store(*authority.issue("server", hosts=("localhost",)))
        self._old_server = _key_store(*authority.issue("old-server", hosts=("localhost",), days=(-3, -1)))

    def start(self) -> SecureKafka:
        """Start it, make its user by Kafka's own means, and return where it listens."""
        status = self.up(lambda _message: None)
        assert status.bootstrap_servers is not None
        named = {name.lower(): f"localhost:{port}" for name, port in self._secured.items()}
        secured = SecureKafka(plain=status.bootstrap_servers, authority=self._authority, **named)
        secured.set_password(secured.password)
        return secured

    def _write_properties(self, path: Path, *, log_dirs: str, port: int, controller_port: int) -> None:
        """Add the listeners; in a file of Java's the last line of a name holds."""
        super()._write_properties(path, log_dirs=log_dirs, port=port, controller_port=controller_port)
        own = f"PLAINTEXT://{_HOST}:{port}"
        secured = {name: f"://{{}}:{number}" for name, number in self._secured.items()}
        login = "org.apache.kafka.common.security"
        lines = {
            "listeners": ",".join(
                [own, f"CONTROLLER://{_HOST}:{controller_port}", *(n + u.format(_HOST) for n, u in secured.items())]
            ),
            "advertised.listeners": ",".join([own, *(n + u.format("localhost") for n, u in secured.items())]),
            "listener.security.protocol.map": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL,MTLS:SSL,EXPIRED:SSL,CLEAR:SASL_PLAINTEXT"
            ),
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
            "listener.name.clear.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.clear.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.scram.plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_{PLAIN_USER}="{PLAIN_PASSWORD}";'
            ),
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.clear.scram-sha-512.connections.max.reauth.ms": str(REAUTHENTICATE_MS),
        }
        for name in ("scram", "mtls", "expired"):
            lines[f"listener.name.{name}.ssl.keystore.type"] = "PEM"
            lines[f"listener.name.{name}.ssl.keystore.location"] = str(
                self._old_server if name == "expired" else self._server
            )
            lines[f"listener.name.{name}.ssl.truststore.type"] = "PEM"
            lines[f"listener.name.{name}.ssl.truststore.location"] = str(self._authority.ca)
        with path.open("a", encoding="ascii") as file:
            file.writelines(f"{key}={value}\n" for key, value in lines.items())


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that the broker trusts."""
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that nobody trusts."""
    return Authority.make(tmp_path_factory.mktemp("tls") / "stranger")


@pytest.fixture(scope="session")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """Run a Kafka with secured listeners."""
    broker = SecureBroker(Settings(home=tmp_path_factory.mktemp("secured")), authority)
    try:
        yield broker.start()
    finally:
        broker.down(lambda _message: None)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: tuple[int, int]
) -> x509.CertificateBuilder:
    start, end = (_NOW + dt.timedelta(days=each) for each in days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_store(certificate: Path, key: Path) -> Path:
    """Return a file with key and certificate, as Kafka takes a store in PEM."""
    store = certificate.with_suffix(".store.pem")
    store.write_bytes(key.read_bytes() + certificate.read_bytes())
    return store


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((_HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
