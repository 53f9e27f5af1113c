"""The container's Kafka is the embedded Kafka."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tollbook.broker import jars, properties
from tollbook.broker.ports import PREFERRED_PORT

COMPOSE = Path(__file__).resolve().parents[2] / "infra" / "compose" / "compose.yaml"

OWN = {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}
PLACE = {"advertised.listeners", "controller.quorum.voters", "listeners", "log.dirs"}


@pytest.fixture(scope="module")
def kafka() -> dict[str, Any]:
    """Return the definition of the Kafka service."""
    service: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["kafka"]
    return service


def settings_of(kafka: dict[str, Any]) -> dict[str, str]:
    """Return the environment as Kafka's settings, as the image's start script reads it."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in kafka["environment"].items()
        if name not in OWN
    }


def test_both_run_the_same_kafka(kafka: dict[str, Any]) -> None:
    """What is found on one must hold on the other; the image is pinned by version, and a digest may follow."""
    assert re.fullmatch(rf"apache/kafka:{re.escape(jars.KAFKA_VERSION)}(@sha256:[0-9a-f]{{64}})?", kafka["image"])


def test_settings_are_those_of_the_embedded_broker(kafka: dict[str, Any]) -> None:
    """A record that one takes and the other refuses would be found in production."""
    settings = settings_of(kafka)

    assert {name: value for name, value in settings.items() if name not in PLACE} == properties.COMMON
    assert all(isinstance(value, str) for value in settings.values()), "YAML must not make numbers of settings"


def test_only_this_machine_reaches_it(kafka: dict[str, Any]) -> None:
    """It asks for no password, as the embedded one does not, so it must not be on the network."""
    settings = settings_of(kafka)

    assert kafka["ports"] == [f"127.0.0.1:{PREFERRED_PORT}:{PREFERRED_PORT}"]
    assert settings["advertised.listeners"] == f"PLAINTEXT://127.0.0.1:{PREFERRED_PORT}"
    assert settings["controller.quorum.voters"].endswith("@127.0.0.1:29093")


def test_data_outlive_the_container(kafka: dict[str, Any]) -> None:
    """`down` and `up` must keep what was acknowledged."""
    assert kafka["volumes"] == [f"kafka-data:{settings_of(kafka)['log.dirs']}"]
