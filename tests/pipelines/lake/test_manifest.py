"""Manifests: the only commit point."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tollbook.errors import CommitConflictError, CorruptManifestError
from tollbook.lake.manifest import (
    FileEntry,
    Manifest,
    PartitionTotals,
    commit,
    commits_after,
    manifest_path,
    newest,
    newest_commit,
    read_commit,
)


def _manifest(number: int, writer: str = "one") -> Manifest:
    return Manifest(
        commit=number,
        epoch=1,
        writer=writer,
        committed_at=datetime(2026, 6, 1, tzinfo=UTC),
        schema_versions={"usage_event": 1},
        catalogue_version="c",
        reference_version="none",
        files=[
            FileEntry(
                table="usage", path="usage/event_date=2026-06-01/a.parquet", event_date="2026-06-01", rows=1, bytes=9
            )
        ],
        offsets={"llm.usage": {0: number * 10}},
        totals={"llm.usage": {0: PartitionTotals(first_offset=0, next_offset=number * 10, records=number * 10)}},
    )


def test_a_manifest_is_read_as_it_was_committed(tmp_path: Path) -> None:
    """The chain of manifests is all that a reader has."""
    assert newest(tmp_path) is None
    commit(tmp_path, _manifest(1))
    commit(tmp_path, _manifest(2))
    assert newest(tmp_path) == _manifest(2)
    assert [each.commit for each in commits_after(tmp_path, 0)] == [1, 2]
    assert [each.commit for each in commits_after(tmp_path, 1)] == [2]


def test_the_second_writer_of_a_commit_is_refused(tmp_path: Path) -> None:
    """Two writers that both win would tear the book."""
    commit(tmp_path, _manifest(1, "one"))
    with pytest.raises(CommitConflictError, match="another writer was faster"):
        commit(tmp_path, _manifest(1, "two"))
    assert read_commit(tmp_path, 1).writer == "one"


def test_the_same_commit_again_is_no_error(tmp_path: Path) -> None:
    """A retry of a bundle that did commit must not fail."""
    commit(tmp_path, _manifest(1))
    commit(tmp_path, _manifest(1))
    assert newest_commit(tmp_path) == 1


def test_nothing_is_left_of_a_refused_commit(tmp_path: Path) -> None:
    """A leftover could be taken for a commit."""
    commit(tmp_path, _manifest(1, "one"))
    with pytest.raises(CommitConflictError):
        commit(tmp_path, _manifest(1, "two"))
    assert [path.name for path in (tmp_path / "commits").iterdir()] == [manifest_path(tmp_path, 1).name]


def test_a_hole_in_the_chain_is_an_error(tmp_path: Path) -> None:
    """A missing manifest is missing money."""
    for number in (1, 2, 3):
        commit(tmp_path, _manifest(number))
    manifest_path(tmp_path, 2).unlink()
    with pytest.raises(CorruptManifestError, match="commit 2"):
        list(commits_after(tmp_path, 0))


def test_a_torn_manifest_says_which_file_it_is(tmp_path: Path) -> None:
    """Someone has to restore it by hand."""
    path = commit(tmp_path, _manifest(1))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CorruptManifestError, match=path.name):
        newest(tmp_path)
