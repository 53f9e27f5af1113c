"""Free ports for the broker."""

from __future__ import annotations

from tollbook.services.ports import any_free, is_free

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
    first, second = any_free(2)
    return first, second
