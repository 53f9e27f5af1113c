"""Snapshots: the files in force at a commit, with checkpoints or without."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tollbook.errors import CorruptManifestError, ExpiredCommitError, LakeFormatError
from tollbook.lake.expiry import Retention, checkpoint_is_due, expire
from tollbook.lake.manifest import (
    COMPACTION,
    ERASURE,
    FORMAT_VERSION,
    FileEntry,
    Manifest,
    commit,
    manifest_path,
    newest_commit,
    next_commit,
    oldest_commit,
    read_commit,
)
from tollbook.lake.snapshot import (
    checkpoint_numbers,
    checkpoint_path,
    commit_at,
    load_snapshot,
    write_checkpoint,
)

START = datetime(2026, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def entry(name: str) -> FileEntry:
    """Return what a manifest tells of a usage file."""
    return FileEntry(
        table="usage", path=f"usage/event_date=2026-06-01/{name}", event_date="2026-06-01", rows=1, bytes=1
    )


def meter(lake: Path, *names: str, at: datetime | None = None) -> int:
    """Commit files as a meter does, a minute after the commit before, and return the commit's number."""
    number = newest_commit(lake) + 1
    for name in names:
        data = lake / entry(name).path
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_bytes(b"x")
    manifest = Manifest(
        commit=number,
        epoch=1,
        writer="w",
        committed_at=at or START + number * MINUTE,
        schema_versions={},
        catalogue_version="c",
        reference_version="r",
        files=[entry(name) for name in names],
        offsets={},
        totals={},
        format_version=FORMAT_VERSION,
    )
    commit(lake, manifest)
    return number


def compact(lake: Path, old: Sequence[str], new: str, *, kind: str = COMPACTION) -> int:
    """Commit that files were made into another, and return the commit's number."""
    before = read_commit(lake, newest_commit(lake))
    at = before.committed_at + MINUTE
    (lake / entry(new).path).write_bytes(b"x")
    removed = [entry(name).path for name in old]
    commit(lake, next_commit(before, kind=kind, writer="u", now=at, files=[entry(new)], removed=removed))
    return before.commit + 1


def names(lake: Path, number: int | None = None) -> list[str]:
    """Return the names of the files in force."""
    snapshot = load_snapshot(lake, number)
    return [] if snapshot is None else sorted(Path(file.entry.path).name for file in snapshot.files)


