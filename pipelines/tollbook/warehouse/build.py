"""Build: from the newest manifests to published marts.

Every step can be killed. What the book remembers moves forward only when the step before it is whole, so the next
build begins where the last good one ended and comes to the same totals.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from tollbook.closing.adjustments import read_adjustments
from tollbook.closing.closes import read_closes
from tollbook.errors import BuildFailedError
from tollbook.lake.binding import connect
from tollbook.lake.erasures import pseudonyms
from tollbook.lake.ratings import newest_rating, ratings_after
from tollbook.lake.snapshot import load_snapshot
from tollbook.logs import Notice
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.reference.dated.recorded import record_reference
from tollbook.settings import Settings
from tollbook.warehouse.balance import check_balance
from tollbook.warehouse.book import Progress
from tollbook.warehouse.chargeback import places_of
from tollbook.warehouse.gaps import take_gaps
from tollbook.warehouse.gate import judge
from tollbook.warehouse.keys import index_keys
from tollbook.warehouse.lineage import refuse_other_lake
from tollbook.warehouse.lock import HeldLock, Tell, build_lock
from tollbook.warehouse.measures import lake_files_table, measure_files
from tollbook.warehouse.period_charges import charges_are_current
from tollbook.warehouse.plan import Knowledge, Plan, make_plan, write_plan
from tollbook.warehouse.project import NodeFailure, project_digest, run_dbt
from tollbook.warehouse.publish import Publication, current_version, is_published, publish_marts
from tollbook.warehouse.rating_measures import measure_ratings, rating_files_table
from tollbook.warehouse.record import recorded
from tollbook.warehouse.state import (
    WarehouseFolder,
    begin_build,
    finish_build,
    make_marts_file,
    open_ledger,
    open_marts,
    read_progress,
    stamped_build,
    take_commits,
    take_rating,
    taken_files,
)

_BALANCE_TEST = "assert_the_book_balances"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What one build did.

    Attributes:
        built_commit: Newest commit of the lake that the marts now hold.
        built_rating: Newest rating of the lake that they hold.
        new_files: Files that passed the gate in it.
        event_dates: Dates that were made anew.
        full_refresh: Whether every date was.
        hand_overs: Amounts that were compared, all equal; 0 when nothing was to do.
        version: Published file, None when the build was not to publish.
        seconds: How long it took.
    """

    built_commit: int
    built_rating: int
    new_files: int
    event_dates: int
    full_refresh: bool
    hand_overs: int
    version: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def build(
    settings: Settings,
    *,
    full_refresh: bool = False,
    publish: bool = True,
    tell: Tell = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> BuildResult:
    """Take new files of the lake through the gate and dbt into the marts, check the balance, and publish.

    Args:
        settings: Where the book lives.
        full_refresh: Make every date anew. A changed dbt project or billing calendar and a refresh that died do so too.
        publish: Swap the published file at the end.
        tell: Hears what happens.
        clock: The present.

    Raises:
        GateFailedError: A new file is not what its manifest says.
        ReferenceDataError: The billing calendar, a contract, or what it is priced by, has a fault.
        BookUnbalancedError: A hand-over lost or invented something.
        BuildFailedError: dbt could not make the marts.
    """
    started = time.monotonic()
    folder = WarehouseFolder.of(settings)
    digest, calendar, now = project_digest(), billing_calendar(settings), clock()
    connect(settings.lake, settings.lake_url)
    with build_lock(folder, tell) as lock, recorded(settings, clock):
        # What is charged by is kept, also where the command that put it into use died before it was.
        record_reference(settings.lake, settings.reference, now)
        charges_current = charges_are_current(settings, now)
        with open_ledger(folder) as ledger:
            new_files = _take(settings, folder, ledger, tell)
            plan = _plan(
                settings,
                folder,
                ledger,
                full_refresh=full_refresh,
                charges_current=charges_current,
                digest=digest,
                calendar=calendar,
                tell=tell,
                now=now,
            )
        compared = _make_marts(folder, plan, digest, calendar, tell, now) if plan is not None else 0
        with open_ledger(folder) as ledger:
            progress = read_progress(ledger)
        version = _publish(settings, progress, tell, lock) if publish else None
    return BuildResult(
        built_commit=progress.built_commit,
        built_rating=progress.built_rating,
        new_files=new_files,
        event_dates=len(plan.event_dates) if plan else 0,
        full_refresh=plan.is_full if plan else False,
        hand_overs=compared,
        version=version,
        seconds=round(time.monotonic() - started, 3),
    )


def publish_build(settings: Settings, *, tell: Tell = lambda _: None) -> Publication:
    """Publish the last good build, whether it is published already or not.

    Raises:
        WarehouseStateError: There is no good build.
    """
    with build_lock(WarehouseFolder.of(settings), tell) as lock:
        return publish_marts(settings, lock)


def _take(settings: Settings, folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, tell: Tell) -> int:
    """Let the files of new commits and ratings through the gate; return how many passed."""
    refuse_other_lake(settings, read_progress(ledger))
    # Ratings are of tellings that were in the lake before them: so they are counted first, and taken last.
    ratings = newest_rating(settings.lake)
    files = _take_commits(settings, folder, ledger, tell) + _take_ratings(settings, folder, ledger, ratings, tell)
    if take_gaps(ledger, settings.lake):
        tell("gaps of offsets were found or settled since the last build; `tollbook gaps list` shows them")
    return files


def _take_commits(settings: Settings, folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, tell: Tell) -> int:
    progress = read_progress(ledger)
    snapshot = load_snapshot(settings.lake)
    if snapshot is None or snapshot.manifest.commit == progress.taken_commit:
        return 0
    taken = taken_files(ledger)
    in_force = {file.entry.path for file in snapshot.files}
    measured = measure_files(folder, settings.lake, [file for file in snapshot.files if file.entry.path not in taken])
    commit = snapshot.manifest.commit
    what = f"gate: {len(measured)} new files up to commit {commit}"
    tell(Notice(what, event="gate", files=len(measured), commit=commit))
    judge(measured, folder.gate)
    take_commits(ledger, newest=snapshot.manifest, files=lake_files_table(measured), replaced=taken - in_force)
    return len(measured)


def _take_ratings(
    settings: Settings, folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, newest: int, tell: Tell
) -> int:
    passed = 0
    for entry in ratings_after(settings.lake, read_progress(ledger).taken_rating):
        if entry.sequence > newest:
            break
        measured = measure_ratings(folder, ledger, settings.lake, entry)
        what = f"gate: {len(measured)} new files of rating {entry.sequence}"
        tell(Notice(what, event="gate", files=len(measured), rating=entry.sequence))
        judge(measured, folder.rating_gate)
        take_rating(ledger, entry=entry, files=rating_files_table(entry, measured))
        passed += len(measured)
    return passed


def _plan(
    settings: Settings,
    folder: WarehouseFolder,
    ledger: duckdb.DuckDBPyConnection,
    *,
    full_refresh: bool,
    charges_current: bool,
    digest: str,
    calendar: BillingCalendar,
    tell: Tell,
    now: datetime,
) -> Plan | None:
    """Write the plan and return it; None when the marts hold everything already."""
    progress = read_progress(ledger)
    index_keys(folder, ledger, settings.lake, taken_commit=progress.taken_commit)
    is_full = full_refresh or _needs_refresh(folder, progress, digest, calendar, tell)
    is_current = (progress.built_commit, progress.built_rating) == (progress.taken_commit, progress.taken_rating)
    if not is_full and is_current and progress.whole and charges_current:
        tell(Notice("nothing new in the lake", event="nothing_new", commit=progress.taken_commit))
        return None
    plan = make_plan(folder, ledger, settings.lake, progress, is_full=is_full)
    closes = read_closes(settings.lake)
    known = Knowledge(
        calendar,
        now,
        places_of(settings, now),
        closes,
        read_adjustments(settings.lake).moved_number,
        pseudonyms(settings.lake),
    )
    write_plan(folder, settings.lake, plan, known)
    begin_build(ledger, is_full=is_full)
    dates, files = len(plan.event_dates), _usage_files(plan)
    what = f"plan: {dates} event dates from {files} files"
    tell(Notice(what, event="plan", event_dates=dates, files=files, full_refresh=plan.is_full))
    return plan


def _usage_files(plan: Plan) -> int:
    return sum(file["role"] == "usage" and file["commit_number"] is not None for file in plan.files)


def _needs_refresh(
    folder: WarehouseFolder, progress: Progress, digest: str, calendar: BillingCalendar, tell: Tell
) -> bool:
    if progress.build_number == 0:
        return True
    if progress.remake:
        tell("the last full refresh did not end: every date is made anew")
        return True
    if progress.project_digest != digest:
        tell("the models have changed: every date is made anew")
        return True
    if progress.billing_calendar != calendar.version:
        was = progress.billing_calendar
        tell(f"the billing calendar was {was}, now is {calendar.version}: every date is made anew")
        return True
    with open_marts(folder) as marts:
        stamp = stamped_build(marts)
    if stamp is None or stamp[0] not in {progress.build_number, progress.build_number + 1}:
        tell("the marts are not those of the ledger: every date is made anew")
        return True
    return False


def _make_marts(
    folder: WarehouseFolder, plan: Plan, digest: str, calendar: BillingCalendar, tell: Tell, now: datetime
) -> int:
    """Run dbt and let the book pass only when it balances; return the number of amounts compared."""
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if plan.is_full:
        arguments.append("--full-refresh")
    make_marts_file(folder)
    failures = run_dbt(folder, arguments, tell=tell)
    with open_ledger(folder) as ledger, open_marts(folder) as marts:
        if not failures or any(failure.name == _BALANCE_TEST for failure in failures):
            compared = check_balance(marts)
        if failures:
            raise BuildFailedError(_failure_message(folder, failures))
        finish_build(
            ledger,
            marts,
            built_commit=plan.target_commit,
            built_rating=plan.target_rating,
            project_digest=digest,
            calendar=calendar,
            now=now,
        )
    tell(Notice(f"balance: {compared} amounts handed over, all equal", event="balance", hand_overs=compared))
    return compared


def _publish(settings: Settings, progress: Progress, tell: Tell, lock: HeldLock) -> str | None:
    """Publish the last good build, unless it is published already; return the version."""
    if is_published(settings.serve, progress.build_number):
        return current_version(settings.serve)
    publication = publish_marts(settings, lock)
    version, commit = publication.version, publication.built_commit
    tell(Notice(f"published {version}", event="published", version=version, commit=commit))
    return publication.version


def _failure_message(folder: WarehouseFolder, failures: tuple[NodeFailure, ...]) -> str:
    listed = "\n".join(f"  {failure.name} ({failure.status}): {failure.message}" for failure in failures)
    return f"dbt could not make the marts, nothing is published (log: {folder.logs / 'dbt.log'})\n{listed}"
