"""By whose word a price is shown: the book that answers for a knowledge time, and who wrote a contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tollbook.rating.explain import PriceInForce
from tollbook.rating.store import entry_at
from tollbook.rating.words import written
from tollbook.reference.documents import read_yaml
from tollbook.settings import Settings

RECORDED_BOOK: Final = "recorded_book"
FILES: Final = "files"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What answers for a knowledge time.

    Attributes:
        as_of: The knowledge time, UTC.
        number: Number of the recorded book that was in use then; None before the first one.
        recorded_at: Since when it was in use.
    """

    as_of: datetime
    number: int | None = None
    recorded_at: datetime | None = None

    def sentence(self) -> str:
        """Return what answers, in a sentence."""
        if self.number is None:
            return (
                f"No price book was recorded by {written(self.as_of)}: this is what the files of now say was known "
                "then, over the installed price list. What was charged is told from the first recorded book on."
            )
        return f"By price book {self.number}, in use since {written(self.recorded_at)}: what was charged by."

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "as_of": written(self.as_of),
            "answered_by": FILES if self.number is None else RECORDED_BOOK,
            "number": self.number,
            "since": written(self.recorded_at),
        }


def knowledge(settings: Settings, as_of: datetime) -> Knowledge:
    """Return what answers for a knowledge time: the recorded book that was in use then, or before any the files."""
    entry = entry_at(settings.lake, as_of)
    return Knowledge(as_of) if entry is None else Knowledge(as_of, entry.number, entry.recorded_at)


def with_authors(told: Iterable[PriceInForce], contracts: Path, known_at: datetime) -> list[PriceInForce]:
    """Return prices with who wrote their contracts and why, as the files of a folder say.

    Args:
        told: The prices.
        contracts: Folder of contracts.
        known_at: Knowledge time, with a time zone: of the files of one contract the last one known then counts.
    """
    authors = _authors(contracts, known_at)
    return [
        each
        if each.price.contract_id not in authors
        else replace(
            each,
            contract_author=authors[each.price.contract_id][0],
            contract_reason=authors[each.price.contract_id][1],
        )
        for each in told
    ]


def _authors(contracts: Path, known_at: datetime) -> dict[str | None, tuple[str, str]]:
    documents = [read_yaml(path).content for path in sorted(contracts.glob("*.y*ml"))]
    known = [(datetime.fromisoformat(each["known_from"]), each) for each in documents]
    in_order = sorted((pair for pair in known if pair[0] <= known_at), key=lambda pair: pair[0])
    return {each["contract_id"]: (each["author"], each["reason"]) for _, each in in_order}
