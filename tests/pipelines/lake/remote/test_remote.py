"""A lake in an object store: its entries, its files, and the working copies of several machines."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from tollbook.errors import (
    CommitConflictError,
    CorruptManifestError,
    LakeWriteError,
    MisuseError,
    StoreUnavailableError,
)
from tollbook.lake.binding import bind, connect
from tollbook.lake.erasures import record_erasure
from tollbook.lake.expiry import Retention, expire
from tollbook.lake.log import append, entries_after, entry_numbers, sync_folders
from tollbook.lake.manifest import METER, FileEntry, Manifest, commit, newest, next_commit
from tollbook.lake.push import push
from tollbook.lake.remote import LOGS, delete_files, fetch, held_files, local_paths, located, pull
from tollbook.lake.snapshot import load_snapshot
from tollbook.lake.store import LakeStore
from tollbook.lake.sweep import LOGGED_TABLES
from tollbook.lake.working_copy import REMOTE, remote_of
from tollbook.settings import Settings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NewHome = Callable[..., Settings]


def _connected(settings: Settings) -> Path:
    assert connect(settings.lake, settings.lake_url)
    return settings.lake


def _first(at: datetime = NOW, files: tuple[FileEntry, ...] = ()) -> Manifest:
    return Manifest(
        commit=1,
        epoch=1,
        writer="w",
        committed_at=at,
        schema_versions={},
        catalogue_version="",
        reference_version="",
        files=list(files),
        offsets={},
        totals={},
    )


def _data(lake: Path, path: str, content: bytes) -> FileEntry:
    (lake / path).parent.mkdir(parents=True, exist_ok=True)
    (lake / path).write_bytes(content)
    sync_folders([path], lake)
    return FileEntry(table="usage", path=path, event_date="2026-06-01", rows=1, bytes=len(content))


def test_of_two_machines_one_makes_the_entry_and_the_other_sees_it(new_home: NewHome) -> None:
    """The store decides, not the folder: the loser learns what the winner wrote and can go on from there."""
    ours, theirs = _connected(new_home("ours")), _connected(new_home("theirs"))
    append(ours / "commits", 1, b"ours")
    with pytest.raises(CommitConflictError, match=r"expected to make entry 1 of commits, but s3://.* has another"):
        append(theirs / "commits", 1, b"theirs")
    assert list(entries_after(theirs / "commits", 0)) == [(1, b"ours")]
    append(theirs / "commits", 2, b"theirs")
    pull(ours)
    assert list(entries_after(ours / "commits", 0)) == [(1, b"ours"), (2, b"theirs")]


def test_an_entry_whose_answer_was_lost_is_made_again_without_a_conflict(new_home: NewHome) -> None:
    """A kill between the store and the folder: the same bytes come again, and the entry is there once."""
    lake = _connected(new_home("ours"))
    remote = remote_of(lake)
    assert remote is not None
    remote.store.write("commits/00000000000000000001.json", b"entry")
    append(lake / "commits", 1, b"entry")
    assert list(entries_after(lake / "commits", 0)) == [(1, b"entry")]


def test_every_numbered_log_is_pulled() -> None:
    """A log that no other machine would see would split the book."""
    assert {f"{table}/commits" for table in LOGGED_TABLES} <= set(LOGS)
    assert LOGS[-1] == "commits"


def test_an_entry_of_an_unknown_log_is_refused(new_home: NewHome) -> None:
    """A log that is added and forgotten in the list of those that are pulled fails at its first entry."""
    lake = _connected(new_home("ours"))
    with pytest.raises(ValueError, match="expected one of the logs that are pulled"):
        append(lake / "new_log", 1, b"entry")


def test_files_are_fetched_when_they_are_read(new_home: NewHome, lake_url: str) -> None:
    """Another machine has the entries at once, and of the data what it reads."""
    ours, theirs = _connected(new_home("ours")), _connected(new_home("theirs"))
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    commit(ours, _first(files=(_data(ours, path, b"data"),)))
    pull(theirs)
    snapshot = load_snapshot(theirs)
    assert snapshot is not None
    assert [file.entry.path for file in snapshot.files] == [path]
    assert not (theirs / path).exists()
    assert held_files(theirs, [path, "usage/absent.parquet"]) == {path: 4}
    assert local_paths(theirs, [path]) == [str(theirs / path)]
    assert (theirs / path).read_bytes() == b"data"
    assert located(theirs, path) == f"{lake_url}/{path}"


def test_a_file_of_another_size_than_told_is_not_taken(new_home: NewHome) -> None:
    """A store that gives something else is found before anything reads it; what it has not is left to the reader."""
    ours, theirs = _connected(new_home("ours")), _connected(new_home("theirs"))
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    _data(ours, path, b"data")
    with pytest.raises(CorruptManifestError, match=r"expected usage/.* to have 5 bytes, got 4"):
        fetch(theirs, {path: 5})
    fetch(theirs, {"usage/absent.parquet": 5})
    assert list(theirs.rglob("*.parquet")) == []


def test_a_truncated_copy_is_fetched_anew(new_home: NewHome) -> None:
    """A power cut may leave half a file in the working copy: its size tells."""
    ours = _connected(new_home("ours"))
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    _data(ours, path, b"data")
    (ours / path).write_bytes(b"da")
    fetch(ours, {path: 4})
    assert (ours / path).read_bytes() == b"data"


def test_deletes_reach_the_store(new_home: NewHome) -> None:
    """What has expired is paid for until the store has deleted it."""
    ours = _connected(new_home("ours"))
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    _data(ours, path, b"data")
    delete_files(ours, [path, "usage/absent.parquet"])
    assert held_files(ours, [path]) == {}
    assert not (ours / path).exists()


def test_a_machine_that_was_away_while_manifests_expired_goes_on(new_home: NewHome) -> None:
    """Its old manifests would leave a hole before the new ones: they go, and the lake opens by the checkpoint."""
    ours, theirs = _connected(new_home("ours")), _connected(new_home("theirs"))
    commit(ours, _first(NOW - timedelta(days=2)))
    pull(theirs)
    for number in range(2, 9):
        before = newest(ours)
        assert before is not None
        commit(ours, next_commit(before, kind=METER, writer="w", now=NOW - timedelta(days=2)))
        if number == 6:
            expire(ours, now=NOW - timedelta(days=2))
    gone = expire(ours, now=NOW, retention=Retention(commits=1, every_commit=timedelta(hours=1)))
    assert gone.manifests == 6  # those up to the checkpoint of commit 6, which the last manifest that is kept follows
    pull(theirs)
    assert sorted(entry_numbers(theirs / "commits")) == [7, 8]
    snapshot = load_snapshot(theirs)
    assert snapshot is not None
    assert snapshot.manifest.commit == 8


def test_what_a_person_was_erased_from_is_deleted_on_every_machine(new_home: NewHome) -> None:
    """A working copy elsewhere still has the files; the next command there deletes them."""
    ours, theirs = _connected(new_home("ours")), _connected(new_home("theirs"))
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    commit(ours, _first(files=(_data(ours, path, b"data"),)))
    pull(theirs)
    fetch(theirs, {path: 4})
    erasure = record_erasure(
        ours,
        principal="p-1",
        lake_commit=1,
        erased_at=NOW,
        reason="asked",
        usage_rows=1,
        reject_rows=0,
        deleted=[path],
    )
    pull(theirs)
    assert not (theirs / path).exists()
    assert (theirs / "erasures" / "key").read_bytes() == (ours / "erasures" / "key").read_bytes()
    assert erasure.digest not in {"", "p-1"}


def test_a_home_goes_on_with_the_store_it_is_bound_to(new_home: NewHome, lake_url: str) -> None:
    """Who forgets the setting once must not begin a second lake beside the first."""
    lake = _connected(new_home("ours"))
    append(lake / "commits", 1, b"entry")
    assert connect(lake, None)
    with pytest.raises(MisuseError, match=f"expected the lake's URL to be {lake_url}, of which .* got s3://other/lake"):
        connect(lake, "s3://other/lake")


def test_a_lake_of_its_own_is_not_mixed_with_a_store(tmp_path: Path, lake_url: str) -> None:
    """The setting on a home with a lake would hide what is there."""
    lake = tmp_path / "home" / "lake"
    append(lake / "commits", 1, b"entry")
    with pytest.raises(MisuseError, match="found a lake of its own: `tollbook lake push` puts it into the store"):
        connect(lake, lake_url)
    assert remote_of(lake) is None


def test_credentials_are_not_written_to_the_home(new_home: NewHome) -> None:
    """`.remote` names the store and the lake, and nothing that opens it."""
    settings = new_home("ours")
    told = msgspec.json.decode((_connected(settings) / REMOTE).read_bytes())
    assert told.keys() == {"lake_id", "url"}
    for path in settings.home.rglob("*"):
        assert not path.is_file() or b"a-secret" not in path.read_bytes()


@pytest.mark.parametrize("how", ["emptied", "replaced", "restored"])
def test_a_store_that_is_not_the_lake_any_more_is_refused(new_home: NewHome, lake_url: str, how: str) -> None:
    """A working copy of what is gone would go on with numbers that the store gives to others."""
    lake = _connected(new_home("ours"))
    append(lake / "commits", 1, b"entry")
    store = LakeStore(lake_url)
    gone = {"emptied": ["lake.json"], "replaced": ["lake.json"], "restored": ["commits/00000000000000000001.json"]}
    store.delete(gone[how])
    if how == "replaced":
        store.create("lake.json", b'{"lake_id": "another"}')
    with pytest.raises(CorruptManifestError, match="the store was emptied or"):
        connect(lake, lake_url)


def test_a_store_that_makes_an_object_twice_is_refused(
    tmp_path: Path, lake_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without conditional puts two writers would both believe that they committed."""

    def overwrites(store: LakeStore, key: str, content: bytes) -> bool:
        store.write(key, content)
        return True

    monkeypatch.setattr(LakeStore, "create", overwrites)
    with pytest.raises(MisuseError, match=r"to refuse a second object of one name \(If-None-Match: \*\)"):
        bind(tmp_path / "lake", lake_url)
    assert LakeStore(lake_url).sizes("") == {}


