"""How clients prove who they are and whom they talk to: protocol, credentials, certificates.

Files are read when a client connects, not before: a password or certificate that was replaced on disk is taken up by
the next connection. What is secret shows in no repr, log or message.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tollbook.errors import MisuseError

PREFIX: Final = "TOLLBOOK_KAFKA_"
"""What the names of the variables begin with; messages name them, `tollbook.settings` reads them."""

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_HIDDEN: Final = "'***'"


class HiddenText(str):
    """A text that shows as `***` where an object is shown; kafka-python logs its options so."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it was told, or the file that holds it. Neither its repr nor its text shows it.

    Attributes:
        variable: Name of what told it, for messages.
        text: The secret, or None where it is in a file.
        file: The file, whose last line end does not count, or None.
    """

    variable: str
    text: HiddenText | None = field(default=None, repr=False)
    file: Path | None = None

    def reveal(self) -> HiddenText:
        """Return the secret.

        Raises:
            MisuseError: The file cannot be read, or is empty.
        """
        if self.file is None:
            return HiddenText(self.text or "")
        try:
            told = self.file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise MisuseError(
                f"expected {self.variable} to name a file that can be read, got {self.file}: {why}"
            ) from None
        if not told:
            raise MisuseError(f"expected a secret in the file that {self.variable} names, {self.file} is empty")
        return HiddenText(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """How to connect to Kafka. By default plainly, as the embedded broker is reached on loopback.

    Attributes:
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        sasl_mechanism: `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`, with the two protocols of SASL.
        sasl_username: Who connects.
        sasl_password: Their password.
        ssl_cafile: PEM file of the certificates that are trusted; None for those of the system.
        ssl_certfile: PEM file of this client's certificate and those between it and its root.
        ssl_keyfile: PEM file of its key; None where the key is in `ssl_certfile`.
        ssl_key_password: Password of the key.
        ssl_check_hostname: Whether the server's certificate must be for the name by which it is reached. A certificate
            that is not trusted is refused in any case.

    Raises:
        MisuseError: They do not fit together, or a file is not there.
    """

    protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: Secret | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_key_password: Secret | None = None
    ssl_check_hostname: bool = True

    def __post_init__(self) -> None:
        _expect_one_of("SECURITY_PROTOCOL", self.protocol, PROTOCOLS)
        self._check_sasl()
        self._check_tls()

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """Whether this client tells a user name and proves a password."""
        return self.protocol.startswith("SASL")

    def client_options(self) -> dict[str, Any]:
        """Return kafka-python's options. They hold the password and are made for one client, not kept.

        Raises:
            MisuseError: A file does not hold what it should, or the key's password is wrong.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.sasl and self.sasl_username is not None and self.sasl_password is not None:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self._user_on_the_wire()
            options["sasl_plain_password"] = self.sasl_password.reveal()
        if self.tls:
            options["ssl_context"] = self.ssl_context()
        return options

    def ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context, 1.2 or later, which verifies the server's certificate.

        Raises:
            MisuseError: A file does not hold what it should, or the key's password is wrong.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.ssl_check_hostname
        if self.ssl_cafile is None:
            context.load_default_certs()
        else:
            try:
                context.load_verify_locations(self.ssl_cafile)
            except OSError as error:
                raise MisuseError(
                    f"expected {PREFIX}SSL_CAFILE to name certificates in PEM, got {self.ssl_cafile}: {_reason(error)}"
                ) from None
        if self.ssl_certfile is not None:
            self._load_certificate(context, self.ssl_certfile)
        return context

    def _user_on_the_wire(self) -> str:
        """Return the user name as kafka-python sends it: SCRAM's two special characters are escaped (RFC 5802, 5.1)."""
        user = self.sasl_username or ""
        return user if self.sasl_mechanism == "PLAIN" else user.replace("=", "=3D").replace(",", "=2C")

    def _load_certificate(self, context: ssl.SSLContext, certificate: Path) -> None:
        asked = False

        def key_password() -> str:
            nonlocal asked  # without an answer of ours OpenSSL would ask on the terminal, and wait
            asked = True
            return self.ssl_key_password.reveal() if self.ssl_key_password is not None else ""

        try:
            context.load_cert_chain(certificate, self.ssl_keyfile, password=key_password)
        except OSError as error:
            key = self.ssl_keyfile or certificate
            if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
                message = f"expected the key in {key} to be that of the certificate in {certificate}, it is another's"
            elif asked and self.ssl_key_password is None:
                message = (
                    f"expected {PREFIX}SSL_KEY_PASSWORD or {PREFIX}SSL_KEY_PASSWORD_FILE, as the key in {key} is "
                    "encrypted"
                )
            elif asked:
                message = f"expected the password of the key in {key}, got another one"
            else:
                message = (
                    f"expected {PREFIX}SSL_CERTFILE to name a certificate in PEM, and its key there or in "
                    f"{PREFIX}SSL_KEYFILE, got {certificate} and {key}: {_reason(error)}"
                )
            raise MisuseError(message) from None

    def _check_sasl(self) -> None:
        told = {
            "SASL_MECHANISM": self.sasl_mechanism,
            "SASL_USERNAME": self.sasl_username,
            "SASL_PASSWORD": self.sasl_password,
        }
        if not self.sasl:
            _expect_none(told, self.protocol, "SASL_SSL or SASL_PLAINTEXT")
            return
        for name, value in told.items():
            if not value:
                further = f" or {PREFIX}{name}_FILE" if name == "SASL_PASSWORD" else ""
                if name == "SASL_MECHANISM":
                    further = f", one of {', '.join(MECHANISMS)}"
                raise MisuseError(f"expected {PREFIX}{name}{further}, as the protocol is {self.protocol}")
        _expect_one_of("SASL_MECHANISM", str(self.sasl_mechanism), MECHANISMS)
        if self.sasl_mechanism == "PLAIN" and not self.tls:
            raise MisuseError(
                f"expected {PREFIX}SASL_MECHANISM SCRAM-SHA-512 or SCRAM-SHA-256 on a connection that is not "
                "encrypted, got PLAIN, which would send the password in the clear; or use SASL_SSL"
            )
        _expect_file("SASL_PASSWORD_FILE", self.sasl_password.file if self.sasl_password is not None else None)

    def _check_tls(self) -> None:
        files = {
            "SSL_CAFILE": self.ssl_cafile,
            "SSL_CERTFILE": self.ssl_certfile,
            "SSL_KEYFILE": self.ssl_keyfile,
            "SSL_KEY_PASSWORD_FILE": self.ssl_key_password.file if self.ssl_key_password is not None else None,
        }
        if not self.tls:
            told = {
                **files,
                "SSL_KEY_PASSWORD": self.ssl_key_password,
                "SSL_CHECK_HOSTNAME": not self.ssl_check_hostname,
            }
            _expect_none(told, self.protocol, "SSL or SASL_SSL")
            return
        for name, path in files.items():
            _expect_file(name, path)
        if self.ssl_certfile is None:
            for name, value in (("SSL_KEYFILE", self.ssl_keyfile), ("SSL_KEY_PASSWORD", self.ssl_key_password)):
                if value is not None:
                    raise MisuseError(f"expected {PREFIX}SSL_CERTFILE with {PREFIX}{name}, got no certificate")
        elif self.ssl_keyfile is None and "PRIVATE KEY-----" not in _text(self.ssl_certfile):
            raise MisuseError(
                f"expected the key of the certificate in {PREFIX}SSL_KEYFILE, or in {self.ssl_certfile} itself, "
                "got none"
            )


def _expect_one_of(name: str, told: str, known: tuple[str, ...]) -> None:
    if told not in known:
        raise MisuseError(f"expected {PREFIX}{name} to be one of {', '.join(known)}, got {told!r}")


def _expect_none(told: dict[str, Any], protocol: str, wanted: str) -> None:
    """Refuse settings that the protocol would leave aside: a connection must not be plainer than was meant."""
    for name, value in told.items():
        if value:
            raise MisuseError(
                f"expected {PREFIX}SECURITY_PROTOCOL to be {wanted}, as {PREFIX}{name} is set, got {protocol}"
            )


def _expect_file(name: str, path: Path | None) -> None:
    if path is not None and not path.is_file():
        raise MisuseError(f"expected {PREFIX}{name} to name a file, there is none at {path}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise MisuseError(f"expected {path} to be readable: {error.strerror}") from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").replace("_", " ").lower()
    return error.strerror or str(error)


PLAIN_CONNECTION: Final = KafkaSecurity()
