"""Which format a record has, and how it is unpacked: by topic, by header, within bounded memory, in record order."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from tollbook.errors import MisuseError, RejectedRecordError
from tollbook.formats.decoder import Decoded
from tollbook.formats.registry import FORMATS, format_of_topic
from tollbook.formats.route import MAX_UNPACKED_BYTES, RecordRouter, unpack

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MIB = 1024 * 1024


def _native(event_id: str) -> bytes:
    told = {"source": "s", "event_id": event_id, "occurred_at": "2026-06-01T00:00:00Z", "provider": "p", "model": "m"}
    return json.dumps(told | {"input_tokens": 5}).encode()


def _cloudevent(event_id: str) -> bytes:
    told = {"specversion": "1.0", "id": event_id, "source": "s", "type": "t", "time": "2026-06-01T00:00:00Z"}
    return json.dumps(told | {"data": {"provider": "p", "model": "m", "input_tokens": 5}}).encode()


def _decode(*records: tuple[bytes, Mapping[str, bytes] | None], topic_format: str = "native") -> Decoded:
    values = pa.array([value for value, _ in records], pa.binary())
    return RecordRouter().decode(values, topic_format, now=NOW, headers=[headers for _, headers in records])


def _format(name: str, **more: bytes) -> dict[str, bytes]:
    return {"tollbook-format": name.encode()} | {key.replace("_", "-"): value for key, value in more.items()}


def test_every_format_is_there() -> None:
    """Names of formats are in topics and headers; each must lead to a decoder that takes dimension rules."""
    for each in FORMATS.values():
        assert each.make().schema == FORMATS["native"].make().schema


def test_a_topic_has_the_format_of_its_name() -> None:
    """`llm.usage.<format>` needs no configuration."""
    assert format_of_topic("llm.usage.litellm") == "litellm"
    assert format_of_topic("llm.usage") == "native"
    assert format_of_topic("llm.usage.rejects") == "native"


def test_records_of_several_formats_in_one_batch_keep_their_order() -> None:
    """A header may name another format than the topic's; where events stand is by record, not by format."""
    decoded = _decode(
        (_native("a"), None),
        (_cloudevent("b"), _format("cloudevents")),
        (b"?", None),
        (_native("c"), {"other": b"x"}),
        (_native("d"), _format("cloudevents")),
        (_cloudevent("e"), _format("cloudevents")),
        (_native("f"), _format("")),
    )
    assert decoded.events.column("event_id").to_pylist() == ["a", "b", "c", "e", "f"]
    assert decoded.rows.tolist() == [0, 1, 3, 5, 6]
    assert [(each.row, each.error.reason) for each in decoded.rejected] == [(2, "invalid_json"), (4, "missing_field")]


def test_an_unknown_format_is_one_reject_that_names_it() -> None:
    """A misspelt header must be found by whoever set it; a header may also hold anything."""
    decoded = _decode(
        (_native("a"), _format("nativ")), (_native("b"), _format("my prompt: secret")), (_native("c"), None)
    )
    first, second = decoded.rejected
    assert first.error.message.startswith("unknown_format: expected the record to be one of native, cloudevents,")
    assert first.error.got == "nativ"
    assert second.error.got == "a text of 17 characters"
    assert decoded.events.column("event_id").to_pylist() == ["c"]


