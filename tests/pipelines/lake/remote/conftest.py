"""An S3 server, and homes whose lake is in a bucket of it.

The server is moto's: Amazon's S3 interface over HTTP with all objects in memory, in a process of its own. It takes
`If-None-Match: *`, by which a lake's entries are made, and answers 412 when there is an object of the name.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tollbook.settings import Settings

HOST = "127.0.0.1"
_SIGNED_BY = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"


class Wire(socketserver.ThreadingTCPServer):
    """A way to the server that can be cut: connections by it are ended until it is mended."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """Listen on a free port, for connections to `port`."""
        super().__init__((HOST, 0), _Carrier)
        self.target, self.is_cut = port, False
        self.open: set[socket.socket] = set()
        self.port: int = self.server_address[1]

    def cut(self) -> None:
        """End every connection, and each that comes."""
        self.is_cut = True
        for end in list(self.open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections through again."""
        self.is_cut = False


class _Carrier(socketserver.BaseRequestHandler):
    """Carries the bytes of one connection both ways until either end closes it."""

    server: Wire
    request: socket.socket

    def handle(self) -> None:
        if self.server.is_cut:
            return
        with socket.create_connection((HOST, self.server.target)) as onward:
            self.server.open |= {self.request, onward}
            back = threading.Thread(target=self._carry, args=(onward, self.request))
            back.start()
            self._carry(self.request, onward)
            back.join()
            self.server.open -= {self.request, onward}

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """Run one S3 server for all tests, and return its port on loopback."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", HOST, "-p", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        ports = (line.rpartition(":")[2] for line in server.stdout if "Running on" in line)
        port = int(next(ports))
        drain = threading.Thread(target=lambda: [None for _ in ports], daemon=True)
        drain.start()
        yield port
        server.kill()
        drain.join()


@pytest.fixture
def lake_url(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty lake, in a bucket of its own, and let the environment lead to it."""
    bucket = f"lake-{uuid.uuid4().hex}"
    request = urllib.request.Request(
        f"http://{HOST}:{s3_port}/{bucket}", data=b"", method="PUT", headers={"Authorization": _SIGNED_BY}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310  loopback
        assert answer.status == 200
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{s3_port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a-key",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}/books/ours"


@pytest.fixture
def wire(s3_port: int, lake_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Return a way to the server that can be cut, and let the environment lead over it.

    It runs on threads of this process, so it is of no use to a client that holds the interpreter's lock.
    """
    with Wire(s3_port) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{between.port}")
        serving = threading.Thread(target=between.serve_forever)
        serving.start()
        yield between
        between.cut()
        between.shutdown()
        serving.join()


@pytest.fixture
def new_home(tmp_path: Path, lake_url: str) -> Callable[..., Settings]:
    """Return a function that makes an empty home, as of another machine, whose lake is the one in the bucket."""

    def make(name: str, *, bootstrap_servers: str | None = None) -> Settings:
        return Settings(home=tmp_path / name, bootstrap_servers=bootstrap_servers, lake_url=lake_url)

    return make
