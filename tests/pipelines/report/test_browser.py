"""The page in a real browser: its charts are drawn, and what events say does not run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tollbook.report.page import write_page

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is on PATH: install chromium")


def shown(page: Path, profile: Path) -> str:
    """Return the page as it stands in a browser after its scripts have run, without their text."""
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
    flags += [f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom", "--window-size=1200,3000"]
    told = subprocess.run([CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return re.sub(r"<script.*?</script>", "", told.stdout, flags=re.DOTALL)


def test_charts_are_drawn_and_hostile_names_stay_text(two_months: Book, tmp_path: Path) -> None:
    """Our policy must let plotly run, and nothing else."""
    hostile = '<img src=x onerror="document.title=1"><script>document.title="taken"</script>'
    two_months.use("2026-09-02", "5.00", team=hostile, workflow=hostile, model=hostile, providers=hostile)
    path = tmp_path / "page.html"
    write_page(two_months.publish(), path)

    dom = shown(path, tmp_path / "profile")

    assert 'data-drawn="yes"' in dom
    for chart in ("price", "task-tokens", "bill", "teams", "workflows", "days", "models"):
        assert re.search(rf'id="chart-{chart}"[^>]*>\s*<div class="plot-container', dom), chart
    assert "<title>AI usage and its cost, August to September 2026</title>" in dom
    assert "<img" not in dom
    assert "&lt;img src=x onerror=" in dom
