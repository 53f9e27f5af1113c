"""Where the Flink cluster of this machine is, for those who submit jobs to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FlinkCluster:
    """A Flink cluster with Beam's job server and a pool of Python workers.

    Attributes:
        rest_url: Flink's REST interface, which is also its web page.
        job_endpoint: Beam's job service, `host:port`.
        artifact_endpoint: Beam's artifact service, `host:port`.
        worker_pool: Where task managers ask for Python workers, `host:port`. One pool serves all of them: a job names
            one address, and each task manager gets workers of its own from there.
        slots: Slots of all task managers together, the largest parallelism of a job.
        savepoints: Folder where savepoints go.
        checkpoints: Folder where the checkpoints of jobs go, each in a folder named by the job.
    """

    rest_url: str
    job_endpoint: str
    artifact_endpoint: str
    worker_pool: str
    slots: int
    savepoints: Path
    checkpoints: Path

    def pipeline_options(self) -> list[str]:
        """Return the options by which Beam's PortableRunner submits a pipeline to this cluster.

        Parallelism, `--streaming` and `--savepoint_path` are the pipeline's own to say.
        """
        return [
            "--runner=PortableRunner",
            f"--job_endpoint={self.job_endpoint}",
            f"--artifact_endpoint={self.artifact_endpoint}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self.worker_pool}",
        ]

    def as_dict(self) -> dict[str, object]:
        """Return the same for `--json`, folders as text."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of the cluster.

    Attributes:
        name: What it is.
        pid: Its process; None when it does not run.
        ports: Ports that it listens on, by what they are for.
        log: Its log file.
    """

    name: str
    pid: int | None
    ports: dict[str, int]
    log: str


@dataclass(frozen=True, slots=True)
class FlinkStatus:
    """What is known of the cluster now.

    Attributes:
        ready: Whether every process runs and answers, and every task manager has registered.
        cluster: Where it is, or was last; None before the first start.
        processes: Its processes.
        flink_version: Version of Apache Flink.
        job_server_beam_version: Version of Beam's job server.
        java: The Java that runs it, or ran it last.
        started_at: When it was last started as a whole, ISO 8601 in UTC.
        folder: Its jars, logs, checkpoints and savepoints.
    """

    ready: bool
    cluster: FlinkCluster | None
    processes: tuple[ProcessStatus, ...]
    flink_version: str
    job_server_beam_version: str
    java: str | None
    started_at: str | None
    folder: str

    def as_dict(self) -> dict[str, object]:
        """Return the same for `--json`, flat but for the processes."""
        return {
            "ready": self.ready,
            **({} if self.cluster is None else self.cluster.as_dict()),
            "flink_version": self.flink_version,
            "job_server_beam_version": self.job_server_beam_version,
            "java": self.java,
            "started_at": self.started_at,
            "folder": self.folder,
            "processes": [
                {"name": each.name, "pid": each.pid, "ports": each.ports, "log": each.log} for each in self.processes
            ],
        }
