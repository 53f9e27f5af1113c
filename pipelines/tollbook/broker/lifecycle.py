"""Start, stop and describe the embedded broker of one home."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tollbook.broker import jars, ports, properties
from tollbook.broker.connect import answers
from tollbook.broker.state import BrokerState, read_state, write_state
from tollbook.errors import BrokerError
from tollbook.services import process
from tollbook.services.jars import Progress
from tollbook.services.java import find_java
from tollbook.services.ports import HOST, accepts, is_free
from tollbook.settings import Settings

MAIN_CLASS = "kafka.Kafka"
READY_SECONDS = 180.0
STOP_SECONDS = 60.0
ANSWER_SECONDS = 5.0
_POLL_SECONDS = 0.1
_PORT_ATTEMPTS = 5
_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What is known of the embedded broker now.

    Attributes:
        running: Whether its process runs.
        ready: Whether it answers clients.
        pid: Its process, when it runs.
        bootstrap_servers: Where clients find it, `host:port`; kept while it is stopped; None before the
            first start.
        kafka_version: Version of Apache Kafka.
        java: The Java that runs it, or ran it last.
        started_at: When it was last started, ISO 8601 in UTC.
        folder: Its jars, data and logs.
        log: Its log file.
    """

    running: bool
    ready: bool
    pid: int | None
    bootstrap_servers: str | None
    kafka_version: str
    java: str | None
    started_at: str | None
    folder: str
    log: str

    def as_dict(self) -> dict[str, object]:
        """Return the same for `--json`."""
        return asdict(self)


