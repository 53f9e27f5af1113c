"""Kafka goes away, dies and cuts connections off, and the meter reads every record once."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from tollbook.broker import BrokerStatus
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book, Commands, OwnBroker, Traffic, Until

HOST = "127.0.0.1"
_FETCHED_BYTES = 4_096
"""Answers of a broker that are this large are of fetches: all others are small here."""


@pytest.mark.parametrize("ending", ["stopped", "killed"])
def test_meter_that_follows_goes_on_when_a_broker_that_went_away_is_back(
    ending: str, own_broker: OwnBroker, book: Book, traffic: Traffic, commands: Commands, until: Until
) -> None:
    """An upgrade of Kafka, or its death by -9, costs time and no record."""
    half = len(traffic.lines) // 2
    broker = own_broker.broker
    book = replace(book, settings=own_broker.settings_for(book), topic=own_broker.topic)
    with book.producing() as sending:
        sending.send(traffic.lines[:half])
    meter = commands.start(book.settings, "meter", "--follow", "--topic", book.topic, "--max-reject-share", "none")
    try:
        until(lambda: meter.has_ended() or book.records() == half)
        if ending == "killed":
            pid = broker.status().pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        else:
            broker.down(_nobody)
        until(lambda: meter.has_ended() or "trying again" in meter.told())
        broker.up(_nobody)
        with book.producing() as sending:
            sending.send(traffic.lines[half:])
        until(lambda: meter.has_ended() or book.records() == len(traffic.lines))
        os.kill(meter.pid, signal.SIGTERM)
        assert meter.wait() == 0
    finally:
        meter.end()

    book.assert_whole(read=len(traffic.lines))
    build(book.settings)
    book.assert_true(traffic.truth)


def test_connections_that_are_cut_in_the_middle_of_fetches_cost_no_record(
    broker: BrokerStatus, book: Book, traffic: Traffic, commands: Commands
) -> None:
    """Half an answer is no answer: what it held is fetched again, and counted once."""
    book.send(traffic.lines)
    assert broker.bootstrap_servers is not None
    with cutting_proxy(int(broker.bootstrap_servers.rpartition(":")[2]), cuts=3) as proxy:
        through = replace(book.settings, bootstrap_servers=f"{HOST}:{proxy.port}")
        ended, told = commands.run(through, *book.meter)

    assert ended == 0, told
    assert proxy.cuts_left == 0
    book.assert_whole(read=len(traffic.lines))


@dataclass
class Proxy:
    """Stands between clients and a broker, and resets connections when half of a large answer is through.

    Attributes:
        broker_port: Port of the broker.
        cuts_left: How many answers are still to be cut off.
        listener: Where clients connect.
    """

    broker_port: int
    cuts_left: int
    listener: socket.socket
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        """Port that clients connect to."""
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Take connections until the listener is closed, and wait until they have ended."""
        carriers: list[threading.Thread] = []
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                break
            carriers.append(threading.Thread(target=self._carry, args=(client,)))
            carriers[-1].start()
        for carrier in carriers:
            carrier.join()

    def _carry(self, client: socket.socket) -> None:
        """Pass on what a client and the broker say, until one of them ends or an answer is cut off."""
        with client, socket.create_connection((HOST, self.broker_port)) as broker:
            asking = threading.Thread(target=self._pass_questions, args=(client, broker))
            asking.start()
            self._pass_answers(client, broker)
            _shut(broker, socket.SHUT_RDWR)
            _shut(client, socket.SHUT_RD)  # so that nobody reads from it when it is closed, which resets it
            asking.join()

    def _pass_questions(self, client: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                broker.sendall(data)
        _shut(broker, socket.SHUT_RDWR)

    def _pass_answers(self, client: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError), broker.makefile("rb") as stream:
            while len(head := stream.read(4)) == len(struct.pack(">i", 0)):
                body = stream.read(struct.unpack(">i", head)[0])
                if self._is_to_be_cut(body):
                    client.sendall(head + body[: len(body) // 2])
                    # Closed with this, a socket resets its connection instead of ending it.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                client.sendall(head + self._told_as_ours(body))

    def _is_to_be_cut(self, answer: bytes) -> bool:
        with self._lock:
            if len(answer) < _FETCHED_BYTES or not self.cuts_left:
                return False
            self.cuts_left -= 1
            return True

    def _told_as_ours(self, answer: bytes) -> bytes:
        """Put the proxy's port in the place of the broker's, where an answer says where the broker is."""
        place, ours = (HOST.encode() + struct.pack(">i", port) for port in (self.broker_port, self.port))
        return answer.replace(place, ours)


@contextmanager
def cutting_proxy(broker_port: int, *, cuts: int) -> Iterator[Proxy]:
    """Run a proxy that cuts off the first answers that are large."""
    with socket.create_server((HOST, 0)) as listener:
        proxy = Proxy(broker_port, cuts, listener)
        serving = threading.Thread(target=proxy.serve)
        serving.start()
        yield proxy
        _shut(listener, socket.SHUT_RDWR)
    serving.join()


def _shut(connection: socket.socket, how: int) -> None:
    with suppress(OSError):
        connection.shutdown(how)


def _nobody(_message: str) -> None:
    """Hear what a broker tells, and keep it for oneself."""
