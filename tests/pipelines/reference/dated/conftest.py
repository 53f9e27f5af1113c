"""The example files of dated entries, whole or with something changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tollbook.contracts import shipped_folder
from tollbook.reference.dated.kinds import KINDS
from tollbook.reference.dated.use import load_entries

EXAMPLES = shipped_folder("schemas") / "examples" / "dated"
NOW = datetime(2026, 12, 1, tzinfo=UTC)

Changed = Callable[..., Path]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Writes the example of a kind with texts replaced, each of which must stand in it once or more."""

    def write(kind: str, *replacements: tuple[str, str], name: str = "changed") -> Path:
        text = (EXAMPLES / f"{kind}.yml").read_text("utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / f"{name}-{kind}.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A reference folder with all examples in use."""
    folder = tmp_path / "home" / "reference"
    for name, kind in KINDS.items():
        load_entries(EXAMPLES / f"{name}.yml", kind, folder, now=NOW)
    return folder
