"""Fixtures for tests that need a real Kafka or a real Flink, one of each for the whole session; and the suite's pace.

A worker takes whole files, those that last longest first, so that no worker is left with one of them at the end; files
that share what takes a minute to make go to one worker. A test that fails is named as soon as it has, so that a run
that is cut off still says what failed.
"""

from __future__ import annotations

import logging
import os
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "end_to_end/test_flink.py",
    "end_to_end/test_readers.py",
    "worked_example/test_worked_example.py",
    "pipelines/flink/test_recovery.py",
    "pipelines/warehouse/test_interrupted.py",
    "pipelines/warehouse/test_build.py",
    "pipelines/warehouse/test_ratings.py",
    "end_to_end/test_faults.py",
    "pipelines/warehouse/test_publish.py",
    "end_to_end/test_real_traffic.py",
    "end_to_end/test_pitfalls.py",
    "end_to_end/test_any_order.py",
    "end_to_end/test_soak.py",
    "pipelines/stream/gaps/test_gaps.py",
    "pipelines/warehouse/test_period_charges.py",
    "pipelines/demo/test_demo.py",
    "pipelines/lake/remote/test_machines.py",
    "pipelines/warehouse/test_compaction.py",
    "pipelines/warehouse/test_charges.py",
    "pipelines/warehouse/test_closing.py",
    "pipelines/warehouse/test_billing_calendar.py",
    "dbt_project/test_project.py",
    "pipelines/warehouse/test_price_index.py",
    "pipelines/warehouse/test_record.py",
    "pipelines/warehouse/test_gate.py",
)
"""Files that take a minute and more, the longest first; `make test` lists the slowest tests at its end."""

TOGETHER = (
    ("worked_example/",),
    ("end_to_end/test_flink.py", "end_to_end/test_real_traffic.py", "pipelines/flink/"),
    ("pipelines/connection/",),
)
"""Files, or folders of them, that share a book, a Flink or a secured Kafka, which each worker makes for itself."""

_LINES_SHOWN = 40


class FailuresAtOnce:
    """Names each failure and shows the end of its report when it comes, not only when the session ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write what failed, and where; whichever worker it ran in, the session's own process hears of it."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not report.failed:
            return
        reporter.line("")  # xdist leaves its dots on a line that it does not know to be begun
        reporter.write_line(f"FAILED {report.nodeid} ({report.when})", red=True)
        for line in report.longreprtext.splitlines()[-_LINES_SHOWN:]:
            reporter.write_line(f"    {line}")


def pytest_configure(config: pytest.Config) -> None:
    """Show failures at once, in the process that prints; hear Ctrl-C, as must all that tests start.

    A shell lets what it runs in the background ignore it, and that is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that last longest first; within a file, and among all others, the order stays."""
    items.sort(key=lambda item: _place(item.path, LONGEST_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files as `--dist loadfile` does, those of `TOGETHER` to one worker."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class FilesTogether(LoadFileScheduling):  # type: ignore[misc]  # it is untyped
        def _split_scope(self, nodeid: str) -> str:
            return _scope(super()._split_scope(nodeid))

    return FilesTogether(config, log)


def _scope(file: str) -> str:
    """Return what a worker takes as a whole: the first of the files that belong together, or the file itself."""
    name = file.removeprefix("tests/")
    return next((group[0] for group in TOGETHER if name.startswith(group)), file)


def _place(path: Path, longest: Sequence[str]) -> int:
    name = path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    return longest.index(name) if name in longest else len(longest)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the book and the Kafka of whoever runs them."""
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.delenv(BOOTSTRAP_VARIABLE, raising=False)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(LAKE_VARIABLE, raising=False)
    monkeypatch.delenv(LOG_FORMAT_VARIABLE, raising=False)


@pytest.fixture(autouse=True)
def _kafka_logs_as_before() -> Iterator[None]:
    """Give kafka-python its voice back: commands that follow Kafka silence it for their whole process."""
    logger = logging.getLogger("kafka")
    level = logger.level
    yield
    logger.setLevel(level)


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
