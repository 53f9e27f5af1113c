"""Flink's REST interface: what runs, and how a job is stopped with a savepoint."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPException
from typing import Any, Final

from tollbook.errors import FlinkError

TIMEOUT_SECONDS: Final = 30.0
SAVEPOINT_SECONDS: Final = 120.0
_POLL_SECONDS = 0.2
_LONGEST_ANSWER = 600
_MOST_FAILURES = 20


@dataclass(frozen=True, slots=True)
class FlinkJob:
    """A job as Flink lists it.

    Attributes:
        job_id: Its id.
        name: Its name.
        state: `RUNNING`, `RESTARTING`, `FINISHED`, `CANCELED`, `FAILED` and others.
        running_tasks: How many of its tasks run now.
        tasks: How many tasks it has.
    """

    job_id: str
    name: str
    state: str
    running_tasks: int
    tasks: int

    def as_dict(self) -> dict[str, object]:
        """Return the same for `--json`."""
        return asdict(self)


class FlinkRest:
    """A client of one cluster's REST interface.

    Args:
        url: Such as `http://127.0.0.1:8081`.
        pause: Waits between questions; tests pass one that returns at once.
    """

    def __init__(self, url: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._url = url.rstrip("/")
        self._pause = pause

    def overview(self) -> dict[str, Any]:
        """Return counts of task managers, slots and jobs, and Flink's version as `flink-version`.

        Raises:
            FlinkError: It does not answer.
        """
        return dict(self._ask("GET", "/overview"))

    def configuration(self) -> dict[str, str]:
        """Return the job manager's settings.

        Raises:
            FlinkError: It does not answer.
        """
        return {each["key"]: each["value"] for each in self._ask("GET", "/jobmanager/config")}

    def task_managers(self) -> list[dict[str, Any]]:
        """Return what Flink tells of each task manager that registered: `id`, `path` (its RPC address), `slotsNumber`.

        Raises:
            FlinkError: It does not answer.
        """
        return list(self._ask("GET", "/taskmanagers")["taskmanagers"])

    def jobs(self) -> tuple[FlinkJob, ...]:
        """Return every job that the cluster knows, ended ones included.

        Raises:
            FlinkError: It does not answer.
        """
        told = self._ask("GET", "/jobs/overview")["jobs"]
        return tuple(
            FlinkJob(each["jid"], each["name"], each["state"], each["tasks"]["running"], each["tasks"]["total"])
            for each in told
        )

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """Return Flink's statistics of a job's checkpoints: `counts`, `summary`, `latest`, `history`.

        Raises:
            FlinkError: It does not answer, or knows no such job.
        """
        return dict(self._ask("GET", f"/jobs/{job_id}/checkpoints"))

    def newest_checkpoint(self, job_id: str) -> str | None:
        """Return where the job's newest whole checkpoint lies, to start again from by `--savepoint_path`.

        Raises:
            FlinkError: It does not answer, or knows no such job.
        """
        completed = self.checkpoints(job_id)["latest"]["completed"]
        return None if completed is None else str(completed["external_path"])

    def failures(self, job_id: str) -> tuple[str, ...]:
        """Return the stack traces of what a job failed with lately, the newest last.

        Raises:
            FlinkError: It does not answer, or knows no such job.
        """
        told = self._ask("GET", f"/jobs/{job_id}/exceptions?maxExceptions={_MOST_FAILURES}")["exceptionHistory"]
        return tuple(str(each["stacktrace"]) for each in reversed(told["entries"]))

    def cancel(self, job_id: str) -> None:
        """Cancel a job. Its newest checkpoint is kept.

        Raises:
            FlinkError: It does not answer, or knows no such job.
        """
        self._ask("PATCH", f"/jobs/{job_id}?mode=cancel")

    def stop_with_savepoint(self, job_id: str, *, timeout_seconds: float = SAVEPOINT_SECONDS) -> str:
        """Stop a job with a savepoint and return where that lies, a URL.

        No element is processed twice and none is left out when a job starts again from it.

        Args:
            job_id: The job.
            timeout_seconds: How long to wait for the savepoint.

        Raises:
            FlinkError: The savepoint failed, or took longer; the job then goes on.
        """
        trigger = self._ask("POST", f"/jobs/{job_id}/stop", {"drain": False})["request-id"]
        deadline = time.monotonic() + timeout_seconds
        while True:
            told = self._ask("GET", f"/jobs/{job_id}/savepoints/{trigger}")
            if told["status"]["id"] == "COMPLETED":
                break
            if time.monotonic() > deadline:
                raise FlinkError(
                    f"expected a savepoint of job {job_id} within {timeout_seconds:g} s, it is still being taken; "
                    f"{self._url} shows the job"
                )
            self._pause(_POLL_SECONDS)
        operation = told["operation"]
        if "location" not in operation:
            cause = str(operation.get("failure-cause", {}).get("stack-trace", operation))
            raise FlinkError(f"expected a savepoint of job {job_id}, got: {cause[:_LONGEST_ANSWER]}")
        return str(operation["location"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to one request, parsed.

        Raises:
            FlinkError: It does not answer, or with an error.
        """
        request = urllib.request.Request(  # noqa: S310  # the address is an HTTP one
            f"{self._url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                told = _words(error.read())
            raise FlinkError(
                f"expected Flink at {self._url} to answer {method} {path}, got {error.code}: {told}"
            ) from None
        except (OSError, HTTPException, json.JSONDecodeError) as error:
            raise FlinkError(
                f"expected Flink's REST interface at {self._url}, got {getattr(error, 'reason', error)}. "
                "`tollbook flink status` shows the cluster of this machine, `tollbook flink up` starts it."
            ) from error


def _words(answer: bytes) -> str:
    """Return what Flink says is wrong, without its stack trace."""
    try:
        told = str(json.loads(answer)["errors"][-1])
    except (ValueError, LookupError, TypeError):
        told = answer.decode(errors="replace")
    return told.split("\n\tat ")[0][:_LONGEST_ANSWER]


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks without a proxy: a cluster is on this machine or beside it."""
