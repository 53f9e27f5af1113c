"""Where Kafka is, and what is said when it is not there."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tollbook.broker import BrokerStatus
from tollbook.broker.connect import addresses, admin, answers, bootstrap
from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.settings import Settings


def test_named_servers_go_before_the_embedded_broker(tmp_path: Path) -> None:
    """Who names a Kafka means it, whatever runs on this machine."""
    settings = Settings(home=tmp_path, bootstrap_servers="kafka-1:9092,kafka-2:9092")

    assert bootstrap(settings) == "kafka-1:9092,kafka-2:9092"


def test_without_any_broker_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    """The commonest mistake is a forgotten `broker up`."""
    with pytest.raises(KafkaUnavailableError) as caught:
        bootstrap(Settings(home=tmp_path))

    assert str(tmp_path) in str(caught.value)
    assert "tollbook broker up" in str(caught.value)
    assert "--bootstrap-servers" in str(caught.value)


def test_a_running_broker_answers(broker: BrokerStatus) -> None:
    """An answer is the sign that records can be sent."""
    assert broker.bootstrap_servers is not None
    assert answers(broker.bootstrap_servers, timeout_seconds=300)


def test_an_open_port_that_is_not_kafka_does_not_answer() -> None:
    """The port of a starting broker is open for seconds before it can do anything."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        assert not answers(f"127.0.0.1:{mute.getsockname()[1]}", timeout_seconds=0.5)
    # The client's network thread went with it.
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kafka-io")]


def test_a_server_that_is_not_there_is_named_with_the_reason() -> None:
    """A wrong port and a wrong name are mended in different places."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held, so that no other program listens there meanwhile
        port = silent.getsockname()[1]
        with (
            pytest.raises(KafkaUnavailableError, match=rf"127\.0\.0\.1:{port}: Connection refused"),
            admin(f"127.0.0.1:{port}", timeout_seconds=0.2),
        ):
            pass


@pytest.mark.parametrize("servers", ["", "kafka", "kafka:", "http://kafka:9092", "a:1,,b:2", "a:1 b:2"])
def test_servers_that_are_no_addresses_are_misuse(servers: str) -> None:
    """Waiting for a name that can never answer only hides the typing mistake."""
    with pytest.raises(MisuseError):
        addresses(servers)


def test_addresses_may_be_names_and_ip_of_both_versions() -> None:
    """Spaces after a comma are what people write."""
    assert addresses("kafka-1.example:9092, [::1]:9093,127.0.0.1:9094") == (
        ("kafka-1.example", 9092), ("::1", 9093), ("127.0.0.1", 9094),
    )  # fmt: skip


def test_settings_can_be_pointed_elsewhere(settings: Settings) -> None:
    """One home may be fed by another Kafka for one command."""
    assert bootstrap(replace(settings, bootstrap_servers="elsewhere:1")) == "elsewhere:1"
