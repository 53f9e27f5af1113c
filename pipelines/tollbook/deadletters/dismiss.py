"""Dismissing rejects about which nothing is to be done, so that those that are open are those that wait for someone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from tollbook.deadletters.filters import DISMISSED, RejectFilter
from tollbook.deadletters.find import rejects_in_order
from tollbook.deadletters.outcomes import outcomes_lock, settle
from tollbook.errors import MisuseError

MAX_NOTE: Final = 500
_IDS_TOGETHER: Final = 100_000


def dismiss_rejects(lake: Path, wanted: RejectFilter, *, note: str, now: datetime) -> int:
    """Note that nothing is to be done about rejects and return how many there were. They stay in the lake.

    Args:
        lake: Folder of the lake.
        wanted: Which; more than the state must be said.
        note: Why, for people.
        now: When.

    Raises:
        MisuseError: No filter is given, or no note, or one that is too long.
        LakeLockedError: A replay is at work.
    """
    if not wanted.is_narrow:
        raise MisuseError("expected ids or a filter, such as --reason, to say which rejects to dismiss")
    if not note.strip() or len(note) > MAX_NOTE:
        raise MisuseError(f"expected a --note of 1 to {MAX_NOTE} characters, got {len(note.strip())}")
    with outcomes_lock(lake):
        ids: list[str] = rejects_in_order(lake, wanted)["reject_id"].to_pylist()
        for start in range(0, len(ids), _IDS_TOGETHER):
            settle(lake, DISMISSED, ids[start : start + _IDS_TOGETHER], how=note, now=now)
    return len(ids)
