"""Where a warehouse on one node ends: time, memory and spill of builds of ever more rows.

For each size a lake is written as the meter would write it, a warehouse is built of all of it, and then of one more
day. Each build is a process of its own, so its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from history import FIRST_DAY, add_day

from tollbook.settings import Settings
from tollbook.warehouse.build import build
from tollbook.warehouse.state import WarehouseFolder

SPILL_LOOK_SECONDS = 0.25


def bytes_in(folder: Path) -> int:
    """Return the size of what lies in a folder while files come and go. Unit: Bytes."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


class SpillWatch:
    """Remembers the most that lay in the folder of spilled data."""

    def __init__(self, folder: Path) -> None:
        self.most_bytes = 0
        self._folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(SPILL_LOOK_SECONDS):
            self.most_bytes = max(self.most_bytes, bytes_in(self._folder))


def build_here(home: Path) -> dict[str, float]:
    """Build in this process, and return what it took."""
    settings = Settings(home=home)
    started = time.monotonic()
    with SpillWatch(WarehouseFolder.of(settings).spill) as spill:
        result = build(settings, tell=lambda what: print(f"  {what}", file=sys.stderr, flush=True))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "event_dates": result.event_dates,
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
        "spill_mb": round(spill.most_bytes / 1e6),
    }


def build_apart(home: Path) -> dict[str, Any]:
    """Build in a process of its own."""
    command = [sys.executable, __file__, "--build", str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    taken: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return taken


def measure(home: Path, rows: int, days: int) -> dict[str, Any]:
    """Return what builds of `rows` rows over some days, and of one more day, took."""
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings(home=home)
    print(f"writing {rows:,} rows of {days} days", file=sys.stderr, flush=True)
    for number in range(days):
        add_day(settings.lake, FIRST_DAY + timedelta(days=number), rows // days)
    lake_mb = round(bytes_in(settings.lake) / 1e6)
    whole = build_apart(home)
    add_day(settings.lake, FIRST_DAY + timedelta(days=days), rows // days)
    one_more = build_apart(home)
    warehouse_mb = round(bytes_in(settings.warehouse) / 1e6)
    shutil.rmtree(home)
    return {"rows": rows, "lake_mb": lake_mb, "warehouse_mb": warehouse_mb, "whole": whole, "one_more_day": one_more}


def main() -> None:
    """Measure and print, a line of JSON for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--build", type=Path, help="build this home and end")
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--days", type=int, default=30)
    arguments = parser.parse_args()
    if arguments.build:
        print(json.dumps(build_here(arguments.build)))
        return
    if not arguments.work:
        parser.error("expected --work, a folder for the books that are built")
    for millions in arguments.millions:
        home = arguments.work.absolute() / f"scale-{millions:g}m"
        print(json.dumps(measure(home, int(millions * 1_000_000), arguments.days)), flush=True)


if __name__ == "__main__":
    main()
