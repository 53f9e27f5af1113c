"""The site, written."""

from __future__ import annotations

from pathlib import Path

from tollbook.report.chrome import write_whole
from tollbook.report.site.contents import PAGES
from tollbook.report.site.embedded import read_book
from tollbook.report.site.pages import rendered
from tollbook.settings import Settings

FOLDER = "report"
"""Folder of the site below `exports/`."""


def write_site(settings: Settings, *, note: str | None = None) -> dict[Path, int]:
    """Write the pages of the published book. Each appears whole or not at all, all of one version of the book.

    Args:
        settings: Where the book lives.
        note: What a reader must know before all else, such as that the data are made up.

    Returns:
        Path of each page to its size in bytes, the one to open first.

    Raises:
        NothingPublishedError: There is no published file yet.
    """
    book = read_book(settings)
    pages = {settings.exports / FOLDER / page.file: rendered(page, book, note=note) for page in PAGES}
    return {path: write_whole(path, content) for path, content in pages.items()}
