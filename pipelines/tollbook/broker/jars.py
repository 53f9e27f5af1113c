"""The jars that make up the broker."""

from __future__ import annotations

from pathlib import Path

from tollbook.services import jars

KAFKA_VERSION = "4.4.0"


def pinned() -> tuple[jars.Jar, ...]:
    """Return the jars that make up the broker, in the order of the list."""
    return jars.pinned("tollbook.broker", f"kafka-{KAFKA_VERSION}-jars.txt")


def missing(folder: Path) -> tuple[jars.Jar, ...]:
    """Return the jars of the broker that `folder` does not hold, or holds changed."""
    return jars.missing(folder, pinned())


def place(folder: Path, progress: jars.Progress) -> None:
    """Make `folder` hold every jar of the broker, whole and as pinned.

    Args:
        folder: Where the jars go.
        progress: Told what happens, in words.

    Raises:
        JarError: A jar cannot be fetched, or Maven Central serves another file than the one pinned.
    """
    jars.place(folder, progress, jars=pinned(), of=f"Apache Kafka {KAFKA_VERSION} (43 MB in all)")
