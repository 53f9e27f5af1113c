"""Ports that are free for the broker."""

from __future__ import annotations

import socket

from tollbook.broker import ports
from tollbook.services.ports import any_free, is_free


def listening(port: int = 0, *, host: str = "127.0.0.1") -> socket.socket:
    """Return a socket that listens on a port."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen()
    return sock


def test_a_pair_is_two_neighbours_that_nobody_uses() -> None:
    """The controller's port is the client's and one, which people can remember."""
    port, controller_port = ports.free_pair()

    assert controller_port == port + 1
    assert is_free(port)
    assert is_free(controller_port)


def test_a_pair_is_passed_over_when_either_port_is_taken() -> None:
    """A broker without its controller does not start."""
    port, controller_port = ports.free_pair()
    with listening(controller_port):
        assert ports.free_pair()[0] != port


def test_ports_that_turned_out_to_be_taken_are_avoided() -> None:
    """Another program may take a port between the look and the start."""
    port, controller_port = ports.free_pair()

    assert ports.free_pair(avoid=frozenset({controller_port}))[0] != port


def test_a_port_that_listens_on_every_address_is_not_free() -> None:
    """A container's published port listens on 0.0.0.0, not on loopback."""
    with listening(host="0.0.0.0") as other:  # noqa: S104  # that is what is tested
        assert not is_free(other.getsockname()[1])


def test_ports_of_the_kernels_choice_are_all_different() -> None:
    """A program with several listeners needs them at once."""
    chosen = any_free(4)

    assert len(set(chosen)) == 4
    assert all(map(is_free, chosen))
