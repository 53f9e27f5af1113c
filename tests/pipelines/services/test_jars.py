"""Jars are what was pinned, to the last bit, however the network behaves."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tollbook.errors import JarError
from tollbook.services import jars

CONTENT = b"PK, so to speak " * 1000
JAR = jars.Jar("org.example:thing:1.2-android", hashlib.sha256(CONTENT).hexdigest())
"""A version that ends in a word, which jgo would read as something else."""
URL_PATH = "/org/example/thing/1.2-android/thing-1.2-android.jar"


class Repository:
    """A Maven repository on loopback whose answers a test chooses.

    Attributes:
        answers: Status, body and declared length of each answer for the jar, in order; the last one repeats.
        asked: How often the jar was asked for.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, int]] = [(200, CONTENT, len(CONTENT))]
        self.asked = 0

    def answer(self, path: str) -> tuple[int, bytes, int]:
        if path != URL_PATH:
            return (404, b"", 0)
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Repository]:
    """Serve a repository in place of Maven Central, with an empty cache of its own."""
    served = Repository()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = served.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("jgo.maven._core.DEFAULT_REMOTE_REPOS", {"central": url})
        monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def place(tmp_path: Path) -> Callable[[], Path]:
    """Return a function that places the jar and returns where it went."""

    def run() -> Path:
        jars.place(tmp_path / "jars", lambda _message: None, jars=(JAR,), of="a thing")
        return tmp_path / "jars" / "thing-1.2-android.jar"

    return run


def test_jars_in_place_are_not_fetched_again(repository: Repository, place: Callable[[], Path]) -> None:
    """A start without a network works once the jars are there."""
    place()
    place()

    assert repository.asked == 1


def test_a_jar_that_was_changed_in_place_is_replaced(repository: Repository, place: Callable[[], Path]) -> None:
    """A flipped bit or another hand's work must not run; the cached copy is good, so nothing is fetched."""
    jar = place()
    jar.write_bytes(CONTENT[:-1])

    place()

    assert jar.read_bytes() == CONTENT
    assert repository.asked == 1


def test_a_jar_that_was_changed_in_the_cache_is_fetched_and_the_cache_mended(
    repository: Repository, place: Callable[[], Path], tmp_path: Path
) -> None:
    """The cache is shared with other programs, so it is not believed."""
    cached = tmp_path / "m2" / URL_PATH.lstrip("/")
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half")

    assert place().read_bytes() == CONTENT
    assert cached.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_done_without(
    repository: Repository, place: Callable[[], Path], tmp_path: Path
) -> None:
    """Containers often run with a home that is read-only."""
    (tmp_path / "m2").write_text("a file where a folder should be", encoding="utf-8")

    assert place().read_bytes() == CONTENT


def test_passing_trouble_of_the_network_is_retried(repository: Repository, tmp_path: Path) -> None:
    """One 503 or one broken connection of 45 downloads must not fail the first start."""
    repository.answers = [
        (503, b"", 0),
        (200, CONTENT[:100], len(CONTENT)),  # the connection breaks halfway
        (200, CONTENT, len(CONTENT)),
    ]
    pauses: list[float] = []

    assert jars.fetch(JAR, tmp_path / "staging", pause=pauses.append).read_bytes() == CONTENT
    assert pauses == [1.0, 2.0]


def test_another_file_than_the_pinned_one_is_refused(repository: Repository, tmp_path: Path) -> None:
    """A repository that serves other bytes under the same name is an attack or a fault, never an update."""
    repository.answers = [(200, b"something else", 14)]

    with pytest.raises(JarError) as caught:
        jars.fetch(JAR, tmp_path / "staging", pause=lambda _seconds: None)

    assert JAR.sha256 in str(caught.value)
    assert hashlib.sha256(b"something else").hexdigest() in str(caught.value)
    assert "org.example:thing:1.2-android" in str(caught.value)


def test_nothing_half_fetched_stays_behind(
    repository: Repository, place: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of a failure would be taken for a jar by the class path."""
    monkeypatch.setattr(jars, "_ATTEMPTS", 1)
    repository.answers = [(404, b"", 0)]

    with pytest.raises(JarError, match="not found"):
        place()

    assert list((tmp_path / "jars").iterdir()) == []
    assert not (tmp_path / "jars.fetching").exists()
