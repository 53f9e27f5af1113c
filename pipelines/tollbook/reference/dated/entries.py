"""One file of dated entries, and which of its entries were in force by what was known at an instant.

An entry is superseded or withdrawn, never edited: so any past knowledge time can be asked for. Of entries about one
thing no two hold on one day, by what was known at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from tollbook.errors import DocumentFault
from tollbook.reference.documents import Document, Step, read_document, refuse

MAIN: Final = "main"
_VERSION_DIGITS: Final = 16

Body = Mapping[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DatedEntry:
    """One entry.

    Attributes:
        kind: Kind of the file.
        entry_id: Its name, unique in the kind.
        key: What it is about: of one key one entry holds at a time.
        valid_from: First day on which it holds; the first of all where its kind has no validity.
        valid_to: First day on which it no longer holds; None while it is open.
        known_from: When the organisation learned of it, UTC.
        supersedes: Entries that it takes the place of.
        body: What it says.
        document: The document that it stands in.
        place: Where in it.
    """

    kind: str
    entry_id: str
    key: Key
    valid_from: date
    valid_to: date | None
    known_from: datetime
    supersedes: frozenset[str]
    body: Body
    document: Document = field(repr=False)
    place: tuple[Step, ...] = field(repr=False)

    def holds_on(self, day: date) -> bool:
        """Return whether it holds on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    def meets(self, other: DatedEntry) -> bool:
        """Return whether both hold on some day."""
        return (self.valid_to is None or other.valid_from < self.valid_to) and (
            other.valid_to is None or self.valid_from < other.valid_to
        )

    def fault(self, where: Sequence[Step], rule: str, *, came: str | None = None) -> DocumentFault:
        """Return a fault of a field below the entry."""
        return self.document.fault((*self.place, *where), rule, came=came)


@dataclass(frozen=True, eq=False)
class Withdrawal:
    """An entry that holds no more, for any time.

    Attributes:
        entry_id: Name of the withdrawal.
        withdraws: The entry.
        known_from: Since when that is known, UTC.
        document: The document that it stands in.
        place: Where in it.
    """

    entry_id: str
    withdraws: str
    known_from: datetime
    document: Document = field(repr=False)
    place: tuple[Step, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class EntryFile:
    """One file.

    Attributes:
        kind: Its kind.
        name: Its name among those of the kind.
        version: Digest of what it says.
        entries: Its entries, in order.
        withdrawals: Its withdrawals, in order.
        document: What it was read from.
    """

    kind: str
    name: str
    version: str
    entries: tuple[DatedEntry, ...]
    withdrawals: tuple[Withdrawal, ...]
    document: Document = field(repr=False)

    @property
    def items(self) -> tuple[DatedEntry | Withdrawal, ...]:
        """Entries and withdrawals."""
        return (*self.entries, *self.withdrawals)


def read_entry_file(path: Path, kind: str, key_of: Callable[[Body], Key], *, dated: bool) -> EntryFile:
    """Return the entries of a YAML file of a kind, each sound by itself.

    Args:
        path: The file.
        kind: Name of the kind, its schema and its first key.
        key_of: Gives what an entry is about.
        dated: Whether entries have a validity.

    Raises:
        ReferenceDataError: It breaks its schema, or an entry ends before it begins.
    """
    document = read_document(path, kind)
    told = document.content
    entries = tuple(
        _entry(document, kind, place, body, key_of(body), dated=dated) for place, body in enumerate(told["entries"])
    )
    withdrawals = tuple(
        Withdrawal(body["entry_id"], body["withdraws"], _instant(body["known_from"]), document, ("withdrawals", place))
        for place, body in enumerate(told.get("withdrawals", ()))
    )
    refuse(
        entry.fault(("valid_to",), "expected a day after valid_from")
        for entry in entries
        if entry.valid_to is not None and entry.valid_to <= entry.valid_from
    )
    version = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:_VERSION_DIGITS]
    return EntryFile(kind, told.get("name", MAIN), version, entries, withdrawals, document)


