"""Where the published live aggregates lie, and which published build they go on from.

A published file's name ends in the newest commit that it holds: `tollbook-<build>-c<commit>.duckdb`.
"""

from __future__ import annotations

import re
from pathlib import Path

_CURRENT = "CURRENT"
_COMMIT = re.compile(r"-c(\d+)\.duckdb$")


def live_path(serve: Path) -> Path:
    """Return where the live aggregates lie: rows of `live_usage/v1`."""
    return serve / "live" / "usage_by_minute.parquet"


def built_commit(serve: Path) -> int:
    """Return the newest commit that the published file holds; 0 when nothing is published."""
    try:
        return commit_of_version((serve / _CURRENT).read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return 0


def commit_of_version(name: str) -> int:
    """Return the newest commit that a published file of this name holds; 0 for other names."""
    told = _COMMIT.search(name)
    return int(told[1]) if told is not None else 0
