"""The pages of the site, put together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from tollbook.report.chrome import data_element, document, resource
from tollbook.report.site.contents import PAGES
from tollbook.report.site.embedded import Book
from tollbook.report.site.layout import Page
from tollbook.report.tables import escape

SHARED_SCRIPTS: Final = ("money.js", "book.js", "elements.js", "filters.js")


def rendered(page: Page, book: Book, *, pages: Sequence[Page] = PAGES, note: str | None = None) -> str:
    """Return a page as HTML.

    Args:
        page: Which page.
        book: What the book says.
        pages: The pages to link to.
        note: What a reader must know before all else, such as that the data are made up.
    """
    data = {**book.as_json(page.tables), "words": page.words, "filters": page.filters}
    package = "tollbook.report.site"
    return document(
        page.title,
        styles=[resource("page.css"), resource("site.css", package)],
        body=[_header(page, pages, note), "<main>", *page.sections, "</main>", _footer(book)],
        data=data_element("book", data),
        scripts=[resource("theme.js"), *(resource(name, package) for name in (*SHARED_SCRIPTS, *page.scripts))],
    )


def _header(page: Page, pages: Sequence[Page], note: str | None) -> str:
    said = "" if note is None else f'<p class="note">{escape(note)}</p>'
    links = "".join(
        f'<li><a href="{each.file}"{" aria-current=page" if each is page else ""}>{escape(each.link)}</a></li>'
        for each in pages
    )
    return f"""<header>
{said}
<nav aria-label="Pages"><ul>{links}</ul></nav>
<h1>{escape(page.title)}</h1>
<form id="filters" aria-label="What is shown"></form>
<p class="lead" id="lead" aria-live="polite"></p>
<p class="about" id="unknown"></p>
<p class="about">{page.about}</p>
<noscript><p class="note">This page adds up in the browser: it needs its own scripts, which it holds.</p></noscript>
<div class="grid tiles" id="tiles"></div>
</header>"""


def _footer(book: Book) -> str:
    made = book.publication
    return f"""<footer>
<p>Book version <code>{escape(made.version)}</code>, lake commit {made.built_commit}, made
{made.built_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC.</p>
<p>Amounts are added in whole millionths of a millionth of the currency and rounded only to be shown. The page holds all
its data and reaches for no network; what is chosen stands in its address.</p>
</footer>"""
