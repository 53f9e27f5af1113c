"""Security settings: what fits together, what is read from where, and what never shows."""

from __future__ import annotations

import pickle
import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tollbook.connection.cluster import KafkaCluster
from tollbook.connection.security import PREFIX, HiddenText, KafkaSecurity, Secret
from tollbook.errors import MisuseError
from tollbook.integrations.settings import DeliverySettings
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tests.pipelines.connection.conftest import Authority

PASSWORD, KEY_PASSWORD = "correct-horse", "key-of-the-key"
SCRAM = {
    "SECURITY_PROTOCOL": "SASL_SSL",
    "SASL_MECHANISM": "SCRAM-SHA-512",
    "SASL_USERNAME": "meter",
    "SASL_PASSWORD": PASSWORD,
}


def told(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> KafkaSecurity:
    """Return the settings that the environment makes of `variables`."""
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, value)
    return Settings.load().kafka_security


def test_without_a_word_connections_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded broker is reached so, and nobody has to set anything for it."""
    security = told(monkeypatch, {})

    assert security == KafkaSecurity()
    assert security.client_options() == {"security_protocol": "PLAINTEXT"}


def test_the_environment_says_how_to_connect(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    """Names and case are those that Kafka's own configuration has."""
    security = told(monkeypatch, SCRAM | {"SECURITY_PROTOCOL": "sasl_ssl", "SSL_CAFILE": str(authority.ca)})
    options = security.client_options()

    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_username"] == "meter"
    assert options["sasl_plain_password"] == PASSWORD
    context = options["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_callback_reads_the_same_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway and the meter beside it are set up alike."""
    security = told(monkeypatch, SCRAM)

    assert DeliverySettings.load("llm.usage.litellm").kafka_security == security


def test_a_name_that_is_not_checked_is_still_a_certificate_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the name aside must not mean trusting anyone."""
    context = told(monkeypatch, SCRAM | {"SSL_CHECK_HOSTNAME": "false"}).ssl_context()

    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, got 'TLS'"),
        (SCRAM | {"SASL_MECHANISM": "GSSAPI"}, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, got 'GSSAPI'"),
        (SCRAM | {"SASL_MECHANISM": ""}, "SASL_MECHANISM, one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        (SCRAM | {"SASL_USERNAME": ""}, "expected TOLLBOOK_KAFKA_SASL_USERNAME"),
        (SCRAM | {"SASL_PASSWORD": ""}, "SASL_PASSWORD or TOLLBOOK_KAFKA_SASL_PASSWORD_FILE"),
        (SCRAM | {"SASL_PASSWORD_FILE": "/there"}, "SASL_PASSWORD or TOLLBOOK_KAFKA_SASL_PASSWORD_FILE, got both"),
        (SCRAM | {"SASL_PASSWORD": "", "SASL_PASSWORD_FILE": "/no/such"}, "_FILE to name a file, .*/no/such"),
        (SCRAM | {"SASL_MECHANISM": "PLAIN", "SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "in the clear"),
        (SCRAM | {"SSL_CAFILE": "/no/such"}, "SSL_CAFILE to name a file, there is none at /no/such"),
        (SCRAM | {"SSL_CHECK_HOSTNAME": "maybe"}, "true or false, got 'maybe'"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_KEYFILE": __file__}, "SSL_CERTFILE with TOLLBOOK_KAFKA_SSL_KEYFILE"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_KEY_PASSWORD": "x"}, "SSL_CERTFILE with TOLLBOOK_KAFKA_SSL_KEY_PASSWORD"),
        ({"SASL_USERNAME": "meter"}, "SASL_PLAINTEXT, as TOLLBOOK_KAFKA_SASL_USERNAME is set, got PLAINTEXT"),
        ({"SSL_CAFILE": __file__}, "SSL or SASL_SSL, as TOLLBOOK_KAFKA_SSL_CAFILE is set, got PLAINTEXT"),
        ({"SSL_CHECK_HOSTNAME": "no"}, "SSL or SASL_SSL, as TOLLBOOK_KAFKA_SSL_CHECK_HOSTNAME is set, got PLAINTEXT"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_are_misuse(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    """Above all, nobody who sets a password or an authority may get a plain connection for want of the protocol."""
    with pytest.raises(MisuseError, match=message) as caught:
        told(monkeypatch, variables)

    assert PASSWORD not in str(caught.value)


def test_a_certificate_wants_its_key(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    """Both may be in one file; a certificate alone proves nothing."""
    certificate, key = authority.issue("client")
    both = certificate.with_name("both.pem")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())

    with pytest.raises(MisuseError, match=r"key of the certificate in TOLLBOOK_KAFKA_SSL_KEYFILE.*got none"):
        told(monkeypatch, {"SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": str(certificate)})
    monkeypatch.setenv(f"{PREFIX}SSL_CERTFILE", str(both))
    Settings.load().kafka_security.ssl_context()


def test_files_that_hold_something_else_are_named(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL alone says `PEM lib`, or nothing."""
    certificate, key = authority.issue("one")
    _, other_key = authority.issue("other")
    _, locked_key = authority.issue("locked", password=KEY_PASSWORD)
    text = tmp_path / "notes.pem"
    text.write_text("-----BEGIN PRIVATE KEY----- is how a key begins", encoding="utf-8")
    fits = KafkaSecurity(protocol="SSL", ssl_certfile=certificate, ssl_keyfile=key)
    wrong = Secret("told", HiddenText("a-wrong-one"))

    for security, message in (
        (KafkaSecurity(protocol="SSL", ssl_cafile=text), rf"SSL_CAFILE to name certificates in PEM, got {text}"),
        (replace(fits, ssl_keyfile=other_key), f"key in {other_key} to be that of the certificate in {certificate}"),
        (replace(fits, ssl_certfile=text, ssl_keyfile=None), rf"SSL_CERTFILE to name a certificate in PEM.*{text}"),
        (replace(fits, ssl_keyfile=locked_key), r"SSL_KEY_PASSWORD or .*_FILE, as the key in .* is encrypted"),
        (replace(fits, ssl_keyfile=locked_key, ssl_key_password=wrong), f"password of the key in {locked_key}, got"),
    ):
        with pytest.raises(MisuseError, match=message) as caught:
            security.client_options()
        assert "a-wrong-one" not in str(caught.value)


def test_a_key_opens_with_its_password(authority: Authority, tmp_path: Path) -> None:
    """Keys lie encrypted where their disk is shared."""
    certificate, key = authority.issue("opened", password=KEY_PASSWORD)
    file = tmp_path / "key-password"
    file.write_text(f"{KEY_PASSWORD}\n", encoding="utf-8")
    security = KafkaSecurity(
        protocol="SSL", ssl_certfile=certificate, ssl_keyfile=key, ssl_key_password=Secret("told", file=file)
    )

    assert security.client_options()["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_a_password_that_was_replaced_is_taken_up_by_the_next_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Secret stores write the new one into the same file; the meter is not started again for it."""
    file = tmp_path / "password"
    file.write_text("first\r\n", encoding="utf-8")
    security = told(monkeypatch, SCRAM | {"SASL_PASSWORD": "", "SASL_PASSWORD_FILE": str(file)})
    first = security.client_options()["sasl_plain_password"]
    file.write_text("  second  ", encoding="utf-8")

    assert first == "first"
    assert security.client_options()["sasl_plain_password"] == "  second  "


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"\xff\xfe", "it is not UTF-8")])
def test_a_password_file_without_a_password_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    """An empty password would be refused by the broker, with words about a user."""
    file = tmp_path / "password"
    file.write_bytes(content)

    with pytest.raises(MisuseError, match=message) as caught:
        Secret("TOLLBOOK_KAFKA_SASL_PASSWORD_FILE", file=file).reveal()

    assert str(file) in str(caught.value)