def test_lake_without_commits_has_no_snapshot(tmp_path: Path) -> None:
    """An empty lake is not an error, and looking makes nothing."""
    assert load_snapshot(tmp_path) is None
    assert write_checkpoint(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_each_commit_can_be_read_as_it_was(tmp_path: Path) -> None:
    """A compaction changes which files hold the data; who asks for the past gets the files of the past."""
    meter(tmp_path, "a", "b")
    meter(tmp_path, "c")
    compact(tmp_path, ["a", "c"], "ac")
    meter(tmp_path, "d")
    expected = {1: ["a", "b"], 2: ["a", "b", "c"], 3: ["ac", "b"], 4: ["ac", "b", "d"]}
    assert {number: names(tmp_path, number) for number in expected} == expected
    snapshot = load_snapshot(tmp_path)
    assert snapshot is not None
    assert sorted((Path(file.path).name, file.commit, file.removed_by) for file in snapshot.retired) == [
        ("a", 1, 3),
        ("c", 2, 3),
    ]


def test_checkpoint_changes_nothing_that_is_read(tmp_path: Path) -> None:
    """It is made of the manifests, and makes opening cheap; it must not have an opinion."""
    meter(tmp_path, "a")
    compact(tmp_path, ["a"], "b")
    before = load_snapshot(tmp_path)
    assert write_checkpoint(tmp_path) == 2
    assert load_snapshot(tmp_path) == before
    meter(tmp_path, "c")
    assert names(tmp_path) == ["b", "c"]
    assert names(tmp_path, 1) == ["a"]
    assert write_checkpoint(tmp_path) == 3
    assert write_checkpoint(tmp_path) == 3
    assert sorted(checkpoint_numbers(tmp_path)) == [2, 3]


def test_checkpoint_that_cannot_be_read_gives_way_to_the_manifests(tmp_path: Path) -> None:
    """A torn checkpoint costs time while the manifests are there, and is an error once they are not."""
    for name in "abc":
        meter(tmp_path, name)
    write_checkpoint(tmp_path)
    checkpoint_path(tmp_path, 3).write_bytes(b"{")
    assert names(tmp_path) == ["a", "b", "c"]
    manifest_path(tmp_path, 1).unlink()
    with pytest.raises(CorruptManifestError, match=r"expected a checkpoint at .*00003\.json"):
        load_snapshot(tmp_path)


def test_hole_in_the_manifests_is_an_error(tmp_path: Path) -> None:
    """Files of a lost manifest would be missing from every sum without a word."""
    for name in "abc":
        meter(tmp_path, name)
    manifest_path(tmp_path, 2).unlink()
    with pytest.raises(CorruptManifestError, match="expected commit 2"):
        load_snapshot(tmp_path)


def test_replacing_a_file_that_is_not_in_force_is_an_error(tmp_path: Path) -> None:
    """Two compactions of one file would count its rows twice."""
    meter(tmp_path, "a")
    compact(tmp_path, ["a"], "b")
    compact(tmp_path, ["a"], "c")
    with pytest.raises(CorruptManifestError, match="expected commit 3 to replace files in force"):
        load_snapshot(tmp_path)


def test_lake_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """What a later version means by its manifests is not known here; half of it would be wrong."""
    meter(tmp_path, "a")
    path = manifest_path(tmp_path, 1)
    told = msgspec.json.decode(path.read_bytes()) | {"format_version": FORMAT_VERSION + 1}
    path.write_bytes(msgspec.json.encode(told))
    with pytest.raises(LakeFormatError, match="a later Tollbook wrote it"):
        load_snapshot(tmp_path)


def test_year_of_commits_opens_from_one_checkpoint(tmp_path: Path) -> None:
    """After expiry a lake holds few manifests however many there were, and nothing of the data has changed."""
    for number in range(1, 41):
        meter(tmp_path, f"f{number}")
        if number % 8 == 0:
            expire(tmp_path, now=START + number * MINUTE, retention=Retention(commits=4, every_commit=5 * MINUTE))
    assert len(names(tmp_path)) == 40
    assert oldest_commit(tmp_path) == 33
    assert newest_commit(tmp_path) == 40
    # A checkpoint an hour is kept for a week, and the ones that the kept manifests go on from.
    assert sorted(checkpoint_numbers(tmp_path)) == [8, 32, 40]
    assert len(names(tmp_path, 33)) == 33
    assert len(names(tmp_path, 32)) == 32
    assert len(names(tmp_path, 8)) == 8
    with pytest.raises(ExpiredCommitError, match=r"got 20: manifests are kept from 33 on, .*checkpoints \[8, 32, 40\]"):
        load_snapshot(tmp_path, 20)
    with pytest.raises(ExpiredCommitError, match="expected a commit up to 40"):
        load_snapshot(tmp_path, 41)


def test_manifest_that_someone_has_yet_to_read_stays(tmp_path: Path) -> None:
    """Rejects that are not published yet are named only there."""
    short = Retention(commits=1, every_commit=timedelta(0))
    for number in range(1, 7):
        meter(tmp_path, f"f{number}")
        write_checkpoint(tmp_path)
    expire(tmp_path, now=START + 60 * MINUTE, retention=short, needed_from=4)
    assert oldest_commit(tmp_path) == 4
    meter(tmp_path, "f7")
    expire(tmp_path, now=START + 60 * MINUTE, retention=short)
    assert oldest_commit(tmp_path) == 7


def test_replaced_files_go_when_no_readable_commit_has_them(tmp_path: Path) -> None:
    """A reader of an old snapshot must find its files; nobody else needs them."""
    meter(tmp_path, "a", "b")
    compact(tmp_path, ["a", "b"], "ab")
    old = [tmp_path / entry(name).path for name in "ab"]
    short = Retention(commits=1, every_commit=timedelta(0), checkpoints=timedelta(days=7))
    assert expire(tmp_path, now=START + timedelta(days=6), retention=short).files == 0
    meter(tmp_path, "c", at=START + timedelta(days=8))
    assert all(path.exists() for path in old)
    expired = expire(tmp_path, now=START + timedelta(days=8), retention=short)
    assert (expired.files, expired.bytes) == (2, 2)
    assert not any(path.exists() for path in old)
    assert names(tmp_path) == ["ab", "c"]
    assert expire(tmp_path, now=START + timedelta(days=8), retention=short).files == 0


def test_file_that_holds_an_erased_person_goes_at_once(tmp_path: Path) -> None:
    """An erasure that leaves the old file for a week has not erased."""
    meter(tmp_path, "a")
    compact(tmp_path, ["a"], "clean", kind=ERASURE)
    assert expire(tmp_path, now=START + 3 * MINUTE).files == 1
    assert not (tmp_path / entry("a").path).exists()
    assert names(tmp_path) == ["clean"]


def test_checkpoint_is_due_by_commits(tmp_path: Path) -> None:
    """Opening reads the manifests since the newest checkpoint, so these must stay few."""
    meter(tmp_path, "a")
    assert not checkpoint_is_due(tmp_path, 255)
    assert checkpoint_is_due(tmp_path, 256)
    write_checkpoint(tmp_path)
    assert not checkpoint_is_due(tmp_path, 256)
    assert checkpoint_is_due(tmp_path, 257)


def test_commit_at_an_instant_is_the_newest_until_then(tmp_path: Path) -> None:
    """Who asks for the book as of yesterday evening need not know commit numbers."""
    for name in "abc":
        meter(tmp_path, name)
    assert commit_at(tmp_path, START) == 0
    assert commit_at(tmp_path, START + MINUTE) == 1
    assert commit_at(tmp_path, START + 2.5 * MINUTE) == 2
    assert commit_at(tmp_path, START + timedelta(days=1)) == 3
