"""Where a Flink job runs: as it is told, or on the cluster of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from tollbook.errors import MisuseError
from tollbook.flink.lifecycle import status
from tollbook.settings import Settings

JOB_SERVER_PORT = 8099
WORKER_POOL_PORT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkTarget:
    """Which Flink runs a job, and how.

    Attributes:
        rest_url: Flink's REST interface.
        job_endpoint: Beam's job server, `host:port`.
        worker_pool: Where task managers ask for Python workers, `host:port`, as they see it.
        parallelism: How many tasks each step has.
        savepoint: Savepoint or checkpoint to go on from, a URL; None to go on from the book alone.
    """

    rest_url: str
    job_endpoint: str
    worker_pool: str
    parallelism: int = 1
    savepoint: str | None = None


def target_told(
    settings: Settings,
    *,
    master: str | None,
    job_server: str | None,
    workers: str | None,
    parallelism: int,
    savepoint: str | None,
) -> FlinkTarget:
    """Return where a job is to run.

    Args:
        settings: The home, whose cluster is meant where no master is told.
        master: Flink's REST interface, `host:port`, or its URL.
        job_server: Beam's job server, `host:port`; by default on the master's host.
        workers: Where task managers ask for workers, `host:port`; by default beside them, on their own loopback.
        parallelism: How many tasks each step has.
        savepoint: Savepoint to go on from.

    Raises:
        MisuseError: No master is told, and the home has no cluster that is ready.
    """
    if master is not None:
        host = master.partition("://")[2] or master
        return FlinkTarget(
            rest_url=master if "://" in master else f"http://{master}",
            job_endpoint=job_server or f"{host.rpartition(':')[0] or host}:{JOB_SERVER_PORT}",
            worker_pool=workers or f"localhost:{WORKER_POOL_PORT}",
            parallelism=parallelism,
            savepoint=savepoint,
        )
    found = status(settings)
    if found.cluster is None or not found.ready:
        missing = ", ".join(each.name for each in found.processes if each.pid is None) or "all of it"
        raise MisuseError(
            f"expected the Flink cluster of {settings.home} to be ready, {missing} does not run: `tollbook flink up` "
            "starts it; or name another by --flink-master"
        )
    return FlinkTarget(
        rest_url=found.cluster.rest_url,
        job_endpoint=job_server or found.cluster.job_endpoint,
        worker_pool=workers or found.cluster.worker_pool,
        parallelism=parallelism,
        savepoint=savepoint,
    )
