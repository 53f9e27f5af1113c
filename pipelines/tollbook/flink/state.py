"""What is written down about the Flink cluster, `flink/state.json`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tollbook.flink.configuration import Ports


class FlinkState(msgspec.Struct, frozen=True):
    """The last start of the cluster.

    Attributes:
        ports: Its ports.
        task_managers: How many task managers it has.
        slots: Slots of each.
        checkpoint_milliseconds: How often a job's state is checkpointed.
        java: The `java` executable.
        started_at: When it was started, ISO 8601 in UTC.
    """

    ports: Ports
    task_managers: int
    slots: int
    checkpoint_milliseconds: int
    java: str
    started_at: str


def read_state(path: Path) -> FlinkState | None:
    """Return what is written at `path`, or None when there is nothing or it cannot be read as state."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=FlinkState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def write_state(path: Path, state: FlinkState) -> None:
    """Write the state whole: by a temporary name and a rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    temporary.replace(path)
