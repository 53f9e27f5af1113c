"""From a file to the lake over secured listeners, by the commands that people use."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, TopicPartition

import tollbook
from tollbook.broker.topics import ensure_topics
from tollbook.cli import main
from tollbook.connection.security import PREFIX, HiddenText, KafkaSecurity, Secret
from tollbook.integrations.delivery import Delivery
from tollbook.integrations.settings import DeliverySettings
from tollbook.senders.send import send_file
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter
from tollbook.watch.follow import WatchOptions, watch

if TYPE_CHECKING:
    from tests.pipelines.connection.conftest import SecureKafka

EVENT = {
    "source": "anthropic",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "occurred_at": "2026-06-01T10:00:00Z",
    "input_tokens": 1000,
    "output_tokens": 100,
}
WAIT_SECONDS = 300.0
PROTOCOLS: dict[str, Callable[[SecureKafka], tuple[str, KafkaSecurity]]] = {
    "SASL_SSL, SCRAM-SHA-512": lambda kafka: (kafka.scram, kafka.by_password()),
    "SASL_SSL, SCRAM-SHA-256": lambda kafka: (kafka.scram, kafka.by_password(sasl_mechanism="SCRAM-SHA-256")),
    "SASL_SSL, PLAIN": lambda kafka: (kafka.scram, kafka.by_plain_password()),
    "SSL, mTLS": lambda kafka: (kafka.mtls, kafka.by_certificate()),
}


@pytest.fixture(autouse=True)
def _kafka_logs_as_before() -> Iterator[None]:
    """Commands silence kafka-python's log in their process; other tests read it."""
    level = logging.getLogger("kafka").level
    yield
    logging.getLogger("kafka").setLevel(level)


@pytest.fixture
def topic() -> str:
    """Return the name of a topic of the test's own."""
    return f"llm.usage.test_{uuid.uuid4().hex[:12]}"


def _events(path: Path, *ids: str, poison: bool = False) -> Path:
    lines = [json.dumps(EVENT | {"event_id": each}) for each in ids]
    path.write_text("\n".join([*lines, *(["no event at all"] if poison else [])]) + "\n", encoding="utf-8")
    return path


def _environment(monkeypatch: pytest.MonkeyPatch, home: Path, servers: str, security: KafkaSecurity) -> None:
    """Set the variables that say `security`, passwords by file."""
    monkeypatch.setenv("TOLLBOOK_HOME", str(home))
    monkeypatch.setenv("TOLLBOOK_BOOTSTRAP_SERVERS", servers)
    told: dict[str, Any] = {
        "SECURITY_PROTOCOL": security.protocol,
        "SASL_MECHANISM": security.sasl_mechanism,
        "SASL_USERNAME": security.sasl_username,
        "SSL_CAFILE": security.ssl_cafile,
        "SSL_CERTFILE": security.ssl_certfile,
        "SSL_KEYFILE": security.ssl_keyfile,
    }
    home.mkdir(exist_ok=True)
    for name, secret in (("SASL_PASSWORD", security.sasl_password), ("SSL_KEY_PASSWORD", security.ssl_key_password)):
        if secret is not None:
            told[f"{name}_FILE"] = home / name.lower()
            told[f"{name}_FILE"].write_text(secret.reveal(), encoding="utf-8")
    for name, value in told.items():
        if value is not None:
            monkeypatch.setenv(PREFIX + name, str(value))


def _values(servers: str, topic: str) -> list[bytes]:
    """Return the values on a topic, read by a plain client."""
    consumer = KafkaConsumer(bootstrap_servers=servers)
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: list[bytes] = []
        while any(consumer.position(place) < ends[place] for place in places):
            found += [record.value for records in consumer.poll(timeout_ms=500).values() for record in records]
        return found
    finally:
        consumer.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_records_are_sent_metered_and_rejected_over_every_protocol(
    protocol: str,
    secured: SecureKafka,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Send makes the topic, meter reads it and publishes its reject: an admin, two producers and two consumers."""
    caplog.set_level(logging.DEBUG)
    _environment(monkeypatch, tmp_path / "home", *PROTOCOLS[protocol](secured))
    file = _events(tmp_path / "events.jsonl", "a", "b", "c", poison=True)

    assert main(["send", str(file), "--topic", topic, "--json"]) == 0
    sent = json.loads(capsys.readouterr().out)
    assert main(["meter", "--until-caught-up", "--topic", f"{topic}=native", "--json"]) == 0
    out, err = capsys.readouterr()
    metered = json.loads(out)

    assert sent["records"] == 4
    assert (metered["read"], metered["accepted"], metered["rejected"]) == (4, 3, 1)
    rejects = [json.loads(value) for value in _values(secured.plain, "llm.usage.rejects")]
    assert [each["topic"] for each in rejects if each["topic"] == topic] == [topic]
    for secret in (secured.password, secured.plain_password):
        assert secret not in f"{out}{err}{caplog.text}{json.dumps(sent)}"


@pytest.mark.parametrize("command", ["send", "meter", "watch"])
def test_a_command_that_is_refused_says_why_and_ends(
    command: str,
    secured: SecureKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One line, exit 1, no password, none of kafka-python's own complaints."""
    wrong = Secret("told", HiddenText("wrong-horse"))
    _environment(monkeypatch, tmp_path / "home", secured.scram, secured.by_password(sasl_password=wrong))
    arguments = {
        "send": ["send", str(_events(tmp_path / "events.jsonl", "a"))],
        "meter": ["meter", "--follow"],
        "watch": ["watch", "claude-code", "--folder", str(_session(tmp_path / "sessions")), "--once"],
    }

    assert main(arguments[command]) == 1

    out, err = capfd.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line and not line.startswith("sending")]
    assert len(lines) == 1
    assert re.match(r"tollbook: expected Kafka at localhost:\d+ to let the user 'meter,eu=1' in, it refused", lines[0])
    assert "wrong-horse" not in err


