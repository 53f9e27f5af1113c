"""Reading the lake as it was: the files in force at a commit, for any engine that reads Parquet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tollbook.errors import ExpiredCommitError
from tollbook.lake.erasures import erasures
from tollbook.lake.layout import UNPARSED
from tollbook.lake.remote import held_files
from tollbook.lake.snapshot import LiveFile, Snapshot, commit_at, load_snapshot


def files_in_force(
    lake: Path, *, table: str, commit: int | None = None, as_of: datetime | None = None
) -> tuple[Snapshot | None, list[LiveFile]]:
    """Return the lake at a commit, and the files of a table that were in force then.

    Args:
        lake: Folder of the lake.
        table: Table of the lake.
        commit: The commit; by default the newest.
        as_of: Instead of a commit, the instant whose newest commit is meant, UTC.

    Raises:
        ExpiredCommitError: The commit can no longer be read: it has expired, or files of it were erased since.
    """
    if as_of is not None:
        commit = commit_at(lake, as_of)
        if not commit:
            raise ExpiredCommitError(f"expected a commit of {lake} up to {as_of.isoformat()}, but none is kept")
    snapshot = load_snapshot(lake, commit)
    if snapshot is None:
        return None, []
    files = snapshot.of(table)
    named = [file.entry.path for file in files] if table != UNPARSED else []
    absent = set(named) - held_files(lake, named).keys()
    if absent:
        raise ExpiredCommitError(_why(lake, snapshot.manifest.commit, absent))
    return snapshot, files


def _why(lake: Path, commit: int, absent: set[str]) -> str:
    expected = f"expected the files of commit {commit} of {lake}, but {len(absent)} of them are deleted"
    for erasure in erasures(lake):
        if absent & set(erasure.deleted):
            return (
                f"{expected}: commit {erasure.lake_commit} erased a person from them "
                f"({erasure.erased_at.isoformat()}, {erasure.reason}); read commit {erasure.lake_commit} or a later one"
            )
    return f"{expected}: they have expired; read a later commit"