def known_entries(files: Iterable[EntryFile], known_at: datetime | None = None) -> list[DatedEntry]:
    """Return the entries in force by what was known at an instant, in the order of files; None for all that is known.

    A superseding entry that was withdrawn supersedes nothing.
    """
    held = list(files)
    withdrawn = {
        each.withdraws for file in held for each in file.withdrawals if known_at is None or each.known_from <= known_at
    }
    known = [
        entry
        for file in held
        for entry in file.entries
        if entry.entry_id not in withdrawn and (known_at is None or entry.known_from <= known_at)
    ]
    superseded = {name for entry in known for name in entry.supersedes}
    return [entry for entry in known if entry.entry_id not in superseded]


def faults_between(files: Sequence[EntryFile]) -> Iterator[DocumentFault]:
    """Yield what entries of one kind contradict in each other: names, what they supersede, and overlaps."""
    entries = [entry for file in files for entry in file.entries]
    by_name: dict[str, DatedEntry] = {}
    names: set[str] = set()
    for each in (item for file in files for item in file.items):
        if each.entry_id in names:
            yield each.document.fault((*each.place, "entry_id"), "expected each entry_id once")
        names.add(each.entry_id)
        if isinstance(each, DatedEntry):
            by_name.setdefault(each.entry_id, each)
    yield from (fault for entry in entries for fault in _superseding(entry, by_name))
    for file in files:
        for withdrawal in file.withdrawals:
            entry = by_name.get(withdrawal.withdraws)
            if entry is None or entry.known_from > withdrawal.known_from:
                rule = "expected the entry_id of an entry that was known by then"
                yield withdrawal.document.fault((*withdrawal.place, "withdraws"), rule)
    yield from _overlaps(files, entries)


def _superseding(entry: DatedEntry, by_name: Mapping[str, DatedEntry]) -> Iterator[DocumentFault]:
    for place, name in enumerate(entry.body.get("supersedes", ())):
        before = by_name.get(name)
        where = ("supersedes", place)
        if before is None:
            yield entry.fault(where, "expected the entry_id of another entry of this kind, found none")
        elif before.key != entry.key:
            yield entry.fault(where, f"expected an entry about {words_of(entry.key)}, that one is about another")
        elif before.known_from >= entry.known_from:
            yield entry.fault(where, "expected an entry that was known before this one")


def _overlaps(files: Sequence[EntryFile], entries: Iterable[DatedEntry]) -> Iterator[DocumentFault]:
    groups: defaultdict[Key, list[DatedEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.key].append(entry)
    disputed = {key for key, members in groups.items() if len(members) > 1}
    if not disputed:
        return
    instants = {entry.known_from for key in disputed for entry in groups[key]}
    instants |= {each.known_from for file in files for each in file.withdrawals}
    told: set[tuple[str, str]] = set()
    for instant in sorted(instants):
        known: defaultdict[Key, list[DatedEntry]] = defaultdict(list)
        for entry in known_entries(files, instant):
            if entry.key in disputed:
                known[entry.key].append(entry)
        for members in known.values():
            for first, second in combinations(members, 2):
                pair = (first.entry_id, second.entry_id)
                if first.meets(second) and pair not in told:
                    told.add(pair)
                    yield _overlap(first, second)


def _overlap(first: DatedEntry, second: DatedEntry) -> DocumentFault:
    days = "" if second.valid_from == date.min else f" from {max(first.valid_from, second.valid_from)} on"
    where = ("valid_from",) if "valid_from" in second.body else ("entry_id",)
    return second.fault(
        where,
        f"expected one entry about {words_of(second.key)} at a time, but {first.entry_id} "
        f"({first.document.path}:{first.document.line(first.place)}) holds{days} too; name it in supersedes, or end it",
    )


def words_of(key: Key) -> str:
    """Return what an entry is about, in words."""
    return " ".join(key)


def _entry(document: Document, kind: str, place: int, body: Body, key: Key, *, dated: bool) -> DatedEntry:
    return DatedEntry(
        kind=kind,
        entry_id=body["entry_id"],
        key=key,
        valid_from=date.fromisoformat(body["valid_from"]) if dated else date.min,
        valid_to=date.fromisoformat(body["valid_to"]) if "valid_to" in body else None,
        known_from=_instant(body["known_from"]),
        supersedes=frozenset(body.get("supersedes", ())),
        body=body,
        document=document,
        place=("entries", place),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.upper()).astimezone(UTC)
