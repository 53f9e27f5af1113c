"""What a build leaves behind for those who watch: a record of how it went, and the same as metrics.

A build is over before anything could scrape it. So its record lies in `warehouse/last_build.json`, which a following
meter serves among its own metrics and `tollbook status` reads, and in `metrics/tollbook_build.prom`, in the text format
that node_exporter's textfile collector takes, for homes that no meter follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from tollbook import metrics
from tollbook.errors import BookUnbalancedError, TollbookError, WarehouseStateError
from tollbook.lake.log import write_synced
from tollbook.settings import Settings
from tollbook.warehouse.state import WarehouseFolder, open_marts

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

TEXTFILE = "tollbook_build.prom"
_RECORD = "last_build.json"


class BookFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the marts say of the book.

    Attributes:
        built_commit: Newest commit of the lake that they hold.
        hand_overs: Amounts that were compared between its steps.
        unequal: Of these, how many were not equal.
        tellings: Events by what became of them.
    """

    built_commit: int
    hand_overs: int
    unequal: int
    tellings: dict[str, int]


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How the last build went.

    Attributes:
        started_at: When it began, UTC.
        ended_at: When it ended, UTC.
        seconds: How long it took, by a clock that nobody sets.
        succeeded_at: When a build last ended well, UTC; None for never.
        error: Name of the error that it ended with, None when it ended well.
        message: First line of that error's message.
        figures: The book as the marts had it when they were last whole, or found unequal; None before the first build.
    """

    started_at: datetime
    ended_at: datetime
    seconds: float
    succeeded_at: datetime | None
    error: str | None
    message: str | None
    figures: BookFigures | None

    @property
    def succeeded(self) -> bool:
        """Whether the build ended well."""
        return self.error is None


def read_record(settings: Settings) -> BuildRecord | None:
    """Return how the last build went, None when none left a record.

    Raises:
        WarehouseStateError: The record cannot be read.
    """
    path = _path(settings)
    try:
        return msgspec.json.decode(path.read_bytes(), type=BuildRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as broken:
        raise WarehouseStateError(f"expected the record of a build at {path}, got: {broken}") from broken


@contextmanager
def recorded(settings: Settings, clock: Callable[[], datetime]) -> Iterator[None]:
    """Leave a record of the build that runs within, whether it ends well or not. Its caller holds the build's lock.

    A build that is killed leaves the record of the build before.

    Raises:
        WarehouseStateError: The build ended well and its record could not be written.
    """
    started_at, started = clock(), time.monotonic()

    def leave(error: BaseException | None) -> None:
        before = _record_before(settings)
        ended_at = clock()
        message = error.message if isinstance(error, TollbookError) else str(type(error).__name__)
        _write(
            settings,
            BuildRecord(
                started_at=started_at.astimezone(UTC),
                ended_at=ended_at.astimezone(UTC),
                seconds=round(time.monotonic() - started, 3),
                succeeded_at=ended_at if error is None else before.succeeded_at if before is not None else None,
                error=type(error).__name__ if error is not None else None,
                message=message.splitlines()[0] if error is not None else None,
                figures=_figures(settings, error, before.figures if before is not None else None),
            ),
        )

    try:
        yield
    except Exception as error:
        # The build's own error is the one to tell, whatever becomes of its record.
        with suppress(OSError, TollbookError, duckdb.Error):
            leave(error)
        raise
    try:
        leave(None)
    except OSError as failed:
        raise WarehouseStateError(
            f"expected to leave the record of a build that ended well in {settings.home}, got: {failed.strerror}"
        ) from failed


def build_families(record: BuildRecord | None) -> list[Family]:
    """Return the metrics of the last build, none when there is no record."""
    if record is None:
        return []
    families = [
        *metrics.single(metrics.BUILD_SUCCESS, float(record.succeeded)),
        *metrics.single(metrics.BUILD_ENDED, record.ended_at.timestamp()),
        *metrics.single(metrics.BUILD_SUCCEEDED, record.succeeded_at.timestamp() if record.succeeded_at else None),
        *metrics.single(metrics.BUILD_DURATION, record.seconds),
    ]
    figures = record.figures
    if figures is not None:
        families += [
            *metrics.single(metrics.BUILT_COMMIT, figures.built_commit),
            *metrics.single(metrics.HAND_OVERS, figures.hand_overs),
            *metrics.single(metrics.UNEQUAL_HAND_OVERS, figures.unequal),
            metrics.family(metrics.TELLINGS, [((state,), count) for state, count in sorted(figures.tellings.items())]),
        ]
    return families


def _record_before(settings: Settings) -> BuildRecord | None:
    """Return the record before this one; one that cannot be read is written anew."""
    try:
        return read_record(settings)
    except WarehouseStateError:
        return None


def _figures(settings: Settings, error: BaseException | None, before: BookFigures | None) -> BookFigures | None:
    """Return what the marts say. Those that a build left halfway are not asked."""
    if error is not None and not isinstance(error, BookUnbalancedError):
        return before
    with open_marts(WarehouseFolder.of(settings)) as marts:
        (counts,) = marts.execute(
            "select count(*), count(*) filter (difference <> 0) from audit.fct_ledger_balance"
        ).fetchall()
        tellings = marts.execute(
            "select telling_state, sum(tellings)::bigint from audit.fct_tellings_daily group by all"
        ).fetchall()
        stamps = marts.execute("select built_commit from audit.publication").fetchall() if error is None else []
    built = stamps[0][0] if stamps else before.built_commit if before is not None else 0
    return BookFigures(built_commit=built, hand_overs=counts[0], unequal=counts[1], tellings=dict(tellings))


def _write(settings: Settings, record: BuildRecord) -> None:
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    write_synced(temporary, msgspec.json.encode(record))
    temporary.replace(path)
    from prometheus_client import CollectorRegistry, write_to_textfile

    registry = CollectorRegistry()
    registry.register(_Families(build_families(record)))
    settings.metrics.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(settings.metrics / TEXTFILE), registry)


class _Families:
    """Families that are known, as a collector."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return self._families


def _path(settings: Settings) -> Path:
    return WarehouseFolder.of(settings).root / _RECORD
