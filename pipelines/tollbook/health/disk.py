"""Where the book's space is measured."""

from __future__ import annotations

from pathlib import Path


def nearest_folder(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that is there: the one whose disk it will be written to."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
