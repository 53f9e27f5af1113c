"""Named steps of writing the book, so that tests can make any of them fail and see that nothing is lost.

The product tells of each step by `reached` and does nothing else; what listens is a test's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEPS = {
    "chunk_read": "records of one chunk were read from Kafka",
    "batch_decoded": "a chunk was decoded to events and rejects",
    "file_written": "a data file is on disk under its temporary name",
    "file_renamed": "a data file has its name",
    "folders_synced": "all data files of a commit are on disk, their names too",
    "entry_written": "an entry of a numbered log is on disk under its temporary name",
    "entry_linked": "an entry of a numbered log has its number",
    "commit_made": "a commit of the meter is in the book",
    "compaction_written": "the files of a compaction are on disk, and none is named yet",
    "compaction_made": "a compaction is in the book, and the files it replaced are still there",
    "marts_copied": "a copy of the marts is on disk beside the published versions, under a temporary name",
    "pointer_swapped": "the pointer names the new version, the link still the old one",
    "published": "pointer and link name the new version",
}
"""Every step and what has happened when it is reached."""

_listeners: list[Callable[[str], None]] = []


def reached(step: str) -> None:
    """Tell that `step` was reached."""
    for listener in _listeners:
        listener(step)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Let `listener` hear of each step while the block runs; what it raises goes through the step."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
