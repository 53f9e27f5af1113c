"""A flood of rejects stops the meter: when so many records are refused, the fault is not the records'.

The share of rejects over the last records is watched chunk by chunk, before a chunk's rejects are written. The window
reaches back over commits, so that a meter that is started again does not take in the flood little by little. Only the
records of the micro-batch under way can stop it: once what was wrong is mended, old rejects in the window stop nothing.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from tollbook.errors import CorruptManifestError, RejectFloodError
from tollbook.formats.decoder import Decoded, Rejected
from tollbook.formats.reasons import REASONS
from tollbook.lake.manifest import Manifest, newest_commit, read_commit
from tollbook.stream.parts import USAGE_PART, CommitPart
from tollbook.stream.ranges import ChunkOrigin

MAX_REJECT_SHARE: Final = 0.5
WINDOW_RECORDS: Final = 10_000
_MOST_COMMITS: Final = 256
_SHOWN_CAUSES: Final = 5

WatchChunk = Callable[[pa.RecordBatch, Decoded], None]
"""Takes records of `kafka_record/v1`, shape (n_records,), with their ChunkOrigin, and what became of them."""


@dataclass(frozen=True, slots=True)
class FloodLimit:
    """When rejects are a flood.

    Attributes:
        max_share: Largest share of rejects over the last records, from 0 to 1; None for no limit. Unit: Ratio.
        over_records: How many records it is measured over; fewer are never a flood.
    """

    max_share: float | None = MAX_REJECT_SHARE
    over_records: int = WINDOW_RECORDS


@dataclass(frozen=True, slots=True)
class Cause:
    """Why records of a topic are refused: a row of the diagnosis."""

    topic: str
    reason: str
    field: str | None


@dataclass(slots=True)
class _Run:
    """Some records in the order of reading: how many calls they told of, or were silent, and how many were refused."""

    told: int
    rejected: int
    is_under_way: bool
    causes: Counter[Cause] = field(default_factory=Counter)
    examples: dict[Cause, str] = field(default_factory=dict)


class RejectWatch:
    """Watches the share of rejects over the last records of one meter."""

    def __init__(self, limit: FloodLimit, committed: Iterable[tuple[int, int]] = ()) -> None:
        """Watch by a limit, after commits of so many records and rejects, the newest last."""
        self._limit = limit
        self._runs: deque[_Run] = deque(_Run(told, rejected, is_under_way=False) for told, rejected in committed)
        self._lock = threading.Lock()
        self.flood: RejectFloodError | None = None

    def begin(self) -> None:
        """Begin a micro-batch; what one that was not committed noted is forgotten."""
        self._runs = deque(run for run in self._runs if not run.is_under_way)
        self.flood = None

    def keep(self) -> None:
        """Take what was noted since `begin` for committed."""
        for run in self._runs:
            run.is_under_way = False
            run.causes.clear()
            run.examples.clear()
        self._forget()

    def note(self, records: pa.RecordBatch, decoded: Decoded) -> None:
        """Note what became of a chunk's records.

        Raises:
            RejectFloodError: More of the last records were refused than the limit allows.
        """
        told = len(decoded.rows) + len(decoded.rejected) + decoded.silent_records
        run = _Run(told, len(decoded.rejected), is_under_way=True)
        topic = ChunkOrigin.of(records).topic
        for each in decoded.rejected:
            cause = Cause(topic, each.error.reason, each.error.field)
            run.causes[cause] += 1
            if cause not in run.examples:
                run.examples[cause] = _example(records, each)
        self._note(run)

    def note_parts(self, parts: Iterable[CommitPart]) -> None:
        """Note what became of the records of whole micro-batches, after the fact.

        Raises:
            RejectFloodError: More of the last records were refused than the limit allows.
        """
        runs: dict[tuple[str, int, int], _Run] = {}
        for part in parts:
            origin = part.chunk()
            run = runs.setdefault((origin.topic, origin.partition, origin.first_offset), _Run(0, 0, is_under_way=True))
            if part.kind == USAGE_PART:
                run.told, run.rejected = origin.records + origin.further_items, origin.items - part.usage_rows
            for each in part.causes:
                cause = Cause(origin.topic, each.reason, each.field)
                run.causes[cause] += each.times
                run.examples.setdefault(cause, each.example)
        for place in sorted(runs):
            self._note(runs[place])

    def _note(self, run: _Run) -> None:
        if self._limit.max_share is None:
            return
        with self._lock:
            self._runs.append(run)
            self._judge(self._limit.max_share)

    def _judge(self, max_share: float) -> None:
        window = self._window()
        told, rejected = sum(run.told for run in window), sum(run.rejected for run in window)
        under_way = [run for run in window if run.is_under_way]
        own_told, own_rejected = sum(run.told for run in under_way), sum(run.rejected for run in under_way)
        if told < self._limit.over_records or rejected <= max_share * told or own_rejected <= max_share * own_told:
            return
        self.flood = RejectFloodError(_diagnosis(under_way, told, rejected, max_share))
        raise self.flood

    def _window(self) -> list[_Run]:
        """Return the newest runs that hold as many records as the share is measured over."""
        chosen: list[_Run] = []
        left = self._limit.over_records
        for run in reversed(self._runs):
            if left <= 0:
                break
            chosen.append(run)
            left -= run.told
        return chosen

    def _forget(self) -> None:
        kept = self._window()
        self._runs = deque(reversed(kept))


def committed_shares(lake: Path, over_records: int) -> list[tuple[int, int]]:
    """Return how many records the newest commits read and rejected, oldest first, as far back as a window reaches.

    Manifests that have expired end it sooner.
    """
    shares: list[tuple[int, int]] = []
    after: tuple[int, int] | None = None
    last = newest_commit(lake)
    for number in range(last, max(0, last - _MOST_COMMITS) - 1, -1):
        try:
            sums = _sums(read_commit(lake, number)) if number else (0, 0)
        except CorruptManifestError:
            break  # it has expired
        if after is not None:
            shares.append((after[0] - sums[0], after[1] - sums[1]))
        after = sums
        if sum(told for told, _ in shares) >= over_records:
            break
    return shares[::-1]


def watch_rejects(name: str, watch: RejectWatch) -> None:
    """Make `watch` the one that steps of this process get by `name`."""
    _watches[name] = watch


def watch_chunk(name: str, records: pa.RecordBatch, decoded: Decoded) -> None:
    """Note a chunk where rejects are watched by `name`, if they are.

    Raises:
        RejectFloodError: More of the last records were refused than the limit allows.
    """
    watch = _watches.get(name)
    if watch is not None:
        watch.note(records, decoded)


def _sums(manifest: Manifest) -> tuple[int, int]:
    totals = [total for each in manifest.totals.values() for total in each.values()]
    return sum(each.records + each.further_items for each in totals), sum(each.reject_rows for each in totals)


def _example(records: pa.RecordBatch, rejected: Rejected) -> str:
    topic, partition, offset = (records.column(name)[rejected.row] for name in ("topic", "partition", "offset"))
    return f"{topic}:{partition}:{offset}, expected {rejected.error.expected}, got {rejected.error.got}"


def _diagnosis(runs: Sequence[_Run], told: int, rejected: int, max_share: float) -> str:
    causes: Counter[Cause] = Counter()
    examples: dict[Cause, str] = {}
    for run in runs:
        causes.update(run.causes)
        examples = run.examples | examples
    share = f"expected at most {max_share:.0%} of the last records to be rejected, got {rejected:,} of {told:,}"
    lines = [f"{share}: nothing of this commit is in the book, and the commits before stand"]
    for cause, times in causes.most_common(_SHOWN_CAUSES):
        where = f" ({cause.field})" if cause.field else ""
        lines.append(f"  {times:,} {cause.reason}{where} on {cause.topic}: {REASONS[cause.reason]}")
        lines.append(f"    such as {examples[cause]}")
    if len(causes) > _SHOWN_CAUSES:
        lines.append(f"  and {len(causes) - _SHOWN_CAUSES:,} more causes")
    lines.append(
        "If a topic holds another format than its name says, name it: --topic TOPIC=FORMAT. If a sender is at fault, "
        "mend it; its records are read again. To take them as rejects, run with a higher --max-reject-share, or none"
    )
    return "\n".join(lines)


_watches: dict[str, RejectWatch] = {}
