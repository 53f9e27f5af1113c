"""The report site of a small book, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pipelines.conftest import Book
from tests.pipelines.report import site_rows
from tests.pipelines.report.browser import Browser, address, browser
from tests.pipelines.report.site_rows import HOSTILE, LEGAL, OCTOBER, SEPTEMBER, drive, effect

from tollbook.report.site.contents import PAGES
from tollbook.report.site.write import write_site
from tollbook.settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site of a small book, in which a workflow of legal has a hostile name."""
    book = site_rows.explain(Book(Settings(home=tmp_path_factory.mktemp("site") / "home")))
    drive(book, SEPTEMBER, (LEGAL[0], HOSTILE), "0")
    drive(book, OCTOBER, (LEGAL[0], HOSTILE), "0")
    effect(book, (LEGAL[0], HOSTILE), "price", "0.25")
    effect(book, (LEGAL[0], HOSTILE), "model_mix", "-0.25")
    pages = write_site(book.publish())
    return next(iter(pages)).parent


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Give the browser that these tests share."""
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def page(shown: Browser, folder: Path) -> Iterator[Browser]:
    """Give the browser in the light; at the end nothing was complained of, and nothing asked for but the pages."""
    shown.complaints.clear()
    shown.requests.clear()
    shown.light("light")
    shown.size(1200, 900)
    yield shown
    assert shown.complaints == []
    assert {each.split("#")[0] for each in shown.requests} <= {
        "about:blank",
        *(address(folder, each.file) for each in PAGES),
    }
