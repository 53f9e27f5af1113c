"""Fixtures for tests that need a real Kafka or a real Flink: one of each for the whole session."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tollbook import flink
from tollbook.broker import Broker, BrokerStatus
from tollbook.broker.connect import admin
from tollbook.broker.topics import definition
from tollbook.connection.security import PREFIX
from tollbook.flink import FlinkCluster
from tollbook.settings import BOOTSTRAP_VARIABLE, HOME_VARIABLE, LAKE_VARIABLE, LOG_FORMAT_VARIABLE, Settings

# On a shared machine time says nothing about a property; and a suite that fails must fail again when it is run again.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the book and the Kafka of whoever runs them."""
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.delenv(BOOTSTRAP_VARIABLE, raising=False)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(LAKE_VARIABLE, raising=False)
    monkeypatch.delenv(LOG_FORMAT_VARIABLE, raising=False)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerStatus]:
    """Run one embedded broker, on free ports, for all tests that need Kafka."""
    embedded = Broker(Settings(home=tmp_path_factory.mktemp("kafka")))
    status = embedded.up(lambda _message: None)
    yield status
    embedded.down(lambda _message: None)


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """Run one Flink cluster, on free ports, for all tests that need Flink: two task managers of two slots.

    A test that kills a part of it calls `up` again; its home is `flink_home`.
    """
    home = Settings(home=tmp_path_factory.mktemp("flink home"))
    try:
        yield flink.up(home, lambda _message: None, flink.FlinkOptions(slots=2, checkpoint_seconds=1))
    finally:
        flink.down(home, lambda _message: None)


@pytest.fixture
def flink_home(flink_cluster: FlinkCluster) -> Settings:
    """Return the home of the session's Flink cluster."""
    return Settings(home=flink_cluster.savepoints.parents[1])


@pytest.fixture
def settings(broker: BrokerStatus, tmp_path: Path) -> Settings:
    """Return a fresh home that reads from and writes to the session's broker."""
    return Settings(home=tmp_path / "home", bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture
def new_topic(settings: Settings) -> Callable[..., str]:
    """Return a function that makes a topic of its own, set as `llm.usage` is, and returns its name.

    Call it as `new_topic()` or `new_topic(partitions=1)`.
    """

    def make(*, partitions: int = 4) -> str:
        name = f"llm.usage.test_{uuid.uuid4().hex[:12]}"
        configs = definition(name).kafka_settings()
        assert settings.bootstrap_servers is not None
        with admin(settings.bootstrap_servers) as client:
            client.create_topics({name: {"num_partitions": partitions, "configs": configs}}, wait_for_metadata=True)
        return name

    return make
