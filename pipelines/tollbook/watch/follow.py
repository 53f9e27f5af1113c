"""Follow the session files of a tool: read what is new, send it without content, note how far that was.

A position is noted only when the broker has every record before it. So a watcher that is killed sends at most its last
run again, and the ledger counts a call once however often it is told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tollbook.broker.connect import cluster_of
from tollbook.errors import KafkaUnavailableError, MisuseError, RejectedRecordError, TollbookError
from tollbook.lake.log import locked_file
from tollbook.reference.dimensions import Dimensions, dimensions_of
from tollbook.senders.formats import strip_session_line
from tollbook.senders.outgoing import Outgoing
from tollbook.senders.producer import CountingProducer
from tollbook.senders.send import ensure_topic
from tollbook.settings import Settings
from tollbook.watch.lines import files_below, new_lines
from tollbook.watch.position import Position, Positions

CLAUDE_CODE = "claude_code"
RUN_RECORDS = 5_000
RUN_BYTES = 16 * 1024 * 1024
"""What is read before the broker is waited for: bounds memory, and what a killed watcher sends again."""

Wait = Callable[[], bool]
"""Waits until it is time to look again; says whether to go on."""


@dataclass(slots=True)
class Watched:
    """What became of the lines that were read.

    Attributes:
        topic: Where their records went.
        files: Files that had something new.
        lines: Lines that were read.
        records: Records that the broker acknowledged.
        no_call: Lines that tell of no model call; not sent.
        unreadable: Lines of which nobody can say what in them is content; not sent.
        started_again: Files that were not what they had been, and were read from their beginning.
        reasons: Why lines tell of no call, to how many.
    """

    topic: str
    files: int = 0
    lines: int = 0
    records: int = 0
    no_call: int = 0
    unreadable: int = 0
    started_again: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to follow.

    Attributes:
        settings: Says which home and which Kafka.
        folders: Folders of session files; those in them are followed too.
        topic: Topic to use.
        labels: Whom the calls were for, as `metadata:<key>` of the dimension rules, such as team and workflow.
    """

    settings: Settings
    folders: Sequence[Path]
    topic: str
    labels: Mapping[str, str] = field(default_factory=dict)


