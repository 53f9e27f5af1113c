"""Publish: the marts are copied into a file of their own, and the name that readers open is swapped to it.

Readers never meet the file that a build writes to, so builds and reads do not wait for each other. A reader that
opened an older version goes on reading it. `CURRENT` names the version; `tollbook.duckdb` is a link to it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from tollbook.errors import WarehouseStateError
from tollbook.lake.manifest import sync_folder, write_synced
from tollbook.settings import Settings
from tollbook.warehouse.project import column_comments
from tollbook.warehouse.state import WarehouseFolder, open_private, read_progress

PUBLISHED = "tollbook.duckdb"
CURRENT = "CURRENT"
PRIVATE_SCHEMAS = ("book", "intermediate", "main")
"""Schemas of the private file that are not for readers."""

_STORAGE = "v1.2.0"
"""Storage version of the published file: DuckDB from 1.2 on can read it."""

_KEPT_VERSIONS = 5
_TEMPORARY_PREFIX = ".new-"


@dataclass(frozen=True, slots=True)
class Publication:
    """One published version.

    Attributes:
        version: Name of its file.
        build_number: Build that made the marts.
        built_commit: Newest commit of the lake that they hold.
        published_at: When it was published, UTC.
    """

    version: str
    build_number: int
    built_commit: int
    published_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def publish_marts(settings: Settings, *, now: datetime) -> Publication:
    """Publish what the last good build made; return the version. The caller holds the build's lock.

    A kill at any moment leaves the version before or this one whole; publishing again makes the same version anew.

    Raises:
        WarehouseStateError: There is no good build, or the last one did not end well.
    """
    folder = WarehouseFolder.of(settings)
    serve = settings.serve
    serve.mkdir(parents=True, exist_ok=True)
    _sweep(serve)
    with open_private(folder) as private:
        progress = read_progress(private)
        if progress.build_number == 0 or progress.remake:
            raise WarehouseStateError("expected a build that ended well, found none: run `tollbook warehouse build`")
        version = f"tollbook-{progress.build_number:010d}-c{progress.built_commit:012d}.duckdb"
        publication = Publication(version, progress.build_number, progress.built_commit, now.astimezone(UTC))
        temporary = serve / f"{_TEMPORARY_PREFIX}{version}"
        _copy_marts(private, folder, temporary, publication)
    _sync(temporary)
    temporary.replace(serve / version)
    point_to(serve, version)
    _remove_old(serve, keep=version)
    return publication


def point_to(serve: Path, version: str) -> None:
    """Swap the pointer and the link to a version; each is whole at any moment."""
    pointer = serve / f"{_TEMPORARY_PREFIX}{CURRENT}"
    write_synced(pointer, f"{version}\n".encode("ascii"))
    pointer.replace(serve / CURRENT)
    link = serve / f"{_TEMPORARY_PREFIX}{PUBLISHED}"
    link.unlink(missing_ok=True)
    link.symlink_to(version)
    link.replace(serve / PUBLISHED)
    sync_folder(serve)


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


def _copy_marts(
    private: duckdb.DuckDBPyConnection, folder: WarehouseFolder, path: Path, publication: Publication
) -> None:
    private.execute(f"attach '{_quoted(path)}' as published (storage_version '{_STORAGE}')")
    private.execute("begin")
    tables = private.execute(
        """
        select schema_name, table_name from duckdb_tables()
        where database_name = current_database() and not list_contains(?, schema_name) and not temporary
        order by all
        """,
        [list(PRIVATE_SCHEMAS)],
    ).fetchall()
    comments = column_comments(folder)
    for schema, table in tables:
        name = f'published."{schema}"."{table}"'
        private.execute(f'create schema if not exists published."{schema}"')
        private.execute(f'create table {name} as from "{schema}"."{table}"')
        description, columns = comments.get((schema, table), ("", {}))
        private.execute(f"comment on table {name} is '{_quoted(description)}'")
        for column, text in columns.items():
            private.execute(f"""comment on column {name}."{column}" is '{_quoted(text)}'""")
    private.execute(
        """
        create table published.audit.publication as
        select ? as version, ?::bigint as build_number, ?::bigint as built_commit, ?::timestamptz as published_at
        """,
        [publication.version, publication.build_number, publication.built_commit, publication.published_at],
    )
    private.execute("comment on table published.audit.publication is 'One row: which build this file holds.'")
    private.execute("commit")
    private.execute("checkpoint published")
    private.execute("detach published")


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


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