def test_a_topic_of_an_unknown_format_is_misuse() -> None:
    """Configuration is checked before records are."""
    with pytest.raises(MisuseError, match="expected a format of native"):
        _decode((_native("a"), None), topic_format="nativ")


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda value: zstandard.ZstdCompressor().compress(value),
    "zstd without its size": lambda value: b"".join(
        [(packer := zstandard.ZstdCompressor(write_content_size=False).compressobj()).compress(value), packer.flush()]
    ),
    "gzip in two members": lambda value: gzip.compress(value[:7]) + gzip.compress(value[7:]),
    "zstd in two frames": lambda value: (
        zstandard.ZstdCompressor().compress(value[:7]) + zstandard.ZstdCompressor().compress(value[7:])
    ),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_record_is_what_it_was(name: str) -> None:
    """Producers and collectors pack what they send."""
    headers = {"content-encoding": name.split(maxsplit=1)[0].upper().encode()}
    decoded = _decode((PACKED[name](_native("a")), headers), (_native("b"), {"content-encoding": b"identity"}))
    assert decoded.events.column("event_id").to_pylist() == ["a", "b"]


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_record_that_breaks_off_is_a_reject(name: str) -> None:
    """Half a record must not pass for a whole one, wherever it breaks off."""
    value = _native("a") + b" " * 100
    whole = PACKED[name](value)
    encoding = name.split(maxsplit=1)[0]
    wholes_before = len(PACKED[encoding](value[:7])) if "two" in name else 0
    for length in range(1, len(whole)):
        if length != wholes_before:
            with pytest.raises(RejectedRecordError, match="invalid_encoding"):
                unpack(whole[:length], encoding)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        pytest.param(_native("a"), "gzip", id="plain, called gzip"),
        pytest.param(_native("a"), "zstd", id="plain, called zstd"),
        pytest.param(gzip.compress(b"x"), "zstd", id="gzip, called zstd"),
        pytest.param(gzip.compress(b"x") + b"more", "gzip", id="more after the end"),
        pytest.param(gzip.compress(b"x")[:-8] + b"12345678", "gzip", id="a wrong checksum"),
        pytest.param(gzip.compress(b"") * 1_000, "gzip", id="a thousand empty gzip members"),
        pytest.param(zstandard.compress(b"") * 1_000, "zstd", id="a thousand empty zstd frames"),
        pytest.param(zlib.compress(b"x"), "gzip", id="zlib, called gzip"),
        pytest.param(b"", "gzip", id="empty"),
        pytest.param(_native("a"), "br", id="an unknown encoding"),
        pytest.param(_native("a"), "gzip, gzip", id="two encodings"),
    ],
)
def test_what_is_not_packed_as_its_header_says_is_a_reject_with_its_own_bytes(value: bytes, encoding: str) -> None:
    """A header that lies costs its record and no other."""
    decoded = _decode((value, {"content-encoding": encoding.encode()}), (_native("b"), None))
    (rejected,) = decoded.rejected
    assert (rejected.row, rejected.error.reason, rejected.value_state) == (0, "invalid_encoding", "unparsed")
    assert (rejected.value, rejected.value_bytes) == (None, len(value))
    assert rejected.value_sha256 == hashlib.sha256(value).hexdigest()
    assert decoded.events.column("event_id").to_pylist() == ["b"]


def test_a_reject_of_a_packed_record_tells_of_the_record_as_it_came() -> None:
    """Size and digest are of what stands on Kafka; unpacked bytes would be another record, and a larger one."""
    packed = gzip.compress(b"not JSON " * 100_000)
    (rejected,) = _decode((packed, {"content-encoding": b"gzip"})).rejected
    assert (rejected.error.reason, rejected.value_state) == ("invalid_json", "unparsed")
    assert (rejected.value, rejected.value_bytes) == (None, len(packed))
    assert rejected.value_sha256 == hashlib.sha256(packed).hexdigest()


def _bombs(count: int, size: int) -> list[tuple[bytes, Mapping[str, bytes] | None]]:
    packed = gzip.compress(b"\0" * size)
    return [(packed, {"content-encoding": b"gzip"})] * count


def _measured(*records: tuple[bytes, Mapping[str, bytes] | None], at_once: int | None = None) -> dict[str, Any]:
    """Return what became of records, and the most memory of Python and Arrow that it took."""
    script = Path(__file__).with_name("route_memory.py")
    ran = subprocess.run(
        [sys.executable, script], input=pickle.dumps((records, at_once)), stdout=subprocess.PIPE, check=True
    )
    told: dict[str, Any] = pickle.loads(ran.stdout)  # noqa: S301  # written by the process just started
    return told


def test_a_bomb_is_unpacked_no_further_than_the_largest_record() -> None:
    """A gigabyte in a megabyte of gzip: one reject, and no more memory than a large record may take."""
    for encoding, bomb in (
        ("gzip", gzip.compress(b"\0" * (1024 * MIB), 9)),
        ("zstd", zstandard.compress(b"\0" * 512 * MIB)),
    ):
        measured = _measured(
            (_native("a"), None), (bomb, {"content-encoding": encoding.encode()}), (_native("b"), None)
        )
        too_large = f"record_too_large: expected the record to be at most {MAX_UNPACKED_BYTES} bytes unpacked, got more"
        assert measured["rejected"] == [(too_large, None, "unparsed")]
        assert measured["event_ids"] == ["a", "b"]
        assert measured["peak_mib"] < 100


def test_many_records_just_below_the_limit_are_not_held_all_at_once() -> None:
    """Each is within the limit of one; 400 MiB of them from 400 kB must not be in memory together."""
    measured = _measured((_native("a"), None), *_bombs(100, 4 * MIB), (_native("b"), None), at_once=8 * MIB)
    assert len(measured["rejected"]) == 100
    assert {message.split(":")[0] for message, _, _ in measured["rejected"]} == {"record_too_large"}
    assert measured["event_ids"] == ["a", "b"]
    assert measured["rows"] == [0, 101]
    assert measured["peak_mib"] < 120
