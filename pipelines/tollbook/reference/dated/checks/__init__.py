"""What the schema of a kind cannot see: sums, ratios, cycles, orphans and currencies.

A check gets the entries of its kind that are in force by all that is known, and those of every other kind in use. A
name that another kind defines is looked for only where that kind is in use at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tollbook.errors import DocumentFault
from tollbook.reference.dated.entries import DatedEntry

Entries = Sequence[DatedEntry]
Others = Mapping[str, Entries]
Check = Callable[[Entries, Others], Iterable[DocumentFault]]
