"""The check of the book in force, against the usage that was published."""

from __future__ import annotations

from datetime import datetime

from tollbook.rating.book import PriceBook
from tollbook.rating.check import CheckResult, check_book
from tollbook.settings import Settings
from tollbook.warehouse.lock import Tell
from tollbook.warehouse.used_units import read_used_units


def check_book_in_force(
    settings: Settings, *, now: datetime, every_price: bool, check_days: int, tell: Tell
) -> CheckResult:
    """Check the book in force of a home.

    Args:
        settings: Where the book lives.
        now: The present.
        every_price: Check also the models of the price list that were never used.
        check_days: A comparison with the source that is older is told.
        tell: Hears when no usage is known.
    """
    used = read_used_units(settings)
    if used is None:
        missing = "no usage is published yet, so prices are not held against it: run `tollbook warehouse build`"
        tell(missing if every_price else f"{missing}, or check the whole price list with --all")
    book = PriceBook.load(settings)
    return check_book(book, used or [], now=now, every_price=every_price, check_days=check_days)
