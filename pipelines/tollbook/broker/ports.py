"""Free ports on loopback."""

from __future__ import annotations

import socket

from tollbook.broker.properties import HOST

PREFERRED_PORT = 29092
_PAIRS_TRIED = 100


def free_pair(*, avoid: frozenset[int] = frozenset()) -> tuple[int, int]:
    """Return two free ports, for clients and for the controller: 29092 and 29093 when they are free.

    Another process may take one before the broker does; the caller tries again then.

    Args:
        avoid: Ports that turned out to be taken.
    """
    for port in range(PREFERRED_PORT, PREFERRED_PORT + 2 * _PAIRS_TRIED, 2):
        if not {port, port + 1} & avoid and is_free(port) and is_free(port + 1):
            return port, port + 1
    with _bound(0) as first, _bound(0) as second:
        return int(first.getsockname()[1]), int(second.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether nothing listens on `port` of loopback."""
    try:
        with _bound(port):
            pass
    except OSError:
        return False
    return not accepts(port)


def accepts(port: int) -> bool:
    """Return whether something accepts connections on `port` of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _bound(port: int) -> socket.socket:
    """Return a socket bound to `port`, as Kafka will bind it: an address in TIME_WAIT may be used again."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
