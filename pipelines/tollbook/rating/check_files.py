"""The check of price files, whether they are in force or not: overlays, and CSV tables by a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from tollbook.errors import MisuseError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.check import CheckResult, check_overlay, check_prices
from tollbook.rating.load import installed_catalogue
from tollbook.rating.sources.overlays import read_overlay, read_overlays
from tollbook.rating.sources.price_table import read_price_table
from tollbook.reference.files import refuse_reference_data, refuse_unreadable
from tollbook.settings import Settings

TABLES: Final = frozenset({".csv"})
OVERLAYS: Final = frozenset({".yml", ".yaml"})


def check_files(
    files: Sequence[Path], mapping: Path | None, settings: Settings, *, now: datetime, check_days: int
) -> list[CheckResult]:
    """Check price files against the book in force; one result for each file.

    Args:
        files: Overlays (`.yml`) and price tables (`.csv`).
        mapping: What the columns of the tables hold.
        settings: Where the book lives.
        now: The present.
        check_days: A comparison with the source that is older is told.

    Raises:
        MisuseError: A file is of neither kind or cannot be read, or a table has no mapping.
        ReferenceDataError: A file does not hold what it must.
    """
    for path in files:
        if path.suffix not in TABLES | OVERLAYS:
            raise MisuseError(f"expected price files that end in .csv, .yml or .yaml, got {path}")
        if path.suffix in TABLES and mapping is None:
            raise MisuseError(f"expected --mapping, which says what the columns of {path} hold")
        refuse_unreadable(path)
        if path.suffix in OVERLAYS:
            refuse_reference_data(path)
    if mapping is not None:
        refuse_unreadable(mapping)
    reference = PriceBook.load(settings).list_prices
    return [_check_file(path, mapping, settings, reference, now, check_days) for path in files]


def _check_file(
    path: Path, mapping: Path | None, settings: Settings, reference: Catalogue, now: datetime, check_days: int
) -> CheckResult:
    if mapping is not None and path.suffix in TABLES:
        return check_prices(read_price_table(path, mapping), reference, now=now, check_days=check_days)
    overlay = read_overlay(path)
    others = [each for each in read_overlays(settings.price_overlays) if each.name != overlay.name]
    return check_overlay(overlay, others, installed_catalogue(), now=now, check_days=check_days)
