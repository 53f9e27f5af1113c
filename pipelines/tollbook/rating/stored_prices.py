"""Whether stored usage bears other prices than those in force, and how it gets them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from tollbook.lake.layout import USAGE
from tollbook.lake.snapshot import load_snapshot
from tollbook.rating.book import PriceBook
from tollbook.rating.store import newest_book
from tollbook.settings import Settings


def rerate_notice(settings: Settings, *, home: Path | None = None) -> str | None:
    """Return by which command stored usage is priced anew; None where none is stored or its prices are those in force.

    Args:
        settings: The home.
        home: What the command line named as the home, which the command then has to name too.
    """
    recorded = newest_book(settings.lake)
    if recorded is None or recorded.version == PriceBook.load(settings).version:
        return None
    snapshot = load_snapshot(settings.lake)
    usage = snapshot.of(USAGE) if snapshot is not None else []
    dates = [date.fromisoformat(file.entry.event_date) for file in usage]
    if not dates:
        return None
    where = "" if home is None else f" --home {home}"
    until = max(dates) + timedelta(days=1)
    command = f"tollbook prices rerate --from {min(dates)} --to {until}{where}"
    return f"stored usage keeps the prices it has; `{command}` prices it by this"
