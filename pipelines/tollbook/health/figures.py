"""How the words of a status write times, sizes and shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES = ("TiB", "GiB", "MiB", "KiB")


def duration(length: timedelta) -> str:
    """Return a length of time in its largest whole unit: `12 s`, `3 min`, `5 h`, `2 d`."""
    seconds = int(length.total_seconds())
    for step, unit in _STEPS:
        if seconds >= step:
            return f"{seconds // step} {unit}"
    return f"{seconds} s"


def instant(at: datetime) -> str:
    """Return an instant in UTC to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def share(part: int, whole: int) -> str:
    """Return a share in percent, to a hundredth, rounded down; less than that is not written as none."""
    hundredths = part * 10_000 // whole if whole else 0
    if part and not hundredths:
        return "under 0.01 %"
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def size(count: int) -> str:
    """Return a number of bytes in its largest binary unit, to a tenth, rounded down."""
    for power, unit in zip(range(len(_SIZES), 0, -1), _SIZES, strict=True):
        if count >= 1024**power:
            tenths = count * 10 // 1024**power
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{count} B"
