"""The meter on Apache Flink, seen from the command that submits it: it starts the job, watches over it and stops it.

The job reads, prices and commits on its own; the book says how far it is. A command that is killed leaves the job
running, which `tollbook flink status` lists; the next meter takes the lake over from it.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from shlex import quote
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tollbook import errors
from tollbook.broker.connect import cluster_of
from tollbook.errors import (
    CommitConflictError,
    FencedError,
    FlinkError,
    KafkaRefusedError,
    KafkaUnavailableError,
    MisuseError,
    StoreUnavailableError,
    TollbookError,
)
from tollbook.flink.pipeline import build
from tollbook.flink.rest import FlinkJob, FlinkRest
from tollbook.flink.target import FlinkTarget
from tollbook.lake.binding import connect
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import newest
from tollbook.logs import WARNING, Notice, Tell
from tollbook.stream.observe import MeterObserver, NobodyWatches
from tollbook.stream.options import MeterOptions, MeterProgress
from tollbook.stream.progress import BookProgress
from tollbook.stream.read import close_consumers
from tollbook.stream.topics import KafkaTopics

FLINK_VERSION: Final = "1.19"
_LOOK_SECONDS: Final = 0.5
_START_SECONDS: Final = 180.0
_AWAY_SECONDS: Final = 300.0
_SAVEPOINT_SECONDS: Final = 60.0
_LONGEST_CAUSE: Final = 300
_NO_WHEEL: Final = "ModuleNotFoundError: No module named 'tollbook"
_ENDED: Final = frozenset({"FINISHED", "CANCELED", "FAILED"})
_PASSING: Final = (KafkaUnavailableError, StoreUnavailableError, CommitConflictError)
"""Errors that may be gone when Flink starts the job again, but for those of `_FINAL`."""
_FINAL: Final = (KafkaRefusedError, FencedError)


def run_on_flink(
    options: MeterOptions,
    target: FlinkTarget,
    *,
    report: Callable[[MeterProgress], None] = lambda _progress: None,
    tell: Tell = lambda _message: None,
    should_stop: Callable[[], bool] = lambda: False,
    observer: MeterObserver | None = None,
) -> MeterProgress:
    """Submit the meter to Flink and watch over it until it is to end; return how far the book came.

    Without `follow` the job is stopped when the book reaches the ends that the topics had at its start. A wish to stop
    stops it with a savepoint.

    Raises:
        MisuseError: Options do not fit a job of several processes, or the cluster.
        LakeLockedError: Another meter holds the lake.
        FlinkError: The cluster is not there, or the job failed in a way that is not the meter's own.
        TollbookError: What made the job fail, as the embedded meter would raise it.
    """
    settings = options.settings
    _refuse_told_secrets(options)
    rest = FlinkRest(target.rest_url)
    _check_cluster(rest, target)
    with writer_lock(settings.lake):
        connect(settings.lake, settings.lake_url)
        try:
            return _Watch(options, target, rest, report, tell, should_stop, observer or NobodyWatches()).run()
        finally:
            close_consumers()


class _Watch:
    """Watches over one job."""

    def __init__(
        self,
        options: MeterOptions,
        target: FlinkTarget,
        rest: FlinkRest,
        report: Callable[[MeterProgress], None],
        tell: Tell,
        should_stop: Callable[[], bool],
        observer: MeterObserver,
    ) -> None:
        self._options, self._target, self._rest = options, target, rest
        self._report, self._tell, self._should_stop, self._observer = report, tell, should_stop, observer
        self._lake = options.settings.lake
        self._name = f"tollbook-meter-{secrets.token_hex(4)}"
        self._book = BookProgress(newest(self._lake))
        self._restarts_told = 0
        self._away_since: float | None = None

    def run(self) -> MeterProgress:
        read_before = self._book.manifest.offsets if self._book.manifest is not None else {}
        topics = KafkaTopics(cluster_of(self._options.settings), self._options.topics, read_before)
        ends = topics.ends()
        beginnings = topics.beginnings(ends)
        if not self._options.follow and not self._book.behind(beginnings, ends):
            return self._book.progress(0)
        job = self._submit()
        self._tell(Notice(f"job {job.job_id} runs as {job.name}", event="job_started", job=job.job_id, name=job.name))
        try:
            while not self._should_stop():
                self._look_at_book()
                if not self._options.follow and not self._book.behind(beginnings, ends):
                    break
                self._look_at_job(job)
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            self._cancel(job)
            raise
        self._stop(job)
        self._look_at_book()
        return self._book.progress(self._book.behind(beginnings, ends))

    def _submit(self) -> FlinkJob:
        """Submit the job and return it once it runs.

        Raises:
            FlinkError: The job server does not take it, or it does not come to run.
        """
        told = [
            "--runner=PortableRunner",
            f"--job_name={self._name}",
            f"--job_endpoint={self._target.job_endpoint}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self._target.worker_pool}",
            f"--parallelism={self._target.parallelism}",
            f"--max_parallelism={_max_parallelism(self._target.parallelism)}",
            "--streaming",
            # Beam would run `pip freeze`, which this Python need not have; the workers match versions themselves.
            "--experiments=disable_logging_submission_environment",
            # Else what a checkpoint ends waits in Flink until the step hears of the next element.
            "--finish_bundle_before_checkpointing",
            "--max_bundle_size=100",
            "--max_bundle_time_mills=20",
            *([f"--savepoint_path={self._target.savepoint}"] if self._target.savepoint is not None else []),
        ]
        meter_name = f"{self._name}@{socket.gethostname()}"
        pipeline = beam.Pipeline(options=PipelineOptions(told))
        build(pipeline, self._options, parallelism=self._target.parallelism, meter_name=meter_name)
        try:
            pipeline.run()
        except Exception as failed:
            raise FlinkError(
                f"expected Beam's job server at {self._target.job_endpoint} to take the job, got "
                f"{type(failed).__name__}: {_short(str(failed))}. `tollbook flink status` shows the cluster of this "
                "machine; its job server's log says more"
            ) from failed
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            job = next((each for each in self._rest.jobs() if each.name == self._name), None)
            if job is not None and (job.state == "RUNNING" or job.state in _ENDED):
                return job
            time.sleep(_LOOK_SECONDS)
        raise FlinkError(
            f"expected the job {self._name} to run within {_START_SECONDS:.0f} s, Flink at "
            f"{self._target.rest_url} does not list it as running: are enough slots free, and does the worker pool "
            f"{self._target.worker_pool} answer?"
        )

    def _look_at_book(self) -> None:
        manifest = newest(self._lake)
        if manifest is not None and self._book.took(manifest):
            self._observer.committed(manifest, 0.0)
            self._report(self._book.progress(0))

    def _look_at_job(self, job: FlinkJob) -> None:
        """Raise what ended the job, or what will end it however often Flink starts it again.

        A job manager that died is away until another one takes its jobs up, and the job runs on meanwhile or again.

        Raises:
            TollbookError: The meter's own error, or FlinkError for another.
        """
        try:
            state = next((each.state for each in self._rest.jobs() if each.job_id == job.job_id), None)
            failures = self._rest.failures(job.job_id) if state is not None else ()
        except FlinkError as away:
            state, failures, why = None, (), away.message
        else:
            why = f"{self._target.rest_url} does not know it"
        if state is None:
            self._wait_for_flink(job, why)
            return
        self._away_since = None
        if failures:
            error = error_of(failures[-1])
            is_passing = error is None or (isinstance(error, _PASSING) and not isinstance(error, _FINAL))
            if not is_passing and error is not None:
                raise error
            if len(failures) > self._restarts_told:
                self._restarts_told = len(failures)
                what = error.message if error is not None else _short(failures[-1])
                self._tell(Notice(f"Flink starts the job again: {what}", event="job_restarts", level=WARNING))
        if state in _ENDED:
            why = _short(failures[-1]) if failures else "no exception is told"
            raise FlinkError(f"expected the job {job.job_id} to run, it is {state}: {why}")

    def _wait_for_flink(self, job: FlinkJob, why: str) -> None:
        """Take note that Flink does not tell of the job.

        Raises:
            FlinkError: It has not for minutes.
        """
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            self._tell(Notice(f"job {job.job_id} cannot be seen: {why}", event="flink_away", level=WARNING))
        elif now - self._away_since > _AWAY_SECONDS:
            raise FlinkError(f"expected Flink to tell of the job {job.job_id} within {_AWAY_SECONDS:.0f} s: {why}")

    def _stop(self, job: FlinkJob) -> None:
        savepoint = self._savepoint(job)
        ended = f"job {job.job_id} ended with the savepoint {savepoint}; --savepoint {quote(savepoint)} goes on from it"
        self._tell(Notice(ended, event="job_stopped", job=job.job_id, savepoint=savepoint))

    def _savepoint(self, job: FlinkJob) -> str:
        """Stop the job with a savepoint and return where it lies; a job that is just being started again is waited for.

        Raises:
            FlinkError: There is none to be had. The job goes on.
        """
        deadline = time.monotonic() + _SAVEPOINT_SECONDS
        while True:
            try:
                return self._rest.stop_with_savepoint(job.job_id)
            except FlinkError as failed:
                if time.monotonic() > deadline:
                    raise FlinkError(
                        f"expected job {job.job_id} to end with a savepoint, got: {_short(failed.message)}. "
                        f"It goes on; {self._target.rest_url} shows it"
                    ) from failed
            time.sleep(_LOOK_SECONDS)

    def _cancel(self, job: FlinkJob) -> None:
        try:
            self._rest.cancel(job.job_id)
        except FlinkError as left:
            self._tell(Notice(f"could not cancel job {job.job_id}: {left.message}", event="job_left", level=WARNING))


def error_of(failure: str) -> TollbookError | None:
    """Return the error of ours that a job failed with, None where it failed with another.

    Args:
        failure: A stack trace as Flink tells it, in which a worker's traceback ends with the error and Beam's note.
    """
    if _NO_WHEEL in failure:
        return MisuseError(
            "expected workers with the tollbook wheel, got a worker pool whose Python has no module `tollbook`: "
            "install the wheel of this command beside the task managers, with its lock, and start the pool again by "
            "`python -m tollbook.flink.worker_pool`"
        )
    for line in reversed(failure.splitlines()):
        name, found, message = line.strip().partition(": ")
        kind = getattr(errors, name.removeprefix("tollbook.errors."), None) if found else None
        if isinstance(kind, type) and issubclass(kind, TollbookError) and name.startswith("tollbook.errors."):
            return _made(kind, message.partition(" [while running")[0])
    return None


def _made(kind: type[TollbookError], message: str) -> TollbookError:
    try:
        return kind(message)
    except TypeError:  # it has more to tell than a message, which the trace does not hold
        return TollbookError(message)


def _check_cluster(rest: FlinkRest, target: FlinkTarget) -> None:
    told = rest.overview()
    found = str(told["flink-version"])
    if not found.startswith(f"{FLINK_VERSION}."):
        raise MisuseError(
            f"expected Flink {FLINK_VERSION} at {target.rest_url}, whose jobs Beam's job server makes, got {found}"
        )
    slots = int(told["slots-total"])
    if slots < target.parallelism:
        raise MisuseError(
            f"expected --parallelism of at most the {slots} slots of the cluster, got {target.parallelism}; "
            "`tollbook flink up --task-managers … --slots …` gives more"
        )


def _refuse_told_secrets(options: MeterOptions) -> None:
    security = options.settings.kafka_security
    for secret in (security.sasl_password, security.ssl_key_password):
        if secret is not None and secret.file is None:
            raise MisuseError(
                f"expected {secret.variable}_FILE, which each worker reads for itself, got {secret.variable}: a job "
                "that holds a password would leave it in Flink's own files"
            )


def _max_parallelism(parallelism: int) -> int:
    """Return Flink's own default, told so that a job that is scaled up can go on from its savepoint."""
    return max(128, 1 << (parallelism + parallelism // 2 - 1).bit_length())


def _short(text: str) -> str:
    """Return the line of a stack trace that says what was at its bottom."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [text]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return (causes[-1].removeprefix("Caused by: ") if causes else lines[0])[:_LONGEST_CAUSE]
