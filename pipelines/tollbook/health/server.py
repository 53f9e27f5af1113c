"""The page that Prometheus scrapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from tollbook.errors import MisuseError

LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]*)):)?(?P<port>\d{1,5})")
_PORTS = 65_536


def parse_address(told: str) -> tuple[str, int]:
    """Return host and port of an address told as `PORT`, `HOST:PORT` or `[IPV6]:PORT`; without a host, loopback.

    Port 0 lets the system choose one.

    Raises:
        MisuseError: It is none of them.
    """
    match = _ADDRESS.fullmatch(told.strip())
    if match is None or int(match["port"]) >= _PORTS:
        raise MisuseError(f"expected a metrics address as HOST:PORT or PORT, got {told!r}")
    return match["v6"] or match["host"] or LOOPBACK, int(match["port"])


@contextmanager
def serving_metrics(address: str, *collectors: Collector) -> Iterator[str]:
    """Serve metrics over HTTP while within; yields the address of the page.

    Who may reach the address may read it: it asks for no password, so keep it on loopback or a network of your own.

    Args:
        address: As `parse_address` takes it.
        collectors: Give the metrics at each scrape; those of this process come beside them.

    Raises:
        MisuseError: The address cannot be listened on.
    """
    host, port = parse_address(address)
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as failed:
        raise MisuseError(
            f"expected to serve metrics on {host}:{port}, got: {failed.strerror or failed}; "
            "name another by --metrics-address"
        ) from failed
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
