"""The broker's jars are pinned."""

from __future__ import annotations

from tollbook.broker import jars


def test_every_jar_of_the_broker_is_pinned_by_its_hash() -> None:
    """An unpinned jar is code from the network that nobody looked at."""
    pinned = jars.pinned()

    assert len(pinned) == 45
    assert len({jar.file_name for jar in pinned}) == 45
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in pinned)
    assert [jar.coordinate for jar in pinned] == sorted(jar.coordinate for jar in pinned)
    assert f"org.apache.kafka:kafka_2.13:{jars.KAFKA_VERSION}" in {jar.coordinate for jar in pinned}
