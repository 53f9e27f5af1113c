"""Jars of programs: pinned by SHA-256, fetched from Maven Central, checked at every start."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tollbook.errors import JarError

_ATTEMPTS = 4
_THREADS = 8
_TIMEOUT_SECONDS = 30

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar.

    Attributes:
        coordinate: Maven coordinate, `group:artifact:version`.
        sha256: SHA-256 of the file, in hexadecimal.
    """

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file on Maven Central."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    def is_at(self, path: Path) -> bool:
        """Return whether `path` is this jar, to the last bit; what cannot be read is not."""
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


def pinned(package: str, name: str) -> tuple[Jar, ...]:
    """Return the jars of a list that a package ships, in its order: a line each, coordinate and SHA-256.

    Args:
        package: Import name of the package.
        name: File name of the list.
    """
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Jar(coordinate, sha256) for coordinate, sha256 in lines)


def missing(folder: Path, jars: tuple[Jar, ...]) -> tuple[Jar, ...]:
    """Return the jars that `folder` does not hold, or holds changed."""
    return tuple(jar for jar in jars if not jar.is_at(folder / jar.file_name))


def place(folder: Path, progress: Progress, *, jars: tuple[Jar, ...], of: str) -> None:
    """Make `folder` hold every jar, whole and as pinned; a changed or half-written one is fetched again.

    One process at a time may place jars into a folder. Fetched files are also kept in the user's Maven cache
    (`~/.m2/repository`), where the next home finds them; they are checked again when taken from there.

    Args:
        folder: Where the jars go.
        progress: Told what happens, in words.
        jars: What to place.
        of: What the jars make up, and their size, in words.

    Raises:
        JarError: A jar cannot be fetched, or Maven Central serves another file than the one pinned.
    """
    wanted = missing(folder, jars)
    if not wanted:
        return
    from jgo.maven import MavenContext

    cache = MavenContext().repo_cache
    staging = folder.with_name(f"{folder.name}.fetching")
    shutil.rmtree(staging, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"placing {len(wanted)} jars of {of}")
    try:
        with _system_certificates(), ThreadPoolExecutor(_THREADS, thread_name_prefix="jars") as threads:
            pending = [threads.submit(_place, jar, folder, cache=cache, staging=staging) for jar in wanted]
            try:
                for done, future in enumerate(as_completed(pending), start=1):
                    future.result()
                    if done % 15 == 0 or done == len(wanted):
                        progress(f"{done} of {len(wanted)} jars in place")
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def fetch(jar: Jar, staging: Path, *, pause: Callable[[float], None] = time.sleep) -> Path:
    """Download a jar into `staging`, laid out as a Maven repository, and return its path.

    Args:
        jar: What to download.
        staging: A folder that no one else uses.
        pause: Waits between attempts; tests pass one that returns at once.

    Raises:
        JarError: All attempts failed; the message has the last failure.
    """
    import requests
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=staging, local_repos=[], timeout=_TIMEOUT_SECONDS)
    group, name, version = jar.coordinate.split(":")  # jgo itself takes the `android` of 33.3.1-android for the version
    artifact = context.project(group, name).at_version(version).artifact()
    failure = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(0.5 * 2**attempt)
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)  # half a file of the attempt before
        try:
            path = Path(artifact.resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            failure = f"{type(error).__name__}: {error}"
            continue
        if jar.is_at(path):
            return path
        failure = f"a file with another SHA-256, {hashlib.sha256(path.read_bytes()).hexdigest()}"
    raise JarError(
        f"expected {jar.coordinate} with SHA-256 {jar.sha256} "
        f"from {', '.join(context.remote_repos.values())}, got {failure} ({_ATTEMPTS} attempts). "
        f"Check the network, or put the right {jar.file_name} where Maven would in ~/.m2/repository, "
        "and start again: what is in place already is kept."
    )


def _place(jar: Jar, folder: Path, *, cache: Path, staging: Path) -> None:
    group, artifact, version = jar.coordinate.split(":")
    cached = cache.joinpath(*group.split("."), artifact, version, jar.file_name)
    if jar.is_at(cached):
        source = cached
    else:
        source = fetch(jar, staging)
        with contextlib.suppress(OSError):  # the cache only saves time; a home that cannot be written has none
            _copy(source, cached)
    target = folder / jar.file_name
    _copy(source, target)
    if not jar.is_at(target):
        raise JarError(
            f"expected {target} to be {jar.coordinate} as copied from {source}, got other bytes. "
            "Check the disk, then start again."
        )


def _copy(source: Path, target: Path) -> None:
    """Copy by a temporary name and a rename, so that nobody ever sees half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _system_certificates() -> Iterator[None]:
    """Trust what the machine trusts, as the bundle of `requests` knows no private certificate authority."""
    import truststore

    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()
