"""The partition of a key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as murmur2_of_kafka_python

from tollbook.senders.partitioning import murmur2, partitions


@given(st.lists(st.binary(max_size=70), max_size=40))
def test_keys_hash_as_kafkas_own_client_hashes_them(keys: list[bytes]) -> None:
    """Other tools send for the same tasks; a task in two partitions would lose its order."""
    assert murmur2(keys).tolist() == [murmur2_of_kafka_python(key) for key in keys]


def test_a_known_key_hashes_to_the_number_in_kafkas_test_suite() -> None:
    """Kafka's UtilsTest.testMurmur2 has 'foobar' as -790332482, which is 3504634814 unsigned."""
    assert murmur2([b"foobar", b"21"]).tolist() == [-790332482 % 2**32, -973932308 % 2**32]


def test_a_key_decides_the_partition_whatever_the_value() -> None:
    """Order holds within a partition only."""
    places = partitions([b"task-1", b"task-2", b"task-1"], [b"a", b"b", b"c"], 4)
    assert places[0] == places[2]
    assert places == [(h & 0x7FFFFFFF) % 4 for h in map(murmur2_of_kafka_python, [b"task-1", b"task-2", b"task-1"])]


def test_records_without_a_key_go_by_their_bytes() -> None:
    """Sending a file twice puts the copies where the originals are."""
    places = partitions([None, None, b"k"], [b"null", b"null", b"null"], 1000)
    assert places[0] == places[1]
    assert all(0 <= place < 1000 for place in places)