def watch(
    options: WatchOptions,
    *,
    tell: Callable[[str], None],
    wait: Wait | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Watched:
    """Send what is new in the session files of Claude Code, once or until told to stop.

    While the broker is away nothing is lost: the files keep the lines, and they are read again when it is back.

    Args:
        options: What to follow.
        tell: Told of lines that were not sent, and of a broker that is away.
        wait: Waits between looks; None to end when everything that is there was sent.
        should_stop: Asked after each run of records; what was sent by then is noted.

    Raises:
        MisuseError: A folder is not there.
        LakeLockedError: Another process follows for this home.
        KafkaUnavailableError: No broker answered, and there is no next look.
        TollbookError: The broker did not take a record, and there is no next look.
    """
    for folder in options.folders:
        if not folder.is_dir():
            raise MisuseError(f"expected a folder of session files at {folder}, there is none")
    home = options.settings.home / "watch"
    with locked_file(home / f".{CLAUDE_CODE}.lock", doing="watch"):
        following = _Following(options, Positions(home / f"{CLAUDE_CODE}.json"), tell)
        try:
            while True:
                try:
                    following.look(should_stop)
                except (KafkaUnavailableError, _NotAcknowledgedError) as away:
                    following.disconnect()
                    if wait is None:
                        raise
                    following.tell_once(away.message)
                if wait is None or should_stop() or not wait():
                    return following.done
        finally:
            following.disconnect()


class _NotAcknowledgedError(TollbookError):
    """The broker does not have all records that were sent; their positions are not noted."""


class _Following:
    def __init__(self, options: WatchOptions, positions: Positions, tell: Callable[[str], None]) -> None:
        self.done = Watched(options.topic)
        self._options = options
        self._positions = positions
        self._tell = tell
        self._dimensions: Dimensions = dimensions_of(options.settings.dimensions)
        self._producer: CountingProducer | None = None
        self._quiet: dict[Path, tuple[int, int, int]] = {}
        self._told = ""
        self._files: set[tuple[int, int]] = set()
        self._forget_absent()

    def look(self, should_stop: Callable[[], bool]) -> None:
        """Send everything that is new now."""
        for run in self._runs():
            self._send(run)
            self._told = ""
            if should_stop():
                return

    def disconnect(self) -> None:
        """Give the connection up; the next look makes a new one."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def tell_once(self, message: str) -> None:
        """Tell what is amiss, not again while it stays so."""
        if message != self._told:
            self._tell(message)
            self._told = message

    def _runs(self) -> Iterator[_Run]:
        """Yield runs of records, of one file or of many small ones."""
        run = _Run()
        for path, status in self._changed():
            try:
                for found in new_lines(path, self._positions.of(status)):
                    run.started_again += found.started_again
                    if found.too_long:
                        run.unreadable += 1
                        run.problems.append(f"{path}: a line is too long to be read and was passed over")
                    for line, offset in zip(found.lines, found.offsets, strict=True):
                        self._take(run, path, line, offset)
                    run.reached[(found.position.device, found.position.inode)] = found.position
                    run.read_bytes += sum(map(len, found.lines))
                    if len(run.records) >= RUN_RECORDS or run.read_bytes >= RUN_BYTES:
                        yield run
                        run = _Run()
            except OSError as error:
                run.unreadable += 1
                run.problems.append(f"{path}: expected a file that can be read: {error.strerror}")
            self._quiet[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
        if run.reached or run.problems:
            yield run

    def _changed(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield files that are not as they were when they were last read to their end."""
        for folder in self._options.folders:
            for path in files_below(folder):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                if self._quiet.get(path) != (status.st_ino, status.st_size, status.st_mtime_ns):
                    yield path, status

    def _take(self, run: _Run, path: Path, line: bytes, offset: int) -> None:
        if not line or line.isspace():
            return
        run.lines += 1
        try:
            stripped = strip_session_line(line, self._dimensions, dict(self._options.labels))
        except RejectedRecordError as error:
            run.unreadable += 1
            run.problems.append(f"{path}, byte {offset}: expected a line of a session, got {error.reason}")
            return
        if isinstance(stripped, str):
            run.reasons[stripped] = run.reasons.get(stripped, 0) + 1
        else:
            run.records.add(*stripped, offset)

    def _send(self, run: _Run) -> None:
        """Send a run, wait for the broker, and note how far that was."""
        if len(run.records):
            producer = self._connected()
            before = producer.acknowledged
            producer.send(run.records)
            producer.finish()
            if producer.failure is not None or producer.acknowledged - before != len(run.records):
                self._quiet.clear()
                reason = producer.failure or "a record is larger than the topic takes"
                raise _NotAcknowledgedError(f"expected {self._options.topic} to take what was read, got: {reason}")
        if run.reached:
            self._positions.advance(run.reached.values())
        done = self.done
        self._files |= run.reached.keys()
        done.files = len(self._files)
        done.lines += run.lines
        done.records += len(run.records)
        done.no_call += sum(run.reasons.values())
        done.unreadable += run.unreadable
        done.started_again += run.started_again
        for reason, times in run.reasons.items():
            done.reasons[reason] = done.reasons.get(reason, 0) + times
        for problem in run.problems:
            self._tell(problem)

    def _forget_absent(self) -> None:
        """Forget files of the folders that are gone, under whatever name they were."""
        there = set()
        for folder in self._options.folders:
            for path in files_below(folder):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    there.add((status.st_dev, status.st_ino))
        folders = [folder.absolute() for folder in self._options.folders]
        self._positions.forget(
            each
            for each in self._positions.all()
            if (each.device, each.inode) not in there
            and any(Path(each.path).absolute().is_relative_to(folder) for folder in folders)
        )

    def _connected(self) -> CountingProducer:
        if self._producer is None:
            try:
                cluster = cluster_of(self._options.settings)
                ensure_topic(self._options.settings, cluster, self._options.topic)
                self._producer = CountingProducer(cluster, self._options.topic)
            except TollbookError:
                self._quiet.clear()
                raise
        return self._producer


@dataclass(slots=True)
class _Run:
    records: Outgoing = field(default_factory=Outgoing)
    reached: dict[tuple[int, int], Position] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lines: int = 0
    unreadable: int = 0
    started_again: int = 0
    read_bytes: int = 0