def test_secrets_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are printed, logged and put into error messages by people who do not think of what is in them."""
    monkeypatch.setenv("TOLLBOOK_BOOTSTRAP_SERVERS", "kafka:9093")
    security = told(monkeypatch, SCRAM | {"SSL_CHECK_HOSTNAME": "true"})
    settings = Settings.load()
    cluster = KafkaCluster("kafka:9093", security)
    delivery = replace(DeliverySettings.load("llm.usage.litellm"), kafka_options={"sasl_plain_password": PASSWORD})

    shown = [f"{each!r} {each}" for each in (settings, security, security.sasl_password, cluster, delivery)]
    shown.append(repr(security.client_options()))

    assert not [text for text in shown if PASSWORD in text]
    assert "'***'" in shown[-1]
    assert str(cluster) == "kafka:9093"


def test_a_cluster_moves_between_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam pickles what its steps hold, and readers are found again by the cluster they read."""
    cluster = KafkaCluster("kafka:9093", told(monkeypatch, SCRAM))
    moved = pickle.loads(pickle.dumps(cluster))  # noqa: S301  our own bytes

    assert moved == cluster
    assert hash(moved) == hash(cluster)
    assert moved.client_options()["sasl_plain_password"] == PASSWORD


def test_the_two_special_characters_of_scram_are_escaped() -> None:
    """Kafka takes any user name; RFC 5802, 5.1, has `=2C` and `=3D` for two of its characters. PLAIN escapes none."""
    security = KafkaSecurity(
        protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="a=b,c",
        sasl_password=Secret("t", HiddenText("p")),
    )

    assert security.client_options()["sasl_plain_username"] == "a=3Db=2Cc"
    assert replace(security, sasl_mechanism="PLAIN").client_options()["sasl_plain_username"] == "a=b,c"
