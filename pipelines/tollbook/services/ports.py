"""Free ports on loopback."""

from __future__ import annotations

import contextlib
import socket

HOST = "127.0.0.1"


def any_free(count: int) -> tuple[int, ...]:
    """Return so many different ports that nobody uses, as the kernel gives them.

    Another process may take one before the caller does.
    """
    with contextlib.ExitStack() as held:
        return tuple(int(held.enter_context(_bound(0)).getsockname()[1]) for _ in range(count))


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
    """Return a socket bound to `port`, as servers bind it: an address in TIME_WAIT may be used again."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
