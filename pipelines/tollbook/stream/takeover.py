"""Taking a lake over: what a lock does between meters of one machine, a commit does between those of several.

A lake in an object store can be reached from many machines, and a lock on a folder only from one. So a meter begins
with an empty commit under an epoch of its own. It is made on the condition that its number is free, so no two meters
have an epoch, and with it names of files, in common; and from then on a meter of an epoch before is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tollbook.contracts import usage_event
from tollbook.errors import CommitConflictError, FencedError
from tollbook.lake.manifest import FORMAT_VERSION, METER, Manifest, commit, newest, newest_commit, next_commit
from tollbook.stream.commit import refuse_if_fenced
from tollbook.stream.decode import Clock


def take_over(
    lake: Path,
    *,
    owner: str,
    writer: str,
    reference_version: str,
    clock: Clock,
    held_epoch: int | None = None,
    only_from: str | None = None,
) -> Manifest:
    """Make an empty commit under an epoch above the newest, and return it: meters of epochs before are fenced by it.

    Args:
        lake: Folder of the lake.
        owner: Name of the meter that the epoch belongs to.
        writer: Who writes, for people.
        reference_version: Owner rules in use, told by a first commit; others go on with what the one before told.
        clock: The present.
        held_epoch: Epoch that the meter had until now; None for one that begins.
        only_from: Name of the meter, as owners of epochs begin with it, whose the lake must be; None for any.

    Raises:
        FencedError: Another meter took over from this one, or from that of `only_from`.
        StoreUnavailableError: The lake's object store is away.
    """
    while True:
        before = newest(lake)
        if held_epoch is not None:
            refuse_if_fenced(lake, before, held_epoch, owner)
        if only_from is not None and before is not None and not before.epoch_owner.startswith(f"{only_from}:"):
            raise FencedError(
                f"expected the lake {lake} to be that of the meter {only_from}, but commit {before.commit} is of epoch "
                f"{before.epoch} of {before.epoch_owner or before.writer}: another meter took over, and this one ends"
            )
        told: dict[str, Any] = {"writer": writer, "epoch_owner": owner, "reason": "a meter took the lake over"}
        if before is not None:
            taken = next_commit(before, kind=METER, now=clock(), epoch=before.epoch + 1, **told)
        else:
            taken = Manifest(
                commit=1,
                format_version=FORMAT_VERSION,
                epoch=1,
                committed_at=clock(),
                schema_versions={"usage_event": usage_event().version},
                catalogue_version="",
                reference_version=reference_version,
                files=[],
                offsets={},
                totals={},
                **told,
            )
        try:
            commit(lake, taken)
        except CommitConflictError:
            if newest_commit(lake) == (before.commit if before is not None else 0):
                raise
        else:
            return taken
