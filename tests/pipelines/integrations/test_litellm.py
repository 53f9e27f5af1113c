"""The real LiteLLM, with Tollbook's callback in it, into a real Kafka."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm.exceptions import RateLimitError

from tollbook.broker import Broker
from tollbook.broker.topics import ensure_topics
from tollbook.formats.decoder import Decoded
from tollbook.formats.litellm import LiteLlmDecoder
from tollbook.integrations.litellm import TollbookLogger, proxy_handler, told_of
from tollbook.integrations.settings import DeliverySettings
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter

NOW = datetime(2100, 1, 1, tzinfo=UTC)
TOPIC = "llm.usage.litellm"
SECRET = "a prompt that nobody may read"
MESSAGES = [{"role": "user", "content": SECRET}]
Make = Callable[..., DeliverySettings]
Values = Callable[[str], list[bytes]]


def _decode(values: list[bytes]) -> Decoded:
    return LiteLlmDecoder().decode(pa.array(values, pa.binary()), now=NOW)


def _wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until a condition holds, at most so long."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        pause.wait(0.02)


@pytest.fixture
def tell() -> Iterator[Callable[[DeliverySettings], TollbookLogger]]:
    """Return a function that puts our callback into LiteLLM; it is taken out when the test ends."""
    loggers = []

    def make(settings: DeliverySettings) -> TollbookLogger:
        loggers.append(TollbookLogger(settings))
        litellm.callbacks = [loggers[-1]]
        return loggers[-1]

    yield make
    for name in (
        "callbacks",
        "success_callback",
        "failure_callback",
        "_async_success_callback",
        "_async_failure_callback",
    ):
        setattr(litellm, name, [])
    for logger in loggers:
        logger.delivery.close()


def test_calls_reach_the_ledger_through_the_meter(
    settings: Settings,
    new_topic: Callable[..., str],
    delivery_settings: Make,
    tell: Callable[[DeliverySettings], TollbookLogger],
    topic_values: Values,
) -> None:
    """The whole way: a program's call, LiteLLM, our callback, Kafka, and the adapter, without a word of the prompt."""
    topic = new_topic(partitions=1)
    logger = tell(delivery_settings(settings.bootstrap_servers, topic))
    response = litellm.completion("gpt-4o", MESSAGES, mock_response="an answer", metadata={"tags": ["team:search"]})
    failure = RateLimitError(SECRET, model="gpt-4o", llm_provider="openai")
    with pytest.raises(RateLimitError):
        litellm.completion("gpt-4o", MESSAGES, mock_response=failure)
    _wait_until(lambda: logger.delivery.delivered == 2)
    values = topic_values(topic)
    assert not any(word in value for value in values for word in (SECRET.encode(), b"an answer", b"traceback"))
    ok, failed = _decode(values).events.to_pylist()
    assert (ok["source"], ok["event_id"], ok["team"], ok["status"]) == ("openai", response.id, "search", "ok")
    # LiteLLM's mock answers are of 10 and 20 tokens.
    assert (ok["input_tokens"], ok["output_tokens"]) == (10, 20)
    assert (failed["source"], failed["status"], failed["error_type"]) == ("litellm", "error", "RateLimitError")
    assert failed["input_tokens"] is None
    options = MeterOptions(settings=settings, topics=(topic,), formats={topic: "litellm"}, clock=lambda: NOW)
    progress = run_meter(options)
    assert (progress.read, progress.accepted, progress.rejected) == (2, 2, 0)


def test_a_call_that_cannot_be_told_is_not_failed(
    delivery_settings: Make, tell: Callable[[DeliverySettings], TollbookLogger], caplog: pytest.LogCaptureFixture
) -> None:
    """A ledger must never be why a model call fails; it says so, once, and counts."""
    logger = tell(delivery_settings(None))
    for kwargs in (None, {}, {"standard_logging_object": None}, {"standard_logging_object": object()}):
        logger.log_success_event(kwargs, None, None, None)
    assert logger.failed == 4
    assert caplog.text.count("could not be told") == 1


