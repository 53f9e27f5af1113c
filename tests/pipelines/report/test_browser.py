"""The page in a real browser: its charts are drawn, and what events say does not run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.pipelines.report.browser import browser, needs_chromium

from tollbook.report.page import write_page

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

pytestmark = needs_chromium


def test_charts_are_drawn_and_hostile_names_stay_text(two_months: Book, tmp_path: Path) -> None:
    """Our policy must let plotly run, and nothing else."""
    hostile = '<img src=x onerror="document.title=1"><script>document.title="taken"</script>'
    two_months.use("2026-09-02", "5.00", team=hostile, workflow=hostile, model=hostile, providers=hostile)
    path = tmp_path / "page.html"
    write_page(two_months.publish(), path)

    with browser(tmp_path / "profile") as page:
        page.open(path.as_uri())
        told = page.value("document.documentElement.outerHTML")

    assert page.complaints == []
    assert set(page.requests) == {path.as_uri()}
    dom = re.sub(r"<script.*?</script>", "", told, flags=re.DOTALL)
    for chart in ("price", "task-tokens", "bill", "teams", "workflows", "days", "models"):
        assert re.search(rf'id="chart-{chart}"[^>]*>\s*<div class="plot-container', dom), chart
    assert "<title>AI usage and its cost, August to September 2026</title>" in dom
    assert "<img" not in dom
    assert "&lt;img src=x onerror=" in dom
