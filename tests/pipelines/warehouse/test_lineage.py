"""Lineage: a restored lake that bears the numbers of the old one is told from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tollbook.errors import WarehouseStateError
from tollbook.lake.manifest import Manifest, commit, manifest_path, newest
from tollbook.lake.ratings import RatingEntry, append_rating
from tollbook.lake.snapshot import write_checkpoint
from tollbook.warehouse.book import Progress
from tollbook.warehouse.build import build
from tollbook.warehouse.lineage import mark_of_commit, mark_of_rating, refuse_other_lake

RATED_AT = datetime(2026, 7, 1, tzinfo=UTC)


def _progress(manifest: Manifest, rating: RatingEntry | None = None) -> Progress:
    """Return how far a warehouse is that has taken a commit and a rating."""
    return Progress(
        taken_commit=manifest.commit,
        taken_commit_mark=mark_of_commit(manifest),
        built_commit=manifest.commit,
        taken_rating=0 if rating is None else rating.sequence,
        taken_rating_mark="" if rating is None else mark_of_rating(rating),
        built_rating=0,
        build_number=1,
        project_digest="",
        billing_calendar="",
        whole=True,
        remake=False,
    )


def _rating(recorded_at: datetime) -> RatingEntry:
    return RatingEntry(
        sequence=1,
        writer="test",
        recorded_at=recorded_at,
        first_date=RATED_AT.date(),
        end_date=RATED_AT.date(),
        provider=None,
        model=None,
        catalogue_version="test",
        lake_commit=1,
        files=[],
    )


@pytest.mark.parametrize(
    "change",
    [{"epoch": 2}, {"epoch_owner": "another"}, {"committed_at": datetime(2026, 7, 1, tzinfo=UTC)}],
    ids=["epoch", "owner", "time"],
)
def test_another_commit_of_the_same_number_is_refused(lake: Any, event: Any, change: dict[str, Any]) -> None:
    """After a restore the meter gives the old numbers anew; going on would leave the old commit in the marts."""
    manifest = lake.commit([event("a")])
    refuse_other_lake(lake.settings, _progress(manifest))

    other = msgspec.structs.replace(manifest, **change)
    manifest_path(lake.settings.lake, 1).unlink()
    commit(lake.settings.lake, other)
    lake.commit([event("b")])

    with pytest.raises(WarehouseStateError, match=r"hold the commit 1, .* but it holds another one of this number"):
        refuse_other_lake(lake.settings, _progress(manifest))


def test_a_commit_is_known_by_its_checkpoint_when_its_manifest_has_expired(lake: Any, event: Any) -> None:
    """Expiry takes manifests away and must not look like a restore, nor hide one."""
    manifest = lake.commit([event("a")])
    write_checkpoint(lake.settings.lake)
    lake.commit([event("b")])
    manifest_path(lake.settings.lake, 1).unlink()

    refuse_other_lake(lake.settings, _progress(manifest))
    with pytest.raises(WarehouseStateError, match="another one of this number"):
        refuse_other_lake(lake.settings, _progress(msgspec.structs.replace(manifest, epoch=7)))


def test_a_commit_that_is_no_longer_told_is_taken_for_the_one_it_was(lake: Any, event: Any) -> None:
    """A warehouse that was not built for a while must not have to be made anew for it."""
    manifest = lake.commit([event("a")])
    lake.commit([event("b")])
    write_checkpoint(lake.settings.lake)
    manifest_path(lake.settings.lake, 1).unlink()

    refuse_other_lake(lake.settings, _progress(manifest))


def test_another_rating_of_the_same_number_is_refused(lake: Any, event: Any) -> None:
    """A rerate that was run again after a restore is not the one that the marts hold."""
    manifest = lake.commit([event("a")])
    append_rating(lake.settings.lake, _rating(RATED_AT))
    refuse_other_lake(lake.settings, _progress(manifest, _rating(RATED_AT)))

    with pytest.raises(WarehouseStateError, match=r"hold the rating 1, .* but it holds another one of this number"):
        refuse_other_lake(lake.settings, _progress(manifest, _rating(RATED_AT + timedelta(seconds=1))))


def test_a_build_remembers_which_commit_it_took(lake: Any, event: Any) -> None:
    """With as many commits as before and other ones, a build would find nothing new and say that all is well."""
    lake.commit([event("a")])
    build(lake.settings)
    last = newest(lake.settings.lake)
    assert last is not None
    manifest_path(lake.settings.lake, 1).unlink()
    commit(lake.settings.lake, msgspec.structs.replace(last, epoch_owner="restored"))

    with pytest.raises(WarehouseStateError, match=r"delete .*warehouse and build again"):
        build(lake.settings)
