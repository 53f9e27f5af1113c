"""Amounts of entries: exact numbers, bounded as amounts in the book are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.documents import Step

_FINEST: Final = 10**12


def amount_at(entry: DatedEntry, where: Sequence[Step]) -> Fraction:
    """Return an amount of an entry, exact."""
    told: Any = entry.body
    for step in where:
        told = told[step]
    return Fraction(told)


def not_below_zero(entry: DatedEntry, where: Sequence[Step]) -> Iterator[DocumentFault]:
    """Yield a fault where an amount is below zero or finer than a millionth of a millionth."""
    amount = amount_at(entry, where)
    if amount < 0 or _FINEST % amount.denominator:
        yield entry.fault(where, "expected zero or more, of at most 12 decimals")


def twice(entry: DatedEntry, where: str, name: str) -> Iterator[DocumentFault]:
    """Yield a fault for each item of a list whose name stood there before."""
    seen = set()
    for place, item in enumerate(entry.body.get(where, ())):
        if item[name] in seen:
            yield entry.fault((where, place, name), f"expected each {name} once in an entry")
        seen.add(item[name])
