"""Files of dated entries in use: reading all of them, holding one more against them, and putting it there.

`reference/<kind>/<name>.yml` is in use. A file takes the place of the one of its name, and says again what that one
said: entries are superseded or withdrawn, never edited and never dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tollbook.errors import DocumentFault
from tollbook.lake.log import log_lock, sync_folder, write_synced
from tollbook.reference.dated.entries import DatedEntry, EntryFile, faults_between, known_entries
from tollbook.reference.dated.kinds import KINDS, EntryKind
from tollbook.reference.documents import refuse


@dataclass(frozen=True, slots=True)
class ReferenceBook:
    """Every dated entry in use.

    Attributes:
        files: Files by kind.
    """

    files: Mapping[str, tuple[EntryFile, ...]] = field(default_factory=dict)

    def known(self, kind: str, known_at: datetime | None = None) -> list[DatedEntry]:
        """Return the entries of a kind in force by what was known at an instant; None for all that is known."""
        return known_entries(self.files.get(kind, ()), known_at)

    def learned(self) -> frozenset[datetime]:
        """Return every instant at which something became known."""
        return frozenset(each.known_from for files in self.files.values() for file in files for each in file.items)

    def faults(self) -> Iterator[DocumentFault]:
        """Yield what files contradict in themselves and in each other."""
        entries = {kind: self.known(kind) for kind in self.files}
        for name, files in self.files.items():
            yield from faults_between(files)
            yield from KINDS[name].check(entries[name], {kind: held for kind, held in entries.items() if kind != name})


def read_reference(reference: Path) -> ReferenceBook:
    """Return the dated entries of a home's reference folder, sound together.

    Raises:
        ReferenceDataError: A file has a fault, or files contradict each other; nothing of them is used.
    """
    book = _read(reference)
    refuse(book.faults())
    return book


def check_entries(path: Path, kind: EntryKind, beside: Path | None = None) -> EntryFile:
    """Return the entries of a file that is sound by itself, and beside the files in use.

    Args:
        path: The file.
        kind: Its kind.
        beside: Folder of reference files in use that it is held against, in place of the one of its name.

    Raises:
        ReferenceDataError: It has a fault.
    """
    file = kind.read(path)
    files = {} if beside is None else dict(_read(beside).files)
    others = (each for each in files.get(kind.name, ()) if each.name != file.name)
    refuse(ReferenceBook({**files, kind.name: (*others, file)}).faults())
    return file


def load_entries(path: Path, kind: EntryKind, reference: Path, *, now: datetime) -> tuple[EntryFile, Path]:
    """Check a file beside those in use and put it there in place of the one of its name, whole or not at all.

    Args:
        path: The file. It is read once: what was checked is what is put there.
        kind: Its kind.
        reference: Folder of the reference files in use. Only one may be put there at a time; another waits.
        now: The time, with a time zone.

    Returns:
        What is in use now, and where it lies.

    Raises:
        ReferenceDataError: It has a fault, edits or drops an entry in use, knows of the future, or contradicts another
            file in use. What is in use stays.
    """
    file = kind.read(path)
    target = reference / kind.name / f"{file.name}.yml"
    with log_lock(reference, wait=True):
        book = _read(reference)
        others = tuple(each for each in book.files.get(kind.name, ()) if each.name != file.name)
        before = [each for each in book.files.get(kind.name, ()) if each.name == file.name]
        refuse([*_future(file, now), *(fault for each in before for fault in _edits(file, each))])
        refuse(ReferenceBook({**book.files, kind.name: (*others, file)}).faults())
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        write_synced(temporary, file.document.source)
        temporary.replace(target)
        sync_folder(target.parent)
    return file, target


def _read(reference: Path) -> ReferenceBook:
    read = {
        name: tuple(kind.read(path) for path in sorted((reference / name).glob("*.yml")))
        for name, kind in KINDS.items()
    }
    return ReferenceBook({name: files for name, files in read.items() if files})


def _future(file: EntryFile, now: datetime) -> Iterator[DocumentFault]:
    for each in file.items:
        if each.known_from > now:
            rule = f"expected known_from not after now, {now:%Y-%m-%dT%H:%M:%SZ}"
            yield file.document.fault((*each.place, "known_from"), rule)


def _edits(file: EntryFile, before: EntryFile) -> Iterator[DocumentFault]:
    """Yield what a file says otherwise than the one in use, or no longer."""
    said = _said(file)
    places = {each.entry_id: each.place for each in file.items}
    for name, told in _said(before).items():
        if name not in said:
            rule = f"expected every entry in use to stay, and {name} is gone: supersede or withdraw it"
            yield file.document.fault((), rule, came="")
        elif said[name] != told:
            rule = f"expected {name} as it is in use: it is superseded by a later entry, never edited"
            yield file.document.fault((*places[name], "entry_id"), rule, came="")


def _said(file: EntryFile) -> dict[str, str]:
    content = file.document.content
    return {each.entry_id: json.dumps(content[each.place[0]][each.place[1]], sort_keys=True) for each in file.items}
