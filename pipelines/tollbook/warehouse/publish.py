"""Publish: the file of the marts is copied, and the name that readers open is swapped to the copy.

Readers never meet the file that a build writes to, so builds and reads do not wait for each other. A reader that
opened an older version goes on reading it. `CURRENT` names the version; `tollbook.duckdb` is a link to it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from tollbook.errors import LakeWriteError, WarehouseStateError
from tollbook.lake.log import sync_folder, write_synced
from tollbook.lake.steps import reached
from tollbook.settings import Settings
from tollbook.warehouse.book import transaction
from tollbook.warehouse.lock import HeldLock
from tollbook.warehouse.project import descriptions
from tollbook.warehouse.state import WarehouseFolder, open_ledger, open_marts, read_progress, stamped_build

PUBLISHED = "tollbook.duckdb"
CURRENT = "CURRENT"

_KEPT_VERSIONS = 5
_TEMPORARY_PREFIX = ".new-"


@dataclass(frozen=True, slots=True)
class Publication:
    """One published version.

    Attributes:
        version: Name of its file.
        build_number: Build that made the marts.
        built_commit: Newest commit of the lake that they hold.
        built_at: When they were made, UTC.
    """

    version: str
    build_number: int
    built_commit: int
    built_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def publish_marts(settings: Settings, lock: HeldLock) -> Publication:
    """Publish what the last good build made; return the version.

    A kill at any moment leaves the version before or this one, whole; publishing again makes the same version anew.

    Args:
        settings: Where the book lives.
        lock: The lock of the warehouse. Who lost it swaps nothing, so readers never go back to an older version.

    Raises:
        WarehouseStateError: There is no good build, a later one changed the marts and did not end well, or the lock was
            lost.
        LakeWriteError: The disk is full or read-only; what was published stays.
    """
    folder = WarehouseFolder.of(settings)
    settings.serve.mkdir(parents=True, exist_ok=True)
    _sweep(settings.serve)
    with open_ledger(folder) as ledger:
        progress = read_progress(ledger)
    with open_marts(folder) as marts:
        stamp = stamped_build(marts)
        if stamp is None or not progress.whole or stamp[0] != progress.build_number:
            raise WarehouseStateError(
                f"expected marts in {folder.marts} as a build finished them, found none or a build that did not end "
                "well: run `tollbook warehouse build`"
            )
        _describe(marts, folder)
        marts.execute("checkpoint")
    number, commit, at = stamp
    version = f"tollbook-{number:010d}-c{commit:012d}.duckdb"
    temporary = settings.serve / f"{_TEMPORARY_PREFIX}{version}"
    try:
        shutil.copyfile(folder.marts, temporary)
        _sync(temporary)
        reached("marts_copied")
        lock.refuse_if_lost()
        temporary.replace(settings.serve / version)
    except OSError as failed:
        temporary.unlink(missing_ok=True)
        raise LakeWriteError(f"expected to write {temporary}, got: {failed.strerror or failed}") from failed
    point_to(settings.serve, version, before_each=lock.refuse_if_lost)
    _remove_old(settings.serve, keep=version)
    return Publication(version, number, commit, at)


def point_to(serve: Path, version: str, *, before_each: Callable[[], None] = lambda: None) -> None:
    """Swap the pointer and the link to a version; each is whole at any moment.

    Args:
        serve: Folder of the published files.
        version: Name of the file.
        before_each: Called before either is swapped; what it raises leaves it as it was.
    """
    before_each()
    pointer = serve / f"{_TEMPORARY_PREFIX}{CURRENT}"
    write_synced(pointer, f"{version}\n".encode("ascii"))
    pointer.replace(serve / CURRENT)
    reached("pointer_swapped")
    before_each()
    link = serve / f"{_TEMPORARY_PREFIX}{PUBLISHED}"
    link.unlink(missing_ok=True)
    link.symlink_to(version)
    link.replace(serve / PUBLISHED)
    sync_folder(serve)
    reached("published")


def current_version(serve: Path) -> str | None:
    """Return the name of the published file, None when there is none."""
    try:
        return (serve / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def is_published(serve: Path, build_number: int) -> bool:
    """Return whether the pointer and the link both name a file of `build_number`."""
    version = current_version(serve)
    if version is None or not version.startswith(f"tollbook-{build_number:010d}-"):
        return False
    link = serve / PUBLISHED
    return (serve / version).is_file() and link.is_symlink() and link.readlink() == Path(version)


def _describe(marts: DuckDBPyConnection, folder: WarehouseFolder) -> None:
    """Write the project's descriptions as comments where there are none, for people who browse the file."""
    bare = marts.execute("select schema_name, table_name from duckdb_tables() where comment is null").fetchall()
    if not bare:
        return
    known = descriptions(folder) | {("audit", "publication"): ("One row: the build that made this file.", {})}
    comments = []
    for schema, table in bare:
        name = f'"{schema}"."{table}"'
        description, columns = known.get((schema, table), ("", {}))
        comments.append(f"comment on table {name} is {_literal(description)}")
        comments += [f'comment on column {name}."{column}" is {_literal(text)}' for column, text in columns.items()]
    with transaction(marts):  # each by itself would be synced to disk
        marts.execute(";\n".join(comments))


def _sweep(serve: Path) -> None:
    """Remove what a publish that died left behind."""
    for leftover in serve.glob(f"{_TEMPORARY_PREFIX}*"):
        leftover.unlink()


def _remove_old(serve: Path, *, keep: str) -> None:
    """Remove all but the newest versions. Who reads a removed one goes on reading it."""
    versions = sorted(path.name for path in serve.glob("tollbook-*.duckdb"))
    for old in versions[:-_KEPT_VERSIONS]:
        if old != keep:
            (serve / old).unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