class Wire(Protocol):
    """The way to the server."""

    def cut(self) -> None: ...

    def mend(self) -> None: ...


def test_a_store_that_is_away_leaves_no_entry(new_home: NewHome, wire: Wire) -> None:
    """What was not made in the store is not in the folder either, and the error says which store is meant."""
    lake = _connected(new_home("ours"))
    wire.cut()
    with pytest.raises(StoreUnavailableError, match=r"expected s3://.* to ") as told:
        append(lake / "commits", 1, b"entry")
    assert isinstance(told.value, LakeWriteError)
    assert list((lake / "commits").glob("*.json")) == []
    wire.mend()
    append(lake / "commits", 1, b"entry")


def test_leftovers_of_fetches_that_died_go_after_an_hour(new_home: NewHome) -> None:
    """A kill in a fetch leaves a part of a file under a name that nobody reads; a fetch at work is left alone."""
    lake = _connected(new_home("ours"))
    (lake / ".fetching").mkdir(exist_ok=True)
    old, new = lake / ".fetching" / "1-old", lake / ".fetching" / "2-new"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    pull(lake)
    assert not old.exists()
    assert new.exists()


def test_a_lake_on_disk_is_pushed_whole_and_goes_on_in_the_store(new_home: NewHome, lake_url: str) -> None:
    """A book that outgrows its machine moves with all it holds, and its folder stays in use."""
    settings, theirs = new_home("ours"), new_home("theirs")
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    commit(settings.lake, _first(files=(_data(settings.lake, path, b"data"),)))
    pushed = push(settings.lake, lake_url, now=NOW)
    assert (pushed.files, pushed.uploaded, pushed.entries) == (1, 1, 1)
    append(_connected(settings) / "commits", 2, b"next")
    lake = _connected(theirs)
    assert sorted(entry_numbers(lake / "commits")) == [1, 2]
    assert local_paths(lake, [path]) == [str(lake / path)]
    assert (lake / path).read_bytes() == b"data"
    with pytest.raises(MisuseError, match="found the working copy of s3://"):
        push(settings.lake, lake_url, now=NOW)


def test_a_push_goes_on_where_it_was_killed_and_spares_another_lake(
    new_home: NewHome, lake_url: str, tmp_path: Path
) -> None:
    """What is there is not sent again; what is another's is not touched."""
    lake = new_home("ours").lake
    path = "usage/event_date=2026-06-01/a-e1.parquet"
    commit(lake, _first(files=(_data(lake, path, b"data"),)))
    LakeStore(lake_url).upload(path, lake / path)
    other = tmp_path / "other" / "lake"
    commit(other, _first(NOW - timedelta(days=1), files=(_data(other, path, b"else"),)))
    assert push(lake, lake_url, now=NOW).uploaded == 0
    with pytest.raises(MisuseError, match=r"found another's entry 1 of commits: use another prefix"):
        push(other, lake_url, now=NOW)
    assert LakeStore(lake_url).read(path) == b"data"
