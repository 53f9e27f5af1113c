"""A book that is well, seen at noon; tests change what they are about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tollbook.health.kafka import KafkaHealth, PartitionHealth
from tollbook.health.lake import Counts, LakeHealth
from tollbook.health.status import BookStatus, Disk
from tollbook.lake.manifest import Manifest
from tollbook.warehouse.record import BookFigures, BuildRecord
from tollbook.warehouse.status import WarehouseStatus

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
GIB = 1024**3


@pytest.fixture
def noon() -> datetime:
    """The moment of the look."""
    return NOON


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    """Makes a commit of `here`, made a second before noon; its fields may be told."""

    def make(**told: Any) -> Manifest:
        whole: dict[str, Any] = {
            "commit": 9,
            "epoch": 2,
            "writer": "here:4711",
            "committed_at": NOON - timedelta(seconds=1),
            "schema_versions": {"usage_event": 1},
            "catalogue_version": "c",
            "reference_version": "r",
            "files": [],
            "offsets": {"llm.usage": {0: 100}},
            "totals": {},
        }
        return Manifest(**(whole | told))

    return make


@pytest.fixture
def well(manifest: Callable[..., Manifest]) -> BookStatus:
    """Return a status without a finding: a meter runs, all is read, built an hour ago and balanced."""
    warehouse = WarehouseStatus(
        lake_commit=9,
        lake_rating=0,
        built_commit=9,
        built_rating=0,
        published_version="tollbook-0000000003-c000000000009.duckdb",
        published_commit=9,
        published_rating=0,
        built_at=NOON - timedelta(minutes=40),
        current=True,
        balanced=True,
        building=None,
    )
    build = BuildRecord(
        started_at=NOON - timedelta(minutes=41),
        ended_at=NOON - timedelta(minutes=40),
        seconds=12.3,
        succeeded_at=NOON - timedelta(minutes=40),
        error=None,
        message=None,
        figures=BookFigures(built_commit=9, hand_overs=3_704, unequal=0, tellings={"standing": 990}),
    )
    return BookStatus(
        home=Path("/book"),
        at=NOON,
        lake=LakeHealth(
            manifest=manifest(),
            newest_event_at=NOON - timedelta(seconds=3),
            last_day=Counts(records=1_000, accepted=995, rejected=5),
            lost=0,
        ),
        meter=4711,
        writer_is_elsewhere=False,
        kafka=KafkaHealth(None, (PartitionHealth("llm.usage", 0, committed=100, first=0, end=100),)),
        warehouse=warehouse,
        last_build=build,
        unpublished_since=None,
        conflicts_last_day=2,
        disk=Disk("/book", free=200 * GIB, size=500 * GIB),
    )
