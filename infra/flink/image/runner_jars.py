"""Places Beam's runner into an image, as the cluster of one machine has it: the same jars, by the same hashes.

`python runner_jars.py cluster FOLDER` places what a Flink distribution lacks, for its `lib/`; with `job-server` for
`cluster` it places everything, for Beam's job server.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tollbook.flink.jars import JOB_SERVER_BEAM_VERSION, pinned
from tollbook.services.jars import Jar, place

DISTRIBUTION_GROUPS = ("org.apache.flink", "org.apache.logging.log4j", "org.slf4j")
"""What `lib/` of a Flink distribution has by itself; a second copy there is found first or last by chance."""


def chosen(role: str) -> tuple[Jar, ...]:
    """Return the jars for `cluster` or `job-server`."""
    if role == "job-server":
        return pinned()
    if role == "cluster":
        return tuple(jar for jar in pinned() if jar.coordinate.split(":")[0] not in DISTRIBUTION_GROUPS)
    raise SystemExit(f"expected cluster or job-server, got {role!r}")


if __name__ == "__main__":
    _, wanted, folder = sys.argv
    jars = chosen(wanted)
    place(Path(folder), print, jars=jars, of=f"Beam's Flink runner {JOB_SERVER_BEAM_VERSION} for the {wanted}")
