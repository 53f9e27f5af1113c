"""Who holds a lock, found without touching it.

To try a lock is to hold it for a moment, and a meter that starts in that moment would be refused. Linux lists all locks
in `/proc/locks`, so the list is read instead.
"""

from __future__ import annotations

from pathlib import Path

_LOCKS = Path("/proc/locks")
_FIELDS = 6


def holder(path: Path, *, locks: Path = _LOCKS) -> int | None:
    """Return the process that holds the lock on the file `path`, None when no process of this machine does.

    A process of another machine or container is not seen.

    Args:
        path: The lock's file, which names the process that locked it last.
        locks: What Linux lists.
    """
    try:
        written = path.read_text("ascii").strip()
        inode = path.stat().st_ino
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    for line in locks.read_text("ascii").splitlines():
        # "1: FLOCK ADVISORY WRITE 4711 fe:00:131090 0 EOF"; one that waits has "->" after the number.
        told = line.split()
        if len(told) < _FIELDS or told[1] != "FLOCK":
            continue
        # File systems of subvolumes list another device than a file has, so process and inode decide.
        if told[4] == written and told[5].rpartition(":")[2] == str(inode) and _lives(int(written)):
            return int(written)
    return None


def _lives(process: int) -> bool:
    return process > 0 and Path(f"/proc/{process}").exists()
