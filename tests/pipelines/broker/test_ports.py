"""Ports that are free for the broker."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tollbook.broker import ports
from tollbook.services.ports import any_free, is_free

Taken = Callable[..., None]
"""Lets exactly these ports be taken."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """Say which ports of this machine are taken; its own broker and other tests' come and go meanwhile."""

    def say(*numbers: int) -> None:
        monkeypatch.setattr(ports, "is_free", lambda port: port not in numbers)

    return say


def listening(port: int = 0, *, host: str = "127.0.0.1") -> socket.socket:
    """Return a socket that listens on a port."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen()
    return sock


def test_a_pair_is_two_neighbours(taken: Taken) -> None:
    """The controller's port is the client's and one, which people can remember."""
    taken()

    assert ports.free_pair() == (29_092, 29_093)


@pytest.mark.parametrize("port", [29_092, 29_093])
def test_a_pair_is_passed_over_when_either_port_is_taken(taken: Taken, port: int) -> None:
    """A broker without its controller does not start."""
    taken(port)

    assert ports.free_pair() == (29_094, 29_095)


def test_ports_that_turned_out_to_be_taken_are_avoided(taken: Taken) -> None:
    """Another program may take a port between the look and the start."""
    taken()

    assert ports.free_pair(avoid=frozenset({29_093})) == (29_094, 29_095)


def test_where_every_pair_is_taken_the_kernel_chooses(taken: Taken) -> None:
    """So many brokers on one machine are no reason to refuse another."""
    taken(*range(29_092, 29_292))

    assert not set(ports.free_pair()) & set(range(29_092, 29_292))


def test_a_port_is_not_free_while_someone_listens_on_it() -> None:
    """A broker that starts on it anyway would answer for another, or not at all."""
    with listening() as other:
        assert not is_free(other.getsockname()[1])


def test_a_port_that_listens_on_every_address_is_not_free() -> None:
    """A container's published port listens on 0.0.0.0, not on loopback."""
    with listening(host="0.0.0.0") as other:  # noqa: S104  # that is what is tested
        assert not is_free(other.getsockname()[1])


def test_ports_of_the_kernels_choice_are_all_different() -> None:
    """A program with several listeners needs them at once."""
    assert len(set(any_free(4))) == 4
