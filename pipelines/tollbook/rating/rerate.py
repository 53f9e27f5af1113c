"""Re-rating: the stored events of some dates priced anew by the book in force now.

What differs is written beside the usage, as an overlay with a sequence number, and counts from the moment its entry is
in the log of ratings. Nothing of a rerate that died counts; the next one sweeps what it left. Running it twice writes
nothing the second time, because nothing differs any more. Events of closed billing periods are priced anew
too: what was frozen stays, and the next build makes corrections of the difference.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from tollbook.closing.closes import read_closes
from tollbook.errors import LakeLockedError, MisuseError
from tollbook.lake.binding import connect
from tollbook.lake.log import log_lock, sync_folders
from tollbook.lake.ratings import RATINGS, RatingEntry, append_rating, ratings_log
from tollbook.lake.sweep import sweep_log
from tollbook.rating.book import PriceBook
from tollbook.rating.differences import Difference, amount
from tollbook.rating.reprice import Choice, repricer
from tollbook.rating.rerate_dates import BY_MODEL, RerateRun, StoredDates
from tollbook.rating.store import record
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings

BookLoader = Callable[[Settings], PriceBook]
_EVERYTHING = Choice()
_HEADINGS = ("events", "changed", "tokens")
_LIST_COST = ("list cost before", "list cost after", "difference")
_CONTRACTED_COST = ("contracted cost before", "contracted cost after", "contracted difference")
_UNPRICED = ("unpriced before", "unpriced after")


@dataclass(frozen=True, slots=True)
class Rerated:
    """What a rerate found and did.

    Attributes:
        first_date: First event date that was asked for.
        end_date: Event date after the last.
        choice: Which tellings were.
        sequence: Number of the rating that it wrote, None when nothing differed or nothing was to be written.
        catalogue_version: Price book that rated.
        lake_commit: Newest commit of the lake that was looked at.
        event_dates: Event dates that hold usage and were looked at.
        changed_dates: Of these, dates on which a rating differs.
        models: (provider, model) to the difference, in order.
        total: The whole difference.
    """

    first_date: date
    end_date: date
    choice: Choice
    sequence: int | None
    catalogue_version: str
    lake_commit: int
    event_dates: int
    changed_dates: int
    models: Mapping[tuple[Any, ...], Difference]
    total: Difference

    @property
    def matches_nothing(self) -> bool:
        """Whether a model or a provider was named, and no stored event is of it: misspelt, most likely."""
        return not self.total.events and self.choice != _EVERYTHING

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON, costs as decimal texts in USD."""
        return {
            "rating_sequence": self.sequence,
            "catalogue_version": self.catalogue_version,
            "lake_commit": self.lake_commit,
            "event_dates": self.event_dates,
            "changed_dates": self.changed_dates,
            "total": self.total.as_dict(),
            "models": [
                {**dict(zip(BY_MODEL, key, strict=True)), **each.as_dict()} for key, each in self.models.items()
            ],
        }

    def as_table(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Return headings and rows for people: a row for each model, and the total.

        Contracted costs have columns where any of them is not the list cost.
        """
        contracted = any(_is_contracted(each) for each in (*self.models.values(), self.total))
        headings = (*BY_MODEL, *_HEADINGS, *_LIST_COST, *(_CONTRACTED_COST if contracted else ()), *_UNPRICED)
        rows = [(*key, *_cells(each, contracted=contracted)) for key, each in self.models.items()]
        return headings, [*rows, ("all", "all", *_cells(self.total, contracted=contracted))]

    def sentence(self, *, dry_run: bool = False) -> str:
        """Return what was done, in words."""
        if not self.total.events:
            named = {"model": self.choice.model, "provider": self.choice.provider}
            told = " and ".join(f"{name} {text}" for name, text in named.items() if text is not None)
            return f"no stored event between {self.first_date} and {self.end_date}{told and f' matches {told}'}"
        if not self.total.changed_events:
            return f"nothing differs by {self.catalogue_version}: nothing was written"
        found = (
            f"{self.total.changed_events:,} of {self.total.events:,} ratings on {self.changed_dates} dates differ "
            f"by {self.catalogue_version}"
        )
        if dry_run:
            return f"{found}; this was a dry run, nothing was written"
        return f"{found}: wrote rating {self.sequence}, which the next `tollbook warehouse build` takes"


def event_date(text: str) -> date:
    """Return a date as people write it.

    Raises:
        MisuseError: It is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MisuseError(f"expected a date such as 2026-06-01, got {text!r}") from error


def rerate(
    settings: Settings,
    *,
    first_date: date,
    end_date: date,
    choice: Choice = _EVERYTHING,
    dry_run: bool = False,
    load_book: BookLoader = PriceBook.load,
    tell: Callable[[str], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Rerated:
    """Price stored events anew and write the ratings that differ.

    A second rerate waits for the first. A meter may run meanwhile: what it commits after this began is not looked at,
    and a newer book that it takes stays the one in use.

    Args:
        settings: Where the book lives.
        first_date: First event date, UTC.
        end_date: Event date after the last.
        choice: Which tellings.
        dry_run: Tell what differs and write nothing.
        load_book: Gives the prices; by default those in force now.
        tell: Hears what happens.
        clock: The present.

    Raises:
        MisuseError: The dates are none, or there is no lake.
        CorruptManifestError: A log of the lake is damaged.
        LakeWriteError: The disk is full or read-only; nothing counts.
    """
    if first_date >= end_date:
        raise MisuseError(f"expected a first date before the end, got {first_date} and {end_date}")
    connect(settings.lake, settings.lake_url)
    if not settings.lake.is_dir():
        raise MisuseError(f"expected a lake at {settings.lake}, found none: is this the home?")
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(_only_rerate(settings, tell))
        book = load_book(settings)
        if not dry_run:
            # Now, not at the end: a meter may take a newer book meanwhile, which then is in use after this one.
            record(settings.lake, book, clock())
        stored = StoredDates.of(settings.lake, first_date, end_date)
        pricing = stack.enter_context(repricer(book))
        closes, calendar = read_closes(settings.lake), billing_calendar(settings)

        def is_closed(event_date: date) -> bool:
            return closes.is_closed(calendar.day_at(datetime.combine(event_date, time(0), UTC)))

        run = RerateRun(stored, pricing, choice, is_closed, write=not dry_run, tell=tell)
        for event_date in sorted(stored.usage):
            run.reprice(event_date)
        if run.files:
            entry = RatingEntry(
                sequence=stored.sequence,
                writer=f"{socket.gethostname()}:{os.getpid()}",
                recorded_at=clock(),
                first_date=first_date,
                end_date=end_date,
                provider=choice.provider,
                model=choice.model,
                catalogue_version=book.version,
                lake_commit=stored.newest_commit,
                files=run.files,
            )
            sync_folders((file.path for file in run.files), settings.lake)
            append_rating(settings.lake, entry)
    models = sorted(run.by_model.groups.items(), key=lambda pair: tuple(str(part) for part in pair[0]))
    return Rerated(
        first_date=first_date,
        end_date=end_date,
        choice=choice,
        sequence=stored.sequence if run.files else None,
        catalogue_version=book.version,
        lake_commit=stored.newest_commit,
        event_dates=len(stored.usage),
        changed_dates=run.changed_dates,
        models=dict(models),
        total=run.by_model.total(),
    )


def _is_contracted(each: Difference) -> bool:
    listed = (each.list_cost_before, each.list_cost_after)
    return (each.contracted_cost_before, each.contracted_cost_after) != listed


def _cells(each: Difference, *, contracted: bool) -> tuple[str, ...]:
    costs = [each.list_cost_before, each.list_cost_after, each.list_cost_difference]
    if contracted:
        costs += [each.contracted_cost_before, each.contracted_cost_after, each.contracted_cost_difference]
    return (
        *(f"{count:,}" for count in (each.events, each.changed_events, each.tokens)),
        *(f"{amount(cost):f}" for cost in costs),
        *(f"{count:,}" for count in (each.unpriced_before, each.unpriced_after)),
    )


@contextmanager
def _only_rerate(settings: Settings, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the log of ratings, with what a rerate that died left behind swept."""
    log = ratings_log(settings.lake)
    with ExitStack() as stack:
        try:
            stack.enter_context(log_lock(log))
        except LakeLockedError as held:
            tell(f"{held.message}; waiting for it to end")
            stack.enter_context(log_lock(log, wait=True))
        for path in sweep_log(settings.lake, RATINGS):
            tell(f"swept {path}, which a rerate that died left behind")
        yield
