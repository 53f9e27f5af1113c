"""Records on their way from a tool's process to Kafka, and on disk while it is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tollbook.errors import MisuseError
from tollbook.integrations.delivery import Delivery
from tollbook.integrations.settings import DeliverySettings
from tollbook.integrations.spool import Spool
from tollbook.settings import Settings

Make = Callable[..., DeliverySettings]


MakeSpool = Callable[..., Spool]


@pytest.fixture
def open_spool() -> Iterator[MakeSpool]:
    """Return a function that opens a spool; all are closed when the test ends."""
    opened: list[Spool] = []

    def make(folder: Path, *, most_bytes: int = 1_000_000, segment_bytes: int = 1_000_000) -> Spool:
        opened.append(Spool(folder, most_bytes=most_bytes, segment_bytes=segment_bytes, fsync_seconds=0.0))
        return opened[-1]

    yield make
    for spool in opened:
        spool.close()


def _drained(spool: Spool) -> list[bytes]:
    values = []
    while (oldest := spool.oldest()) is not None:
        values += oldest[1]
        spool.delivered(oldest[0])
    return values


def test_what_waits_comes_back_in_the_order_it_came(open_spool: MakeSpool, tmp_path: Path) -> None:
    """Order is what lets a later telling of a call follow an earlier one."""
    spool = open_spool(tmp_path, segment_bytes=40)
    values = [b"record %d" % number for number in range(10)]
    for value in values:
        spool.append([value])
    assert len(list(tmp_path.glob("*.spool"))) == 5  # 8 + 1 + 8 + 1 = 18 bytes a line, two to a file of 40
    assert _drained(spool) == values
    assert list(tmp_path.iterdir()) == []
    assert (spool.waiting, spool.waiting_bytes) == (False, 0)


def test_a_file_stays_until_it_is_delivered(open_spool: MakeSpool, tmp_path: Path) -> None:
    """A broker that goes away in the middle of a file must not cost the rest of it."""
    spool = open_spool(tmp_path)
    spool.append([b"a", b"b"])
    first = spool.oldest()
    again = spool.oldest()
    assert first is not None
    assert again is not None
    assert first[1] == again[1] == [b"a", b"b"]
    assert first[0].path.exists()


def test_a_living_process_keeps_its_files_and_a_dead_one_leaves_them(open_spool: MakeSpool, tmp_path: Path) -> None:
    """Workers of one gateway share a folder: none may send or delete what another still writes."""
    first = open_spool(tmp_path)
    first.append([b"of the first"])
    second = open_spool(tmp_path)
    assert not second.waiting
    first.close()
    second.adopt()
    assert _drained(second) == [b"of the first"]


def test_a_line_cut_short_is_counted_and_its_neighbours_are_kept(
    open_spool: MakeSpool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that dies while it writes must not spoil what it wrote before."""
    spool = open_spool(tmp_path)
    spool.append([b"whole", b"cut short"])
    spool.close()
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes()[:-3])
    later = open_spool(tmp_path)
    assert _drained(later) == [b"whole"]
    assert later.damaged == 1
    assert "1 lines of" in caplog.text
    assert [each.suffix for each in tmp_path.iterdir()] == [".damaged"]


