"""The example of an object store's environment is one that Tollbook reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from obstore.store import S3Store

from tollbook.lake.store import checked_url
from tollbook.settings import LAKE_VARIABLE, Settings

FOLDER = Path(__file__).parents[2] / "infra" / "object-store"


def _blocks() -> list[dict[str, str]]:
    """Return the variables of each block of `tollbook.env`."""
    text = (FOLDER / "tollbook.env").read_text(encoding="utf-8")
    return [dict(re.findall(rf"^{mark}([A-Z_]+)=(.+)$", text, re.MULTILINE)) for mark in ("", "# ")]


@pytest.mark.parametrize("index", [0, 1])
def test_each_block_of_the_example_is_whole(index: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who copies it and puts in the own names meets no fault of ours: obstore refuses a name it does not know."""
    block = _blocks()[index]
    for name, value in block.items():
        monkeypatch.setenv(name, value)
    url = Settings.load(home=tmp_path).lake_url

    assert url == block.pop(LAKE_VARIABLE) == checked_url(str(url))
    known = S3Store("bucket", config={name.lower(): value for name, value in block.items()}).config  # type: ignore[arg-type]
    assert len(known) >= len(block)


def test_the_table_has_every_variable_of_the_example() -> None:
    """What the example uses is explained."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert all(f"`{name}`" in readme for block in _blocks() for name in block)
