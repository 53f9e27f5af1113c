"""The jars of the Flink cluster: Apache Flink, its ZooKeeper, and Beam's job server for it."""

from __future__ import annotations

from pathlib import Path

from tollbook.services import jars

FLINK_VERSION = "1.19.3"
JOB_SERVER_BEAM_VERSION = "2.62.0"
"""The newest job server for Flink 1.19 on Maven Central with which Beam's Python SDK 2.77 streams."""


def pinned() -> tuple[jars.Jar, ...]:
    """Return the jars that make up the cluster, in the order of the list."""
    return jars.pinned("tollbook.flink", f"flink-{FLINK_VERSION}-jars.txt")


def place(folder: Path, progress: jars.Progress) -> None:
    """Make `folder` hold every jar of the cluster, whole and as pinned.

    Args:
        folder: Where the jars go.
        progress: Told what happens, in words.

    Raises:
        JarError: A jar cannot be fetched, or Maven Central serves another file than the one pinned.
    """
    of = f"Apache Flink {FLINK_VERSION} and Beam's job server {JOB_SERVER_BEAM_VERSION} (165 MB in all)"
    jars.place(folder, progress, jars=pinned(), of=of)
