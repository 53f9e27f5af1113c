"""Lineage: whether the lake is the one that the warehouse has taken from, or another that bears the same numbers.

A lake that was restored from a backup goes on with numbers that were given before, for other commits and ratings. So
the warehouse remembers not only the number of what it took last but also a mark of it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tollbook.errors import CorruptManifestError, WarehouseStateError
from tollbook.lake.manifest import Manifest, manifest_path, newest_commit, read_commit
from tollbook.lake.ratings import RatingEntry, newest_rating, ratings_after
from tollbook.lake.snapshot import checkpoint_path, read_checkpoint
from tollbook.settings import Settings
from tollbook.warehouse.book import Progress


def mark_of_commit(manifest: Manifest) -> str:
    """Return what tells a commit from another of its number: its epoch, whose that was, and when it was made."""
    return f"{manifest.epoch} {manifest.epoch_owner} {manifest.committed_at.isoformat()}"


def mark_of_rating(entry: RatingEntry) -> str:
    """Return what tells a rating from another of its number: who wrote it, and when."""
    return f"{entry.writer} {entry.recorded_at.isoformat()}"


def refuse_other_lake(settings: Settings, progress: Progress) -> None:
    """Refuse a lake that does not hold what the warehouse has taken.

    A commit whose manifest has expired cannot be told from another; it is then taken for the one that it was.

    Raises:
        WarehouseStateError: The lake ends before it, or holds another commit or rating under its number.
    """
    lake = settings.lake
    for what, newest, taken in (
        ("commit", newest_commit(lake), progress.taken_commit),
        ("rating", newest_rating(lake), progress.taken_rating),
    ):
        if newest < taken:
            raise _refused(settings, f"hold {what} {taken}", f"its newest is {newest}")
    held = _commit_mark(lake, progress.taken_commit)
    if held not in {None, progress.taken_commit_mark}:
        raise _refused(settings, f"hold the commit {progress.taken_commit}", "it holds another one of this number")
    held = _rating_mark(lake, progress.taken_rating)
    if held not in {None, progress.taken_rating_mark}:
        raise _refused(settings, f"hold the rating {progress.taken_rating}", "it holds another one of this number")


def _refused(settings: Settings, expected: str, found: str) -> WarehouseStateError:
    return WarehouseStateError(
        f"expected the lake {settings.lake} to {expected}, which the warehouse has taken, but {found}: "
        f"if the lake was restored, delete {settings.warehouse} and build again"
    )


def _commit_mark(lake: Path, number: int) -> str | None:
    """Return the mark of a commit, None when there is none or it is no longer told."""
    # A manifest may expire between a look and a read. One that is broken stops the build when the lake is opened.
    with suppress(CorruptManifestError):
        if manifest_path(lake, number).exists():
            return mark_of_commit(read_commit(lake, number))
    with suppress(CorruptManifestError):
        if checkpoint_path(lake, number).exists():
            return mark_of_commit(read_checkpoint(lake, number).manifest)
    return None


def _rating_mark(lake: Path, number: int) -> str | None:
    """Return the mark of a rating, None when there is none."""
    return mark_of_rating(next(ratings_after(lake, number - 1))) if number else None
