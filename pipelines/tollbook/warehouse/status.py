"""How the warehouse stands: what the lake holds, what the marts hold, what readers see, and whether it balances."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb

from tollbook.lake.manifest import newest_commit
from tollbook.lake.ratings import newest_rating
from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings
from tollbook.warehouse.lock import unless_building
from tollbook.warehouse.publish import PUBLISHED, current_version
from tollbook.warehouse.state import WarehouseFolder, open_database, read_progress


@dataclass(frozen=True, slots=True)
class WarehouseStatus:
    """How the warehouse stands.

    Attributes:
        lake_commit: Newest commit of the lake; 0 for none.
        lake_rating: Newest rating of the lake, as `prices rerate` writes them; 0 for none.
        built_commit: Newest commit that the ledger marts hold; None while a build is at work.
        built_rating: Newest rating that they hold; None while a build is at work.
        published_version: File that readers open; None when nothing is published.
        published_commit: Newest commit that it holds.
        published_rating: Newest rating that it holds.
        built_at: When it was made, UTC.
        current: Whether readers see everything that the lake holds, by the billing calendar in use.
        balanced: Whether every hand-over of the published book gives out what it took in; None for no book.
        building: Process id of the build at work, None when there is none.
        billing_calendar: Version of the billing calendar in use.
        published_calendar: Version of the one that the published book goes by; None for no book.
    """

    lake_commit: int
    lake_rating: int
    built_commit: int | None
    built_rating: int | None
    published_version: str | None
    published_commit: int | None
    published_rating: int | None
    built_at: datetime | None
    current: bool
    balanced: bool | None
    building: str | None
    billing_calendar: str = UTC_CALENDAR.version
    published_calendar: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether the published book is current and balanced."""
        return self.current and self.balanced is True

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def warehouse_status(settings: Settings) -> WarehouseStatus:
    """Return how the warehouse stands. It never waits for a build and never hinders one for longer than a look.

    Raises:
        ReferenceDataError: The billing calendar has a fault.
    """
    folder = WarehouseFolder.of(settings)
    lake_commit, lake_rating = newest_commit(settings.lake), newest_rating(settings.lake)
    built: tuple[int | None, int | None] = 0, 0
    with unless_building(folder) as building:
        if building is not None:
            built = None, None
        elif folder.ledger.exists():
            built = _built(folder)
    version, calendar = current_version(settings.serve), billing_calendar(settings).version
    if version is None:
        return WarehouseStatus(
            lake_commit, lake_rating, *built, None, None, None, None, False, None, building, calendar
        )
    with duckdb.connect((settings.serve / PUBLISHED).resolve(), read_only=True) as published:
        published.execute("set TimeZone = 'UTC'")
        answer = published.execute("from audit.publication")
        stamp = dict(zip((column[0] for column in answer.description), answer.fetchall()[0], strict=True))
        # A file from before ratings holds none, and one from before billing calendars goes by UTC.
        commit, rating = stamp["built_commit"], stamp.get("built_rating", 0)
        published_calendar = stamp.get("billing_calendar", UTC_CALENDAR.version)
        ((differences,),) = published.execute(
            "select count(*) from audit.fct_ledger_balance where difference <> 0"
        ).fetchall()
    return WarehouseStatus(
        lake_commit=lake_commit,
        lake_rating=lake_rating,
        built_commit=built[0],
        built_rating=built[1],
        published_version=version,
        published_commit=commit,
        published_rating=rating,
        built_at=stamp["built_at"],
        current=(commit, rating, published_calendar) == (lake_commit, lake_rating, calendar),
        balanced=differences == 0,
        building=building,
        billing_calendar=calendar,
        published_calendar=published_calendar,
    )


def _built(folder: WarehouseFolder) -> tuple[int, int]:
    """Return the newest commit and rating that the marts hold. Nothing is written, so many may look at once."""
    with open_database(folder, folder.ledger, read_only=True) as ledger:
        try:
            progress = read_progress(ledger)
        except (duckdb.CatalogException, duckdb.BinderException):  # of another version: the next build begins it anew
            return 0, 0
    return progress.built_commit, progress.built_rating
