"""The page that Prometheus scrapes: where it listens, and that it goes when the meter does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client import Metric as Family

from tollbook import metrics
from tollbook.errors import MisuseError
from tollbook.health.server import parse_address, serving_metrics


class One:
    """A collector of one metric."""

    def collect(self) -> Iterator[Family]:
        yield from metrics.single(metrics.EPOCH, 3)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("9464", ("127.0.0.1", 9464)),
        (":9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),  # noqa: S104  whoever names it gets it
        ("[::1]:0", ("::1", 0)),
        ("metrics.example:65535", ("metrics.example", 65_535)),
    ],
)
def test_an_address_without_a_host_is_on_loopback(told: str, expected: tuple[str, int]) -> None:
    """The page asks for no password, so it is on the network only where one says so."""
    assert parse_address(told) == expected


@pytest.mark.parametrize("told", ["", "localhost", "host:", "host:x", "host:65536", "::1:80", "http://host:80"])
def test_what_is_no_address_is_misuse(told: str) -> None:
    """And says what was expected."""
    with pytest.raises(MisuseError, match="expected a metrics address as HOST:PORT or PORT"):
        parse_address(told)


def test_the_page_is_there_as_long_as_the_meter() -> None:
    """With our metrics and those of the process; its port is free again at once."""
    with serving_metrics("127.0.0.1:0", One()) as address:
        with urlopen(address, timeout=300) as answer:  # noqa: S310  our own server
            told = answer.read().decode()
        assert "# TYPE tollbook_epoch gauge\ntollbook_epoch 3.0\n" in told
        assert "process_resident_memory_bytes" in told
    with pytest.raises(URLError):
        urlopen(address, timeout=300)  # noqa: S310  our own server


def test_an_address_in_use_is_misuse_and_says_so() -> None:
    """Two meters on one machine meet there first."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(MisuseError, match=f"127.0.0.1:{port}, got: Address already in use"),
            serving_metrics(str(port), One()),
        ):
            pass