class Broker:
    """The embedded broker of one home.

    Its folder holds `jars/`, `data/` (kept when the broker stops), `logs/`, `server.properties` and
    `state.json`. All that changes it is serialised by a lock on the folder, so two processes may call `up`
    at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.broker.resolve()
        self._properties = self._folder / "server.properties"
        self._tail = (MAIN_CLASS, str(self._properties))  # what no other process ends with
        self._jars = self._folder / "jars"
        self._data = self._folder / "data"
        self._log = self._folder / "logs" / "server.log"
        self._output = self._folder / "logs" / "output.log"
        self._state = self._folder / "state.json"

    def up(self, progress: Progress) -> BrokerStatus:
        """Make sure the broker runs and answers; one that runs already is left as it is.

        Args:
            progress: Told what happens, in words.

        Raises:
            BrokerError: It does not start; the message has the end of its log.
            JarError: Its jars cannot be fetched.
        """
        with self._locked(progress):
            pid = process.find(self._tail)
            if pid is None:
                self._start(progress)
            else:
                port = self._port_of_running(pid)
                progress(f"already running on {HOST}:{port} (pid {pid})")
                if not self._wait_until_ready(pid, port):
                    raise BrokerError(self._died("it stopped while it was waited for"))
            return replace(self._status(), ready=True)  # it has answered; a busy machine may not answer twice in time

    def down(self, progress: Progress) -> BrokerStatus:
        """Stop the broker if it runs; its data stay.

        Args:
            progress: Told what happens, in words.

        Raises:
            BrokerError: It does not stop within 60 s.
        """
        if not self._folder.is_dir():
            progress("not running")
            return self.status()
        with self._locked(progress):
            pid = process.find(self._tail)
            if pid is None:
                progress("not running")
            elif process.stop(pid, self._tail, timeout_seconds=STOP_SECONDS):
                progress(f"stopped (pid {pid}); its data are kept")
            else:
                raise BrokerError(
                    f"expected the broker (pid {pid}) to stop within {STOP_SECONDS:.0f} s of SIGTERM, "
                    f"it still runs. See {self._log}; `kill -9 {pid}` ends it and keeps what it acknowledged."
                )
            return self.status()

    def status(self) -> BrokerStatus:
        """Return what is known of the broker now, without changing anything."""
        known = self._status()
        servers = known.bootstrap_servers
        ready = known.running and servers is not None and self._answers(servers, timeout_seconds=ANSWER_SECONDS)
        return replace(known, ready=ready)

    def _status(self) -> BrokerStatus:
        """Return what is known of the broker without asking it."""
        pid = process.find(self._tail)
        state = read_state(self._state)
        servers = None if state is None else f"{HOST}:{state.port}"
        return BrokerStatus(
            running=pid is not None,
            ready=False,
            pid=pid,
            bootstrap_servers=servers,
            kafka_version=jars.KAFKA_VERSION,
            java=None if state is None else state.java,
            started_at=None if state is None else state.started_at,
            folder=str(self._folder),
            log=str(self._log),
        )

    def _start(self, progress: Progress) -> None:
        java = find_java()
        for folder in (self._log.parent, self._folder / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        jars.place(self._jars, progress)
        (self._folder / "log4j2.properties").write_text(properties.LOG4J, encoding="utf-8")
        if not (self._data / "meta.properties").is_file():
            progress("formatting the data folder")
            self._format(java.path)
        taken: frozenset[int] = frozenset()
        for _ in range(_PORT_ATTEMPTS):
            port, controller_port = self._ports(taken, progress)
            self._write_properties(self._properties, log_dirs="data", port=port, controller_port=controller_port)
            began = datetime.now(UTC).isoformat(timespec="seconds")
            state = BrokerState(port, controller_port, str(java.path), began)
            write_state(self._state, state)  # before the start: a broker whose port nobody knows is of no use
            progress(f"starting Apache Kafka {jars.KAFKA_VERSION} on {HOST}:{port}, Java {java.major}")
            self._log.unlink(missing_ok=True)
            pid = process.start(self._command(java.path), output=self._output, cwd=self._folder)
            write_state(self._state, msgspec.structs.replace(state, pid=pid))
            if self._wait_until_ready(pid, port):
                progress(f"ready (pid {pid})")
                return
            if not self._lost_a_port():
                break
            taken |= {port, controller_port}
        raise BrokerError(self._died("it stopped before it was ready"))

    def _ports(self, taken: frozenset[int], progress: Progress) -> tuple[int, int]:
        """Return the ports of the last start when they are still free, else a new pair, which is told."""
        state = read_state(self._state)
        if state is None:
            return ports.free_pair(avoid=taken)
        written = (state.port, state.controller_port)
        if not taken & set(written) and all(map(is_free, written)):
            return written
        pair = ports.free_pair(avoid=taken | set(written))
        progress(
            f"port {written[0]} or {written[1]} is taken by another program; using {pair[0]} and {pair[1]} from now on"
        )
        return pair

    def _format(self, java: Path) -> None:
        """Format the data folder under another name, then rename it: an interrupted format leaves none."""
        unfinished = self._folder / "data.formatting"
        shutil.rmtree(unfinished, ignore_errors=True)
        configuration = self._folder / "format.properties"
        self._write_properties(configuration, log_dirs=unfinished.name, port=1, controller_port=2)
        command = self._java(java, "kafka.tools.StorageTool", "format", "--config", str(configuration))
        try:
            told = subprocess.run(
                [*command, "--cluster-id", _cluster_id()],
                cwd=self._folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if told.returncode != 0:
                raise BrokerError(
                    f"expected Kafka's StorageTool to format {unfinished}, it ended with {told.returncode}:\n"
                    f"{(told.stdout + told.stderr).strip()}"
                )
            try:
                unfinished.rename(self._data)
            except OSError as error:
                raise BrokerError(
                    f"expected {self._data} to be absent or empty, as it has no meta.properties: {error}. "
                    "Move it away if nothing in it is needed, then start again."
                ) from error
        finally:
            configuration.unlink(missing_ok=True)

    def _write_properties(self, path: Path, *, log_dirs: str, port: int, controller_port: int) -> None:
        text = properties.server_properties(log_dirs=log_dirs, port=port, controller_port=controller_port)
        path.write_text(text, encoding="ascii")

    def _command(self, java: Path) -> list[str]:
        return self._java(java, *self._tail)

    def _java(self, java: Path, main_class: str, *arguments: str) -> list[str]:
        """Return a command of the broker's classpath, to run in its folder.

        The class path is relative, as a home may have a colon in its name, and the locale is UTF-8, as it
        may have letters outside ASCII.
        """
        options = [*properties.JVM_OPTIONS, "-cp", "jars/*"]
        return ["/usr/bin/env", "LC_ALL=C.UTF-8", str(java), *options, main_class, *arguments]

    def _wait_until_ready(self, pid: int, port: int) -> bool:
        """Return True once clients are answered, False when the process has ended.

        The port opens up to 4 s before metadata can be had, so an open port is not enough.

        Raises:
            BrokerError: It runs but does not answer in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while process.runs(pid, self._tail):
            if accepts(port) and self._answers(f"{HOST}:{port}", timeout_seconds=ANSWER_SECONDS):
                return True
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"expected the broker (pid {pid}) to answer on {HOST}:{port} "
                    f"within {READY_SECONDS:.0f} s, it still starts. "
                    f"Run `tollbook broker up` again to go on waiting, or see {self._log}:\n"
                    f"{self._log_tail()}"
                )
            time.sleep(_POLL_SECONDS)
        return False

    def _answers(self, servers: str, *, timeout_seconds: float) -> bool:
        """Return whether this home's own cluster answers.

        Another home's broker may have taken the port a moment before ours; its answer must not pass for ours, or usage
        would go into the other book.
        """
        try:
            written = (self._data / "meta.properties").read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        cluster_id = dict(line.split("=", 1) for line in written.splitlines() if "=" in line).get("cluster.id")
        return cluster_id is not None and answers(servers, timeout_seconds=timeout_seconds, cluster_id=cluster_id)

    def _lost_a_port(self) -> bool:
        """Return whether the broker ended because another program was quicker to take one of its ports."""
        return self._log.is_file() and "Address already in use" in self._log.read_text(
            encoding="utf-8", errors="replace"
        )

    def _port_of_running(self, pid: int) -> int:
        state = read_state(self._state)
        if state is None:
            raise BrokerError(
                f"expected the port of the running broker (pid {pid}) in {self._state}, it cannot be read. "
                "Run `tollbook broker down`, then `tollbook broker up`; its data are kept."
            )
        return state.port

    def _died(self, when: str) -> str:
        return (
            f"expected the broker in {self._folder} to run, {when}. "
            f"The end of {self._log}:\n{self._log_tail()}\n"
            "`tollbook doctor` shows what this machine lacks."
        )

    def _log_tail(self) -> str:
        """Return the last lines of the log, or what the JVM printed when it did not get as far as logging."""
        for path in (self._log, self._output):
            if path.is_file() and (lines := path.read_text(encoding="utf-8", errors="replace").splitlines()):
                return "\n".join(lines[-_LOG_LINES:])
        return "(nothing was logged)"

    @contextlib.contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        """Hold the folder's lock; the kernel gives it back when this process ends, however it ends."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("waiting for another `tollbook broker` command to finish")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _cluster_id() -> str:
    """Return a new cluster id as Kafka writes them: 16 random bytes in URL-safe Base64, no leading dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
        if not text.startswith("-"):
            return text