def test_a_wrong_setting_does_not_fail_a_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway with a misspelt limit goes on answering, and says what is wrong."""
    monkeypatch.setenv("TOLLBOOK_SPOOL_BYTES", "much")
    logger = TollbookLogger()
    logger.log_success_event({"standard_logging_object": {"id": "a"}}, None, None, None)
    assert logger.failed == 1
    assert "TOLLBOOK_SPOOL_BYTES" in caplog.text


def test_the_line_of_a_proxys_configuration_finds_the_handler() -> None:
    """What the README tells people to write is read by the code with which the proxy reads it."""
    import yaml
    from litellm.proxy.types_utils.utils import get_instance_fn

    folder = Path(__file__).parents[3] / "infra" / "litellm"
    told = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    (line,) = told["litellm_settings"]["callbacks"]
    assert get_instance_fn(line, str(folder / "config.yaml")) is proxy_handler
    assert isinstance(proxy_handler, litellm.integrations.custom_logger.CustomLogger)


def test_the_callback_needs_no_part_of_the_pipeline() -> None:
    """A gateway's process stays small: what is imported there is the way to Kafka and nothing else."""
    code = """
        import sys
        sys.modules["litellm"] = None
        import tollbook.integrations.litellm
        heavy = {"apache_beam", "dbt", "duckdb", "great_expectations", "pyarrow", "numpy", "kafka"}
        sys.exit(" ".join(sorted(heavy & set(sys.modules))) or 0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_attempts_of_a_router_are_numbered_and_the_providers_own_id_is_kept() -> None:
    """LiteLLM drops Anthropic's message id; without it, the same call told by another tool would count twice."""
    payload = {
        "custom_llm_provider": "anthropic",
        "response": {"id": "chatcmpl-6def0248-799a-4222-9b14-d67a93dfa57b", "choices": [{"finish_reason": "stop"}]},
    }
    kwargs = {
        "original_response": json.dumps({"id": "msg_01", "content": [{"text": SECRET}]}),
        "litellm_params": {"metadata": {"attempted_retries": 1, "llm_api_timing_windows": ((1, 2), (3, 4))}},
    }
    told = told_of(payload, kwargs)
    assert told["response"] == {"id": "msg_01", "choices": [{"finish_reason": "stop"}]}
    assert told["tollbook_attempt"] == 2
    assert payload["response"]["id"].startswith("chatcmpl-")  # type: ignore[index]


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[tuple[Broker, Settings]]:
    """Run a broker that a test may stop."""
    settings = Settings(home=tmp_path / "kafka")
    broker = Broker(settings)
    status = broker.up(lambda _message: None)
    ensure_topics(settings, [TOPIC])
    yield broker, Settings(home=settings.home, bootstrap_servers=status.bootstrap_servers)
    broker.down(lambda _message: None)
    # kafka-python leaves the sockets of refused connections to the collector, which would find them in another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_a_broker_that_goes_away_and_comes_back_costs_nothing_and_nobody_waits(
    own_broker: tuple[Broker, Settings],
    delivery_settings: Make,
    tell: Callable[[DeliverySettings], TollbookLogger],
    read_topic: Callable[[str, str], list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An outage is when a gateway must neither stall nor forget: 600 calls before, during and after one."""
    broker, settings = own_broker
    assert settings.bootstrap_servers is not None
    logger = tell(delivery_settings(settings.bootstrap_servers))
    taken: list[int] = []
    put = logger._take

    def counted(kwargs: Any) -> None:
        put(kwargs)
        taken.append(len(taken))

    monkeypatch.setattr(logger, "_take", counted)
    asked: list[str] = []

    def call(times: int) -> None:
        until = len(taken) + times
        asked.extend(litellm.completion("gpt-4o", MESSAGES, mock_response="an answer").id for _ in range(times))
        _wait_until(lambda: len(taken) >= until)

    call(200)
    assert logger.delivery.settle(200)
    broker.down(lambda _message: None)
    # These end although nothing takes what they tell: no call waits for Kafka.
    call(200)
    _wait_until(lambda: logger.delivery.spool.waiting)
    status = broker.up(lambda _message: None)
    assert status.bootstrap_servers == settings.bootstrap_servers
    call(200)
    assert logger.delivery.settle(300)
    assert logger.delivery.dropped == logger.failed == 0
    assert list(logger.delivery.spool._folder.iterdir()) == []
    decoded = _decode(read_topic(settings.bootstrap_servers, TOPIC))
    assert decoded.rejected == []
    told = {(event["source"], event["event_id"]) for event in decoded.events.to_pylist()}
    assert told == {("openai", each) for each in asked}
    assert len(told) == 600


def test_a_killed_gateway_leaves_its_spool_to_the_next(
    own_broker: tuple[Broker, Settings], tmp_path: Path, read_topic: Callable[[str, str], list[bytes]]
) -> None:
    """Kill -9 in the middle of an outage: what was spooled is sent by whoever comes next."""
    _broker, settings = own_broker
    assert settings.bootstrap_servers is not None
    code = f"""
        import sys, time
        from pathlib import Path
        sys.modules["litellm"] = None  # it takes seconds to import, and what it would give is written out below
        from tollbook.integrations.litellm import TollbookLogger
        from tollbook.integrations.settings import DeliverySettings
        sent, servers = int(sys.argv[1]), sys.argv[2] or None
        logger = TollbookLogger(DeliverySettings("{TOPIC}", Path({str(tmp_path / "spool")!r}), servers))
        for number in range(sent):
            payload = {{"id": f"chatcmpl-{{number}}", "startTime": 1795000000.0, "endTime": 1795000001.5,
                "custom_llm_provider": "openai", "model": "gpt-4o", "call_type": "completion", "status": "success",
                "metadata": {{"usage_object": {{"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}}}}}}
            logger.log_success_event({{"standard_logging_object": payload}}, None, None, None)
        while logger.delivery.spooled < sent:
            time.sleep(0.01)
        print(logger.delivery.settle(200) if servers else "spooled", flush=True)
        sys.stdin.read()
    """
    arguments = [sys.executable, "-c", textwrap.dedent(code)]
    first = subprocess.Popen([*arguments, "500", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdout.readline() == b"spooled\n"
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    done = subprocess.run(
        [*arguments, "0", settings.bootstrap_servers], input=b"", stdout=subprocess.PIPE, check=True, timeout=300
    )
    assert done.stdout == b"True\n"
    events = _decode(read_topic(settings.bootstrap_servers, TOPIC)).events
    assert sorted(events.column("event_id").to_pylist()) == sorted(f"chatcmpl-{number}" for number in range(500))
    assert [each for each in (tmp_path / "spool").iterdir() if each.suffix == ".spool"] == []