def test_a_full_spool_drops_loudly_and_counts(
    open_spool: MakeSpool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk is finite; what is lost then is told, never silent."""
    spool = open_spool(tmp_path, most_bytes=40)
    spool.append([b"record 1", b"record 2", b"record 3"])  # 18 bytes a line: two fit into 40
    assert spool.dropped == 1
    assert "1 records were DROPPED" in caplog.text
    assert "it is full" in caplog.text
    assert _drained(spool) == [b"record 1", b"record 2"]
    spool.append([b"record 4"])
    assert _drained(spool) == [b"record 4"]


def test_a_disk_that_takes_nothing_drops_loudly(
    open_spool: MakeSpool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be made must not fail the gateway."""
    (tmp_path / "file").write_text("")
    spool = open_spool(tmp_path / "file" / "spool")
    spool.append([b"a"])
    assert spool.dropped == 1
    assert caplog.text.count("DROPPED") == 1


def test_without_a_broker_records_wait_on_disk_and_memory_stays_bounded(
    open_spool: MakeSpool, delivery_settings: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of any length costs the gateway no memory."""
    delivery = Delivery(delivery_settings(None, queue_records=10), format_name="litellm")
    values = [b"%06d" % number for number in range(5_000)]
    for value in values:
        delivery.put(value)
    delivery.close()
    assert delivery.spooled == 5_000
    assert delivery.dropped == 0
    assert "no Kafka is named" in caplog.text
    assert sorted(_drained(open_spool(delivery.spool._folder))) == values


def test_what_comes_after_the_end_waits_on_disk(open_spool: MakeSpool, delivery_settings: Make) -> None:
    """LiteLLM finishes its own queue at the end of the process, after ours was closed."""
    delivery = Delivery(delivery_settings(None), format_name="litellm")
    delivery.close()
    delivery.put(b"late")
    delivery.spool.close()
    assert _drained(open_spool(delivery.spool._folder)) == [b"late"]


def test_records_reach_the_topic_with_their_format(
    settings: Settings, new_topic: Callable[..., str], delivery_settings: Make, topic_values: Callable[..., list[bytes]]
) -> None:
    """A record says its format itself, so that it is understood on any topic."""
    topic = new_topic(partitions=2)
    delivery = Delivery(delivery_settings(settings.bootstrap_servers, topic), format_name="litellm")
    values = [b"%06d" % number for number in range(3_000)]

    def put(part: int) -> None:
        for value in values[part::3]:
            delivery.put(value)

    threads = [threading.Thread(target=put, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert delivery.settle(300)
    assert sorted(topic_values(topic)) == values
    assert delivery.delivered == 3_000
    delivery.close()
    assert list(delivery.spool._folder.iterdir()) == []


def test_a_later_process_drains_what_an_earlier_one_left(
    settings: Settings, new_topic: Callable[..., str], delivery_settings: Make, topic_values: Callable[..., list[bytes]]
) -> None:
    """A gateway that is restarted during an outage loses nothing."""
    topic = new_topic(partitions=1)
    earlier = Delivery(delivery_settings(None, topic), format_name="litellm")
    for number in range(100):
        earlier.put(b"%03d" % number)
    earlier.close()
    later = Delivery(delivery_settings(settings.bootstrap_servers, topic), format_name="litellm")
    assert later.settle(300)
    later.close()
    assert topic_values(topic) == [b"%03d" % number for number in range(100)]


def test_a_topic_that_is_not_there_is_told_and_records_wait(
    open_spool: MakeSpool, settings: Settings, delivery_settings: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong name of the topic must show, and cost nothing once it is right."""
    caplog.set_level(logging.WARNING, "tollbook.integrations")
    options = {"max_block_ms": 300}
    made = delivery_settings(settings.bootstrap_servers, "no-such-topic", kafka_options=options)
    delivery = Delivery(made, format_name="litellm")
    delivery.put(b"a")
    deadline = time.monotonic() + 300
    while "is away" not in caplog.text and time.monotonic() < deadline:
        assert not delivery.settle(0.1)
    delivery.close()
    assert "is away" in caplog.text
    assert _drained(open_spool(delivery.spool._folder)) == [b"a"]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A gateway has no command line of ours to set anything by."""
    monkeypatch.setenv("TOLLBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("TOLLBOOK_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("TOLLBOOK_SPOOL_BYTES", "1000")
    monkeypatch.setenv("TOLLBOOK_KAFKA_OPTIONS", '{"security_protocol": "SASL_SSL"}')
    loaded = DeliverySettings.load("llm.usage.litellm")
    assert loaded.spool == tmp_path / "spool" / "llm.usage.litellm"
    assert (loaded.bootstrap_servers, loaded.spool_bytes) == ("kafka:9092", 1000)
    assert loaded.kafka_options == {"security_protocol": "SASL_SSL"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOLLBOOK_SPOOL_BYTES", "much"), ("TOLLBOOK_EXIT_SECONDS", "-1"), ("TOLLBOOK_KAFKA_OPTIONS", "[]")],
)
def test_a_wrong_setting_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A misspelt limit must not become another one."""
    monkeypatch.setenv(name, value)
    with pytest.raises(MisuseError, match=name):
        DeliverySettings.load("llm.usage.litellm")
