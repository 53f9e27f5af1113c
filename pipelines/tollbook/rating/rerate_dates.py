"""A rerate at work, date by date: the ratings that differ, written over the usage of their event dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.contracts import contract
from tollbook.lake.layout import USAGE
from tollbook.lake.manifest import FileEntry
from tollbook.lake.parquet import parquet_writer
from tollbook.lake.ratings import (
    RATINGS,
    RatingFile,
    rating_path,
    ratings_after,
)
from tollbook.lake.remote import local_paths
from tollbook.lake.snapshot import load_snapshot
from tollbook.rating.differences import Difference, Differences
from tollbook.rating.reprice import Choice, Repriced, Repricer, Stretch

BY_MODEL: Final = ("provider", "model")
_STRETCH_ROWS: Final = 500_000


@dataclass(frozen=True, slots=True)
class StoredDates:
    """What the lake holds of the wanted dates, as its logs name it.

    Attributes:
        root: Its folder.
        newest_commit: Newest commit; later ones are not looked at.
        sequence: Number of the next rating.
        usage: Event date to its usage files, by topic, partition and offset.
        ratings: Event date to the paths of the rating files laid over it.
    """

    root: Path
    newest_commit: int
    sequence: int
    usage: Mapping[date, list[FileEntry]]
    ratings: Mapping[date, list[str]]

    @classmethod
    def of(cls, root: Path, first_date: date, end_date: date) -> StoredDates:
        """Return the files of dates from the first up to the end."""
        last = 0
        usage: defaultdict[date, list[FileEntry]] = defaultdict(list)
        ratings: defaultdict[date, list[str]] = defaultdict(list)
        for entry in ratings_after(root, 0):
            last = entry.sequence
            for rated in entry.files:
                ratings[date.fromisoformat(rated.event_date)].append(rated.path)
        snapshot = load_snapshot(root)
        for live in snapshot.of(USAGE) if snapshot is not None else ():
            event_date = date.fromisoformat(live.entry.event_date)
            if first_date <= event_date < end_date:
                usage[event_date].append(live.entry)
        for files in usage.values():
            files.sort(key=lambda file: (file.topic or "", file.partition or 0, file.first_offset or 0))
        newest = snapshot.manifest.commit if snapshot is not None else 0
        return cls(root, newest, last + 1, usage, ratings)

    def stretches(self, event_date: date) -> Iterator[Stretch]:
        """Yield the usage of a date in stretches of one partition that fit memory, with the ratings over it."""
        ratings = tuple(map(Path, local_paths(self.root, self.ratings.get(event_date, ()))))
        for (topic, partition), members in groupby(self.usage[event_date], lambda file: (file.topic, file.partition)):
            files = list(members)
            while files:
                rows = list(accumulate(file.rows for file in files))
                taken = max(1, sum(total <= _STRETCH_ROWS for total in rows))
                chosen, files = files[:taken], files[taken:]
                bounds = [(file.first_offset, file.next_offset) for file in chosen]
                firsts = [first for first, _ in bounds if first is not None]
                beyonds = [beyond for _, beyond in bounds if beyond is not None]
                known = topic is not None and partition is not None and len(firsts) == len(beyonds) == len(chosen)
                yield Stretch(
                    usage=tuple(map(Path, local_paths(self.root, (file.path for file in chosen)))),
                    ratings=ratings,
                    place=(str(topic), int(partition or 0), min(firsts), max(beyonds)) if known else None,
                )


@dataclass(slots=True)
class RerateRun:
    """One rerate at work, date by date.

    Attributes:
        stored: What the lake holds.
        pricing: Prices it anew.
        choice: Which tellings.
        is_closed: Says whether the billing period of an event date is closed.
        write: Whether to write what differs.
        tell: Hears what happens.
        files: Files written.
        changed_dates: Dates on which a rating differs.
        by_model: (provider, model) to the difference.
    """

    stored: StoredDates
    pricing: Repricer
    choice: Choice
    is_closed: Callable[[date], bool]
    write: bool
    tell: Callable[[str], None]
    files: list[RatingFile] = field(default_factory=list)
    changed_dates: int = 0
    by_model: Differences = field(default_factory=lambda: Differences(BY_MODEL))

    def reprice(self, event_date: date) -> None:
        """Price one date anew; write what differs."""
        path = rating_path(self.stored.root, event_date.isoformat(), self.stored.sequence)
        whole = Difference()
        with ExitStack() as stack:
            writer: pq.ParquetWriter | None = None
            for part in self._parts(event_date):
                self._add_up(part, whole)
                if self.write and part.ratings.num_rows:
                    if writer is None:
                        writer = stack.enter_context(parquet_writer(self.stored.root, path, _SCHEMA))
                    writer.write_table(self._numbered(part.ratings))
        if not whole.changed_events:
            return
        self.changed_dates += 1
        self.tell(f"{event_date}: {whole.changed_events:,} of {whole.events:,} ratings differ")
        if self.write:
            self.files.append(
                RatingFile(
                    table=RATINGS,
                    path=path,
                    event_date=event_date.isoformat(),
                    rows=whole.changed_events,
                    bytes=(self.stored.root / path).stat().st_size,
                    list_cost_difference_pico_usd=whole.list_cost_difference,
                    contracted_cost_difference_pico_usd=whole.contracted_cost_difference,
                    unpriced_difference=whole.unpriced_after - whole.unpriced_before,
                )
            )

    def _parts(self, event_date: date) -> Iterator[Repriced]:
        keep_known = self.is_closed(event_date)
        for stretch in self.stored.stretches(event_date):
            yield from self.pricing.reprice(stretch, self.choice, keep_known=keep_known)

    def _add_up(self, part: Repriced, whole: Difference) -> None:
        date_sums = Differences(BY_MODEL)
        date_sums.add(part.sums)
        for key, each in date_sums.groups.items():
            self.by_model.groups.setdefault(key, Difference()).include(each)
        whole.include(date_sums.total())

    def _numbered(self, ratings: pa.Table) -> pa.Table:
        sequence = pa.array([self.stored.sequence] * ratings.num_rows, pa.int64())
        return ratings.append_column("rating_sequence", sequence).select(_SCHEMA.names).cast(_SCHEMA)


_SCHEMA: Final = contract("rating").arrow_schema