def test_settings_that_do_not_fit_are_misuse_of_any_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, before anything is opened, and the password is not repeated."""
    monkeypatch.setenv(f"{PREFIX}SASL_PASSWORD", "correct-horse")

    assert main(["meter", "--until-caught-up", "--home", str(tmp_path)]) == 2

    err = capsys.readouterr().err
    assert "as TOLLBOOK_KAFKA_SASL_PASSWORD is set, got PLAINTEXT" in err
    assert "correct-horse" not in err


def test_session_files_are_followed_over_a_secured_connection(secured: SecureKafka, tmp_path: Path) -> None:
    """Watchers run on laptops, from where a plain connection would be a mistake."""
    settings = Settings(home=tmp_path / "home", bootstrap_servers=secured.scram, kafka_security=secured.by_password())
    topic = f"llm.usage.test_{uuid.uuid4().hex[:12]}"

    done = watch(WatchOptions(settings, [_session(tmp_path / "sessions")], topic), tell=lambda _message: None)

    assert done.records == 1
    assert len(_values(secured.plain, topic)) == 1


def test_the_callback_spools_while_it_is_refused_and_delivers_once_it_is_not(
    secured: SecureKafka, topic: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rotated password must not cost a record; the log says what is wrong, once, and the gateway goes on."""
    caplog.set_level(logging.WARNING, "tollbook.integrations")
    settings = Settings(home=tmp_path, bootstrap_servers=secured.plain)
    ensure_topics(settings, [topic])
    file = tmp_path / "password"
    file.write_text("wrong-horse", encoding="utf-8")
    security = secured.by_password(sasl_password=Secret("told", file=file))
    delivery = Delivery(
        DeliverySettings(
            topic=topic,
            spool=tmp_path / "spool",
            bootstrap_servers=secured.scram,
            kafka_security=security,
            retry_seconds=0.2,
        ),
        format_name="litellm",
    )
    try:
        delivery.put(b"kept")
        deadline = time.monotonic() + WAIT_SECONDS
        while "is away" not in caplog.text and time.monotonic() < deadline:
            assert not delivery.settle(0.1)
        assert not delivery.settle(1.0)  # several more attempts, of which nothing is said
        file.write_text(secured.password, encoding="utf-8")
        assert delivery.settle(WAIT_SECONDS)
    finally:
        delivery.close()

    assert _values(secured.plain, topic) == [b"kept"]
    told = [record.getMessage() for record in caplog.records if "is away" in record.getMessage()]
    assert len(told) == 1
    assert "to let the user 'meter,eu=1' in, it refused" in told[0]
    assert "wrong-horse" not in caplog.text


def test_a_meter_that_follows_says_that_it_is_refused_and_goes_on_once_it_is_not(
    secured: SecureKafka, topic: str, tmp_path: Path
) -> None:
    """An operator changes the password on the broker first: the meter is loud meanwhile, and loses nothing."""
    plain = Settings(home=tmp_path / "home", bootstrap_servers=secured.plain)
    security = secured.by_password(protocol="SASL_PLAINTEXT", ssl_cafile=None)
    settings = replace(plain, bootstrap_servers=secured.clear, kafka_security=security)
    send_file(plain, str(_events(tmp_path / "one.jsonl", "a")), topic=topic)
    one, two, refused, stop = (threading.Event() for _ in range(4))
    ends: list[MeterProgress] = []

    def report(done: MeterProgress) -> None:
        one.set()
        if done.accepted == 2:
            two.set()

    def tell(message: str) -> None:
        if "to let the user 'meter,eu=1' in, it refused" in message:
            refused.set()

    def follow() -> None:
        options = MeterOptions(settings=settings, topics=(topic,), formats={topic: "native"}, follow=True)
        ends.append(run_meter(options, report=report, tell=tell, should_stop=stop.is_set))

    meter = threading.Thread(target=follow)
    meter.start()
    try:
        assert one.wait(WAIT_SECONDS)
        secured.set_password("another-horse")
        assert refused.wait(WAIT_SECONDS)
        send_file(plain, str(_events(tmp_path / "two.jsonl", "b")), topic=topic)
        secured.set_password(secured.password)
        assert two.wait(WAIT_SECONDS)
    finally:
        secured.set_password(secured.password)
        stop.set()
        meter.join(WAIT_SECONDS)

    assert [(end.read, end.accepted, end.rejected) for end in ends] == [(2, 2, 0)]


def test_clients_are_made_in_one_place() -> None:
    """A client made elsewhere would have no security settings, and hang where it is refused."""
    folder = Path(tollbook.__file__).parent
    made = re.compile(r"\b(KafkaConsumer|KafkaProducer|KafkaAdminClient)\(")
    found = [path for path in folder.rglob("*.py") if made.search(path.read_text(encoding="utf-8"))]

    assert found == []


def _session(folder: Path) -> Path:
    """Return a folder of session files with one call."""
    folder.mkdir()
    line = {
        "type": "assistant",
        "uuid": "u-1",
        "sessionId": "s-1",
        "timestamp": "2026-06-01T10:00:00Z",
        "requestId": "req-1",
        "message": {
            "id": "msg_1",
            "role": "assistant",
            "model": "claude-opus-4-5-20251101",
            "usage": {"input_tokens": 10, "output_tokens": 5},
        },
    }
    (folder / "session.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    return folder
