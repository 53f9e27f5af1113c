"""What a lake asks of an object store, held against an S3 server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollbook.errors import MisuseError, StoreUnavailableError
from tollbook.lake.store import LakeStore, checked_url


def test_an_object_is_made_once(lake_url: str) -> None:
    """Two writers of one name: the first wins, and the same bytes again are no conflict."""
    store = LakeStore(lake_url)
    assert store.create("commits/1", b"first")
    assert store.create("commits/1", b"first")
    assert not store.create("commits/1", b"second")
    assert store.read("commits/1") == b"first"
    assert store.read("commits/2") is None


def test_objects_are_listed_after_one_and_deleted(lake_url: str, tmp_path: Path) -> None:
    """Entries that are new are found without a look at all of them; what is absent is deleted without an error."""
    store = LakeStore(lake_url)
    (tmp_path / "file").write_bytes(b"four")
    store.upload("usage/event_date=2026-06-01/a.parquet", tmp_path / "file")
    for number in (1, 2, 3):
        store.write(f"commits/{number}", b"x" * number)
    assert store.sizes("commits", after="commits/1") == {"commits/2": 2, "commits/3": 3}
    assert store.sizes("usage") == {"usage/event_date=2026-06-01/a.parquet": 4}
    assert store.folders("usage") == ["usage/event_date=2026-06-01"]
    store.delete(["commits/1", "commits/absent", "commits/3"])
    assert store.sizes("commits") == {"commits/2": 2}


def test_a_bucket_that_is_not_there_is_told_by_name(lake_url: str) -> None:
    """A mistyped bucket is the commonest mistake: the message has its URL, and no credential."""
    store = LakeStore("s3://no-such-bucket-at-all/x")
    with pytest.raises(StoreUnavailableError, match=r"expected s3://no-such-bucket-at-all/x to .*NoSuchBucket") as told:
        store.create("a", b"b")
    assert "a-secret" not in str(told.value)
    assert "a-key" not in str(told.value)


@pytest.mark.parametrize("url", ["bucket/prefix", "s3://", "http://host/bucket", "az://account-alone", "file:///tmp/x"])
def test_what_is_no_url_of_a_lake_is_misuse(url: str) -> None:
    """The scheme decides which credentials are used, so none is guessed."""
    with pytest.raises(MisuseError, match="expected the lake's URL as s3://bucket/prefix"):
        checked_url(url)


@pytest.mark.parametrize("url", ["s3://key:word@bucket/x", "s3://key@bucket/x", "s3://bucket/x?X-Amz-Signature=word"])
def test_a_credential_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    """The URL is written to the home and told in messages: a password in it would be too."""
    with pytest.raises(MisuseError, match="credentials come from the environment") as told:
        checked_url(url)
    assert "word" not in str(told.value).replace("credentials", "")


def test_a_slash_at_the_end_is_the_same_lake() -> None:
    """One lake has one name."""
    assert checked_url("s3://bucket/x/") == checked_url("s3://bucket/x") == "s3://bucket/x"
