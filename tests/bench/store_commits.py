"""How long a commit takes with the lake on disk, and with it in an object store: the same files, the same entries.

Run `python tests/bench/store_commits.py [commits]`. The store is moto's S3 server on loopback, in a process of its own;
it answers in milliseconds, where a real one takes tens, so what counts is how many requests a commit waits for: one
for its files, which go at the same time, and one for its entry.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median, quantiles

from tollbook.lake.binding import connect
from tollbook.lake.log import append, sync_folders, write_synced

_FILES = {"usage/event_date=2026-06-01": 200_000, "usage_minute/event_date=2026-06-01": 20_000}
_ENTRY_BYTES = 6_000
_SIGNED_BY = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"


def commit_seconds(lake: Path, commits: int) -> list[float]:
    """Return how long each of some commits took: two files on disk, then safe, then their entry. Unit: Seconds."""
    taken = []
    for number in range(1, commits + 1):
        files = {f"{folder}/{number:06d}.parquet": size for folder, size in _FILES.items()}
        begun = time.perf_counter()
        for path, size in files.items():
            (lake / path).parent.mkdir(parents=True, exist_ok=True)
            write_synced(lake / path, os.urandom(size))
        sync_folders(files, lake)
        append(lake / "commits", number, os.urandom(_ENTRY_BYTES))
        taken.append(time.perf_counter() - begun)
    return taken


def main() -> None:
    """Measure both, and print them."""
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server,
    ):
        assert server.stdout is not None
        port = next(line.rpartition(":")[2].strip() for line in server.stdout if "Running on" in line)
        drain = subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
        endpoint = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(  # noqa: S310  loopback
            f"{endpoint}/bench", data=b"", method="PUT", headers={"Authorization": _SIGNED_BY}
        )
        urllib.request.urlopen(request).close()  # noqa: S310  loopback
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        os.environ.update({"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", **keys})
        remote = Path(folder) / "remote"
        connect(remote, "s3://bench/lake")
        print(f"{'lake':<14}{'commits':>8}{'p50 ms':>9}{'p99 ms':>9}")
        for name, lake in (("on disk", Path(folder) / "local"), ("object store", remote)):
            taken = commit_seconds(lake, commits)
            print(f"{name:<14}{commits:>8}{median(taken) * 1e3:>9.1f}{quantiles(taken, n=100)[98] * 1e3:>9.1f}")
        server.kill()
        drain.wait()


if __name__ == "__main__":
    main()
